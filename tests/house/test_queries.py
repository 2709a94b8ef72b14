"""Named queries: each in its shape, each used, each call as declared."""

import re
from collections.abc import Iterable

import pytest

from service.errors import McpsError
from service.store.dialects import (
    NOT_IN_SQLITE,
    ONLY_IN_SQLITE,
    missing_because,
    require_same,
)
from service.store.queries import load_queries
from tests.house.sql import Block, all_blocks, blocks

LINES = 40
_UPPER = re.compile(r"\b[A-Z][A-Z]+\b")
_CHANGES = re.compile(
    r"\b(?:insert\s+into|update|delete\s+from|merge\s+into|truncate|create|drop|alter|"
    r"grant|revoke|do|call|refresh|reindex|vacuum|analyze)\b"
)
_NO_CHANGE = re.compile(r"\bfor\s+(?:no\s+key\s+)?update\b|\bon\s+conflict\s+do\b")
_WRITES = {"!", "<!"}


def misshapen(block: Block) -> list[str]:
    """What is wrong with the form of a query."""
    bare = block.bare
    last = block.lines[-1].strip() if block.lines else ""
    checks = {
        "has a sentence below its name": block.comment[:1].isupper()
        and block.comment.endswith("."),
        f"has at most {LINES} lines": len(block.lines) <= LINES,
        "ends with ;": last.endswith(";"),
        "is in lower case": not _UPPER.search(bare),
        "begins with its noun and a verb": "_" in block.name,
        "names its columns": not re.search(r"\bselect\s+(?:\w+\.)?\*", bare),
        "marks a write with ! or <!": block.suffix in _WRITES or not changes(bare),
        "is marked as a write for a reason": block.suffix not in _WRITES
        or changes(bare),
    }
    return [
        f"{block.place}: {block.name} is not so: {promise}"
        for promise, is_kept in checks.items()
        if not is_kept
    ]


def changes(bare: str) -> bool:
    """Whether a statement changes something: it must not be repeated unasked."""
    return _CHANGES.search(_NO_CHANGE.sub("", bare)) is not None


def scattered(found: Iterable[Block]) -> list[str]:
    """Nouns that more than one file has queries for."""
    homes: dict[str, set[str]] = {}
    for block in found:
        homes.setdefault(block.noun, set()).add(block.place.split(":")[0])
    return [
        f"{noun}_* is in {', '.join(sorted(files))}: one noun, one file"
        for noun, files in homes.items()
        if len(files) > 1
    ]


def misnamed(found: Iterable[Block]) -> list[str]:
    """Files whose name is the noun of none of their queries."""
    nouns: dict[str, set[str]] = {}
    for block in found:
        nouns.setdefault(block.place.split(":")[0], set()).add(block.noun)
    return [
        f"{file}: its name is none of its nouns {sorted(words)}"
        for file, words in nouns.items()
        if not _singular(file) & words
    ]


def _singular(file: str) -> set[str]:
    stem = file.removesuffix(".sql")
    return {stem, stem.removesuffix("s"), re.sub("ies$", "y", stem)}


def test_every_query_file_is_read_whole() -> None:
    assert {block.name for block in all_blocks()} == set(load_queries("postgresql"))


def test_every_query_is_in_shape() -> None:
    assert [b for block in all_blocks() for b in misshapen(block)] == []


def test_the_store_knows_of_every_write() -> None:
    loaded = load_queries("postgresql")
    wrong = [b.name for b in all_blocks() if loaded[b.name].is_write != changes(b.bare)]
    assert wrong == []


def test_every_noun_lives_in_one_file_of_its_name() -> None:
    found = all_blocks()
    assert scattered(found) == []
    assert misnamed(found) == []


def test_sqlite_has_the_same_queries_with_the_same_parameters() -> None:
    ours = [b for b in all_blocks() if not missing_because(b.name)]
    theirs = [b for b in all_blocks("sqlite") if b.noun not in ONLY_IN_SQLITE]
    assert _signatures(theirs) == _signatures(ours)


def test_every_query_of_sqlite_is_in_shape() -> None:
    theirs = all_blocks("sqlite")
    assert {block.name for block in theirs} == set(load_queries("sqlite"))
    assert [b for block in theirs for b in misshapen(block)] == []


def test_every_query_for_files_of_the_earlier_mcps_is_in_shape() -> None:
    found = all_blocks("earlier")
    assert found
    assert [b for block in found for b in misshapen(block)] == []
    assert misnamed(found) == []


def test_every_query_that_sqlite_lacks_is_there_and_has_a_reason() -> None:
    ours = {block.name for block in all_blocks()}
    assert set(NOT_IN_SQLITE) <= ours
    assert all({**NOT_IN_SQLITE, **ONLY_IN_SQLITE}.values())


@pytest.mark.parametrize(
    "theirs",
    [
        {},
        {"server_get": frozenset({"id"})},
        {"server_get": frozenset({"id", "uuid"}), "server_new": frozenset()},
        {"server_get": frozenset({"id", "uuid"}), "session_limits": frozenset()},
    ],
)
def test_a_start_with_other_queries_is_refused(
    theirs: dict[str, frozenset[str]],
) -> None:
    ours = {"server_get": frozenset({"id", "uuid"}), "session_limits": frozenset()}
    with pytest.raises(McpsError, match=r"queries/ and queries/sqlite/ differ"):
        require_same("sqlite", ours, theirs)


def _signatures(found: Iterable[Block]) -> set[tuple[str, str, frozenset[str]]]:
    return {(b.place.split(":")[0], b.name, b.parameters) for b in found}


GOOD = """\
-- Queries about servers.

-- name: server_get(id)^
-- One server by its id.
select name
  from server
 where id = :id and title <> 'NAME';
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("-- One server by its id.\n", ""),
        ("-- One server by its id.", "-- one server"),
        ("select name", "SELECT name"),
        ("select name", "select *"),
        ("select name", "select s.*"),
        ("server_get", "get"),
        ("'NAME';", "'NAME'"),
        ("select name\n", "select name\n" + "     , title\n" * 40),
        ("select name\n", "update server\n   set name = ''\n"),
        ("select name\n", "with gone as (delete from server)\nselect name\n"),
        (")^", ")!"),
    ],
)
def test_the_rule_sees_a_query_out_of_shape(old: str, new: str) -> None:
    assert [b for block in blocks("servers.sql", GOOD) for b in misshapen(block)] == []
    bad = GOOD.replace(old, new)
    assert bad != GOOD
    assert [b for block in blocks("servers.sql", bad) for b in misshapen(block)]


@pytest.mark.parametrize(
    ("bare", "is_change"),
    [
        ("select updated_at from server", False),
        ("select id from server for update", False),
        ("insert into server (id) values (1) on conflict do nothing", True),
        (
            "insert into server (id) values (1) on conflict (id) do update set a = 1",
            True,
        ),
        ("create temporary table staging (id bigint) on commit drop", True),
        ("select deleted from server", False),
        ("do ''", True),
    ],
)
def test_the_rule_tells_writes_from_reads(bare: str, *, is_change: bool) -> None:
    assert changes(bare) is is_change


def test_the_rule_sees_a_noun_in_two_files_and_a_file_without_its_noun() -> None:
    there = [*blocks("servers.sql", GOOD)]
    elsewhere = [*blocks("entries.sql", GOOD)]
    assert scattered(there) == []
    assert misnamed(there) == []
    assert scattered([*there, *elsewhere])
    assert misnamed(elsewhere)
