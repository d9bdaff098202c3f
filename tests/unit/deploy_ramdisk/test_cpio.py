"""The archive that the kernel unpacks, as cpio reads it."""

import os
import stat
import subprocess

from deploy_ramdisk import cpio

ENTRIES = {
    "dev/console": cpio.character_device(5, 1, 0o600),
    "bin/program": cpio.file(b"\x7fELF", 0o755),
    "bin/sh": cpio.symlink("program"),
    "etc/empty": cpio.file(b""),
    "etc/ünïcode name": cpio.file(b"12345"),
    "tmp": cpio.directory(0o1777),
}


def listed(archive: bytes) -> dict[str, list[str]]:
    """What ``cpio -tv`` says, by name: mode, links, owner, group, and size or device."""
    argv = ["cpio", "--list", "--verbose", "--numeric-uid-gid", "--quiet"]
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    output = subprocess.run(argv, input=archive, capture_output=True, check=True, env=environment)
    assert not output.stderr
    lines = output.stdout.decode().splitlines()
    return {line.split(" 1970 ")[1]: line.split(" Jan ")[0].split() for line in lines}


def test_holds_what_it_was_given_and_the_directories_above():
    assert listed(cpio.pack(ENTRIES)) == {
        "bin": ["drwxr-xr-x", "2", "0", "0", "0"],
        "bin/program": ["-rwxr-xr-x", "1", "0", "0", "4"],
        "bin/sh -> program": ["lrwxrwxrwx", "1", "0", "0", "7"],
        "dev": ["drwxr-xr-x", "2", "0", "0", "0"],
        "dev/console": ["crw-------", "1", "0", "0", "5,", "1"],
        "etc": ["drwxr-xr-x", "2", "0", "0", "0"],
        "etc/empty": ["-rw-r--r--", "1", "0", "0", "0"],
        "etc/ünïcode name": ["-rw-r--r--", "1", "0", "0", "5"],
        "tmp": ["drwxrwxrwt", "2", "0", "0", "0"],
    }


def test_cpio_extracts_the_same_contents(tmp_path):
    entries = {name: entry for name, entry in ENTRIES.items() if not name.startswith("dev")}
    argv = ["cpio", "--extract", "--quiet", "--no-absolute-filenames"]
    subprocess.run(argv, input=cpio.pack(entries), cwd=tmp_path, check=True)
    assert (tmp_path / "bin/program").read_bytes() == b"\x7fELF"
    assert (tmp_path / "bin/sh").readlink().name == "program"
    assert (tmp_path / "etc/ünïcode name").read_bytes() == b"12345"
    assert stat.S_IMODE((tmp_path / "tmp").stat().st_mode) == 0o1777


def test_same_entries_give_the_same_bytes_in_any_order():
    backwards = dict(reversed(ENTRIES.items()))
    assert cpio.pack(backwards) == cpio.pack(ENTRIES)


def test_a_given_directory_keeps_its_permissions():
    private = cpio.pack({"root": cpio.directory(0o700), "root/file": cpio.file(b"")})
    assert listed(private)["root"][0] == "drwx------"
