"""A real file: every odd row of it is in, repaired by a rule, or among the rejects."""

import gzip
import io
import json
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from service.cli import importer
from service.importer.reporting import Report, TableReport
from service.store.base import Store
from tests.conftest import RunMcps
from tests.importer.conftest import Taken, content, take, unwritten

LEGACY = {"social_posts", "articles", "videos", "discussions", "events", "companies"}
TARGETS = {
    "resourcetemplate": "resource_template",
    "toolembedding": "tool_embedding",
    "processinglog": "processing_log",
}


@pytest.fixture
def sample(shared_data: Path, tmp_path: Path) -> Path:
    file = tmp_path / "sample.db"
    packed = shared_data / "sqlite" / "mcps-300.db.gz"
    file.write_bytes(gzip.decompress(packed.read_bytes()))
    return file


@pytest.fixture
def manifest(shared_data: Path) -> Any:
    return json.loads((shared_data / "sqlite" / "mcps-300.manifest.json").read_text())


def counted(path: Path) -> dict[str, int]:
    with closing(sqlite3.connect(path)) as file:
        names = [
            n
            for (n,) in file.execute(
                "select name from sqlite_master where type='table'"
            )
        ]
        return {
            name: file.execute(f'select count(*) from "{name}"').fetchone()[0]
            for name in names
        }


async def present(database: Any, table: str, key: int) -> bool:
    """Whether a row is in the catalog or in legacy."""
    target = TARGETS.get(table, table)
    places = [f"legacy.{table}"] if table in LEGACY else [target, f"legacy.{table}"]
    for place in places:
        if await database.fetchval("select to_regclass($1)", place) is None:
            continue
        found = f"select exists (select from {place} where id = $1)"
        if await database.fetchval(found, key):
            return True
    return False


async def test_every_odd_row_is_accounted_for_and_the_sums_add_up(
    store: Store, database: Any, sample: Path, manifest: Any
) -> None:
    original = sample.read_bytes()
    taken = await take(store, sample)
    assert sample.read_bytes() == original
    assert {n: t.source for n, t in taken.report.tables.items()} == counted(sample)

    refused = {*taken.keys}
    odd = [(row["table"], row["id"]) for row in manifest["hostile_rows"]]
    odd += [("server", row["id"]) for row in manifest["odd_servers"]]
    for table, key in odd:
        is_in = await present(database, table, key or 76)
        assert is_in is not ((table, key) in refused), (table, key)
    assert refused == {
        ("server", 1302),
        ("server", 1308),
        ("server", 1315),
        ("toolembedding", 43),
        ("toolembedding", 44),
        ("toolembedding", 45),
    }
    assert max(Counter(taken.keys).values()) == 1


@pytest.mark.parametrize(
    ("key", "column", "value"),
    [
        (1301, "downloads", 5_000_000_000),
        (1304, "host_type", "unknown"),
        (1305, "risk_level", "safe"),
        (1306, "keywords", "[]"),
        (1307, "categories", '[{"a": 1}]'),
        (1309, "keywords", "[null, null, null]"),
        (1310, "keywords", '["ab"]'),
        (1312, "last_indexed_at", "2024-01-02 01:04:05+00"),
        (1313, "uuid", "819e206b-de18-4c3b-aca9-83283bd41e48"),
        (1314, "verified_source", "true"),
        (1316, "last_indexed_at", None),
        (1317, "description", "ab"),
        (1319, "author_name", "\ufffd("),
        (1320, "primary_url", "HTTPS://GITHUB.COM/TWIN/REPO"),
    ],
)
async def test_an_odd_value_becomes_what_its_rule_says(
    imported: Any, key: int, column: str, value: object
) -> None:
    sql = f"select {column}::text from server where id = $1"
    found = await imported.fetchval(sql, key)
    assert found == (value if value is None else str(value))


@pytest.fixture
async def imported(store: Store, database: Any, sample: Path) -> Any:
    await take(store, sample)
    return database


async def test_the_sample_imported_twice_changes_nothing(
    store: Store, database: Any, sample: Path
) -> None:
    first: Taken = await take(store, sample)
    state = await content(database)
    second = await take(store, sample)
    assert unwritten(second)
    assert second.refused == first.refused
    assert await content(database) == state


def test_the_command_says_it_all(
    run_mcps: RunMcps, sample: Path, tmp_path: Path
) -> None:
    done = run_mcps("import-sqlite", str(sample), "--report", "report.json")
    assert done.returncode == 3, done.stderr
    assert "4,527 rows" in done.stdout
    assert "…" not in done.stdout
    rows = [line.replace("│", " ").split() for line in done.stdout.splitlines()]
    (row,) = (row for row in rows if row[0] == "resourcetemplate")
    assert row[1:6] + row[-1:] == ["192", "192", "0", "0", "0", "equal"]
    report = json.loads((tmp_path / "report.json").read_text())
    table = report["tables"]["server"]
    assert (table["source"], table["copied"], table["repaired"], table["rejected"]) == (
        320, 306, 11, 3,
    )  # fmt: skip
    assert all(
        t["checksum_source"] == t["checksum_target"] for t in report["tables"].values()
    )
    assert all(t["checksum_source"] for t in report["tables"].values())
    repair = next(r for r in report["repairs"] if r["key"] == 1319)
    assert repair["original"] == {"hex": "c328"}
    lines = (tmp_path / "rejects.jsonl").read_text().splitlines()
    rejects = [json.loads(line) for line in lines]
    assert len(rejects) == 6
    bad = next(r for r in rejects if r["key"] == 1308)
    assert (bad["table"], bad["column"], bad["raw"]) == ("server", "keywords", "[1, 2")
    assert bad["row"]["primary_url"] == "https://hostile.example/8"


def test_a_narrow_terminal_cuts_nothing_off(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {"resourcetemplate": TableReport(source=1_234_567, copied=1_234_567)}
    console = Console(width=80, file=io.StringIO())
    monkeypatch.setattr(importer, "results", lambda: console)
    importer._print(
        Report(is_dry_run=True, is_strict=False, tables=rows), Path("rejects.jsonl")
    )
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines[:-1])) <= 80
    (line,) = (line for line in lines if "resourcetemplate" in line)
    assert line.count("1,234,567") == 2
