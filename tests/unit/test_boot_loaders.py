"""How boot loaders are configured: whatever the kernel parameters are, they stay parameters."""

import dataclasses
import re
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironic_ilo import boot_loaders
from ironic_ilo.boot_loaders import GrubFiles, IsolinuxFiles, grub, split_kernel_params
from ironic_ilo.exception import InvalidInput


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ("", []),
        ("  a  b=c ", ["a", "b=c"]),
        ('a="b c" "d e=f" g=""', ["a=b c", "d e=f", "g="]),
        ("a;b $root ${x} $(y) `z` {} [] <> | & # ~ * ! a=b=c", None),
        ('dyndbg="file a.c +p; file b.c +p"', ["dyndbg=file a.c +p; file b.c +p"]),
        ('""', [""]),
    ],
)
def test_words_are_split_as_linux_does(params, words):
    assert split_kernel_params(params) == (params.split() if words is None else words)


def linux_command(params):
    config = grub(GrubFiles(), split_kernel_params(params)).files["boot/grub/grub.cfg"].decode()
    lines = config.splitlines()
    assert [line.split()[0] for line in lines] == ["set", "linux", "initrd", "boot"]
    return lines[1]


PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=60)


@given(params=PRINTABLE)
def test_no_parameter_leaves_its_quotes(params):
    """In single quotes, a shell takes everything as it is, and so does GRUB's."""
    try:
        words = split_kernel_params(params)
    except InvalidInput:
        assert re.search(r"[\\'\"]", params)
        return
    assert shlex.split(linux_command(params)) == ["linux", "/vmlinuz", *words]
    assert re.fullmatch(r"linux /vmlinuz ('[^']*'( |$))*", linux_command(params))


@pytest.mark.parametrize(
    ("group", "field", "package"),
    [
        (IsolinuxFiles, "isolinux_bin", "isolinux"),
        (IsolinuxFiles, "ldlinux_c32", "syslinux-common"),
        (GrubFiles, "shim", "shim-signed"),
        (GrubFiles, "grub", "grub-efi-amd64-signed"),
    ],
)
def test_a_boot_loader_that_is_not_installed_is_named(
    tmp_path, monkeypatch, group, field, package
):
    boot_loaders.check_installed()
    missing = tmp_path / getattr(group(), field).name
    incomplete = dataclasses.replace(group(), **{field: missing})
    monkeypatch.setattr(boot_loaders, group.__name__, lambda: incomplete)
    with pytest.raises(InvalidInput, match=f"{missing} is not a file. Install .* {package}"):
        boot_loaders.check_installed()
