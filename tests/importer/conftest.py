"""Small files of the earlier MCPS, and imports of them."""

import sqlite3
from collections.abc import AsyncIterator, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from ops.benchmarks.earlier import statements
from service.importer.batches import Refusal, Repair
from service.importer.reporting import Report
from service.importer.running import import_file, try_file
from service.importer.source import EarlierFile
from service.importer.storing import Note
from service.store.base import Store

AT = "2025-01-02 03:04:05.678901"
LATER = "2025-06-07 08:09:10.000000"
VECTOR = f"[{', '.join(['0.5', *['0.001'] * 1535])}]"
DEFAULTS: dict[str, dict[str, Any]] = {
    "server": {
        "created_at": AT,
        "updated_at": AT,
        "host_type": "GITHUB",
        "keywords": '["a"]',
        "categories": "[]",
        "stars": 1,
        "downloads": 2,
        "forks": 3,
        "open_issues": 4,
        "risk_level": "SAFE",
        "verified_source": 1,
        "health_score": 50,
        "last_indexed_at": AT,
    },
    "toolembedding": {"model_name": "m", "vector": VECTOR},
    "dependency": {"library_name": "lib", "ecosystem": "npm", "type": "RUNTIME"},
    "release": {"version": "1.0.0", "published_at": AT},
    "contributor": {"username": "u", "platform": "github", "commits": 1},
    "resourcetemplate": {"uri_template": "s3://{id}"},
    "prompt": {"name": "ask"},
    "tool": {"name": "read", "input_schema": "{}"},
    "processinglog": {"status": "completed", "attempts": 1},
}


class Earlier:
    """A file of the earlier MCPS, to be filled."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(statements()["file_tables"])

    def run(self, sql: str, *values: object) -> None:
        with closing(sqlite3.connect(self.path)) as connection:
            connection.execute(sql, values)
            connection.commit()

    def add(self, table: str, *rows: dict[str, Any]) -> None:
        """Rows with everything that they do not say themselves."""
        with closing(sqlite3.connect(self.path)) as connection:
            for row in rows:
                given = {**_times(table), **DEFAULTS.get(table, {}), **row}
                if table == "server":
                    given.setdefault("uuid", f"{row['id']:032x}")
                    given.setdefault("name", f"server-{row['id']}")
                    given.setdefault("primary_url", url(row["id"]))
                names, marks = ", ".join(given), ", ".join("?" * len(given))
                sql = f"insert into {table} ({names}) values ({marks})"
                connection.execute(sql, list(given.values()))
            connection.commit()

    def fill(self, servers: int) -> None:
        """So many servers with two tools and a row of everything else each."""
        ids = range(1, servers + 1)
        self.add("server", *({"id": id_} for id_ in ids))
        tools = (
            {"id": id_, "server_id": (id_ + 1) // 2}
            for id_ in range(1, 2 * servers + 1)
        )
        self.add("tool", *tools)
        self.add("toolembedding", {"id": 1, "tool_id": 2})
        for table in (
            "resourcetemplate",
            "prompt",
            "dependency",
            "release",
            "contributor",
        ):
            self.add(table, *({"id": id_, "server_id": id_} for id_ in ids))
        self.add("processinglog", *({"id": id_, "url": url(id_)} for id_ in ids))


def url(id_: int) -> str:
    return f"https://github.com/owner/server-{id_}"


def _times(table: str) -> dict[str, Any]:
    return {} if table == "toolembedding" else {"created_at": AT, "updated_at": AT}


class Taken(msgspec.Struct):
    """What an import said."""

    report: Report
    refused: list[tuple[str, Refusal]]
    repaired: list[tuple[str, Repair]]
    kept: list[tuple[str, int]]
    said: list[str]

    def counts(self, table: str) -> tuple[int, int, int, int, int]:
        row = self.report.tables[table]
        return row.source, row.copied, row.repaired, row.rejected, row.unchanged

    @property
    def keys(self) -> list[tuple[str, int]]:
        """Table and key of what was refused."""
        return [(table, refusal.key) for table, refusal in self.refused]


class Hearing:
    """Remembers what an import says."""

    def __init__(self) -> None:
        self.refused_rows: list[tuple[str, Refusal]] = []
        self.repaired_values: list[tuple[str, Repair]] = []
        self.kept_rows: list[tuple[str, Note]] = []
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)

    def refused(self, table: str, refusal: Refusal) -> None:
        self.refused_rows.append((table, refusal))

    def repaired(self, table: str, repair: Repair) -> None:
        self.repaired_values.append((table, repair))

    def kept(self, table: str, note: Note) -> None:
        self.kept_rows.append((table, note))

    def progress(self, table: str, done: int, total: int) -> None:
        assert done <= total, table


async def take(store: Store | None, path: Path, *, is_strict: bool = False) -> Taken:
    """Import a file; without a store it is only tried."""
    hearing = Hearing()
    with EarlierFile(path) as file:
        if store is None:
            report = await try_file(file, hearing, is_strict=is_strict)
        else:
            report = await import_file(store, file, hearing, is_strict=is_strict)
    assert report.is_equal
    for name, row in report.tables.items():
        parts = row.copied + row.repaired + row.rejected + row.unchanged
        assert (name, parts) == (name, row.source)
    kept = [(table, note.key) for table, note in hearing.kept_rows]
    refused, repaired = hearing.refused_rows, hearing.repaired_values
    return Taken(report, refused, repaired, kept, hearing.said)


def unwritten(taken: Taken) -> bool:
    """Whether nothing was written."""
    tables: Iterable[Any] = taken.report.tables.values()
    return all(row.copied == row.repaired == 0 for row in tables)


@pytest.fixture
def earlier(tmp_path: Path) -> Earlier:
    """An empty file of the earlier MCPS."""
    return Earlier(tmp_path / "earlier.db")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Any]:
    """A connection to the test's database that is not the store's."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


_CONTENT = """
    select 'server', to_jsonb(s) - 'doc' from server s
     union all
    select 'version', to_jsonb(v) - '{id,item,updated_at,status_changed_at}'::text[]
      from server_version v
     union all select 'tool', to_jsonb(t) from tool t
     union all select 'embedding', to_jsonb(e) from tool_embedding e
     union all select 'resource', to_jsonb(r) from resource_template r
     union all select 'prompt', to_jsonb(p) from prompt p
     union all select 'dependency', to_jsonb(d) from dependency d
     union all select 'release', to_jsonb(r) from release r
     union all select 'contributor', to_jsonb(c) from contributor c
     union all select 'log', to_jsonb(l) - 'next_try_at' from processing_log l
     union all select 'count', to_jsonb(c) from server_count c
     union all
    select 'search', jsonb_build_array(server_id, stars, strip(head), strip(words))
      from server_search
     union all select 'tool search', to_jsonb(f) from tool_search f
     union all select 'path', to_jsonb(f) from server_path f
"""


async def content(database: Any) -> list[str]:
    """Everything that an import writes, as text in a fixed order."""
    rows = await database.fetch(_CONTENT)
    found = sorted(f"{kind} {row}" for kind, row in map(tuple, rows))
    legacy = await database.fetch(
        "select tablename from pg_tables where schemaname = 'legacy' order by 1"
    )
    for (name,) in map(tuple, legacy):
        rows = await database.fetch(f'select to_jsonb(l) from legacy."{name}" l')
        found += sorted(f"legacy {name} {row[0]}" for row in rows)
    return found
