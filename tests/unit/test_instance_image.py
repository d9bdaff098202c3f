"""What is told of an image that cannot be used."""

import hashlib
from pathlib import Path
from types import SimpleNamespace

import pytest
from ironic.common import exception
from ironic.conf import CONF

from ironic_ilo import instance_image
from tests.unit.nodes import make_node

CANARY = "c4nary-71b0aa"


def fail(node) -> str:
    """Return the message of a failure, and of what would be logged with it."""
    with pytest.raises(exception.InstanceDeployFailure) as caught:
        instance_image.cache_instance_image(SimpleNamespace(node=node, context=None))
    assert caught.value.__suppress_context__
    assert caught.value.__cause__ is None
    return str(caught.value)


def test_urls_are_told_without_their_secrets():
    # Nobody listens on port 9 of the loopback device.
    checksums = f"http://user:{CANARY}@127.0.0.1:9/SHA256SUMS?sig={CANARY}"
    node = make_node(image_checksum=checksums)
    said = fail(node)
    assert "127.0.0.1" in said
    assert CANARY not in said


def test_unpacked_images_are_named_when_a_checksum_is_wrong(request, tmp_path):
    CONF.set_override("images_path", str(tmp_path), group="pxe")
    request.addfinalizer(lambda: CONF.clear_override("images_path", group="pxe"))
    unpacked = Path(tmp_path, "master")
    unpacked.write_bytes(b"what zstd packed")
    request.getfixturevalue("monkeypatch").setattr(
        instance_image, "_fetch", lambda *_arguments: unpacked
    )
    node = make_node(image_checksum=hashlib.sha256(b"packed").hexdigest())
    assert "compressed with zstd, give it uncompressed" in fail(node)
