"""The path of a temporary URL: what it grants, until when, and the proof that we made it.

``/<container>/<object>/<expires>-<signature>/vm.iso``: no query, as some BMCs refuse ``?`` and
``&``; no comma, which starts a helper script for an iLO; and the right extension at the end. A
proxy in front of the image server removes its own prefix.

The signature also covers the content that the object had. So a URL never grants what is
stored under the same name later, such as the floppy, with its secrets, of a node's next deploy;
and it outlives an upload of the same bytes, such as a boot ISO that two conductors built.
"""

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass, field

from ironic_ilo.exception import InvalidInput

MIN_KEY_CHARS = 32
SUFFIXES = (".iso", ".img")

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)
"""Names of containers and objects: they stand for themselves in a path, a log and a directory."""

# Other uses of the same signing key derive from other labels.
_LABEL = b"ironic-ilo temporary URL 1"
_SIGNATURE_BYTES = 16
_PATH = re.compile(
    rf"/(?P<container>{NAME.pattern})/(?P<object_name>{NAME.pattern})"
    r"/(?P<expires>[1-9][0-9]{0,14})-(?P<signature>[A-Za-z0-9_-]{22})/vm(?P<suffix>\.iso|\.img)",
    re.ASCII,
)


@dataclass(frozen=True)
class SignedPath:
    """What a path asks for; nothing is proved before ``PathSigner.permits``.

    :ivar expires: seconds since the epoch until which it works.
    """

    container: str
    object_name: str
    expires: int
    suffix: str
    signature: str = field(repr=False)


class PathSigner:
    """Makes and checks paths with one key.

    :param signing_key: at least 32 characters, the same on every conductor and image server.
    :raises InvalidInput: the key is too short.
    """

    def __init__(self, signing_key: str) -> None:
        if len(signing_key) < MIN_KEY_CHARS:
            raise InvalidInput(
                f"The signing key has fewer than {MIN_KEY_CHARS} characters",
                hint="Set [ilo]signing_key, for example to what 'openssl rand -hex 32' prints.",
            )
        self._key = hmac.digest(signing_key.encode(), _LABEL, hashlib.sha256)

    def make(
        self, container: str, object_name: str, etag: str, expires: int, *, suffix: str
    ) -> str:
        """Make the path that grants one content of one object.

        :param expires: seconds since the epoch.
        :raises InvalidInput: no image ends in this suffix.
        """
        if suffix not in SUFFIXES:
            raise InvalidInput(f"A temporary URL ends in one of {SUFFIXES}, not in {suffix!r}")
        signature = self._signature(container, object_name, etag, expires, suffix)
        return f"/{container}/{object_name}/{expires}-{signature}/vm{suffix}"

    def permits(self, path: SignedPath, etag: str, now: float) -> bool:
        """Tell whether we made this path, for this content, and it has not expired."""
        expected = self._signature(
            path.container, path.object_name, etag, path.expires, path.suffix
        )
        return hmac.compare_digest(expected, path.signature) and now < path.expires

    def _signature(
        self, container: str, object_name: str, etag: str, expires: int, suffix: str
    ) -> str:
        message = "\n".join((container, object_name, etag, str(expires), suffix))
        digest = hmac.digest(self._key, message.encode(), hashlib.sha256)[:_SIGNATURE_BYTES]
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def parse_path(path: str) -> SignedPath | None:
    """Read the path of a request as it came, not decoded; ``None`` when it is not one of ours."""
    match = _PATH.fullmatch(path)
    if match is None:
        return None
    parts = match.groupdict()
    return SignedPath(
        parts["container"],
        parts["object_name"],
        int(parts["expires"]),
        parts["suffix"],
        parts["signature"],
    )
