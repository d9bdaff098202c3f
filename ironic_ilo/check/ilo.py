"""The checks of an iLO. They only read."""

import datetime
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from urllib.parse import urlsplit

from ironic_ilo.bmc import (
    Access,
    Bmc,
    Device,
    MediaStatus,
    Privilege,
    Product,
    SecureBoot,
    connect,
)
from ironic_ilo.bmc.errors import CHECK_CA
from ironic_ilo.bmc.types import TlsVersion
from ironic_ilo.check.certificate import Certificate, Handshake, read_certificate, shake_hands
from ironic_ilo.check.findings import Check, Group, Verdict, failure, ok, skipped, warning
from ironic_ilo.exception import BmcFeatureMissing

_SLOW_CONNECTION_SECONDS = 1.0
_SLOW_ANSWER_SECONDS = 5.0
_SOON = datetime.timedelta(days=30)
_OLDEST_ILO = 4
# Without the rest, no more than the boot mode cannot be changed.
_NEEDED = frozenset(Privilege) - {Privilege.HOST_BIOS}
_OLD_TLS = {"TLSv1": TlsVersion.TLS_1_0, "TLSv1.1": TlsVersion.TLS_1_1}
# By the iLO's generation: the first firmware without a known fault that matters here, and which.
# HPE security bulletin HPESBHF03769: authentication can be bypassed before 2.53.
_FIRST_GOOD_FIRMWARE = {4: ((2, 53), "anyone can log in to it (CVE-2017-12542)")}

_CHECK_NETWORK = (
    "Check that the iLO has power and network, `ilo_address` and `client_port` in driver_info, "
    "and the firewalls in between."
)
_CHECK_NAME = "Check `ilo_address` in driver_info, and this machine's name servers."
_CHECK_TLS = "Check that `client_port` in driver_info is the iLO's HTTPS port."
_RENEW = "Give the iLO a new certificate, on its web page or through its API."


def make_group(read_access: Callable[[], Access], seconds: float) -> Group:
    """Make the checks of one iLO.

    :param read_access: tells how to reach it; raises ``Error`` when that is not known.
    :param seconds: for one exchange with it, if its own timeout is not shorter.
    """
    examination = _Examination(read_access, seconds)
    reading = {
        "privileges": examination.privileges,
        "licence": examination.licence,
        "virtual-media": examination.virtual_media,
        "power": examination.power,
        "boot-mode": examination.boot_mode,
        "secure-boot": examination.secure_boot,
    }
    checks = [
        Check("access", examination.access),
        Check("reachable", examination.reachable, needs=["access"]),
        Check("tls", examination.tls, needs=["reachable"]),
        Check("certificate", examination.certificate, needs=["tls"]),
        Check("login", examination.login, needs=["certificate"]),
        Check("product", examination.product, needs=["login"]),
        *(Check(name, examine, needs=["login"]) for name, examine in reading.items()),
        Check("answer-time", examination.answer_time, needs=["power"]),
    ]
    return Group(checks, examination.close)


class _Examination:
    """One iLO, and what the checks before have found out; each method is one check."""

    _access: Access
    _handshake: Handshake
    _server: Bmc
    _product: Product
    _answer_seconds: float

    def __init__(self, read_access: Callable[[], Access], seconds: float) -> None:
        self._read_access = read_access
        self._seconds = seconds
        self._stack = ExitStack()

    def close(self) -> None:
        """Log out."""
        self._stack.close()

    def access(self) -> Verdict:
        access = self._read_access()
        self._access = replace(access, timeout=min(access.timeout, self._seconds))
        return ok(f"{access.username} at {access.address}, port {access.port}")

    def reachable(self) -> Verdict:
        address, port = self._access.address, self._access.port
        started = time.monotonic()
        try:
            found = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            return failure(f"{address} cannot be looked up ({_words(error)})", _CHECK_NAME)
        looked_up = time.monotonic()
        try:
            socket.create_connection((address, port), self._access.timeout).close()
        except OSError as error:
            words = f"TCP port {port} of {found[0][4][0]} cannot be connected to"
            return failure(f"{words} ({_words(error)})", _CHECK_NETWORK)
        connected = time.monotonic()
        return judge_reach(str(found[0][4][0]), looked_up - started, connected - looked_up)

    def tls(self) -> Verdict:
        unverified = replace(self._access, verify_ca=False)
        try:
            self._handshake = shake_hands(unverified)
        except ssl.SSLError as error:
            return _find_old_tls(unverified) or failure(
                f"TLS failed ({_words(error)})", _CHECK_TLS
            )
        except OSError as error:
            return failure(f"TLS failed ({_words(error)})", _CHECK_TLS)
        return judge_tls(self._handshake)

    def certificate(self) -> Verdict:
        try:
            shown = read_certificate(self._handshake.certificate)
        except ValueError:
            return failure("it cannot be read", _RENEW)
        try:
            shake_hands(self._access)
        except ssl.SSLCertVerificationError as error:
            return failure(f"not trusted: {error.verify_message}; {_describe(shown)}", CHECK_CA)
        except OSError as error:
            return failure(f"TLS failed ({_words(error)})", _CHECK_TLS)
        now = datetime.datetime.now(datetime.UTC)
        return judge_certificate(shown, self._access.verify_ca, now)

    def login(self) -> Verdict:
        self._server = self._stack.enter_context(connect(self._access))
        self._product = self._server.product()
        return ok(f"as {self._access.username}")

    def product(self) -> Verdict:
        return judge_product(self._product)

    def privileges(self) -> Verdict:
        return judge_privileges(self._server.get_privileges())

    def licence(self) -> Verdict:
        self._server.check_virtual_media()
        return ok(self._product.license_type)

    def virtual_media(self) -> Verdict:
        drives = ((device, self._server.get_media_status(device)) for device in Device)
        return ok("; ".join(f"{device}: {_show_drive(status)}" for device, status in drives))

    def power(self) -> Verdict:
        started = time.monotonic()
        state = self._server.get_power_state()
        self._answer_seconds = time.monotonic() - started
        return ok(state)

    def boot_mode(self) -> Verdict:
        current, pending = self._server.get_boot_mode(), self._server.get_pending_boot_mode()
        return ok(current if current is pending else f"{current}; {pending} from the next start")

    def secure_boot(self) -> Verdict:
        try:
            state = self._server.get_secure_boot()
        except BmcFeatureMissing:
            return ok("the server has none")
        return ok(_show_secure_boot(state))

    def answer_time(self) -> Verdict:
        return judge_answer_time(self._answer_seconds)


def judge_reach(address: str, look_up_seconds: float, connect_seconds: float) -> Verdict:
    """Judge how long it took to reach an iLO."""
    seen = (
        f"{address}, looked up in {_milliseconds(look_up_seconds)}, "
        f"connected to in {_milliseconds(connect_seconds)}"
    )
    if look_up_seconds > _SLOW_CONNECTION_SECONDS:
        return warning(seen, "Check this machine's name servers.")
    if connect_seconds > _SLOW_CONNECTION_SECONDS:
        return warning(seen, "Packets are lost, or the iLO is overloaded: check its network.")
    return ok(seen)


def judge_tls(handshake: Handshake) -> Verdict:
    """Judge what TLS was agreed on."""
    seen = f"{handshake.version}, {handshake.cipher}"
    if handshake.version in _OLD_TLS:
        return warning(seen, "It can be broken: update the iLO's firmware.")
    return ok(seen)


def judge_certificate(
    shown: Certificate, verify_ca: bool | str, now: datetime.datetime
) -> Verdict:
    """Judge a certificate that was verified as ``verify_ca`` asks for."""
    if verify_ca is False:
        return warning(
            f"not verified; {_describe(shown)}",
            "`ilo_verify_ca` is False, so anyone on the network can read the iLO's password. "
            f"{CHECK_CA}",
        )
    against = "the system's CAs" if verify_ca is True else verify_ca
    if shown.expires - now < _SOON:
        return warning(f"verified against {against}; expires {shown.expires:%Y-%m-%d}", _RENEW)
    return ok(f"verified against {against}; expires {shown.expires:%Y-%m-%d}")


def judge_product(product: Product) -> Verdict:
    """Judge whether an iLO is of a generation that is known, and its firmware fit for use."""
    seen = f"{product.model}, {product.processor} {product.firmware}"
    generation = re.search(r"iLO ?(\d+)", product.processor)
    if generation is None:
        return warning(seen, "This driver knows iLO 4 and beyond.")
    number = int(generation[1])
    if number < _OLDEST_ILO:
        return failure(seen, "This driver needs iLO 4 (ProLiant Gen8) or a newer one.")
    good, why = _FIRST_GOOD_FIRMWARE.get(number, ((0, 0), ""))
    version = re.search(r"(\d+)\.(\d+)", product.firmware)
    if version is not None and (int(version[1]), int(version[2])) < good:
        wanted = ".".join(map(str, good))
        return warning(seen, f"Below {wanted}, {why}: update the iLO's firmware.")
    return ok(seen)


def judge_privileges(told: Mapping[Privilege, bool]) -> Verdict:
    """Judge whether a user may do what a deploy does."""
    if not told:
        return skipped(
            "the iLO does not tell them",
            f"See that the account has {_name(_NEEDED)}.",
        )
    lacking = [privilege for privilege, has in told.items() if not has]
    if not lacking:
        return ok(_name(told))
    judge = failure if not _NEEDED.isdisjoint(lacking) else warning
    return judge(f"lacking: {_name(lacking)}", "Give them to the account of `ilo_username`.")


def judge_answer_time(seconds: float) -> Verdict:
    """Judge how long an iLO took to tell the power state."""
    seen = f"the power state took {_milliseconds(seconds)}"
    if seconds > _SLOW_ANSWER_SECONDS:
        return warning(
            seen,
            "A deploy asks dozens of times. Look for other programs that ask this iLO; reset the "
            "iLO (not the server).",
        )
    return ok(seen)


def _find_old_tls(access: Access) -> Verdict | None:
    """Tell whether an iLO would speak TLS that is not asked for, since it is weak."""
    if access.min_tls_version is not None:
        return None
    try:
        found = shake_hands(replace(access, min_tls_version=TlsVersion.TLS_1_0))
    except OSError:
        return None
    oldest = _OLD_TLS.get(found.version, TlsVersion.TLS_1_2)
    return failure(
        f"it speaks nothing better than {found.version} with {found.cipher}",
        "Newer firmware may know better. Else set `ilo_min_tls_version` in driver_info to "
        f"{oldest}.",
    )


def _name(privileges: Iterable[Privilege]) -> str:
    return ", ".join(privilege for privilege in Privilege if privilege in set(privileges))


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


def _describe(certificate: Certificate) -> str:
    names = ", ".join(certificate.names) or "no name"
    return (
        f"it is for {names}, from {certificate.issuer}, expires {certificate.expires:%Y-%m-%d}, "
        f"SHA-256 {certificate.fingerprint}"
    )


def _show_drive(status: MediaStatus) -> str:
    if not status.inserted:
        return "empty"
    connected = "connected" if status.connected else "not connected"
    return f"an image from {_find_host(status.url)}, {connected}"


def _find_host(url: str) -> str:
    """Tell the part of an image's URL that is no secret."""
    try:
        return urlsplit(url).hostname or "somewhere"
    except ValueError:
        return "somewhere"


def _show_secure_boot(state: SecureBoot) -> str:
    current, pending = ("on" if flag else "off" for flag in (state.current, state.pending))
    return current if current == pending else f"{current}; {pending} from the next start"


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLError):
        return error.reason or type(error).__name__
    return str(getattr(error, "strerror", "") or type(error).__name__)
