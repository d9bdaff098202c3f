"""The check of the deploy ISO: that it is there, is whole, and boots."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from ironic.common import exception as ironic_exception
from ironic.common import image_service
from ironic.common.context import RequestContext
from ironic.conf import CONF

from ironic_ilo import driver_info, glance
from ironic_ilo.check.fetch import Remote
from ironic_ilo.check.findings import Check, Group, Verdict, ok, warning
from ironic_ilo.check.iso9660 import Iso, Reader, read_iso
from ironic_ilo.exception import ImageError, InvalidInput

_MIB = 1024 * 1024
_BOOT_MODES = ("BIOS", "UEFI")


def make_group(node: Any, seconds: float) -> Group:
    """Make the check of a node's deploy ISO.

    :param seconds: for each answer of a web server.
    """

    def examine() -> Verdict:
        href = _read_href(node)
        with _opened(node, href, seconds) as read:
            return judge_iso(read_iso(read), _describe(href))

    return Group([Check("deploy-iso", examine)])


def judge_iso(iso: Iso, place: str) -> Verdict:
    """Judge what an ISO says of itself."""
    seen = f"{place}, {iso.size / _MIB:.1f} MiB, boots in {' and '.join(iso.boots)} mode"
    if missing := [mode for mode in _BOOT_MODES if mode not in iso.boots]:
        return warning(
            seen,
            f"Servers in {missing[0]} mode do not boot it: make it again with "
            "'ironic-ilo build-deploy-iso'.",
        )
    return ok(seen)


def _read_href(node: Any) -> str:
    try:
        return driver_info.parse_deploy_properties(node).deploy_iso
    except ironic_exception.IronicException as exc:
        raise InvalidInput(str(exc)) from None


def _describe(href: str) -> str:
    """Name an ISO without what may be a secret of its URL."""
    if glance.is_image(href):
        return f"image {href.removeprefix('glance://')} in Glance"
    parts = urlsplit(href)
    if parts.scheme == "file":
        return parts.path
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


@contextmanager
def _opened(node: Any, href: str, seconds: float) -> Iterator[Reader]:
    """Open an ISO as the driver does: the iLO reads what is on web servers by itself."""
    if glance.is_image(href):
        # What notes of a deploy say is of no interest, and there is no user with a token.
        asker = SimpleNamespace(
            node=SimpleNamespace(uuid=node.uuid, driver_internal_info={}),
            context=RequestContext(roles=["admin"], overwrite=False),
        )
        with tempfile.TemporaryDirectory(dir=CONF.tempdir, prefix="ilo-check-") as directory:
            path = Path(directory, "deploy.iso")
            glance.download_image(asker, href, path)
            with _open_file(path) as file:
                yield _reader(file)
    elif href.startswith("file:"):
        with _open_file(_find_file(href)) as file:
            yield _reader(file)
    else:
        yield Remote(href, verify=True, seconds=seconds).read


def _find_file(href: str) -> Path:
    try:
        return Path(image_service.get_image_service(href).validate_href(href))
    except ironic_exception.IronicException as exc:
        raise InvalidInput(
            str(exc),
            hint="Put it below a directory of [conductor]file_url_allowed_paths, on every "
            "conductor, and name that in `deploy_iso` in driver_info.",
        ) from None


def _open_file(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise ImageError(
            f"{path} cannot be read ({error.strerror})",
            hint="Let the user that the conductor runs as read it.",
        ) from None


def _reader(file: BinaryIO) -> Reader:
    def read(offset: int, count: int) -> bytes:
        file.seek(offset)
        return file.read(count)

    return read
