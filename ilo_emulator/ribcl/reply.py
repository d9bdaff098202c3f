"""Writing the documents that an iLO answers with."""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr


@dataclass(frozen=True)
class Document:
    """One document of a reply.

    :ivar status: 0 for success, also where the message is a notice.
    :ivar payload: the XML that stands beside RESPONSE.
    """

    status: int = 0
    message: str = "No error"
    payload: str = ""

    def render(self, version: str) -> str:
        """Write it as an iLO does: the prologue ends in CRLF, lines within in LF."""
        # The message stands in single quotes, and iLOs do not escape an apostrophe in it.
        message = escape(self.message, {"'": "&apos;"})
        payload = f"{self.payload}\n" if self.payload else ""
        return (
            f'<?xml version="1.0"?>\r\n<RIBCL VERSION="{version}">\n<RESPONSE\n'
            f"    STATUS=\"0x{self.status:04X}\"\n    MESSAGE='{message}'\n     />\n"
            f"{payload}</RIBCL>\n"
        )


#: What an iLO answers to an opening or closing tag.
DONE = Document()


def render(documents: Sequence[Document], version: str) -> bytes:
    """Write a whole reply; both clients read it as ASCII."""
    text = "".join(document.render(version) for document in documents)
    return text.encode("ascii", "xmlcharrefreplace")


def tag(name: str, /, *children: str, **attributes: object) -> str:
    """Write an element; attribute values are escaped, children are XML already."""
    inside = "".join(f" {key}={quoteattr(str(value))}" for key, value in attributes.items())
    if not children:
        return f"<{name}{inside}/>"
    return "\n".join([f"<{name}{inside}>", *children, f"</{name}>"])


def value(name: str, content: object, **attributes: object) -> str:
    """Write the common form of a fact: an element with a VALUE."""
    return tag(name, VALUE=content, **attributes)
