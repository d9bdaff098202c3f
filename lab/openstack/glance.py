"""A real Glance that keeps its images in Swift."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from keystoneauth1.session import Session
from openstack.connection import Connection
from openstack.image.v2._proxy import Proxy as ImageProxy

from lab import database
from lab.config_file import Sections, write_config_file
from lab.openstack.keystone import DOMAIN, GLANCE_USER, KeystoneAccess
from lab.openstack.wsgi import starting_application
from lab.probe import answers
from lab.process import Starting
from lab.settings import LOOPBACK

# Of the images, in the account of Glance's project.
CONTAINER = "glance"

_BOOT_FORMATS = ("aki", "ari")
# Comes with the package, beside the environment's commands.
_PASTE_FILE = Path(sys.prefix, "etc/glance/glance-api-paste.ini")


@contextmanager
def starting_glance(
    directory: Path, logs: Path, access: KeystoneAccess, *, port: int
) -> Iterator[Starting]:
    """Run Glance while the block runs; it needs neither Keystone nor Swift to start.

    :param directory: takes its files.
    :raises ProcessError: it could not be started; the end of its log is in the text.
    """
    url = f"http://{LOOPBACK}:{port}"
    stores = directory / "stores.conf"
    write_config_file(stores, _swift_account(access))
    write_config_file(
        directory / "glance-api.conf",
        _service_options(directory, access, url=url),
        _store_options(directory, stores),
    )
    with starting_application(
        "Glance",
        "glance.wsgi.api:application",
        port=port,
        log=logs / "glance.log",
        environment={"OS_GLANCE_CONFIG_DIR": str(directory)},
        is_ready=lambda: answers(f"{url}/healthcheck"),
    ) as starting:
        yield starting


def upload_image(
    session: Session,
    name: str,
    path: Path,
    *,
    disk_format: str,
    visibility: str,
    properties: Mapping[str, str],
) -> str:
    """Upload a file as an image.

    :param session: of Keystone, for a project.
    :param disk_format: ``aki`` for a kernel and ``ari`` for a ramdisk: as ``raw``, Glance takes a
        kernel's first sector for a damaged partition table, and refuses it.
    :param properties: of the image, such as ``kernel_id``.
    :returns: the image's UUID.
    :raises SDKException: Glance refuses it.
    """
    with (
        Connection(session=session, app_name="ironic-ilo-lab") as connection,
        path.open("rb") as file,
    ):
        image = cast(ImageProxy, connection.image).create_image(
            name,
            data=file,
            disk_format=disk_format,
            container_format=disk_format if disk_format in _BOOT_FORMATS else "bare",
            visibility=visibility,
            allow_duplicates=True,
            meta=dict(properties),
        )
    return str(image.id)


def _service_options(directory: Path, access: KeystoneAccess, *, url: str) -> Sections:
    connection = database.create_database(database.GLANCE, directory / "glance.sqlite")
    return {
        "DEFAULT": {"worker_self_reference_url": url, "enabled_import_methods": "[]"},
        "database": {"connection": connection},
        "keystone_authtoken": access.middleware_options(GLANCE_USER),
        "paste_deploy": {"flavor": "keystone", "config_file": _PASTE_FILE},
    }


def _store_options(directory: Path, stores: Path) -> Sections:
    return {
        "DEFAULT": {"enabled_backends": "swift:swift", "show_image_direct_url": True},
        "glance_store": {"default_backend": "swift"},
        "swift": {
            "swift_store_config_file": stores,
            "default_swift_reference": "lab",
            "swift_store_container": CONTAINER,
            "swift_store_create_container_on_put": True,
        },
        # Glance wants places for what it would import, too.
        "os_glance_staging_store": {"filesystem_store_datadir": directory / "staging"},
        "os_glance_tasks_store": {"filesystem_store_datadir": directory / "tasks"},
    }


def _swift_account(access: KeystoneAccess) -> Sections:
    user = access.users[GLANCE_USER]
    return {
        "lab": {
            "auth_version": 3,
            "auth_address": access.auth_url,
            "user": f"{user.project}:{user.name}",
            "key": user.read_password(),
            "user_domain_id": DOMAIN,
            "project_domain_id": DOMAIN,
        }
    }
