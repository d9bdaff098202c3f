import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ironic_ilo import file_facts
from ironic_ilo.exception import ImageError

SOON = 30.0


class Reader:
    """Reads a file, and counts how often."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0

    def __call__(self) -> bytes:
        self.count += 1
        return self.path.read_bytes()


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image"
    path.write_bytes(b"content")
    return path


def test_a_file_is_read_once_by_whatever_name(image, tmp_path) -> None:
    link = tmp_path / "node"
    read = Reader(image)
    file_facts.find_out(image, "content", read)
    os.link(image, link)

    assert file_facts.find_out(link, "content", read) == b"content"
    assert file_facts.find_out(image, "content", read) == b"content"

    assert read.count == 1


def test_another_question_is_looked_into(image) -> None:
    read = Reader(image)
    for checksum in ("aa", "bb"):
        file_facts.find_out(image, ("checksum", checksum), read)

    assert read.count == 2


@pytest.mark.parametrize("change", ["write", "replace", "touch"])
def test_a_file_that_changed_is_read_again(image, change) -> None:
    read = Reader(image)
    file_facts.find_out(image, "content", read)
    if change == "write":
        image.write_bytes(b"CONTENT")
    elif change == "replace":
        times = image.stat()
        (image.parent / "new").write_bytes(b"CONTENT")
        os.utime(image.parent / "new", ns=(times.st_atime_ns, times.st_mtime_ns))
        (image.parent / "new").rename(image)
    else:
        os.utime(image, ns=(0, 0))

    assert file_facts.find_out(image, "content", read) == image.read_bytes()
    assert read.count == 2


def test_all_who_ask_at_once_get_one_answer(image) -> None:
    asked = threading.Barrier(16)
    read = Reader(image)

    def ask(_number: int) -> bytes:
        asked.wait(SOON)
        return file_facts.find_out(image, "content", read)

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(ask, range(16))) == [b"content"] * 16

    assert read.count == 1


def test_a_failure_is_not_remembered(image) -> None:
    def fail() -> bytes:
        raise ValueError("cannot be read")

    with pytest.raises(ValueError, match="cannot be read"):
        file_facts.find_out(image, "content", fail)

    assert file_facts.find_out(image, "content", Reader(image)) == b"content"


def test_what_changes_while_it_is_looked_at_is_refused(image) -> None:
    def look() -> None:
        with image.open("ab") as file:
            file.write(b"more")

    with pytest.raises(ImageError, match="changed while it was in use"):
        file_facts.find_out(image, "content", look)


def test_no_more_is_kept_than_is_of_use(image, monkeypatch) -> None:
    monkeypatch.setattr(file_facts, "_MOST", 2)
    read = Reader(image)
    for question in ("first", "second", "third", "first"):
        file_facts.find_out(image, question, read)

    assert read.count == 4


def test_a_missing_file(tmp_path) -> None:
    with pytest.raises(FileNotFoundError):
        file_facts.find_out(tmp_path / "image", "content", Reader(tmp_path / "image"))


def test_what_is_removed_while_it_is_in_use_is_refused(image) -> None:
    identity = file_facts.identify(image)
    file_facts.require_same(image, identity)
    image.unlink()
    with pytest.raises(ImageError, match="changed while it was in use"):
        file_facts.require_same(image, identity)
