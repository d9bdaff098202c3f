"""A node's config drive: from what ``instance_info['configdrive']`` has, the file to be written.

Ironic takes three forms: text, the base64 of a gzipped file system; a URL where that is; and an
object with ``meta_data``, ``user_data``, ``network_data`` and ``vendor_data``, which Ironic's own
code builds the file system from. It holds secrets (user data): the file is its owner's alone, and
no error or log shows what stands in it.
"""

import base64
import binascii
import copy
import gzip
import io
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from ironic.common import exception, image_service
from ironic.conductor import configdrive_utils
from ironic.conf import CONF
from oslo_utils import strutils

from ironic_ilo import image_file
from ironic_ilo.exception import ImageError, InvalidInput
from ironic_ilo.image_sources import describe, show_href
from ironic_ilo.ironic_errors import translated
from ironic_ilo.partitions import CONFIGDRIVE_LABEL, CONFIGDRIVE_MIB, MIB, Extent

_MAX_BYTES = CONFIGDRIVE_MIB * MIB
# Base64 makes 4 bytes of 3, and may break lines; gzip can add a little.
_MAX_ENCODED_BYTES = 2 * _MAX_BYTES
_GZIP_MAGIC = b"\x1f\x8b"
_FORMS = "Give the base64 of a gzipped ISO, a URL of it, or an object with user_data."
_SMALLER = "Put less into it, and let the instance fetch the rest."


def is_wanted(node: Any) -> bool:
    """Tell whether a node's instance gets a config drive."""
    return bool(node.instance_info.get("configdrive"))


def check(node: Any) -> None:
    """Check that a node's config drive, if it gets one, can be had and is one.

    :raises InvalidParameterValue: it is not.
    :raises IloOperationError: it could not be fetched or built.
    """
    with opened(node):
        pass


@contextmanager
def opened(node: Any) -> Iterator[Path | None]:
    """Yield a node's config drive as a file, for the time of the block.

    :yields: an ISO 9660 or FAT file system labelled ``config-2``, of at most 64 MiB; ``None``: the
        node gets none.
    :raises InvalidParameterValue: what the node asks for is none.
    :raises IloOperationError: it could not be fetched or built.
    """
    given = node.instance_info.get("configdrive")
    if not given:
        yield None
        return
    with tempfile.NamedTemporaryFile(dir=CONF.tempdir, prefix="ilo-configdrive-") as file:
        with translated(node, "use the config drive"):
            _unpack(_read(node, given), file)
            _check_label(Path(file.name))
        yield Path(file.name)


def _read(node: Any, given: Any) -> bytes:
    """Return the gzipped file system."""
    if isinstance(given, dict):
        return _decode(_build(node, given))
    if not isinstance(given, str):
        raise InvalidInput("It is neither text nor an object", hint=_FORMS)
    if "://" not in given:
        return _decode(given.encode())
    content = _fetch(given)
    # Ironic's own code for config drives takes either from a URL.
    return content if content.startswith(_GZIP_MAGIC) else _decode(content)


def _build(node: Any, given: dict[str, Any]) -> bytes:
    # It fills in defaults, which must not get into the node's record.
    try:
        built: str = configdrive_utils.build_configdrive(node, copy.deepcopy(given))
    except (RuntimeError, OSError) as error:
        raise ImageError(f"Ironic cannot build it: {error}") from error
    except (AttributeError, TypeError):
        raise InvalidInput(
            "Ironic cannot build it: what is in the object is not of the right kind",
            hint="Let meta_data be an object, and user_data text or an object.",
        ) from None
    return built.encode()


def _fetch(url: str) -> bytes:
    """Return what is at a URL, which can be a secret itself (a temporary URL)."""
    try:
        scheme = urlsplit(url).scheme
    except ValueError:
        raise InvalidInput("Its URL is none", hint=_FORMS) from None
    if scheme not in ("http", "https", "file"):
        raise InvalidInput(f"Its URL {show_href(url)} is neither http, https nor file")
    try:
        content = _read_file(url) if scheme == "file" else _download(url)
    except (exception.IronicException, OSError) as error:
        # Its causes show the URL.
        reason = describe(error, url)
        raise ImageError(f"It cannot be read from {show_href(url)}: {reason}") from None
    if len(content) > _MAX_ENCODED_BYTES:
        raise InvalidInput(
            f"What is at {show_href(url)} is larger than {_MAX_ENCODED_BYTES} bytes", hint=_SMALLER
        )
    return content


def _read_file(url: str) -> bytes:
    """Return what a file holds, but little more than is allowed."""
    with Path(image_service.FileImageService().validate_href(url)).open("rb") as file:
        return file.read(_MAX_ENCODED_BYTES + 1)


def _download(url: str) -> bytes:
    """Return what a web server gives, but little more than is allowed.

    As Ironic does for images, which reads on, however much comes.
    """
    service = image_service.HttpImageService()
    content = bytearray()
    with (
        closing(service.session) as session,
        session.get(
            url,
            stream=True,
            verify=_verify_by(),
            timeout=CONF.webserver_connection_timeout,
            auth=service.gen_auth_from_conf_user_pass(url),
        ) as reply,
    ):
        reply.raise_for_status()
        for chunk in reply.iter_content(MIB):
            content += chunk
            if len(content) > _MAX_ENCODED_BYTES:
                break
    return bytes(content)


def _verify_by() -> bool | str:
    """Return how Ironic verifies web servers: whether, or by which CA."""
    try:
        return bool(strutils.bool_from_string(CONF.webserver_verify_ca, strict=True))
    except ValueError:
        return str(CONF.webserver_verify_ca)


def _decode(text: bytes) -> bytes:
    try:
        return base64.b64decode(b"".join(text.split()), validate=True)
    except binascii.Error:
        raise InvalidInput(
            "It is not base64, neither a URL nor an object",
            hint=_FORMS,
        ) from None


def _unpack(packed: bytes, file: IO[bytes]) -> None:
    """Unpack a gzipped file system to a file, and flush it."""
    try:
        with gzip.open(io.BytesIO(packed)) as unpacked:
            while chunk := unpacked.read(MIB):
                file.write(chunk)
                if file.tell() > _MAX_BYTES:
                    raise InvalidInput(
                        f"It is larger than {CONFIGDRIVE_MIB} MiB, the most that Ironic allows",
                        hint=_SMALLER,
                    )
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise InvalidInput(
            "It is not gzipped, or damaged", hint="Pack it with `gzip`, then with `base64`."
        ) from None
    file.flush()


def _check_label(path: Path) -> None:
    size = path.stat().st_size
    label = image_file.read_file_system_label(path, "raw", Extent(0, size)) if size else ""
    if label.lower() != CONFIGDRIVE_LABEL:
        raise InvalidInput(
            f"It holds no file system labelled {CONFIGDRIVE_LABEL}, by which an instance finds it",
            hint=f"Make it an ISO with `xorriso -as mkisofs -V {CONFIGDRIVE_LABEL}`.",
        )
