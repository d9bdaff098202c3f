"""The one-time secrets of a deploy, derived rather than stored.

A deploy is known by a random nonce in the node's ``driver_internal_info``. Its deploy key and CHAP
secret are made from that nonce and ``[ilo]signing_key``, so any conductor can make them again, yet
neither the database nor Ironic's API ever holds them.
"""

import hmac
import secrets
from dataclasses import dataclass, field

from ironic_ilo.exception import InvalidInput

SHORTEST_SIGNING_KEY = 32
_IQN_PREFIX = "iqn.2008-10.org.openstack"


@dataclass(frozen=True)
class DeploySecrets:
    """What the ramdisk and the conductor share for one deploy, and nobody else knows.

    :ivar deploy_key: 64 hex digits; proves that a callback comes from this deploy's ramdisk.
    :ivar target_iqn: the name (RFC 3720) under which the ramdisk offers the disk.
    :ivar initiator_iqn: the only initiator that the target accepts.
    :ivar chap_secret: 32 hex digits, 128 bits as RFC 3720 section 8.2.1 asks.
    """

    deploy_key: str = field(repr=False)
    target_iqn: str
    initiator_iqn: str
    chap_username: str
    chap_secret: str = field(repr=False)

    def accepts_key(self, key: str) -> bool:
        """Compare a key in constant time."""
        return hmac.compare_digest(self.deploy_key.encode(), key.encode())


def make_nonce() -> str:
    """Make the nonce of a new deploy: 32 hex digits."""
    return secrets.token_hex(16)


def derive(signing_key: str | None, node_uuid: str, nonce: str) -> DeploySecrets:
    """Make the secrets of a deploy.

    :raises InvalidInput: the signing key is missing or too short.
    """
    if not signing_key or len(signing_key) < SHORTEST_SIGNING_KEY:
        raise InvalidInput(
            f"[ilo]signing_key must have at least {SHORTEST_SIGNING_KEY} characters",
            hint="Put a random one, such as of 'openssl rand -hex 32', in every ironic.conf.",
        )

    def made(purpose: str) -> str:
        message = f"ironic-ilo deploy {purpose}\n{node_uuid}\n{nonce}"
        return hmac.digest(signing_key.encode(), message.encode(), "sha256").hex()

    names = made("names")
    return DeploySecrets(
        deploy_key=made("key"),
        target_iqn=f"{_IQN_PREFIX}:{node_uuid}-{names[:8]}",
        initiator_iqn=f"{_IQN_PREFIX}:conductor-{names[8:24]}",
        chap_username=f"deploy-{names[24:32]}",
        chap_secret=made("chap")[:32],
    )
