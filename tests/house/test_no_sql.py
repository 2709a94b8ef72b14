"""SQL lives in queries/ and migrations/, and nowhere else."""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.house.tree import docstrings, parse, python_files

_OBJECT = (
    r"(?:(?:or\s+replace|unique|temp|temporary|unlogged|materialized|global|local)\s+)*"
    r"(?:table|index|view|function|procedure|trigger|schema|database|role|user|"
    r"extension|type|sequence|domain|policy|publication|statistics)\b"
)
STATEMENT = re.compile(
    r"""\s*(?:
      select\s+(?:.*\bfrom\b|[\w.]+\s*\(|\d|\*|:|\$)
    | with\s+(?:recursive\s+)?\w+(?:\s*\([^)]*\))?\s+as\b
    | insert\s+into\b
    | update\s+(?:only\s+)?[\w."{}]+(?:\s+\w+)?\s+set\b
    | delete\s+from\b
    | merge\s+into\b
    | (?:create|drop|alter)\s+"""
    + _OBJECT
    + r"""
    | truncate\s+(?:table\s+)?[\w"{}]+\s*(?:;|,|$|cascade)
    | copy\s+[\w."{}]+\s*(?:\([^)]*\)\s*)?(?:from|to)\s+std
    | (?:grant|revoke)\s+.*\b(?:on|to|from)\b
    | lock\s+table\b
    | (?:un)?listen\s+[\w"{}*]+\s*;?\s*$
    | notify\s+\w+
    | set\s+(?:local|session)\s
    | (?:begin|commit|rollback|savepoint)(?:\s+\w+\s*;?|\s*;)\s*$
    | pragma\s+\w+
    | vacuum\b
    | (?:explain|analyze)\s+\w+\s*(?:;|$|\()
    | (?:where|order\s+by|group\s+by|returning|join)\s+[\w.{}]+\s*(?:[<>=(:$,]|$)
    | limit\s+[\d$:{]
    )""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
RUNNERS = {
    "execute",
    "executemany",
    "executescript",
    "fetch",
    "fetchmany",
    "fetchrow",
    "fetchval",
    "prepare",
}


def sql_texts(path: str, tree: ast.Module) -> list[str]:
    """Where a file holds SQL of its own."""
    return [
        f"{path}:{line}: SQL belongs into queries/: {text[:50]!r}"
        for line, text in _texts(tree)
        if is_sql(text)
    ] + [
        f"{path}:{line}: {text} runs a text instead of a named query"
        for line, text in _run(tree)
    ]


def is_sql(text: str) -> bool:
    """Whether a text is a statement or the end of one, rather than a sentence."""
    plain = re.sub(r"--[^\n]*|/\*.*?\*/", "", text, flags=re.DOTALL)
    return STATEMENT.match(plain) is not None


def _texts(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Every text value of a file; an f-string with {} for what it puts in."""
    known = docstrings(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            known |= {id(part) for part in node.values}
            yield node.lineno, "".join(_part(part) for part in node.values)
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in known
        ):
            yield node.lineno, node.value


def _part(node: ast.expr) -> str:
    return str(node.value) if isinstance(node, ast.Constant) else "{}"


def _run(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Calls that hand a text to a driver."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        is_text = node.args and isinstance(node.args[0], ast.Constant | ast.JoinedStr)
        if is_text and node.func.attr in RUNNERS:
            yield node.lineno, f"{node.func.attr}()"


def test_there_is_no_sql_in_python() -> None:
    files = python_files("service")
    assert [b for path in files for b in sql_texts(path, parse(path))] == []


@pytest.mark.parametrize(
    "text",
    [
        "select id from server",
        "SELECT 1",
        "\n  select pg_advisory_lock(1)",
        "-- a comment\nselect *\n  from server",
        "insert into server (id) values ($1)",
        "update server set name = ''",
        "delete from server",
        "with newest as (select 1) select",
        "create unique index on server (name)",
        "create or replace function f()",
        "drop table server",
        "set local statement_timeout = 100",
        "listen change",
        "pragma journal_mode=wal",
        "begin immediate",
        "commit;",
        "copy server (id) from stdin",
        " where id = $1",
        "order by name",
        " limit $1",
        "truncate server",
    ],
)
def test_the_rule_sees_a_statement(text: str) -> None:
    assert sql_texts("f.py", ast.parse(f"value = {text!r}"))


@pytest.mark.parametrize(
    "code",
    [
        'f"select {column} from server"',
        'f"update {table} set a = 1"',
        'f"insert into {table} values"',
        '"select a from " + table',
        'sql += f" where {column} = $1"',
        'connection.execute("begin")',
        'connection.fetchval(f"{name}()")',
    ],
)
def test_the_rule_sees_a_statement_put_together(code: str) -> None:
    assert sql_texts("f.py", ast.parse(code))


@pytest.mark.parametrize(
    "code",
    [
        'def f():\n    """select a from b"""',
        'message = "create it with `create extension vector`"',
        'message = "select one of the servers"',
        'message = "update the catalog first"',
        'name = "limit"',
        'name = "begin"',
        'store.run("server_delete")',
        "connection.execute(query.sql)",
        'message = f"with {count} servers as before"',
        'message = "copy it to another place"',
    ],
)
def test_the_rule_leaves_sentences_alone(code: str) -> None:
    assert sql_texts("f.py", ast.parse(code)) == []
