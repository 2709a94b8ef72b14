"""Each rule of `mcps check`: when it speaks, how loud, and what it advises."""

from collections.abc import Iterable
from typing import Any

import pytest

from service.check import open_url
from service.findings import (
    Finding,
    clock_finding,
    extension_findings,
    index_findings,
    migration_findings,
    pool_finding,
    privilege_findings,
    server_findings,
    slow_findings,
)
from service.settings import Settings
from service.store.steps import Step

SERVER: Any = {
    "version_num": 180001,
    "version": "18.1",
    "encoding": "UTF8",
    "is_standby": False,
    "is_read_only": False,
    "has_fsync": True,
    "has_autovacuum": True,
    "is_remote": False,
    "is_encrypted": False,
}
VECTOR: Any = {
    "name": "vector",
    "is_required": False,
    "installed": None,
    "available": "0.8.0",
    "may_create": True,
    "statement": "create extension if not exists vector;",
}
TRIGRAMS: Any = VECTOR | {
    "name": "pg_trgm",
    "is_required": True,
    "statement": "create extension if not exists pg_trgm;",
}
STATEMENTS: Any = VECTOR | {
    "name": "pg_stat_statements",
    "statement": "create extension if not exists pg_stat_statements;",
}
ROLE: Any = {
    "role": "app",
    "schema": "public",
    "may_create": True,
    "statement": "grant it;",
}
CONNECTIONS: Any = {
    "usable": 97,
    "role_limit": None,
    "database_limit": None,
    "ours": 1,
    "others": 2,
}


def loud(findings: Iterable[Finding]) -> list[Finding]:
    """Those that ask for something."""
    return [finding for finding in findings if finding.level != "ok"]


def extensions(
    *rows: Any, index: bool = True, pending: bool = False, slow: bool = False
) -> list[Finding]:
    found = extension_findings(
        rows, has_vector_index=index, has_pending=pending, slow=slow
    )
    return loud(found)


def test_a_good_server_is_only_named() -> None:
    assert list(server_findings(SERVER)) == [Finding("ok", "server", "PostgreSQL 18.1")]


@pytest.mark.parametrize(
    ("change", "level", "word"),
    [
        ({"version_num": 140010}, "error", "too old"),
        ({"version_num": 190000}, "warning", "newer than tested"),
        ({"encoding": "SQL_ASCII"}, "error", "SQL_ASCII"),
        ({"is_standby": True, "is_read_only": True}, "error", "a standby"),
        ({"is_read_only": True}, "error", "read-only"),
        ({"is_remote": True}, "warning", "without TLS"),
        ({"has_fsync": False}, "warning", "fsync"),
        ({"has_autovacuum": False}, "warning", "autovacuum"),
    ],
)
def test_a_server_with_a_fault_is_told_its_mend(
    change: dict[str, Any], level: str, word: str
) -> None:
    (finding,) = loud(server_findings(SERVER | change))
    assert finding.level == level
    assert word in finding.text
    assert finding.mend


@pytest.mark.parametrize("number", [150000, 160004, 170002, 189999])
def test_every_supported_version_is_fine(number: int) -> None:
    assert loud(server_findings(SERVER | {"version_num": number})) == []


def test_an_encrypted_connection_may_leave_the_machine() -> None:
    far = SERVER | {"is_remote": True, "is_encrypted": True}
    assert loud(server_findings(far)) == []


@pytest.mark.parametrize(
    ("skew_s", "word"), [(0.1, ""), (-1.9, ""), (90.0, "ahead"), (-90.0, "behind")]
)
def test_clocks_may_be_two_seconds_apart(skew_s: float, word: str) -> None:
    finding = clock_finding(skew_s)
    assert (finding.level == "warning") is bool(word)
    assert word in finding.text


@pytest.mark.parametrize(
    ("change", "mend"),
    [
        ({}, "run `mcps migrate`"),
        (
            {"may_create": False},
            f"as a superuser: {VECTOR['statement']} Then run `mcps migrate`",
        ),
        (
            {"available": None},
            "install pgvector on the server, then run `mcps migrate`",
        ),
    ],
)
def test_a_missing_vector_is_a_warning_with_the_way_to_it(
    change: dict[str, Any], mend: str
) -> None:
    (finding,) = extensions(VECTOR | change)
    assert (finding.level, finding.mend) == ("warning", mend)


def test_a_missing_search_extension_is_an_error() -> None:
    (pending,) = extensions(TRIGRAMS, pending=True)
    (dropped,) = extensions(TRIGRAMS)
    (absent,) = extensions(TRIGRAMS | {"available": None})
    assert {f.level for f in (pending, dropped, absent)} == {"error"}
    assert pending.mend == "run `mcps migrate`"
    assert dropped.mend.endswith("create extension if not exists pg_trgm;")
    assert "postgresql-contrib" in absent.mend


def test_vector_without_its_index_needs_a_migration() -> None:
    installed = VECTOR | {"installed": "0.8.0"}
    (finding,) = extensions(installed, index=False)
    assert finding.mend == "run `mcps migrate`"
    assert extensions(installed) == []


def test_statements_are_missed_only_by_those_who_ask() -> None:
    assert extensions(STATEMENTS) == []
    (finding,) = extensions(STATEMENTS, slow=True)
    assert "shared_preload_libraries" in finding.mend
    assert finding.mend.endswith(STATEMENTS["statement"])


def test_each_missing_privilege_comes_with_its_grant() -> None:
    table: Any = {
        "table_name": "tool",
        "missing": "insert",
        "statement": "grant insert;",
    }
    (finding,) = privilege_findings([table], ROLE, has_pending=False)
    assert finding.level == "error"
    assert finding.mend == "grant insert;"


def test_the_right_to_make_tables_matters_only_before_a_migration() -> None:
    role = ROLE | {"may_create": False}
    assert loud(privilege_findings([], role, has_pending=False)) == []
    (finding,) = privilege_findings([], role, has_pending=True)
    assert "grant it;" in finding.mend


def test_a_broken_index_comes_with_its_rebuild() -> None:
    index: Any = {"index_name": "x", "statement": "reindex index concurrently x;"}
    (finding,) = index_findings([index])
    assert finding.mend == index["statement"]


@pytest.mark.parametrize(
    ("state", "level"),
    [("pending", "error"), ("edited", "error"), ("unknown", "warning")],
)
def test_a_schema_that_does_not_fit_is_told(state: Any, level: str) -> None:
    steps = [Step("0000.a", "applied"), Step("0001.b", state)]
    (finding,) = loud(migration_findings(steps))
    assert finding.level == level
    assert "0001.b" in finding.text
    assert finding.mend


@pytest.mark.parametrize(
    ("change", "level", "missing"),
    [
        ({}, "ok", ""),
        ({"usable": 32}, "warning", "by 1,"),
        ({"usable": 20}, "error", "by 13,"),
        ({"role_limit": 30}, "error", "by 3,"),
        ({"database_limit": 33, "others": 3}, "warning", "by 1,"),
    ],
)
def test_the_pool_has_to_fit_into_the_server(
    change: dict[str, Any], level: str, missing: str
) -> None:
    finding = pool_finding(CONNECTIONS | change, Settings())
    assert finding.level == level
    assert missing in finding.mend


def test_every_worker_has_a_pool_of_its_own() -> None:
    settings = Settings(api_workers=4)
    finding = pool_finding(CONNECTIONS, settings)
    assert finding.text.startswith("MCPS opens up to 124 connections")
    assert finding.level == "error"


def test_slow_means_slow_on_average() -> None:
    row: Any = {"mean_ms": 99.0, "calls": 5, "total_ms": 495.0, "statement": "select 1"}
    assert loud(slow_findings([row])) == []
    upkeep = {"mean_ms": 250.0, "statement": "analyze server"}
    assert loud(slow_findings([row | upkeep])) == []
    (finding,) = slow_findings([row | {"mean_ms": 250.0}])
    assert finding.level == "warning"
    assert "250 ms" in finding.text


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:p%40@h:1/d", "postgresql://u@h:1/d"),
        ("postgresql://u@/d?host=/tmp/x", "postgresql://u@/d?host=/tmp/x"),
        ("postgresql://u:p@h1:1,h2:2/d?a=b", "postgresql://u@h1:1,h2:2/d?a=b"),
        ("postgresql://h/d?password=p&a=b", "postgresql://h/d?a=b"),
        ("postgresql://h/d?a=b&sslpassword=p", "postgresql://h/d?a=b"),
        ("postgresql:///d?user=u&password=p", "postgresql:///d?user=u"),
    ],
)
def test_the_url_to_open_leaves_every_password_out(url: str, shown: str) -> None:
    assert open_url(url) == shown
