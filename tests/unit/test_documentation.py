"""The documentation builds, and names options and properties that there are."""

import configparser
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ironic.conf import opts as ironic_opts

from ironic_ilo import conf, driver_info

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "doc" / "source"
PAGES = sorted(SOURCE.rglob("*.rst"))
EXAMPLES = sorted(SOURCE.rglob("*.conf"))
# It is about options that are gone.
UPGRADE = SOURCE / "admin" / "upgrade.rst"
# A simple table: its rows stand between lines that are nothing but bars.
TABLE_BAR = re.compile(r" *=+(?: +=+)+")


def known_options() -> dict[str, set[str]]:
    """Name the options of Ironic and of this package, by section."""
    known: dict[str, set[str]] = {"database": {"connection"}}
    for group, options in [*ironic_opts.list_opts(), *conf.list_opts()]:
        section = known.setdefault(str(group or "DEFAULT"), set())
        section |= {option.name.replace("-", "_") for option in options}
    return known


def test_builds_without_a_warning(tmp_path):
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", SOURCE, tmp_path],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "index.html").is_file()


def table_lines(page: Path) -> Iterator[tuple[str, str]]:
    """Split the lines of a page's simple tables: what is in the first column, and the rest."""
    width = 0
    for line in page.read_text().splitlines():
        if TABLE_BAR.fullmatch(line):
            width = re.search(r"= ", line).end()
        elif not line:
            width = 0
        elif width:
            yield line[:width].strip(), line[width:].strip()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(SOURCE)))
def test_what_is_in_a_first_column_begins_a_row(page):
    # The second line of a first cell would be a row of its own.
    assert [first for first, rest in table_lines(page) if first and not rest] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(SOURCE)))
def test_pages_name_options_that_there_are(page):
    named = set(re.findall(r"\[ilo\]([a-z_]+)", page.read_text()))
    if page != UPGRADE:
        assert named <= {option.name for option in conf.OPTS}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_examples_have_options_that_there_are(example):
    parser = configparser.RawConfigParser()
    parser.read(example)
    known = known_options()
    for section in [parser.default_section, *parser.sections()]:
        defaults = parser.defaults() if section != parser.default_section else {}
        assert set(parser[section]) - set(defaults) <= known[section], section


def test_every_property_is_described():
    page = (SOURCE / "reference" / "properties.rst").read_text()
    for name in driver_info.COMMON_PROPERTIES | driver_info.DEPLOY_PROPERTIES:
        assert f"\n``{name}``" in page
