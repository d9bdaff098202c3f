"""The specification's object store: Swift, through python-swiftclient."""

import functools
import json
import math
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote, urlsplit

import swiftclient
from ironic.common import exception as ironic_exception
from ironic.common import keystone
from ironic.conf import CONF
from keystoneauth1 import exceptions as auth_exceptions
from keystoneauth1.identity import generic
from requests import RequestException, Timeout
from swiftclient.authv1 import PasswordPlugin
from swiftclient.exceptions import ClientException
from swiftclient.utils import generate_temp_url
from urllib3.exceptions import HTTPError

from ironic_ilo.exception import InvalidInput, StoreError
from ironic_ilo.object_store import ObjectInfo

_SECONDS_FOR_ANSWER = 60  # where [swift]timeout is not set, which would be for ever
_RETRIES = 2
_FORBIDDEN = 403
_NOT_FOUND = 404

# Swift's own limits, where the operator hides /info.
_MAX_OBJECT_BYTES = 5 * 1024**3
_MAX_SEGMENTS = 1000
_SEGMENT_BYTES = 1024**3
# Segments of an object that expires outlive it, so that it can be read to its end. All of them
# expire until their object is whole, so that those of a failed upload go by themselves.
_SECONDS_SEGMENTS_OUTLIVE = 24 * 3600

_META = "x-object-meta-"
_KEYS = ("temp-url-key", "temp-url-key-2")
_HINTS = {
    401: "Check user, password and project in [swift].",
    403: "Give the user of [swift] a role on its project that Swift's operator_roles lists, or "
    "the right to read and write the container.",
    404: "Check that the account and the container exist.",
    413: "Raise the quota of the account or the container.",
    507: "Swift has no space left, or its disks are not mounted.",
}
_HINT_ELSE = "Look into the log of Swift's proxy server."
_HINT_UNREACHABLE = "Check that Swift runs, and its endpoint in Keystone's catalog."

_Segment = tuple[str, str]


class SwiftAPI:
    """``ObjectStore`` over Swift.

    Without arguments it acts as the user of the section ``[swift]``, whose sessions all instances
    share; region, interface, CA, timeout and retries are that section's in either case.

    :param user: name of another user; of its domain ``default`` if ``authurl`` is Keystone's.
    :param tenant_name: its project; with auth version 1 the account, if it is not the user's own.
    :param key: its password.
    :param authurl: Keystone's URL, or one of auth version 1, which ends in ``/v1.0``.
    :raises InvalidInput: the section is not complete. Nothing is sent before the first call.
    """

    def __init__(
        self,
        user: str | None = None,
        tenant_name: str | None = None,
        key: str | None = None,
        authurl: str | None = None,
    ) -> None:
        try:
            if authurl is None:
                self._adapter = _load_adapter()
            else:
                auth = _make_auth(user, tenant_name, key, authurl)
                self._adapter = _make_adapter(auth, endpoint_override=None)
        except ironic_exception.IronicException as exc:
            raise InvalidInput(
                f"The section [swift] of ironic.conf cannot be used: {exc}",
                hint="Complete it, or set [ilo]use_web_server_for_images.",
            ) from exc

    def upload_object(
        self,
        container: str,
        object_name: str,
        path: Path,
        *,
        delete_after: int | None = None,
        metadata: Mapping[str, str] | None = None,
        create_container: bool = True,
    ) -> str:
        """See ``ObjectStore``; the identifier is Swift's ETag.

        What is larger than Swift's largest object is stored in segments, in the container
        ``<container>_segments``.

        :param create_container: whether to create the container if it does not exist.
        """
        with (
            self._connected(f"Storing {path} as {container}/{object_name}") as connection,
            path.open("rb") as file,
        ):
            if create_container:
                _ensure_container(connection, container)
            old = _find_segments(connection, container, object_name)
            etag = _upload(
                connection,
                container,
                object_name,
                file,
                headers=_headers(delete_after, metadata or {}),
                delete_after=delete_after,
            )
            _delete_segments(connection, old)
        return etag

    def delete_object(self, container: str, object_name: str) -> None:
        """See ``ObjectStore``."""
        with self._connected(f"Deleting {container}/{object_name}") as connection:
            segments = _find_segments(connection, container, object_name)
            _delete(connection, container, object_name)
            _delete_segments(connection, segments)

    def get_tmp_url(self, container: str, object_name: str, timeout: int, *, suffix: str) -> str:
        """See ``ObjectStore``. Whoever gets the URL must reach Swift where the conductor does.

        It is signed with the temporary URL key of the account, else of the container.
        """
        with self._connected(f"Making a URL of {container}/{object_name}") as connection:
            key = _find_key(connection, container)
            account = urlsplit(connection.url)
        path = f"{account.path.rstrip('/')}/{container}/{object_name}"
        signed = generate_temp_url(path, timeout, key, "GET", digest="sha256")
        query = signed.removeprefix(path)
        # Swift takes any file name; the URL ends in it for the BMCs that look there.
        file_name = quote(object_name.removesuffix(suffix) + suffix, safe="")
        base = f"{account.scheme}://{account.netloc}{quote(path)}"
        return f"{base}{query}&filename={file_name}"

    def name_url(self, url: str) -> str | None:  # noqa: ARG002 - the protocol's signature
        """See ``ObjectStore``. Swift's own log alone tells who has read what."""
        return None

    def fetched_at(self, url_name: str) -> float | None:  # noqa: ARG002 - the protocol's signature
        """See ``ObjectStore``."""
        return None

    def get_object_info(self, container: str, object_name: str) -> ObjectInfo | None:
        """See ``ObjectStore``."""
        with self._connected(f"Reading {container}/{object_name}") as connection:
            headers = _head(connection, container, object_name)
        if headers is None:
            return None
        delete_at = headers.get("x-delete-at")
        return ObjectInfo(
            object_name,
            int(headers["content-length"]),
            None if delete_at is None else int(delete_at),
            {
                name.removeprefix(_META).replace("-", "_"): value
                for name, value in headers.items()
                if name.startswith(_META)
            },
        )

    def update_object(
        self,
        container: str,
        object_name: str,
        *,
        metadata: Mapping[str, str],
        delete_after: int | None,
    ) -> None:
        """See ``ObjectStore``."""
        with self._connected(f"Updating {container}/{object_name}") as connection:
            segments = _find_segments(connection, container, object_name)
            _set_lifetime(connection, segments, delete_after)
            try:
                connection.post_object(container, object_name, _headers(delete_after, metadata))
            except ClientException as exc:
                if exc.http_status != _NOT_FOUND:
                    raise
                raise StoreError(f"Object {container}/{object_name} does not exist") from exc

    def list_objects(self, container: str, prefix: str = "") -> list[str]:
        """See ``ObjectStore``; names of expired objects may stay for a while."""
        with self._connected(f"Listing {container}") as connection:
            try:
                _, entries = connection.get_container(container, prefix=prefix, full_listing=True)
            except ClientException as exc:
                if exc.http_status != _NOT_FOUND:
                    raise
                return []
        return sorted(entry["name"] for entry in entries)

    @contextmanager
    def _connected(self, operation: str) -> Iterator[swiftclient.Connection]:
        """Connect to the account for one operation; every failure becomes a ``StoreError``."""
        with _reporting(operation):
            connection = _connect(self._adapter)
            try:
                yield connection
            finally:
                connection.close()


# Whom we are to Swift


@functools.cache
def _load_adapter() -> Any:
    return _make_adapter(keystone.get_auth("swift"))


def _make_adapter(auth: Any, **options: Any) -> Any:
    seconds = CONF.swift.timeout or _SECONDS_FOR_ANSWER
    session = keystone.get_session("swift", auth=auth, timeout=seconds)
    return keystone.get_adapter("swift", session=session, **options)


def _make_auth(user: str | None, tenant_name: str | None, key: str | None, authurl: str) -> Any:
    if urlsplit(authurl).path.rstrip("/").endswith(("/v1", "/v1.0")):
        return PasswordPlugin(authurl, user, key, project_name=tenant_name)
    return generic.Password(
        authurl,
        username=user,
        password=key,
        project_name=tenant_name,
        user_domain_id="default",
        project_domain_id="default",
    )


def _connect(adapter: Any) -> swiftclient.Connection:
    session = adapter.session
    url = adapter.get_endpoint()
    if url is None:
        raise StoreError(
            "Keystone's catalog has no endpoint of Swift for us",
            hint="Check service_type, region_name and valid_interfaces in [swift].",
        )
    retries = [adapter.connect_retries, adapter.status_code_retries]
    certificate, key = session.cert if isinstance(session.cert, tuple) else (session.cert, None)
    return swiftclient.Connection(
        session=session,
        preauthurl=url,
        preauthtoken=session.get_token(),
        retries=max((number for number in retries if number is not None), default=_RETRIES),
        timeout=session.timeout,
        insecure=session.verify is False,
        cacert=session.verify if isinstance(session.verify, str) else None,
        cert=certificate,
        cert_key=key,
    )


# Objects


def _headers(delete_after: int | None, metadata: Mapping[str, str]) -> dict[str, str]:
    # Servers drop headers whose names have underscores.
    headers = {f"{_META}{name.replace('_', '-')}": value for name, value in metadata.items()}
    if delete_after is not None:
        headers["x-delete-after"] = str(delete_after)
    return headers


def _ensure_container(connection: swiftclient.Connection, container: str) -> None:
    try:
        connection.head_container(container)
    except ClientException as exc:
        if exc.http_status != _NOT_FOUND:
            raise
        connection.put_container(container)


def _head(
    connection: swiftclient.Connection, container: str, object_name: str
) -> Mapping[str, str] | None:
    try:
        headers: Mapping[str, str] = connection.head_object(container, object_name)
    except ClientException as exc:
        if exc.http_status != _NOT_FOUND:
            raise
        return None
    return headers


def _delete(connection: swiftclient.Connection, container: str, object_name: str) -> None:
    try:
        connection.delete_object(container, object_name)
    except ClientException as exc:
        if exc.http_status != _NOT_FOUND:
            raise


def _upload(
    connection: swiftclient.Connection,
    container: str,
    object_name: str,
    file: BinaryIO,
    *,
    headers: Mapping[str, str],
    delete_after: int | None,
) -> str:
    size = os.fstat(file.fileno()).st_size
    limit, most_segments = _find_limits(connection)
    if size <= limit:
        etag = connection.put_object(
            container, object_name, file, content_length=size, headers=headers
        )
        return str(etag)
    segment_bytes = min(limit, max(_SEGMENT_BYTES, math.ceil(size / most_segments)))
    manifest = _upload_segments(
        connection,
        f"{container}_segments",
        object_name,
        file,
        segment_bytes=segment_bytes,
        delete_after=delete_after,
    )
    etag = connection.put_object(
        container,
        object_name,
        json.dumps(manifest),
        headers=headers,
        query_string="multipart-manifest=put",
    )
    if delete_after is None:
        _set_lifetime(connection, _segments(manifest, "path"), None)
    return str(etag).strip('"')


def _find_limits(connection: swiftclient.Connection) -> tuple[int, int]:
    """Ask how many bytes an object may have, and how many segments."""
    try:
        info = connection.get_capabilities()
    except ClientException:  # operators may hide it
        info = {}
    return (
        int(info.get("swift", {}).get("max_file_size", _MAX_OBJECT_BYTES)),
        int(info.get("slo", {}).get("max_manifest_segments", _MAX_SEGMENTS)),
    )


# Segments of large objects


def _upload_segments(
    connection: swiftclient.Connection,
    container: str,
    object_name: str,
    file: BinaryIO,
    *,
    segment_bytes: int,
    delete_after: int | None,
) -> list[dict[str, object]]:
    """Store a file in segments.

    :returns: the manifest that makes one object of them.
    """
    _ensure_container(connection, container)
    size = os.fstat(file.fileno()).st_size
    prefix = f"{object_name}/{secrets.token_hex(8)}"  # readers of an older object keep theirs
    manifest: list[dict[str, object]] = []
    for offset in range(0, size, segment_bytes):
        length = min(segment_bytes, size - offset)
        name = f"{prefix}/{len(manifest):08d}"
        file.seek(offset)
        etag = connection.put_object(
            container,
            name,
            file,
            content_length=length,
            headers=_segment_headers(delete_after or 0),
        )
        manifest.append({"path": f"/{container}/{name}", "size_bytes": length, "etag": etag})
    return manifest


def _set_lifetime(
    connection: swiftclient.Connection, segments: list[_Segment], delete_after: int | None
) -> None:
    for segment in segments:
        connection.post_object(*segment, _segment_headers(delete_after))


def _segment_headers(delete_after: int | None) -> dict[str, str]:
    lifetime = None if delete_after is None else delete_after + _SECONDS_SEGMENTS_OUTLIVE
    return _headers(lifetime, {})


def _find_segments(
    connection: swiftclient.Connection, container: str, object_name: str
) -> list[_Segment]:
    """Name the segments of an object, if there is one and it has any."""
    headers = _head(connection, container, object_name)
    if headers is None or headers.get("x-static-large-object", "").lower() != "true":
        return []
    _, manifest = connection.get_object(
        container, object_name, query_string="multipart-manifest=get"
    )
    return _segments(json.loads(manifest), "name")


def _segments(manifest: list[dict[str, Any]], key: str) -> list[_Segment]:
    """Take containers and objects from a manifest, which calls them differently in each way."""
    paths = [entry[key].removeprefix("/").partition("/") for entry in manifest]
    return [(container, name) for container, _, name in paths]


def _delete_segments(connection: swiftclient.Connection, segments: list[_Segment]) -> None:
    for container, name in segments:
        _delete(connection, container, name)


# Temporary URLs


def _find_key(connection: swiftclient.Connection, container: str) -> str:
    account = _head_account(connection)
    key = _key_in(account, "account") or _key_in(connection.head_container(container), "container")
    if key is None:
        raise StoreError(
            f"Neither our account in Swift nor container {container} has a temporary URL key",
            hint="As the user of [swift], set one: "
            "openstack object store account set --property Temp-URL-Key=<32 random characters>",
        )
    return key


def _head_account(connection: swiftclient.Connection) -> Mapping[str, str]:
    try:
        headers: Mapping[str, str] = connection.head_account()
    except ClientException as exc:  # we may own no more than the container
        if exc.http_status != _FORBIDDEN:
            raise
        return {}
    return headers


def _key_in(headers: Mapping[str, str], kind: str) -> str | None:
    found = (headers.get(f"x-{kind}-meta-{name}") for name in _KEYS)
    return next(filter(None, found), None)


# Errors


@contextmanager
def _reporting(operation: str) -> Iterator[None]:
    """Turn every failure of a block into a ``StoreError``; none of their texts has a secret."""
    try:
        yield
    except ClientException as exc:
        raise StoreError(f"{operation} failed: {_answer(exc)}", hint=_hint(exc)) from exc
    except auth_exceptions.Unauthorized as exc:
        message = f"{operation} failed: the credentials for Swift were refused: {exc}"
        raise StoreError(message, hint=_HINTS[401]) from exc
    except auth_exceptions.ClientException as exc:
        message = f"{operation} failed: no token for Swift: {exc}"
        raise StoreError(message, hint="Check that Keystone runs, and [swift]auth_url.") from exc
    except Timeout as exc:
        message = f"{operation} failed: Swift did not answer in time: {exc}"
        raise StoreError(message, hint=_HINT_UNREACHABLE) from exc
    except (RequestException, HTTPError) as exc:
        message = f"{operation} failed: no answer from Swift: {exc}"
        raise StoreError(message, hint=_HINT_UNREACHABLE) from exc
    except OSError as exc:
        raise StoreError(f"{operation} failed: {exc.strerror or exc}") from exc


def _answer(exc: ClientException) -> str:
    if exc.http_status is None:
        return str(exc.msg)
    return f"Swift answered {exc.http_status} {exc.http_reason}"


def _hint(exc: ClientException) -> str:
    return "" if exc.http_status is None else _HINTS.get(exc.http_status, _HINT_ELSE)
