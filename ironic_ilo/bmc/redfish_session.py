"""sushy, with its faults contained (ilo-protocol.md 3.4).

It retries for half a minute what will not change, lets the environment choose proxies, follows
redirects with the token, falls back to Basic authentication with a wrong password, takes refused
ejects for done, and logs image URLs. Its seams (connector and authentication) are replaced here;
the resources are its own.
"""

import dataclasses
import json
import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import sushy
from requests.structures import CaseInsensitiveDict
from sushy.auth import AuthBase
from sushy.connector import Connector
from sushy.exceptions import MissingActionError
from sushy.resources.manager.virtual_media import VirtualMedia, VirtualMediaCollection

from ironic_ilo.bmc.errors import translated
from ironic_ilo.bmc.https import AnswerError, Endpoint, Reply, follow, path_of
from ironic_ilo.bmc.messages import RestRefusalError, refusal_of
from ironic_ilo.bmc.redfish_replies import oem_of
from ironic_ilo.bmc.types import Access, Device
from ironic_ilo.exception import BmcError

LOG = logging.getLogger(__name__)

# A log out that is lost is no reason to wait longer: an iLO ends idle sessions by itself.
_SECONDS_TO_LOG_OUT = 10.0
_MEDIA_TYPES = {Device.FLOPPY: {"Floppy", "USBStick"}, Device.CDROM: {"CD", "DVD"}}


class RedfishSession:
    """One login at one iLO: made by the first request, and again when the iLO has forgotten it.

    The answer to a login can be lost on the way, and a process can be killed: only then does the
    iLO keep a session that nobody uses, until it has been idle for too long.
    """

    def __init__(self, name: str, access: Access, endpoint: Endpoint) -> None:
        self._name = name
        self._connector = _Connector(name, endpoint)
        self._login = _Login(access.username, access.password)
        self._root: Any = None
        self._system_path = ""
        self._drive_paths: dict[Device, str] = {}

    def close(self) -> None:
        """Log out; the next request logs in again. An iLO that does not take it is logged."""
        self._root = None
        try:
            with translated(self._name, "log out"):
                self._login.close()
        except BmcError as error:
            LOG.warning("%s. It ends the session by itself when it is idle.", error.message)
        finally:
            self._connector.token = None

    def root(self) -> Any:
        """Log in, if need be: sushy's ``Sushy``."""
        if self._root is None:
            self._root = _Root("", auth=self._login, connector=self._connector)
        return self._root

    def system(self) -> Any:
        """Read the server, as sushy's ``System``."""
        root = self.root()
        if not self._system_path:
            self._system_path = root.get_system_collection().members_identities[0]
        return root.get_system(self._system_path)

    def manager(self) -> Any:
        """Read the iLO, as sushy's ``Manager``."""
        root = self.root()
        return root.get_manager(root.get_manager_collection().members_identities[0])

    def drive(self, device: Device) -> Any:
        """Read a virtual media drive, as sushy's ``VirtualMedia``."""
        if not self._drive_paths:
            path = self.manager().json["VirtualMedia"]["@odata.id"]
            self._drive_paths = _find_drives(_Drives(self._connector, path).get_members())
        self.root()
        return _Drive(self._connector, self._drive_paths[device])

    def read(self, path: str) -> Mapping[str, Any]:
        """Read a resource that sushy has no class for."""
        self.root()
        document: Mapping[str, Any] = self._connector.get(path).json()
        return document

    def account(self) -> Mapping[str, Any]:
        """Read our own account; empty when this iLO has none, as for users of directories."""
        service = self.root().json.get("AccountService")
        if service is None:
            return {}
        accounts = self.read(self.read(service["@odata.id"])["Accounts"]["@odata.id"])
        for member in accounts["Members"]:
            found = self._read_permitted(member["@odata.id"])
            if found.get("UserName") == self._login.username:
                return found
        return {}

    def _read_permitted(self, path: str) -> Mapping[str, Any]:
        try:
            return self.read(path)
        except RestRefusalError as refusal:
            if refusal.status != HTTPStatus.FORBIDDEN:  # it is somebody else's
                raise
            return {}

    def act(self, resource: Any, names: Sequence[str], arguments: Mapping[str, Any]) -> None:
        """Do the first of these actions that a resource offers, HPE's own ones included.

        :raises MissingActionError: it offers none of them.
        """
        actions = {
            **oem_of(resource.json).get("Actions", {}),
            **resource.json.get("Actions", {}),
        }
        offered = [name for name in names if name in actions]
        if not offered:
            raise MissingActionError(action=names[0], resource=resource.path)
        self._connector.post(actions[offered[0]]["target"], data=arguments)

    def change(self, resource: Any, values: Mapping[str, Any]) -> None:
        """Change properties of a resource."""
        self._connector.patch(resource.path, data=values)


class _Root(sushy.Sushy):
    """The service, without a finalizer: ``close`` logs out, also when there is but half of it."""

    def __del__(self) -> None:
        pass


class _Drive(VirtualMedia):
    """A drive whose image's URL is not logged."""

    _log_resource_body = False


class _Drives(VirtualMediaCollection):
    @property
    def _resource_type(self) -> type[_Drive]:
        return _Drive


class _Login(AuthBase):
    """A session, never Basic authentication: a password that is refused is sent once."""

    _location: str | None = None

    @property
    def username(self) -> str:
        """Whose session it is."""
        return str(self._username)

    def _do_authenticate(self) -> None:
        self._connector.token = self._location = None
        self._connector.token, self._location = self._root_resource.create_session(
            self._username, self._password
        )

    def can_refresh_session(self) -> bool:
        """Leave it to ``renew``."""
        return False

    def renew(self) -> None:
        """Log in again, since the iLO has forgotten the session."""
        self.authenticate()

    def close(self) -> None:
        """Log out, if logged in."""
        location, self._location = self._location, None
        if location is not None:
            self._connector.log_out(location)


class _Response:
    """What sushy looks at of a reply.

    :raises AnswerError: there is a body, but no JSON; sushy would log it.
    """

    def __init__(self, reply: Reply) -> None:
        self.status_code = reply.status
        self.headers = CaseInsensitiveDict(reply.headers)
        self.content = reply.body
        try:
            self._document = json.loads(reply.body) if reply.body else {}
        except ValueError:
            raise AnswerError("not JSON") from None

    def json(self) -> Any:
        return self._document


class _Connector(Connector):
    """Sends sushy's requests, each over a connection and under a deadline of its own."""

    def __init__(self, name: str, endpoint: Endpoint) -> None:
        super().__init__("")  # its own HTTP client stays unused
        self._name = name
        self._endpoint = endpoint
        self.token: str | None = None

    def patch(self, path: str = "", data: Any = None, **_options: Any) -> _Response:
        """Change a resource, whatever has happened to it since it was read.

        Without the ETag, which an iLO does not need: a server's changes with each step of its
        POST, and every change is read back.
        """
        return self._op("PATCH", path, data)

    def log_out(self, location: str) -> None:
        """Delete the session, in a shorter time than others have."""
        timeout = min(self._endpoint.timeout, _SECONDS_TO_LOG_OUT)
        endpoint = dataclasses.replace(self._endpoint, timeout=timeout)
        reply = self._exchange(endpoint, "DELETE", location, None)
        if reply.status not in (HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND):  # gone already
            _check(reply)

    def _op(self, method: str, path: str = "", data: Any = None, **_options: Any) -> _Response:
        """Send one request; only a success returns."""
        reply = self._exchange(self._endpoint, method, path, data)
        if reply.status == HTTPStatus.UNAUTHORIZED and self.token is not None:
            self._auth.renew()  # as after a reset of the iLO
            reply = self._exchange(self._endpoint, method, path, data)
        _check(reply)
        return _Response(reply)

    def _exchange(self, endpoint: Endpoint, method: str, path: str, data: Any) -> Reply:
        headers = {"Accept": "application/json", "OData-Version": "4.0"}
        body = None
        if self.token is not None:
            headers["X-Auth-Token"] = self.token
        if method in ("POST", "PATCH"):
            headers["Content-Type"] = "application/json"
            body = json.dumps(data or {}).encode()  # a body is a must, even for an eject
        target = path_of(path)
        LOG.debug("%s: %s %s", self._name, method, target)
        return follow(endpoint, method, target, headers, body)


def _check(reply: Reply) -> None:
    if reply.status >= HTTPStatus.MULTIPLE_CHOICES:
        raise refusal_of(reply)


def _find_drives(drives: Sequence[Any]) -> dict[Device, str]:
    return {
        device: drive.path
        for drive in drives
        for device, types in _MEDIA_TYPES.items()
        if not types.isdisjoint(drive.json["MediaTypes"])
    }
