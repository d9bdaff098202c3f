"""What a node's ``driver_info`` means, checked in one place."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ironic.common import exception
from ironic.common.i18n import _
from ironic.conf import CONF
from oslo_utils import strutils, uuidutils

from ironic_ilo import bmc, conf
from ironic_ilo.bmc.types import Access, TlsVersion

conf.register_opts(CONF)

REQUIRED_PROPERTIES = {
    "ilo_address": _("IP address or host name of the iLO. Required."),
    "ilo_username": _(
        "User of the iLO; needs virtual media, virtual power and reset, and "
        "configure-iLO privileges. Required."
    ),
    "ilo_password": _("Password of that user. Required."),
}
OPTIONAL_PROPERTIES = {
    "client_port": _("HTTPS port of the iLO; [ilo]client_port by default. Optional."),
    "client_timeout": _(
        "Timeout, in seconds, for one exchange with the iLO; "
        "[ilo]client_timeout by default. Optional."
    ),
    "ilo_verify_ca": _(
        "True, False, or the path of a CA file or directory to verify the iLO's "
        "certificate with; [ilo]verify_ca by default. Optional."
    ),
    "ilo_min_tls_version": _(
        "1.0, 1.1 or 1.2: speak TLS from this version on, with the weak ciphers of its time, to "
        "an iLO whose old firmware knows no better; what OpenSSL takes for secure by default. "
        "Optional."
    ),
}
DEPLOY_PROPERTIES = {
    "deploy_iso": _(
        "The deploy ISO: UUID of an image in Glance, or URL (http, https or file). For "
        "ilo-iscsi as made by 'ironic-ilo build-deploy-iso', for Ironic's other deploy "
        "interfaces one with ironic-python-agent. Required for deploying."
    ),
    "rescue_iso": _("An ISO with ironic-python-agent for rescue: likewise. Optional."),
    "iscsi_portal": _(
        "host:port at which the conductor reaches the deploy ramdisk's iSCSI "
        "target, when that is not the address that the ramdisk reports (deploy "
        "networks behind NAT). Optional."
    ),
}
COMMON_PROPERTIES = REQUIRED_PROPERTIES | OPTIONAL_PROPERTIES

_PORTAL = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):(?P<port>[0-9]{1,5})")
_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9-]+)*\.?")
_HIGHEST_PORT = 65535


@dataclass(frozen=True)
class DeployProperties:
    """The part of ``driver_info`` that only deploying needs.

    :ivar iscsi_portal: ``host:port``, IPv6 in brackets; ``None``: what the ramdisk reports.
    """

    deploy_iso: str
    iscsi_portal: str | None


def connect(node: Any) -> bmc.Bmc:
    """Make the door to a node's iLO, to be used in a ``with``.

    :raises Error: see ``bmc.connect``.
    :raises MissingParameterValue, InvalidParameterValue: see ``parse_access``.
    """
    return bmc.connect(parse_access(node))


def parse_access(node: Any) -> Access:
    """Read how to reach a node's iLO.

    :raises MissingParameterValue: a required property is missing.
    :raises InvalidParameterValue: a property has no meaning; every fault is named.
    """
    info = node.driver_info
    _require(node, info, REQUIRED_PROPERTIES)
    faults: list[str] = []
    access = Access(
        address=_parse_address(str(info["ilo_address"]), faults),
        username=str(info["ilo_username"]),
        password=str(info["ilo_password"]),
        port=_parse_integer(info, "client_port", CONF.ilo.client_port, _HIGHEST_PORT, faults),
        timeout=_parse_integer(info, "client_timeout", CONF.ilo.client_timeout, 600, faults),
        verify_ca=_parse_verify_ca(info, faults),
        min_tls_version=_parse_tls_version(info, faults),
        power_timeout=CONF.ilo.power_timeout,
        busy_timeout=CONF.ilo.busy_timeout,
    )
    _refuse(node, faults)
    return access


def parse_deploy_properties(node: Any) -> DeployProperties:
    """Read what deploying a node needs.

    :raises MissingParameterValue: ``deploy_iso`` is missing.
    :raises InvalidParameterValue: a property has no meaning.
    """
    info = node.driver_info
    _require(node, info, ["deploy_iso"])
    faults: list[str] = []
    deploy_iso = _parse_iso(info, "deploy_iso", faults)
    portal = info.get("iscsi_portal")
    if portal is not None and not _is_portal(str(portal)):
        faults.append(_("iscsi_portal must be host:port, an IPv6 address in brackets"))
    _refuse(node, faults)
    return DeployProperties(deploy_iso, str(portal) if portal is not None else None)


def parse_rescue_iso(node: Any) -> str:
    """Read which ISO a rescue boots.

    :raises MissingParameterValue: ``rescue_iso`` is missing.
    :raises InvalidParameterValue: it is no href.
    """
    _require(node, node.driver_info, ["rescue_iso"])
    faults: list[str] = []
    iso = _parse_iso(node.driver_info, "rescue_iso", faults)
    _refuse(node, faults)
    return iso


def _require(node: Any, info: Mapping[str, Any], names: Any) -> None:
    missing = [name for name in names if info.get(name) in (None, "")]
    if missing:
        raise exception.MissingParameterValue(
            _("Node %(node)s lacks %(missing)s in its driver_info.")
            % {"node": node.uuid, "missing": ", ".join(missing)}
        )


def _refuse(node: Any, faults: list[str]) -> None:
    if faults:
        raise exception.InvalidParameterValue(
            _("Node %(node)s has faults in its driver_info: %(faults)s.")
            % {"node": node.uuid, "faults": "; ".join(faults)}
        )


def _parse_address(address: str, faults: list[str]) -> str:
    try:
        ipaddress.ip_address(address.strip("[]"))
    except ValueError:
        if not _HOST_NAME.fullmatch(address) or _looks_like_ipv4(address):
            faults.append(_("ilo_address is neither an IP address nor a host name"))
    return address.strip("[]")


def _parse_iso(info: Mapping[str, Any], name: str, faults: list[str]) -> str:
    iso = str(info[name])
    if not is_image(iso):
        faults.append(
            _("%s must be the UUID of an image in Glance, or an http, https or file URL") % name
        )
    return iso


def _looks_like_ipv4(address: str) -> bool:
    return all(part.isdigit() for part in address.split("."))


def _parse_integer(
    info: Mapping[str, Any], name: str, default: int, highest: int, faults: list[str]
) -> int:
    try:
        value = int(info.get(name, default))
    except (TypeError, ValueError):
        value = 0
    if not 1 <= value <= highest:
        faults.append(
            _("%(name)s must be a whole number from 1 to %(highest)d")
            % {"name": name, "highest": highest}
        )
    return value


def _parse_verify_ca(info: Mapping[str, Any], faults: list[str]) -> bool | str:
    value = str(info.get("ilo_verify_ca", CONF.ilo.verify_ca))
    try:
        return bool(strutils.bool_from_string(value, strict=True))
    except ValueError:
        if not Path(value).exists():
            faults.append(_("ilo_verify_ca is neither a boolean nor the path of a CA here"))
        return value


def _parse_tls_version(info: Mapping[str, Any], faults: list[str]) -> TlsVersion | None:
    value = info.get("ilo_min_tls_version")
    if value in (None, ""):
        return None
    try:
        return TlsVersion(str(value))
    except ValueError:
        faults.append(_("ilo_min_tls_version must be one of %s") % ", ".join(TlsVersion))
        return None


def is_image(href: str) -> bool:
    """Tell whether a text has the form of an href: an image in Glance, or a URL we can use."""
    parts = urlsplit(href)
    if parts.scheme in ("", "glance"):
        return bool(uuidutils.is_uuid_like(href.removeprefix("glance://")))
    return parts.scheme in ("http", "https", "file") and bool(parts.path.strip("/"))


def _is_portal(portal: str) -> bool:
    match = _PORTAL.fullmatch(portal)
    return match is not None and 1 <= int(match["port"]) <= _HIGHEST_PORT
