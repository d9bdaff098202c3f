import os
import re
import stat
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ironic_ilo import images
from ironic_ilo.boot_loaders import ESP_PATH, GrubFiles, IsolinuxFiles
from ironic_ilo.exception import ImageError, InvalidInput
from ironic_ilo.images import create_iso_image, create_vfat_image

TIMEOUT = 60
PARAMETERS = {"ironic_api_url": "http://10.0.2.2:6385", "deployment_key": "ab" * 32}


def run(*argv):
    """Run a tool that did not make the image, and return what it prints."""
    done = subprocess.run(argv, check=True, capture_output=True, timeout=TIMEOUT)
    return done.stdout


def read_file(image, name):
    return run("mtype", "-i", image, f"::{name}")


def list_files(image):
    return run("mdir", "-b", "-i", image, "::").decode().splitlines()


def blkid(image):
    lines = run("/usr/sbin/blkid", "-p", "-o", "export", image).decode().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def check_fat(image):
    run("/usr/sbin/fsck.vfat", "-n", image)


def extract(iso, directory):
    run("xorriso", "-osirrox", "on", "-indev", iso, "-extract", "/", directory)
    run("chmod", "-R", "u+w", directory)
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


# The floppy


def test_floppy_holds_parameters_and_files(tmp_path):
    image, certificate = tmp_path / "floppy.img", tmp_path / "my ca.pem"
    certificate.write_bytes(b"-----BEGIN CERTIFICATE-----\n")
    files = {"network_data.json": b'{"links": []}', "callback_ca.pem": certificate, "empty": b""}
    create_vfat_image(image, parameters=PARAMETERS, files=files)
    assert list_files(image) == [
        "::/parameters.txt",
        "::/network_data.json",
        "::/callback_ca.pem",
        "::/empty",
    ]
    expected = f"ironic_api_url=http://10.0.2.2:6385\ndeployment_key={'ab' * 32}\n"
    assert read_file(image, "parameters.txt") == expected.encode()
    assert read_file(image, "network_data.json") == b'{"links": []}'
    assert read_file(image, "callback_ca.pem") == certificate.read_bytes()
    assert read_file(image, "empty") == b""
    check_fat(image)


def test_floppy_is_found_by_its_label(tmp_path):
    image = tmp_path / "floppy.img"
    create_vfat_image(image, parameters=PARAMETERS)
    assert blkid(image)["LABEL"] == "ir-vfd-dev"
    assert blkid(image)["TYPE"] == "vfat"
    assert image.stat().st_size == 1440 * 1024
    create_vfat_image(image, parameters=PARAMETERS, label="config-2")
    assert blkid(image)["LABEL"] == "config-2"


def test_parameters_keep_their_order_and_their_text(tmp_path):
    image = tmp_path / "floppy.img"
    parameters = {"z": "a=b = c", "a": " spaces ", "ä": "größer ✓", "empty": ""}
    create_vfat_image(image, parameters=parameters, parameters_file="other.txt")
    lines = read_file(image, "other.txt").decode().split("\n")
    assert lines == ["z=a=b = c", "a= spaces ", "ä=größer ✓", "empty=", ""]


def test_floppy_without_parameters(tmp_path):
    image = tmp_path / "floppy.img"
    create_vfat_image(image, files={"token": b"secret"})
    assert list_files(image) == ["::/token"]
    create_vfat_image(image)
    assert list_files(image) == []


LINE = st.text(st.characters(exclude_characters="\n\r\0", exclude_categories=["Cs"]), max_size=40)


@settings(deadline=None, max_examples=15)
@given(parameters=st.dictionaries(LINE.filter(lambda key: key and "=" not in key), LINE))
def test_any_line_comes_back(parameters):
    with tempfile.TemporaryDirectory() as directory:
        image = Path(directory, "floppy.img")
        create_vfat_image(image, parameters=parameters)
        text = read_file(image, "parameters.txt").decode()
    lines = [line.split("=", 1) for line in text.split("\n")[:-1]]
    assert lines == [list(item) for item in parameters.items()]


@settings(deadline=None, max_examples=10)
@given(
    sizes=st.lists(
        st.sampled_from([0, 1, 511, 65536, 1_400_000, 1_433_600, 1_433_601, 1_457_664, 5_000_000])
        | st.integers(0, 3_000_000),
        max_size=8,
    )
)
def test_floppy_grows_with_its_content(sizes):
    files = {f"file-{number}": b"x" * size for number, size in enumerate(sizes)}
    with tempfile.TemporaryDirectory() as directory:
        image = Path(directory, "floppy.img")
        create_vfat_image(image, files=files)
        size = image.stat().st_size
        assert size == 1440 * 1024 or size % 2**20 == 0
        assert size <= 1440 * 1024 + sum(sizes) * 1.1 + 2**20 * 2
        check_fat(image)
        for name, content in files.items():
            assert read_file(image, name) == content


def test_large_floppy(tmp_path):
    image, large = tmp_path / "floppy.img", tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(40 * 2**20)
    create_vfat_image(image, files={"large": large, "small": b"small"})
    check_fat(image)
    assert read_file(image, "small") == b"small"
    assert run("mdir", "-i", image, "::large").decode().count("41943040") == 1


@pytest.mark.parametrize(
    "parameters",
    [
        {"key": "a\nb"},
        {"key": "secret\n"},
        {"key": "a\rb"},
        {"key": "a\0b"},
        {"ke\ny": "secret"},
        {"ke\ry": "secret"},
        {"ke\0y": "secret"},
        {"k=y": "secret"},
        {"": "secret"},
        {"key": "\ud800secret"},
        {"good": "value", "key": "a\nsecret"},
    ],
)
def test_a_parameter_that_breaks_its_line_is_refused(tmp_path, parameters):
    with pytest.raises(InvalidInput, match="parameter") as caught:
        create_vfat_image(tmp_path / "floppy.img", parameters=parameters)
    assert "secret" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", "a:b", "-a", "a b", "ü", "a\n", "a*", "a" * 64]
)
def test_a_file_name_that_fat_cannot_hold_is_refused(tmp_path, name):
    with pytest.raises(InvalidInput, match="file name"):
        create_vfat_image(tmp_path / "floppy.img", files={name: b""})
    with pytest.raises(InvalidInput, match="file name"):
        create_vfat_image(tmp_path / "floppy.img", parameters={}, parameters_file=name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("files", [{"a.txt": b"", "A.TXT": b""}, {"Parameters.txt": b""}])
def test_names_that_fat_cannot_tell_apart_are_refused(tmp_path, files):
    with pytest.raises(InvalidInput, match="Two files"):
        create_vfat_image(tmp_path / "floppy.img", parameters=PARAMETERS, files=files)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("label", ["", "a" * 12, "a b", "ü", "a\n"])
def test_a_bad_label_is_refused(tmp_path, label):
    with pytest.raises(InvalidInput, match="label"):
        create_vfat_image(tmp_path / "floppy.img", label=label)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_refused(tmp_path):
    for source in (tmp_path / "missing", tmp_path):
        with pytest.raises(InvalidInput, match=str(source)):
            create_vfat_image(tmp_path / "floppy.img", files={"file": source})
    assert list(tmp_path.iterdir()) == []


# The ISO


@pytest.fixture
def kernel(tmp_path):
    path = tmp_path / "vmlinuz-6.1"
    path.write_bytes(b"kernel" * 100_000)
    return path


@pytest.fixture
def ramdisk(tmp_path):
    path = tmp_path / "initrd=1,2 ü.img"
    path.write_bytes(b"ramdisk" * 100_000)
    return path


def test_iso_holds_what_isolinux_boots(tmp_path, kernel, ramdisk):
    iso = tmp_path / "boot.iso"
    create_iso_image(iso, kernel=kernel, ramdisk=ramdisk, kernel_params="root=UUID=1 ro ttyS0")
    content = extract(iso, tmp_path / "tree")
    assert content["vmlinuz"] == kernel.read_bytes()
    assert content["initrd"] == ramdisk.read_bytes()
    assert content["isolinux/ldlinux.c32"] == IsolinuxFiles().ldlinux_c32.read_bytes()
    assert content["isolinux/isolinux.cfg"].decode() == (
        "default linux\nprompt 0\ntimeout 0\nnoescape 1\n"
        "label linux\n  kernel /vmlinuz\n  initrd /initrd\n  append root=UUID=1 ro ttyS0\n"
    )
    assert sorted(content) == [
        ".disk/info",
        "boot/grub/efi.img",
        "boot/grub/grub.cfg",
        "initrd",
        "isolinux/boot.cat",
        "isolinux/isolinux.bin",
        "isolinux/isolinux.cfg",
        "isolinux/ldlinux.c32",
        "vmlinuz",
    ]


def test_iso_holds_what_grub_boots(tmp_path, kernel, ramdisk):
    iso = tmp_path / "boot.iso"
    create_iso_image(iso, kernel=kernel, ramdisk=ramdisk, kernel_params='root=UUID=1 a="b c" d')
    content = extract(iso, tmp_path / "tree")
    assert content["boot/grub/grub.cfg"].decode() == (
        "set superusers=nobody\nlinux /vmlinuz 'root=UUID=1' 'a=b c' 'd'\ninitrd /initrd\nboot\n"
    )
    esp = tmp_path / "tree" / ESP_PATH
    check_fat(esp)
    files = {"BOOTX64.EFI": GrubFiles().shim, "grubx64.efi": GrubFiles().grub}
    assert sorted(run("mdir", "-b", "-/", "-i", esp, "::").decode().split()) == [
        "::/EFI/",
        "::/EFI/BOOT/",
        *(f"::/EFI/BOOT/{name}" for name in sorted(files)),
    ]
    for name, source in files.items():
        assert read_file(esp, f"EFI/BOOT/{name}") == source.read_bytes()
    assert esp.stat().st_size < sum(file.stat().st_size for file in files.values()) + (100 << 10)


def test_iso_boots_in_bios_and_uefi_mode(tmp_path, kernel, ramdisk):
    iso = tmp_path / "boot.iso"
    create_iso_image(iso, kernel=kernel, ramdisk=ramdisk)
    report = run("xorriso", "-indev", iso, "-report_el_torito", "plain").decode()
    assert re.search(r"boot img : +1 +BIOS +y +none +0x0000 +0x00 +4 ", report)
    assert re.search(r"img path : +1 +/isolinux/isolinux.bin", report)
    assert "boot-info-table" in report
    esp_sectors = len(extract(iso, tmp_path / "tree")[ESP_PATH]) // 512
    assert re.search(rf"boot img : +2 +UEFI +y +none +0x0000 +0x00 +{esp_sectors} ", report)
    assert re.search(rf"img path : +2 +/{ESP_PATH}", report)
    assert blkid(iso)["LABEL"] == "IRONIC_BOOT"


def test_iso_is_read_from_front_to_end(tmp_path, kernel, ramdisk):
    iso, file = tmp_path / "boot.iso", tmp_path / "file"
    file.write_bytes(b"file")
    create_iso_image(iso, kernel=kernel, ramdisk=ramdisk, files={"a/b.xz": b"b", "c": file})
    report = run("xorriso", "-indev", iso, "-find", "/", "-exec", "report_lba").decode()
    lines = re.findall(r"File data lba: +0 , +(\d+) , .*'/(\S+)'", report)
    order = [path for _, path in sorted((int(place), path) for place, path in lines)]
    assert order[0] == ESP_PATH
    assert sorted(order[1:5]) == [
        "boot/grub/grub.cfg",
        *(f"isolinux/{name}" for name in ("isolinux.bin", "isolinux.cfg", "ldlinux.c32")),
    ]
    assert order[5:7] == ["vmlinuz", "initrd"]
    content = extract(iso, tmp_path / "tree")
    assert (content["a/b.xz"], content["c"]) == (b"b", b"file")


def test_words_of_the_command_line_are_joined(tmp_path, kernel, ramdisk):
    iso = tmp_path / "boot.iso"
    words = ["a=b", "quiet", "c"]
    create_iso_image(iso, kernel=kernel, ramdisk=ramdisk, kernel_params=words, volume_id="MY_ISO")
    content = extract(iso, tmp_path / "tree")
    assert content["isolinux/isolinux.cfg"].endswith(b"\n  append a=b quiet c\n")
    assert blkid(iso)["LABEL"] == "MY_ISO"


@pytest.mark.parametrize(
    "params",
    [
        *("a\nb", "a\rb", "a\0b", ["a", "b\n"], "a\tb", "\ud800", "\u00fc", "a" * 1901),
        *('a"b', 'a"b"', 'a="b"c', 'a="b', '"', 'a="b"="c"', "it's", "'a b'", "a\\b", 'a="\\"'),
    ],
)
def test_kernel_parameters_that_a_boot_loader_would_change_are_refused(
    tmp_path, kernel, ramdisk, params
):
    with pytest.raises(InvalidInput, match="kernel parameters"):
        create_iso_image(
            tmp_path / "boot.iso", kernel=kernel, ramdisk=ramdisk, kernel_params=params
        )
    assert sorted(tmp_path.iterdir()) == sorted([kernel, ramdisk])


@pytest.mark.parametrize("volume_id", ["", "lower", "A B", "A" * 33, "A\n"])
def test_a_bad_volume_id_is_refused(tmp_path, kernel, ramdisk, volume_id):
    with pytest.raises(InvalidInput, match="volume id"):
        create_iso_image(
            tmp_path / "boot.iso", kernel=kernel, ramdisk=ramdisk, volume_id=volume_id
        )


def test_missing_sources_are_refused(tmp_path, kernel, ramdisk):
    missing = tmp_path / "missing"
    iso = tmp_path / "boot.iso"
    for sources in (
        {"kernel": missing, "ramdisk": ramdisk},
        {"kernel": kernel, "ramdisk": missing},
        {"kernel": kernel, "ramdisk": ramdisk, "bios": IsolinuxFiles(isolinux_bin=missing)},
        {"kernel": kernel, "ramdisk": ramdisk, "uefi": GrubFiles(shim=missing)},
    ):
        with pytest.raises(InvalidInput, match=f"{missing} is not a file. Check the path"):
            create_iso_image(iso, **sources)
    assert not iso.exists()


# Both


def make_both(directory, *, kernel_first):
    """Make both images of the same content, with all else different."""
    directory.mkdir()
    sources = {"kernel": b"kernel" * 1000, "ramdisk": b"ramdisk" * 1000, "ca": b"ca" * 1000}
    names = list(sources) if kernel_first else list(reversed(sources))
    for name in names:
        path = directory / f"{name}-{directory.name}"
        path.write_bytes(sources[name])
        path.chmod(0o755 if kernel_first else 0o600)
    paths = {name: directory / f"{name}-{directory.name}" for name in sources}
    floppy, iso = directory / "floppy", directory / "iso"
    create_vfat_image(floppy, parameters=PARAMETERS, files={"ca.pem": paths["ca"], "x": b"x"})
    create_iso_image(iso, kernel=paths["kernel"], ramdisk=paths["ramdisk"], kernel_params="a")
    return floppy.read_bytes(), iso.read_bytes()


def test_the_same_inputs_give_the_same_bytes(tmp_path, monkeypatch):
    first = make_both(tmp_path / "first", kernel_first=True)
    time.sleep(2.1)  # FAT counts in steps of two seconds
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    old_mask = os.umask(0o077)
    try:
        second = make_both(tmp_path / "a longer path", kernel_first=False)
    finally:
        os.umask(old_mask)
    assert first == second


def test_other_inputs_give_other_bytes(tmp_path, kernel, ramdisk):
    output = tmp_path / "image"
    seen = set()
    for files in ({}, {"a": b"1"}, {"a": b"2"}, {"b": b"2"}):
        create_vfat_image(output, files=files)
        seen.add((output.read_bytes(), blkid(output)["UUID"]))
    assert len({uuid for _, uuid in seen}) == 4
    assert len(seen) == 4


def make_floppy(output, kernel, ramdisk):
    create_vfat_image(output, parameters=PARAMETERS, files={"kernel": kernel})


def make_iso(output, kernel, ramdisk):
    create_iso_image(output, kernel=kernel, ramdisk=ramdisk)


@pytest.mark.parametrize("make", [make_floppy, make_iso])
def test_only_the_owner_can_read_it(tmp_path, kernel, ramdisk, make):
    output = tmp_path / "image"
    old_mask = os.umask(0)
    try:
        make(output, kernel, ramdisk)
    finally:
        os.umask(old_mask)
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    assert sorted(tmp_path.iterdir()) == sorted([kernel, ramdisk, output])


@pytest.mark.parametrize("make", [make_floppy, make_iso])
def test_a_failure_leaves_the_old_file_alone(tmp_path, kernel, ramdisk, make, monkeypatch):
    output = tmp_path / "image"
    output.write_bytes(b"old")
    monkeypatch.setattr(images, "_SECONDS_TO_PACK", 0.0)
    with pytest.raises(ImageError, match=str(output)):
        make(output, kernel, ramdisk)
    assert output.read_bytes() == b"old"
    assert sorted(tmp_path.iterdir()) == sorted([kernel, ramdisk, output])


@pytest.mark.parametrize("make", [make_floppy, make_iso])
def test_a_missing_directory_is_an_image_error(tmp_path, kernel, ramdisk, make):
    with pytest.raises(ImageError, match="missing"):
        make(tmp_path / "missing" / "image", kernel, ramdisk)
