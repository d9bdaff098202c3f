"""A real Keystone, and the users, projects, roles and endpoints of a small cloud in it."""

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from cryptography.fernet import Fernet
from keystoneauth1.identity import v3
from keystoneauth1.session import Session
from openstack.connection import Connection
from openstack.identity.v3._proxy import Proxy as IdentityProxy

from lab import database
from lab.config_file import Sections, write_config_file
from lab.openstack.wsgi import starting_application
from lab.probe import answers
from lab.process import Program, Starting, own_command, run

ADMIN = "admin"
OWNER = "owner"
IRONIC_USER = "ironic"
GLANCE_USER = "glance"
SWIFT_USER = "swift"
SERVICE_PROJECT = "service"
# The id of the domain that Keystone makes by itself.
DOMAIN = "default"
REGION = "RegionOne"

_SECONDS_TO_BOOTSTRAP = 120.0

# Users but the administrator, whom Keystone makes by itself: their project, their roles there.
_USERS = {
    OWNER: ("tenant", ("member",)),
    # A member may read and write his project's objects in Swift.
    IRONIC_USER: (SERVICE_PROJECT, ("service", "member")),
    GLANCE_USER: (SERVICE_PROJECT, ("service", "member")),
    SWIFT_USER: (SERVICE_PROJECT, ("service",)),
}


@dataclass(frozen=True)
class KeystoneUser:
    """Somebody who can log in.

    :ivar password_file: readable by its owner alone.
    """

    name: str
    project: str
    password_file: str

    def read_password(self) -> str:
        """Read the password."""
        return Path(self.password_file).read_text()


@dataclass(frozen=True)
class KeystoneAccess:
    """How to reach Keystone.

    :ivar auth_url: with the version, ``/v3``.
    :ivar users: by name.
    """

    auth_url: str
    users: dict[str, KeystoneUser]

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "KeystoneAccess":
        """Undo ``dataclasses.asdict``."""
        users = {name: KeystoneUser(**user) for name, user in values["users"].items()}
        return cls(**values | {"users": users})

    def session(self, name: str, *, system: bool = False) -> Session:
        """Open a session as one of the users.

        :param system: for the whole cloud (Ironic's administrators), not for the user's project.
        """
        user = self.users[name]
        auth = v3.Password(
            self.auth_url,
            username=name,
            password=user.read_password(),
            user_domain_id=DOMAIN,
            system_scope="all" if system else None,
            project_name=None if system else user.project,
            project_domain_id=None if system else DOMAIN,
        )
        return Session(auth)

    def project_id(self, name: str) -> str:
        """Ask for the id of a user's project."""
        return str(self.session(name).get_project_id())

    def environment(self, name: str) -> dict[str, str]:
        """Give the variables with which the OpenStack clients work as a user.

        An administrator's are for the whole cloud, as Ironic's policy wants it.
        """
        user = self.users[name]
        scope = (
            {"OS_SYSTEM_SCOPE": "all"}
            if name == ADMIN
            else {"OS_PROJECT_NAME": user.project, "OS_PROJECT_DOMAIN_ID": DOMAIN}
        )
        return {
            "OS_AUTH_TYPE": "password",
            "OS_AUTH_URL": self.auth_url,
            "OS_IDENTITY_API_VERSION": "3",
            "OS_USERNAME": name,
            "OS_PASSWORD": user.read_password(),
            "OS_USER_DOMAIN_ID": DOMAIN,
            **scope,
        }

    def client_options(self, name: str) -> dict[str, str]:
        """Give the options with which a service logs in as a user, in oslo.config's words."""
        user = self.users[name]
        return {
            "auth_type": "password",
            "auth_url": self.auth_url,
            "username": name,
            "password": user.read_password(),
            "user_domain_id": DOMAIN,
            "project_name": user.project,
            "project_domain_id": DOMAIN,
        }

    def middleware_options(self, name: str) -> dict[str, str]:
        """Give the options with which a service checks tokens: ``[keystone_authtoken]``."""
        return self.client_options(name) | {
            "www_authenticate_uri": self.auth_url,
            "interface": "public",
            "service_token_roles": "service",
            "service_token_roles_required": "true",
        }


def plan_access(directory: Path, url: str) -> KeystoneAccess:
    """Choose the passwords of all users, before any of them exists.

    :param url: where Keystone will listen.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    projects = {ADMIN: ADMIN} | {name: project for name, (project, _roles) in _USERS.items()}
    users = {
        name: KeystoneUser(name, project, str(_write_password(directory / f"{name}.password")))
        for name, project in projects.items()
    }
    return KeystoneAccess(f"{url}/v3", users)


def _write_password(path: Path) -> Path:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(secrets.token_hex(16))
    return path


@contextmanager
def starting_keystone(
    directory: Path, logs: Path, access: KeystoneAccess, port: int
) -> Iterator[Starting]:
    """Run Keystone, with an administrator, while the block runs.

    :param directory: takes its files.
    :raises ProcessError: it could not be started; the end of its log is in the text.
    """
    config = _write_config(directory)
    _bootstrap(config, logs, access)
    with starting_application(
        "Keystone",
        "keystone.wsgi.api:application",
        port=port,
        log=logs / "keystone.log",
        environment={"OS_KEYSTONE_CONFIG_DIR": str(directory)},
        is_ready=lambda: answers(access.auth_url),
    ) as starting:
        yield starting


def _write_config(directory: Path) -> Path:
    keys = directory / "fernet-keys"
    _write_fernet_keys(keys)
    sections: Sections = {
        "database": {
            "connection": database.create_database(
                database.KEYSTONE, directory / "keystone.sqlite"
            )
        },
        "fernet_tokens": {"key_repository": keys},
        "fernet_receipts": {"key_repository": keys},
        # Strong hashes of random passwords would only take time.
        "identity": {"password_hash_rounds": 4},
    }
    return write_config_file(directory / "keystone.conf", sections)


def _write_fernet_keys(repository: Path) -> None:
    """Make the keys that sign tokens, as ``keystone-manage fernet_setup`` does in seconds.

    In a repository of two, 0 is the next key and 1 the current one.
    """
    repository.mkdir(mode=0o700)
    for name in ("0", "1"):
        path = repository / name
        path.touch(0o600)
        path.write_bytes(Fernet.generate_key())


def _bootstrap(config: Path, logs: Path, access: KeystoneAccess) -> None:
    """Make the administrator, the usual roles, and Keystone's own endpoints."""
    urls = (
        f"--bootstrap-{interface}-url={access.auth_url}" for interface in ("public", "internal")
    )
    program = Program(
        "keystone-manage bootstrap",
        [
            own_command("keystone-manage"),
            "--config-file",
            config,
            "bootstrap",
            f"--bootstrap-region-id={REGION}",
            *urls,
        ],
        logs / "keystone-bootstrap.log",
        environment={"OS_BOOTSTRAP_PASSWORD": access.users[ADMIN].read_password()},
    )
    run(program, timeout=_SECONDS_TO_BOOTSTRAP)


def create_accounts(access: KeystoneAccess, endpoints: Mapping[str, str]) -> None:
    """Create projects, users and roles, and the catalog's services and endpoints.

    :param endpoints: URLs by service type.
    """
    session = access.session(ADMIN, system=True)
    with Connection(session=session, app_name="ironic-ilo-lab") as connection:
        identity = cast(IdentityProxy, connection.identity)
        _create_users(identity, access)
        for service_type, url in endpoints.items():
            service = identity.create_service(name=service_type, type=service_type)
            identity.create_endpoint(
                service_id=service.id, interface="public", url=url, region_id=REGION
            )


def _create_users(identity: IdentityProxy, access: KeystoneAccess) -> None:
    roles = {role.name: role.id for role in identity.roles()}
    projects = {
        name: identity.create_project(name=name, domain_id=DOMAIN).id
        for name in sorted({project for project, _roles in _USERS.values()})
    }
    for name, (project, granted) in _USERS.items():
        user = identity.create_user(
            name=name, domain_id=DOMAIN, password=access.users[name].read_password()
        )
        for role in granted:
            identity.assign_project_role_to_user(projects[project], user.id, roles[role])
