"""Every query that Python names exists and is called as declared; every one is used."""

import ast
import re
from collections.abc import Iterator, Mapping

import pytest

from service.store.queries import load_queries
from tests.house.tree import docstrings, parse, python_files

METHODS = {"value", "row", "rows", "run", "stream"}
_NAME = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)+")
Signatures = Mapping[str, frozenset[str]]


def calls(tree: ast.Module) -> Iterator[tuple[ast.Call, str]]:
    """Calls of the store with the name of a query, written out."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        first = node.args[0] if node.args else None
        if node.func.attr not in METHODS or not isinstance(first, ast.Constant):
            continue
        if isinstance(first.value, str) and _NAME.fullmatch(first.value):
            yield node, first.value


def wrong_calls(path: str, tree: ast.Module, known: Signatures) -> list[str]:
    """Calls of a query that does not exist, or with other parameters than it has."""
    found = []
    for call, name in calls(tree):
        if name not in known:
            found.append(f"{path}:{call.lineno}: there is no query {name}")
            continue
        given = {keyword.arg for keyword in call.keywords}
        is_known = None not in given and len(call.args) == 1
        if is_known and given != known[name]:
            wanted = ", ".join(sorted(known[name]))
            found.append(f"{path}:{call.lineno}: {name} takes ({wanted})")
    return found


def used(tree: ast.Module, known: Signatures) -> set[str]:
    """The queries that a file names, also by the fixed parts of an f-string."""
    names: set[str] = set()
    described = docstrings(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            pattern = _pattern(node)
            names.update(name for name in known if pattern and pattern.fullmatch(name))
        elif isinstance(node, ast.Constant) and id(node) not in described:
            names |= (
                {node.value} & known.keys() if isinstance(node.value, str) else set()
            )
    return names


def _pattern(node: ast.JoinedStr) -> re.Pattern[str] | None:
    """What an f-string can become, if enough of it is fixed to name a query."""
    fixed = [str(p.value) for p in node.values if isinstance(p, ast.Constant)]
    if not re.fullmatch(r"(?=.*[a-z]{3})[a-z0-9_]+", "".join(fixed)):
        return None
    parts = (
        re.escape(str(p.value)) if isinstance(p, ast.Constant) else "[a-z0-9_]+"
        for p in node.values
    )
    return re.compile("".join(parts))


def signatures() -> Signatures:
    """The queries of the project with their parameters."""
    loaded = load_queries("postgresql")
    return {name: frozenset(query.parameters) for name, query in loaded.items()}


def test_every_query_that_python_calls_exists_with_these_parameters() -> None:
    known = signatures()
    files = python_files("service")
    assert [b for path in files for b in wrong_calls(path, parse(path), known)] == []


def test_every_query_is_used() -> None:
    known = signatures()
    trees = [parse(path) for path in python_files("service")]
    named = set().union(*(used(tree, known) for tree in trees))
    assert sorted(known.keys() - named) == []


KNOWN = {"server_get": frozenset({"id"}), "page_by_name_asc": frozenset({"after"})}


@pytest.mark.parametrize(
    "code",
    [
        'await store.row("server_gte", id=1)',
        'await store.row("server_get")',
        'await store.value("server_get", uuid="")',
        'async for row in there.stream("page_by_name_asc", after="", limit=1): ...',
    ],
)
def test_the_rule_sees_a_wrong_call(code: str) -> None:
    assert wrong_calls("f.py", ast.parse(f"async def f():\n  {code}"), KNOWN)


@pytest.mark.parametrize(
    "code",
    [
        'store.row("server_get", id=1)',
        'store.row("server_get", **values)',
        'subprocess.run(["server_x"])',
        'uvicorn.run("service.app:create_app")',
        "store.rows(name)",
    ],
)
def test_the_rule_allows_a_right_call(code: str) -> None:
    assert wrong_calls("f.py", ast.parse(code), KNOWN) == []


def test_the_rule_sees_which_queries_are_used() -> None:
    assert used(ast.parse('"""server_get"""'), KNOWN) == set()
    assert used(ast.parse('name = "server_get"'), KNOWN) == {"server_get"}
    assert used(ast.parse('f"page_by_{sort}_{way}"'), KNOWN) == {"page_by_name_asc"}
    assert used(ast.parse('f"{anything}"'), KNOWN) == set()
    assert used(ast.parse('f"{noun}_{verb}"'), KNOWN) == set()
