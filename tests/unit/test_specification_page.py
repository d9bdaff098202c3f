"""The page that maps the specification to this code: every row has both, and both exist."""

import ast
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "doc" / "source" / "reference" / "specification.rst"
_LITERAL = re.compile(r"``([^`]+)``")


@dataclass(frozen=True)
class Row:
    """One row of the page's tables.

    :ivar code: ``path`` or ``path::name``, as pytest writes it.
    """

    sentence: str
    code: list[str]
    tests: list[str]


def read_rows() -> list[Row]:
    rows = []
    for text in re.split(r"^   \* - ", PAGE.read_text(), flags=re.MULTILINE)[1:]:
        # A table's last row ends where a line is not indented any more.
        row = re.split(r"\n(?=\S)", text)[0]
        cells = [
            " ".join(cell.split()) for cell in re.split(r"^     - ?", row, flags=re.MULTILINE)
        ]
        assert len(cells) == 3, f"{cells[0]}: three cells a row"
        if cells == ["Specification", "Code", "Tests"]:
            continue
        rows.append(Row(cells[0], _LITERAL.findall(cells[1]), _LITERAL.findall(cells[2])))
    return rows


ROWS = read_rows()
REFERENCES = sorted({name for row in ROWS for name in row.code + row.tests})


def names_in(path: Path) -> set[str]:
    """Name what a module defines: ``function``, ``Class``, ``Class.method``, ``CONSTANT``.

    So are its strings, for options are no more than that.
    """

    def walk(body: list[ast.stmt], prefix: str) -> set[str]:
        found: set[str] = set()
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found.add(prefix + node.name)
            if isinstance(node, ast.ClassDef):
                found |= walk(node.body, f"{prefix}{node.name}.")
            if isinstance(node, ast.Assign):
                found |= {prefix + name.id for name in node.targets if isinstance(name, ast.Name)}
        return found

    tree = ast.parse(path.read_text())
    strings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    return walk(tree.body, "") | {text for text in strings if isinstance(text, str)}


def test_there_are_rows_to_check():
    assert len(ROWS) > 60


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.sentence[:60])
def test_row_has_code_and_test(row):
    assert row.sentence
    assert row.code
    assert row.tests
    assert all(name.startswith("tests/") for name in row.tests)
    assert not any(name.startswith("tests/") for name in row.code)


@pytest.mark.parametrize("reference", REFERENCES)
def test_what_a_row_names_exists(reference):
    name, _, inside = reference.partition("::")
    path = ROOT / name
    assert path.exists(), f"{name} does not exist"
    if not inside:
        return
    if path.suffix == ".py":
        assert inside in names_in(path), f"{name} has no {inside}"
    else:
        assert inside in path.read_text(), f"{name} does not mention {inside}"
