"""Write ``network.conf``: a node's static network data, in a form that a shell can read safely.

The deploy ramdisk has no JSON parser, so the conductor checks the node's ``network_data``
(OpenStack's ``network_data.json``) and the floppy carries this instead: UTF-8 lines of words
with single blanks between, in the order in which they are to be done. Links go by numbers::

    link NUMBER MAC MTU               the network card with this address; MTU may be "-"
    vlan NUMBER PARENT ID MAC MTU     a tagged VLAN on link PARENT; MAC and MTU may be "-"
    dhcp NUMBER                       ask for an IPv4 address
    autoconf NUMBER                   take an IPv6 address from router advertisements
    address NUMBER ADDRESS/PREFIX     IPv4 or IPv6
    route NUMBER DESTINATION GATEWAY  DESTINATION is ADDRESS/PREFIX or "default"
    dns ADDRESS
"""

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ironic_ilo.exception import InvalidInput

FILE_NAME = "network.conf"
"""Its name on the floppy."""

_MAC = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}")
# The smallest that IPv4 needs (RFC 791), and the largest frame of any of the drivers.
_MTU_RANGE = range(68, 9217)
_VLAN_RANGE = range(1, 4095)
_NOT_GIVEN = "-"

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface


def render_network_conf(network_data: Mapping[str, Any] | None) -> str:
    """Translate a node's network data.

    Links that no network uses are left out: the ramdisk waits for those that it is given.

    :param network_data: ``links``, ``networks`` and ``services``, as in ``network_data.json``.
    :returns: the file's text; empty when there are no networks, which leaves the ramdisk to DHCP.
    :raises InvalidInput: it is malformed, or asks for what the ramdisk cannot do (bonds, DHCPv6).
    """
    data = _Record.of(network_data or {}, "network_data")
    networks = data.records("networks")
    if not networks:
        return ""
    links = _Links({link.text("id"): link for link in data.records("links")})
    numbers = [links.number(network) for network in networks]
    lines = list(links.lines)
    for number, network in zip(numbers, networks, strict=True):
        lines += _network_lines(number, network)
    services = [service for record in (data, *networks) for service in record.records("services")]
    lines += dict.fromkeys(f"dns {service.address('address')}" for service in services)
    return "".join(f"{line}\n" for line in lines)


@dataclass(frozen=True)
class _Record:
    """A JSON object, and where it stands, for messages."""

    json: Mapping[str, Any]
    where: str

    @classmethod
    def of(cls, value: object, where: str) -> "_Record":
        if not isinstance(value, Mapping):
            raise InvalidInput(f"{where} is not an object: {value!r}")
        return cls(value, where)

    def records(self, key: str) -> list["_Record"]:
        """The objects in a list; a list that is not there has none."""
        values = self.json.get(key)
        if values is None:
            return []
        if not isinstance(values, list):
            raise self.invalid(key, "is not a list")
        return [_Record.of(value, f"{self.where}.{key}[{i}]") for i, value in enumerate(values)]

    def text(self, key: str) -> str:
        value = self.json.get(key)
        if not isinstance(value, str) or not value:
            raise self.invalid(key, "is not a string" if value else "is missing")
        return value

    def address(self, key: str) -> _Address:
        try:
            return ipaddress.ip_address(_unscoped(self.text(key)))
        except ValueError:
            raise self.invalid(key, "is not an IP address") from None

    def interface(self, key: str) -> _Interface:
        """An address with its prefix, which may stand in ``netmask``."""
        text, mask = self.text(key), self.json.get("netmask")
        if "/" not in text and not mask:
            raise self.invalid("netmask", "is missing")
        try:
            text = text if "/" in text else f"{text}/{_prefix(str(mask))}"
            return ipaddress.ip_interface(_unscoped(text))
        except ValueError:
            raise self.invalid(key, f"(with netmask {mask!r}) is not an IP address") from None

    def number(self, key: str, allowed: range) -> int:
        value = self.json.get(key)
        # A JSON "true" is an int in Python.
        if not isinstance(value, int) or isinstance(value, bool) or value not in allowed:
            raise self.invalid(key, f"is not in {allowed.start} to {allowed.stop - 1}")
        return value

    def invalid(self, key: str, why: str) -> InvalidInput:
        shown = f": {self.json[key]!r}" if self.json.get(key) is not None else ""
        return InvalidInput(f"{self.where}.{key} {why}{shown}.")


class _Links:
    """The links that networks use: each gets a number and a line when it is first asked for."""

    def __init__(self, records: Mapping[str, _Record]) -> None:
        self._records = records
        self._numbers: dict[str, int] = {}
        self.lines: list[str] = []

    def number(self, user: _Record, key: str = "link") -> int:
        """Number the link that a record names."""
        name = user.text(key)
        if name not in self._records:
            raise user.invalid(key, "names no link")
        if name not in self._numbers:
            self._add(name, self._records[name])
        return self._numbers[name]

    def _add(self, name: str, link: _Record) -> None:
        kind = link.text("type")
        if kind == "bond":
            raise link.invalid("type", "is not one that the deploy ramdisk can bring up")
        rest = (
            self._vlan_words(link) if kind == "vlan" else f"{_mac(link, 'ethernet_mac_address')}"
        )
        number = self._numbers[name] = len(self._numbers)
        self.lines.append(f"{'vlan' if kind == 'vlan' else 'link'} {number} {rest} {_mtu(link)}")

    def _vlan_words(self, link: _Record) -> str:
        if self._parent_is_vlan(link):
            raise link.invalid("vlan_link", "is itself a VLAN")
        parent, vlan_id = self.number(link, "vlan_link"), link.number("vlan_id", _VLAN_RANGE)
        mac = _mac(link, "vlan_mac_address") if link.json.get("vlan_mac_address") else _NOT_GIVEN
        return f"{parent} {vlan_id} {mac}"

    def _parent_is_vlan(self, link: _Record) -> bool:
        parent = self._records.get(link.text("vlan_link"))
        return parent is not None and parent.json.get("type") == "vlan"


def _network_lines(number: int, network: _Record) -> Iterator[str]:
    match network.text("type"):
        case "ipv4_dhcp":
            yield f"dhcp {number}"
        case "ipv6_slaac":
            yield f"autoconf {number}"
        case "ipv4" | "ipv6":
            yield f"address {number} {network.interface('ip_address')}"
        case _:
            raise network.invalid("type", "is not one that the deploy ramdisk can bring up")
    if network.json.get("gateway"):
        yield f"route {number} default {network.address('gateway')}"
    for route in network.records("routes"):
        yield f"route {number} {_destination(route)} {route.address('gateway')}"


def _destination(route: _Record) -> str:
    network = route.interface("network").network
    return "default" if network.prefixlen == 0 else str(network)


def _mac(link: _Record, key: str) -> str:
    mac = link.text(key).lower().replace("-", ":")
    if not _MAC.fullmatch(mac):
        raise link.invalid(key, "is not a MAC address")
    return mac


def _mtu(link: _Record) -> str:
    if link.json.get("mtu") is None:
        return _NOT_GIVEN
    return str(link.number("mtu", _MTU_RANGE))


def _prefix(mask: str) -> str:
    """Write an IPv6 netmask as the length of its prefix; ``ipaddress`` knows IPv4's itself."""
    if ":" not in mask:
        return mask
    bits = f"{int(ipaddress.IPv6Address(mask)):0128b}"
    length = len(bits.rstrip("0"))
    if "0" in bits[:length]:
        raise ValueError(mask)
    return str(length)


def _unscoped(address: str) -> str:
    """Refuse an IPv6 scope: it may be any text, and means nothing on another machine."""
    if "%" in address:
        raise ValueError(address)
    return address
