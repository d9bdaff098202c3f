"""A RIBCL server over TLS that says what a test tells it to, in the framing of a real iLO."""

import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

# What comes before and after the payload in a real reply: one document per tag of the request.
_DOCUMENTS_BEFORE = 3
_DOCUMENTS_AFTER = 3
_COMMAND = re.compile(r'MODE="(?:read|write)">\s*<(\w+)')
_REST = ("/rest/v1/", "/redfish/")
_XMLDATA = "/xmldata?item=all"

Behaviour = Callable[["Connection"], None]


def document(payload: str = "", *, status: int = 0, message: str = "No error") -> str:
    """Write one document of a reply; the payload is a sibling of RESPONSE, not a child."""
    response = f"<RESPONSE\n    STATUS=\"0x{status:04X}\"\n    MESSAGE='{message}'\n     />"
    return f'<?xml version="1.0"?>\r\n<RIBCL VERSION="2.23">\n{response}\n{payload}\n</RIBCL>\n'


def reply(payload: str = "", *, status: int = 0, message: str = "No error") -> str:
    """Write a whole reply; one that refuses ends with the refusal."""
    before = document() * _DOCUMENTS_BEFORE
    after = "" if status else document() * _DOCUMENTS_AFTER
    return before + document(payload, status=status, message=message) + after


class Connection:
    """One accepted connection, after its request has been read."""

    def __init__(
        self, tls: ssl.SSLSocket, command: str, body: str, ended: threading.Event
    ) -> None:
        self.tls = tls
        self.command = command
        self.body = body
        self.ended = ended

    def send(self, *parts: str) -> None:
        self.tls.sendall("".join(parts).encode())


def answer(payload: str = "", *, status: int = 0, message: str = "No error") -> Behaviour:
    """Answer with a payload, or refuse, chunked as an iLO does, cutting tags in the middle."""
    return body(reply(payload, status=status, message=message))


def body(text: str) -> Behaviour:
    """Answer with any body."""

    def behave(connection: Connection) -> None:
        data = text.encode()
        head = "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nTransfer-Encoding: chunked\r\n\r\n"
        chunks = [data[at : at + 100] for at in range(0, len(data), 100)]
        framed = b"".join(b"%03x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
        connection.tls.sendall(head.encode() + framed + b"0\r\n\r\n")

    return behave


def rest(document: object, *, status: int = 200, allow: str = "GET, PATCH") -> Behaviour:
    """Answer a REST request with a JSON document."""
    text = json.dumps(document)
    head = f"HTTP/1.1 {status} X\r\nAllow: {allow}\r\nContent-Length: {len(text)}\r\n\r\n"
    return raw(head + text)


def raw(text: str) -> Behaviour:
    """Send these bytes and close."""
    return lambda connection: connection.send(text)


def silence(connection: Connection) -> None:
    """Say nothing until the test is over."""
    connection.ended.wait(30)


def drip(text: str, *, interval: float = 0.05) -> Behaviour:
    """Send a byte at a time, each well within any timeout for a single read."""

    def behave(connection: Connection) -> None:
        for character in text:
            if connection.ended.wait(interval):
                return
            connection.send(character)

    return behave


def slow(behaviour: Behaviour, *, seconds: float) -> Behaviour:
    """Wait, then behave."""

    def behave(connection: Connection) -> None:
        connection.ended.wait(seconds)
        behaviour(connection)

    return behave


def xmldata(title: str = "Integrated Lights-Out 4 (iLO 4)", firmware: str = "2.55") -> Behaviour:
    """Answer what an iLO says of itself to everyone."""
    processor = f"<MP><ST>1</ST><PN>{title}</PN><FWRI>{firmware}</FWRI></MP>"
    return raw(f'HTTP/1.1 200 OK\r\n\r\n<?xml version="1.0"?><RIMP>{processor}</RIMP>')


def not_found(connection: Connection) -> None:
    """Answer that there is nothing here."""
    connection.send("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")


def drop(connection: Connection) -> None:
    """Break off in the middle of a reply."""
    connection.send("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", document())


class ScriptedIlo:
    """Listens at an address until ``stop()``; records the bodies that it gets.

    :ivar context: its TLS settings, to be changed before it is used.
    :ivar requests: the bodies received.
    :ivar commands: the commands received: RIBCL's by name, REST's by method and path.
    :ivar questions: how often it was asked what it is.
    :ivar xmldata: what it answers then.
    :ivar headers: the headers of the last request, names in lower case.
    """

    def __init__(
        self, certificate: Path, *, address: str = "127.0.0.1", ciphers: str = "DEFAULT"
    ) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.set_ciphers(ciphers)
        self.context.load_cert_chain(certificate)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._listener = socket.create_server((address, 0), family=family)
        self._ended = threading.Event()
        self._scripts: dict[str, list[Behaviour]] = {}
        self._threads: list[threading.Thread] = []
        self.port: int = self._listener.getsockname()[1]
        self.requests: list[str] = []
        self.commands: list[str] = []
        self.headers: dict[str, str] = {}
        self.questions = 0
        self.xmldata = xmldata()
        self._start(self._accept)

    def on(self, command: str, *behaviours: Behaviour) -> None:
        """Script a command: one behaviour after the other, the last one for ever."""
        self._scripts[command] = list(behaviours)

    def stop(self) -> None:
        self._ended.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        deadline = time.monotonic() + 20
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
            assert not thread.is_alive()

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):  # the listener is closed
            while True:
                self._start(self._serve, self._listener.accept()[0])

    def _serve(self, plain: socket.socket) -> None:
        plain.settimeout(20)
        with suppress(OSError), plain:  # a client that has given up
            with self.context.wrap_socket(plain, server_side=True) as tls:
                line, self.headers, request = _read_request(tls)
                method, path = line.split()[:2]
                if path == _XMLDATA:
                    self.questions += 1
                    self.xmldata(Connection(tls, path, request, self._ended))
                    return
                rest = path.startswith(_REST)
                command = f"{method} {path}" if rest else _find_command(request)
                self.requests.append(request)
                self.commands.append(command)
                self._next(command)(Connection(tls, command, request, self._ended))

    def _next(self, command: str) -> Behaviour:
        script = self._scripts.get(command) or [
            answer(status=1, message=f"syntax error near {command}")
        ]
        return script.pop(0) if len(script) > 1 else script[0]


def payload_of_media(
    device: str = "CDROM",
    *,
    inserted: str = "NO",
    applet: str = "DISCONNECTED",
    boot: str = "NO_BOOT",
    url: str = "",
) -> str:
    """Write a GET_VM_STATUS payload."""
    return (
        f'<GET_VM_STATUS VM_APPLET="{applet}" DEVICE="{device}" BOOT_OPTION="{boot}" '
        f'WRITE_PROTECT="YES" IMAGE_INSERTED="{inserted}" IMAGE_URL="{url}"/>'
    )


def answers(payloads: Iterable[str]) -> list[Behaviour]:
    """Make a script of payloads."""
    return [answer(payload) for payload in payloads]


def _find_command(request: str) -> str:
    found = _COMMAND.search(request)
    return found[1] if found else "?"


def _read_request(tls: ssl.SSLSocket) -> tuple[str, dict[str, str], str]:
    """Read a request by its Content-Length: header and body come in separate writes."""
    headers = {}
    with tls.makefile("rb") as stream:
        first = stream.readline().decode()
        while (line := stream.readline().decode().strip()) != "":
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return first, headers, stream.read(int(headers.get("content-length", 0))).decode()
