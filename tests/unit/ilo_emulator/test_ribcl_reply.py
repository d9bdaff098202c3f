"""Writing RIBCL."""

import xml.etree.ElementTree as ET

from ilo_emulator.ribcl.reply import DONE, Document, render, tag, value


def test_success():
    assert render([DONE], "2.23") == (
        b'<?xml version="1.0"?>\r\n<RIBCL VERSION="2.23">\n<RESPONSE\n    STATUS="0x0000"\n'
        b"    MESSAGE='No error'\n     />\n</RIBCL>\n"
    )


def test_the_payload_is_a_sibling_of_the_response():
    root = ET.fromstring(render([Document(payload=value("A", 'x"&<'))], "2.23"))
    assert [child.tag for child in root] == ["RESPONSE", "A"]
    assert root[1].get("VALUE") == 'x"&<'


def test_the_message_is_well_formed_whatever_it_says():
    document = Document(0x39, 'it\'s <b> & "c" \u00e9')
    response = ET.fromstring(render([document], "2.23"))[0]
    assert response.attrib == {"STATUS": "0x0039", "MESSAGE": document.message}


def test_replies_are_ascii():
    reply = render([Document(payload=value("A", "\u96ea"))], "2.23")
    assert reply.isascii()
    assert ET.fromstring(reply)[1].get("VALUE") == "\u96ea"


def test_tags_nest():
    element = ET.fromstring(tag("A", value("B", 1), value("C", 2, UNIT="x"), D="e"))
    assert [(child.tag, dict(child.attrib)) for child in element] == [
        ("B", {"VALUE": "1"}),
        ("C", {"VALUE": "2", "UNIT": "x"}),
    ]
    assert element.attrib == {"D": "e"}
