"""The list of faults: every line is proved by a test, or says why not; so the table."""

import ast
import re
from collections.abc import Iterator

from tests.house.tree import ROOT, parse, python_files
from tests.lab.figures import REPORT, read_list

# Sections A to E of the list.
IDS = [
    *(f"A{number}" for number in range(1, 27)),
    *(f"B{number}" for number in range(1, 12)),
    *(f"C{number}" for number in range(1, 8)),
    *(f"D{number}" for number in range(1, 19)),
    "E",
]


def lines_of(path: str) -> Iterator[str]:
    """The lines that the tests of a file are marked with."""
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "fault":
            yield from (str(ast.literal_eval(argument)) for argument in node.args)


def ids_with_a_test() -> set[str]:
    """The lines that have a fault test."""
    return {line for path in python_files("tests/faults") for line in lines_of(path)}


def test_the_list_has_every_line() -> None:
    assert list(read_list()) == IDS


def test_every_line_has_a_test_or_a_reason() -> None:
    found = read_list()
    assert ids_with_a_test() <= set(found)
    silent = [
        name
        for name, line in found.items()
        if not (name in ids_with_a_test() or line.proved_by or line.missing)
    ]
    assert silent == []
    assert [
        n for n, line in found.items() if line.missing and n in ids_with_a_test()
    ] == []


def test_what_proves_a_line_is_there() -> None:
    named = {
        path
        for line in read_list().values()
        for path in re.findall(r"tests/\S+\.py", line.proved_by)
    }
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_the_table_has_a_row_for_every_line() -> None:
    rows = re.findall(r"^\| ([A-E]\d*) \|", REPORT.read_text("utf-8"), re.MULTILINE)
    assert rows == IDS
