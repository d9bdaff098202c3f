"""Finding files in trees that stand for a root directory."""

import pytest

from deploy_ramdisk.trees import find, find_all


def make_file(tree, path, text=""):
    file = tree / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_the_first_tree_that_has_it_counts(tmp_path):
    (tmp_path / "empty").mkdir()
    first, second = (make_file(tmp_path / name, "bin/busybox") for name in ("a", "b"))
    trees = [tmp_path / name for name in ("empty", "a", "b")]
    assert find("bin/busybox", trees) == first
    assert list(find_all("bin/busybox", trees)) == [first, second]
    assert find("bin/wget", trees) is None


def test_what_moved_to_usr_is_found(tmp_path):
    file = make_file(tmp_path, "usr/bin/busybox")
    assert find("bin/busybox", [tmp_path]) == file
    (tmp_path / "bin").symlink_to("usr/bin")
    assert find("bin/busybox", [tmp_path]) == file


def test_an_absolute_link_stays_in_the_tree(tmp_path):
    """Debian's dynamic loader is one; this machine has another version of it."""
    loader = make_file(tmp_path, "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", "its own")
    (tmp_path / "lib64").mkdir()
    (tmp_path / "lib64/ld.so").symlink_to("/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2")
    assert find("lib64/ld.so", [tmp_path]) == loader


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../../../../../../etc/passwd"])
def test_no_link_leads_out_of_the_tree(tmp_path, target):
    (tmp_path / "link").symlink_to(target)
    assert find("link", [tmp_path]) is None
    inside = make_file(tmp_path, "etc/passwd")
    assert find("link", [tmp_path]) == inside


def test_links_to_directories_and_to_links_are_followed(tmp_path):
    file = make_file(tmp_path, "usr/lib/firmware/bnx2x/e2-7.13.fw")
    (file.parent / "e2.fw").symlink_to("e2-7.13.fw")
    (tmp_path / "usr/lib/firmware/updates").symlink_to("bnx2x/../bnx2x")
    (tmp_path / "lib").symlink_to("/usr/lib")
    assert find("lib/firmware/updates/e2.fw", [tmp_path]) == file


def test_links_in_a_circle_are_an_error(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("/a")
    with pytest.raises(OSError, match="symbolic links"):
        find("a", [tmp_path])
