"""What end-to-end tests boot; built once for all labs of a machine, and kept."""

from pathlib import Path

import pytest

from lab.agent_iso import build_agent_ramdisk
from lab.debian_image import build_debian_image
from lab.deploy_iso import build_cached_deploy_iso
from lab.instance_image import InstanceImage
from lab.tiny_instance import build_tiny_instance


@pytest.fixture(scope="session")
def deploy_iso() -> Path:
    """Build the deploy ISO."""
    return build_cached_deploy_iso()


@pytest.fixture(scope="session")
def debian_image(tmp_path_factory) -> InstanceImage:
    """Build the demo's Debian."""
    return build_debian_image(tmp_path_factory.mktemp("debian") / "mmdebstrap.log")


@pytest.fixture(scope="session")
def tiny_instance() -> InstanceImage:
    """Build an instance of a few MiB, which is up in seconds."""
    return build_tiny_instance()


@pytest.fixture(scope="session")
def agent_ramdisk(tmp_path_factory) -> Path:
    """Build the kernel and the ramdisk that run ironic-python-agent."""
    return build_agent_ramdisk(tmp_path_factory.mktemp("agent") / "mmdebstrap.log")
