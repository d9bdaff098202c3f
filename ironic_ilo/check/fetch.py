"""Reading a URL as an iLO does: by HTTP ranges, without redirects and proxies."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import requests

from ironic_ilo.exception import StoreError

_OK = 200
_PARTIAL = 206
_BEHIND_THE_END = 416
# More than is ever asked for here.
_MOST_BYTES = 1024 * 1024
_CHUNK_BYTES = 64 * 1024

_CHECK_SERVER = (
    "Check that it runs, and the firewalls in between. If only the iLOs reach it, try it with "
    "curl from their network."
)
_CHECK_CA = (
    "Let a CA that this machine trusts sign its certificate. Many iLOs verify none, and old ones "
    "refuse https altogether: try it with a server of each generation."
)
# By the first digit of the status.
_CHECK_ANSWER = {
    3: "An iLO may follow no redirection: give the URL that it leads to.",
    4: "Look into its log. If the URL was signed by us: compare clocks and keys with it.",
    5: "Look into its log.",
}
_CHECK_RANGES = (
    "An iLO reads an image block by block, by HTTP ranges: use a server, and no proxy before it, "
    "that knows them."
)


@dataclass(frozen=True)
class Answer:
    """What a server answered to a request for some bytes."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class Remote:
    """What a URL leads to.

    :param verify: the CA file, or whether to verify certificates, of https.
    :param seconds: for the connection, and for each pause in the answer.

    Every method raises ``StoreError``, whose text does not hold the URL: it may be a secret.
    """

    def __init__(self, url: str, *, verify: bool | str, seconds: float) -> None:
        self._url = url
        self._seconds = seconds
        self._session = requests.Session()
        # No proxy of this machine's environment, and no login of its netrc: an iLO has neither.
        self._session.trust_env = False
        self._session.verify = verify

    @property
    def place(self) -> str:
        """Name the server, without what may be a secret."""
        parts = urlsplit(self._url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"

    def head(self) -> Answer:
        """Ask for the headers."""
        answer = self._ask("HEAD", {})
        if answer.status != _OK:
            raise self._refused("HEAD", answer)
        return answer

    def read(self, offset: int, count: int) -> bytes:
        """Read some bytes; fewer, or none, behind the end."""
        answer = self._ask_range(offset, count)
        return b"" if answer.status == _BEHIND_THE_END else self._check(answer, offset, count).body

    def ask_range(self, offset: int, count: int) -> Answer:
        """Ask for some bytes that there are."""
        return self._check(self._ask_range(offset, count), offset, count)

    def _check(self, answer: Answer, offset: int, count: int) -> Answer:
        if answer.status == _OK:
            raise StoreError(
                f"{self.place} serves no HTTP ranges: it answers 200, not 206", hint=_CHECK_RANGES
            )
        if answer.status != _PARTIAL:
            raise self._refused("GET", answer)
        start = answer.headers.get("Content-Range", "")
        if not start.startswith(f"bytes {offset}-") or len(answer.body) > count:
            raise StoreError(f"{self.place} serves other bytes than asked for", hint=_CHECK_RANGES)
        return answer

    def _ask_range(self, offset: int, count: int) -> Answer:
        return self._ask("GET", {"Range": f"bytes={offset}-{offset + count - 1}"})

    def _ask(self, method: str, headers: Mapping[str, str]) -> Answer:
        try:
            with self._session.request(
                method,
                self._url,
                headers={"Accept-Encoding": "identity", **headers},
                timeout=self._seconds,
                allow_redirects=False,
                stream=True,
            ) as reply:
                return Answer(reply.status_code, reply.headers, _read(reply))
        except requests.exceptions.SSLError:
            raise StoreError(
                f"{self.place}: TLS failed, or its certificate is not trusted here", hint=_CHECK_CA
            ) from None
        except requests.RequestException as error:
            raise StoreError(
                f"{self.place} does not answer ({type(error).__name__})", hint=_CHECK_SERVER
            ) from None

    def _refused(self, method: str, answer: Answer) -> StoreError:
        hint = _CHECK_ANSWER.get(answer.status // 100, "")
        return StoreError(f"{self.place} answers {method} with {answer.status}", hint=hint)


def _read(reply: requests.Response) -> bytes:
    body = bytearray()
    if reply.status_code == _PARTIAL:  # else it may be the whole image
        for chunk in reply.iter_content(_CHUNK_BYTES):
            body += chunk
            if len(body) > _MOST_BYTES:
                break
    return bytes(body)
