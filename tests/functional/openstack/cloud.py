"""The lab with real Keystone, Glance and Swift, as its administrator and its users see it."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import swiftclient
from keystoneauth1.session import Session
from openstack.connection import Connection

from ironic_ilo.object_store import ObjectStore
from lab.openstack import glance
from lab.openstack.keystone import ADMIN, IRONIC_USER, KeystoneAccess
from tests.functional.cloud import CONTAINER, Cloud


@dataclass
class OpenStackCloud(Cloud):
    """The services, seen by one user.

    :ivar user: of Keystone; the administrator acts for the whole cloud.
    :ivar container: that Ironic publishes in.
    """

    user: str = ADMIN
    container: str = CONTAINER

    def as_user(self, name: str) -> "OpenStackCloud":
        """See it all as another user."""
        return replace(self, user=name)

    @property
    def keystone(self) -> KeystoneAccess:
        """Whom all services ask about tokens."""
        assert self.services.keystone is not None
        return self.services.keystone

    def auth_session(self) -> Session:
        """Log in, as Ironic's API wants the user."""
        return self.keystone.session(self.user, system=self.user == ADMIN)

    def project_id(self) -> str:
        """Tell the id of the user's project."""
        project = self.keystone.session(self.user).get_project_id()
        assert project is not None
        return project

    def headers(self) -> dict[str, str]:
        return super().headers() | self._logged_in.get_auth_headers()

    @cached_property
    def _logged_in(self) -> Session:
        """Log in once: each login costs Keystone the hash of a password."""
        return self.auth_session()

    def token(self) -> str:
        """Get a token of the user's; a new one each time."""
        token = self.auth_session().get_token()
        assert token is not None
        return token

    def store(self) -> ObjectStore:
        """Open the object store that Ironic publishes in, as Ironic does."""
        from ironic_ilo.swift import SwiftAPI

        user = self.keystone.users[IRONIC_USER]
        return SwiftAPI(
            user=user.name,
            tenant_name=user.project,
            key=user.read_password(),
            authurl=self.keystone.auth_url,
        )

    def swift(self) -> swiftclient.Connection:
        """Speak to Swift as Ironic's user, with nothing of ours in between."""
        return swiftclient.Connection(session=self.keystone.session(IRONIC_USER))

    def stored(self, prefix: str = "") -> list[str]:
        connection = self.swift()
        try:
            _headers, listed = connection.get_container(self.container, prefix=prefix)
        except swiftclient.ClientException as error:
            if error.http_status != 404:
                raise
            return []
        # A listing may be behind; the object itself is the truth.
        return sorted(entry["name"] for entry in listed if self._exists(connection, entry["name"]))

    def _exists(self, connection: swiftclient.Connection, name: str) -> bool:
        try:
            connection.head_object(self.container, name)
        except swiftclient.ClientException as error:
            if error.http_status != 404:
                raise
            return False
        return True

    def images(self) -> Connection:
        """Speak to Glance as the user, in his project."""
        return Connection(session=self.keystone.session(self.user))

    def upload_image(
        self,
        name: str,
        path: Path,
        *,
        disk_format: str | None = None,
        visibility: str | None = None,
        **properties: str,
    ) -> str:
        """Upload a file to Glance as the user.

        :param disk_format: by default qcow2 for files so named, and raw for all others.
        :param visibility: by default public for the administrator's, and private for others'.
        :param properties: of the image, such as ``kernel_id``.
        :returns: the image's UUID.
        """
        return glance.upload_image(
            self.keystone.session(self.user),
            name,
            path,
            disk_format=disk_format or ("qcow2" if path.suffix == ".qcow2" else "raw"),
            visibility=visibility or ("public" if self.user == ADMIN else "private"),
            properties=properties,
        )
