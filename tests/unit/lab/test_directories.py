"""Where a lab lives: ports, cached builds, and directories that are not a lab's."""

import os
import socket
import threading
import time
from dataclasses import astuple, replace

import pytest

from ironic_ilo.exception import InvalidInput
from lab import cache, cli
from lab.emulator import _write_config as write_emulator_config
from lab.ironic_service import write_config
from lab.keeper import find_lab, kept_lab, stop_lab
from lab.settings import (
    OPENSTACK,
    STANDALONE,
    Ports,
    Settings,
    cache_directory,
    with_free_ports,
)

ANY = Ports.any_free()


@pytest.fixture
def cache_home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize(("services", "count"), [(STANDALONE, 3), (OPENSTACK, 6)])
def test_free_ports_are_different_ones(tmp_path, services, count):
    ports = with_free_ports(Settings(tmp_path, ports=ANY, services=services)).ports
    assert len(set(astuple(ports)) - {0}) == count


def test_port_in_use_is_named_with_the_option_to_change_it(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = Settings(tmp_path, ports=replace(ANY, image_server=port))
        with pytest.raises(InvalidInput, match=rf"Port {port} .*--image-server-port"):
            with_free_ports(settings)


def test_port_that_these_services_do_not_use_may_be_in_use(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = replace(ANY, keystone=taken.getsockname()[1])
        with_free_ports(Settings(tmp_path, ports=ports))
        with pytest.raises(InvalidInput, match="--keystone-port"):
            with_free_ports(Settings(tmp_path, ports=ports, services=OPENSTACK))


def test_servers_have_addresses_of_their_own(tmp_path):
    settings = Settings(tmp_path, nodes=3, first_address="127.0.1.254")
    assert settings.node_names() == ["node-0", "node-1", "node-2"]
    assert settings.node_address(2) == "127.0.2.0"


def test_recipe_is_built_once(cache_home):
    calls = []

    def build(directory):
        calls.append(directory)
        (directory / "result").write_text("done")

    first = cache.build_once("thing", "recipe", build)
    assert cache.build_once("thing", "recipe", build) == first
    assert (first / "result").read_text() == "done"
    assert len(calls) == 1
    assert first.is_relative_to(cache_home)


def test_what_another_recipe_made_goes_when_nobody_wants_it_any_more(cache_home):
    old, used = (cache.build_once("thing", name, lambda directory: None) for name in "ab")
    eight_days_ago = time.time() - 8 * 24 * 3600
    for path in (old, used):
        os.utime(path, (eight_days_ago, eight_days_ago))
    assert cache.build_once("thing", "b", lambda directory: None) == used
    new = cache.build_once("thing", "c", lambda directory: None)
    assert not old.exists()
    assert used.is_dir()
    assert new.is_dir()


def test_failed_build_leaves_nothing_and_is_tried_again(cache_home):
    def fail(directory):
        (directory / "half").touch()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cache.build_once("thing", "recipe", fail)
    assert [path.name for path in cache_directory().iterdir()] == ["thing.lock"]
    assert cache.build_once("thing", "recipe", lambda directory: None).is_dir()


def test_two_who_want_the_same_share_one_build(cache_home):
    calls = []
    barrier = threading.Barrier(2)

    def build(directory):
        calls.append(directory)

    def want():
        barrier.wait(10)
        cache.build_once("thing", "recipe", build)

    threads = [threading.Thread(target=want) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(calls) == 1


def test_digest_depends_on_content_and_order_of_nothing(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("1")
    two.write_text("2")
    digest = cache.digest_files([one, two])
    assert digest == cache.digest_files([two, one])
    two.write_text("3")
    assert digest != cache.digest_files([one, two])


def test_secrets_are_in_files_for_their_owner_alone(tmp_path):
    settings = Settings(tmp_path, ports=ANY)
    config = write_config(settings, file_paths=[tmp_path], options={"ilo": {"client_timeout": 7}})
    toml = write_emulator_config(settings)
    password = tmp_path / "emulator" / "node-0.password"
    assert {path.stat().st_mode & 0o077 for path in (config, password)} == {0}
    assert password.read_text() not in toml.read_text()
    assert len(password.read_text()) >= 16
    assert "client_timeout = 7" in config.read_text()


def test_directory_with_other_files_is_not_emptied(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with (
        pytest.raises(InvalidInput, match="no lab has been there"),
        kept_lab(Settings(tmp_path, ports=ANY), []),
    ):
        pytest.fail("it started")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_where_no_lab_is_none_is_found_or_stopped(tmp_path):
    assert find_lab(tmp_path / "none") is None
    assert stop_lab(tmp_path / "none") is False


@pytest.mark.parametrize("command", ["status", "env"])
def test_commands_say_that_no_lab_is_running(tmp_path, capsys, command):
    assert cli.main([command, "--dir", str(tmp_path)]) == 1
    assert "No lab is running" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", ["up --nodes 0", "up --nodes x", "fly", ""])
def test_wrong_calls_exit_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments.split())
    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err
