"""Reading a RIBCL script as tolerantly as an iLO does."""

import html
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass, field

_PROCESSING = re.compile(r"<\?.*?\?>", re.DOTALL)
_USER = re.compile(
    r"""\bUSER_LOGIN\s*=\s*(?P<quote>["'])(?P<value>.*?)(?P=quote)""", re.DOTALL | re.IGNORECASE
)
# python-hpilo writes the password raw, since an iLO does not unescape it: quotes and angle
# brackets may stand in it. It ends at the first quote after which LOGIN ends and a block begins.
# Either kind of quotes can stand around a string (scripting guide, "String").
_PASSWORD = re.compile(
    r"""(?P<head><LOGIN\b[^<]*?\bPASSWORD\s*=\s*)(?P<quote>["'])(?P<value>.*?)(?P=quote)"""
    r"""(?P<tail>\s*(?:USER_LOGIN\s*=\s*(?:"[^"]*"|'[^']*')\s*)?"""
    r"""(?:/>\s*</RIBCL|>\s*<(?:[A-Z]+_INFO\b|/LOGIN>)))""",
    re.DOTALL | re.IGNORECASE,
)
_REFERENCE = re.compile(r"&(?:#\d+|#x[0-9a-fA-F]+|amp|lt|gt|quot|apos);")
_NUMERIC_REFERENCE = re.compile(r"&(?:#\d+|#x[0-9a-fA-F]+);")


class MalformedRequest(Exception):
    """The script is no RIBCL; the text is the place where reading ended."""


@dataclass(frozen=True)
class Login:
    """What a client says it is.

    :ivar passwords: the readings of what it sent: as it stands, and with references decoded,
        since one client escapes the password and another does not.
    """

    username: str
    passwords: frozenset[str] = field(repr=False)


@dataclass(frozen=True)
class Command:
    """One command, its block (``RIB_INFO``, ``SERVER_INFO``), and whether that may write."""

    block: str
    write: bool
    element: ET.Element = field(repr=False)

    @property
    def name(self) -> str:
        """The tag, in upper case."""
        return self.element.tag.upper()

    def attribute(self, name: str) -> str | None:
        """Read an attribute of the command; letter case of names does not matter."""
        return attribute(self.element, name)

    def child_values(self, name: str) -> list[str]:
        """Read the VALUE of each child with this tag."""
        children = (child for child in self.element if child.tag.upper() == name)
        return [attribute(child, "VALUE") or "" for child in children]


@dataclass(frozen=True)
class Request:
    """A script. ``login`` is ``None`` for the probe that some clients send first."""

    login: Login | None
    blocks: tuple[tuple[Command, ...], ...]


def attribute(element: ET.Element, name: str) -> str | None:
    """Read an attribute whatever the letter case of its name."""
    return next((value for key, value in element.items() if key.upper() == name), None)


def parse(body: bytes) -> Request:
    """Read a script.

    :raises MalformedRequest: it is no RIBCL.
    """
    text = _PROCESSING.sub("", body.decode("utf-8", "replace")).strip()
    login = None
    if match := _PASSWORD.search(text):
        login = _login(match)
        text = text[: match.start("value")] + text[match.end("value") :]
    root = _tree(text)
    return Request(login, tuple(_blocks(root)))


def _login(match: re.Match[str]) -> Login:
    raw = match["value"]
    user = _USER.search(match["head"] + match["tail"])
    readings = frozenset({raw, _decode(_REFERENCE, raw), _decode(_NUMERIC_REFERENCE, raw)})
    return Login(_decode(_REFERENCE, user["value"]) if user else "", readings)


def _decode(references: re.Pattern[str], text: str) -> str:
    return references.sub(lambda match: html.unescape(match.group()), text)


def _tree(text: str) -> ET.Element:
    if "<!DOCTYPE" in text:
        raise MalformedRequest("<!DOCTYPE")  # no client sends entities of its own
    try:
        root = ET.fromstring(text)  # noqa: S314 - no DOCTYPE, hence no entity expansion
    except ET.ParseError as error:
        line, column = error.position  # not the text there: a password may stand in it
        raise MalformedRequest(f"line {line}, column {column}") from error
    if root.tag.upper() != "RIBCL":
        raise MalformedRequest(root.tag)
    return root


def _blocks(root: ET.Element) -> Iterator[tuple[Command, ...]]:
    for login in root:
        if login.tag.upper() != "LOGIN":
            raise MalformedRequest(login.tag)
        for block in login:
            write = (attribute(block, "MODE") or "read").lower() == "write"
            yield tuple(Command(block.tag.upper(), write, element) for element in block)
