"""The benchmarks themselves, on a catalog so small that it takes seconds."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ops.benchmarks import cases, report, words
from ops.benchmarks.accounting import cpu_s, descendants_of
from ops.benchmarks.catalog import Catalog, Size
from ops.benchmarks.clients import Outcome
from ops.benchmarks.databases import find
from ops.benchmarks.loading import load_catalog, statements
from ops.benchmarks.measuring import Plan, measure
from ops.benchmarks.records import tables
from tests.cluster import children_of
from tests.conftest import execute

TINY = Size(servers=60, versions=150, embeddings=5)
RARELY_ASKING = {
    cases.HEALTH,
    cases.FLOOR,
    cases.KEPT_PAGE,
    cases.KEPT_SERVER,
    cases.CACHED_PAGE,
    cases.UNCHANGED,
    cases.MIX,
}


def _rows(page_us: float, reference_us: float) -> list[cases.Row]:
    outcome = Outcome(100, 0, 2.0, 1.5, 9.0, 14_000)
    costs = {
        cases.PAGE: page_us,
        cases.REFERENCE_PAGE: reference_us,
        cases.SERVER: 130.0,
        cases.REFERENCE_SERVER: 100.0,
        cases.SEARCH: 4000.0,
        cases.REGISTRY_PAGE: 150.0,
        cases.DEEP_PAGE: 165.0,
        cases.REGISTRY_SEARCH: 6000.0,
        cases.FLOOR: 40.0,
        cases.KEPT_PAGE: 60.0,
        cases.KEPT_SERVER: 140.0,
        cases.CACHED_PAGE: 80.0,
        cases.UNCHANGED: 80.0,
        cases.MIX: 80.0,
    }
    return [
        cases.Row(name, 1, outcome, cost / 2, cost / 2) for name, cost in costs.items()
    ]


@pytest.mark.slow
def test_every_row_is_measured_without_an_error(
    database_url: str, tmp_path: Path
) -> None:
    load_catalog(database_url, TINY)
    database = asyncio.run(find(database_url))
    before = _services()
    plan = Plan(size=TINY, workers=(1, 2), rounds=1, warm_s=0.1, measure_s=0.2)
    rows = list(measure(database, plan, tmp_path, lambda _: None))
    assert len(rows) == 2 * len(cases.cases(TINY))
    for row in rows:
        assert row.outcome.errors == 0, row
        assert row.outcome.requests > 0, row
        assert row.service_us > 0, row
        if row.case not in RARELY_ASKING:
            assert row.postgres_us > 0, row
    assert len(cases.verdicts(rows)) == 2 * 11
    sizes = {row.case: row.outcome.body_bytes for row in rows}
    assert sizes[cases.FLOOR] == sizes[cases.PAGE]
    assert '"event":"request"' in (tmp_path / "ours-1.log").read_text()
    assert _services() == before


def _services() -> list[int]:
    """The children of this process: what was started has to be gone again."""
    return sorted(children_of(os.getpid()))


async def test_the_catalog_has_the_size_that_was_asked_for(database_url: str) -> None:
    await asyncio.to_thread(load_catalog, database_url, TINY)
    name = database_url.rpartition("/")[2]
    checks = (
        f"do $$ begin assert (select count(*) from {table}) = {count}; end $$"
        for table, count in {
            "server": 60,
            "server_version": 150,
            "server_version where is_latest": 60,
            "server_search": 60,
            "tool": 120,
            "tool_embedding": 5,
        }.items()
    )
    await execute(name, *checks)


async def test_a_new_server_comes_after_the_made_up_ones(database_url: str) -> None:
    await asyncio.to_thread(load_catalog, database_url, TINY)
    await execute(
        database_url.rpartition("/")[2],
        "insert into server (name, primary_url) values ('new', 'https://new.test')",
        "do $$ begin assert (select max(id) from server) = 61; end $$",
    )


def test_the_catalog_is_the_same_every_time() -> None:
    first, second = (
        [(name, list(records)) for name, records in tables(Catalog(TINY))]
        for _ in range(2)
    )
    assert first == second


def test_the_most_frequent_word_is_as_frequent_as_in_real_registries() -> None:
    entries = Catalog(Size(servers=2000, versions=2000)).entries
    word = words.TOPICS[0]
    having = [entry for entry in entries if word in entry.description]
    assert 0.08 < len(having) / len(entries) < 0.2


def test_the_account_of_a_process_includes_children_that_ended() -> None:
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    script = (
        "import subprocess, sys; "
        "subprocess.run([sys.executable, '-c', sys.argv[1]]); "
        "print('done', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, burn]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"done\n"
        used_s = cpu_s(process.pid)
        assert descendants_of(process.pid) == []
        again_s = cpu_s(process.pid)
        process.terminate()
    assert 0.3 <= used_s < 3
    assert again_s - used_s < 0.05


def test_what_is_wanted_is_met_or_not() -> None:
    found = cases.verdicts(_rows(page_us=140.0, reference_us=200.0))
    met = {verdict.wanted: (verdict.value, verdict.is_met) for verdict in found}
    assert met == {
        "page / reference": (0.7, True),
        "registry page / reference": (0.75, False),
        "deep page / first page": (1.1, True),
        "server / reference": (1.3, True),
        "kept page / reference": (0.3, True),
        "kept server / reference": (1.4, False),
        "kept registry page / floor": (2.0, True),
        "304 / floor": (2.0, True),
        "search, PostgreSQL ms": (2.0, True),
        "registry search, PostgreSQL ms": (3.0, True),
        "5,000/s / requests/s of the mix": (100.0, False),
    }


def test_the_figures_replace_the_earlier_ones(tmp_path: Path) -> None:
    document = tmp_path / "BENCHMARKS.md"
    document.write_text(f"# Title\n\n{report.BEGIN}\nold\n{report.END}\n\nThe end.\n")
    rows = _rows(page_us=140.0, reference_us=200.0)
    for _ in range(2):
        text = report.markdown(rows, cases.verdicts(rows), "Somewhere.")
        report.write(text, document)
    written = document.read_text()
    assert written.startswith("# Title\n\n")
    assert written.endswith("\n\nThe end.\n")
    assert "old" not in written
    assert written.count("| 1 | GET /servers?limit=20 | 50 | 1.50 | 9.00 |") == 1
    assert "| 1 | page / reference | 0.7 | 0.70 | met |" in written


def test_the_document_has_a_place_for_the_figures() -> None:
    text = report.DOCUMENT.read_text()
    assert 0 < text.index(report.BEGIN) < text.index(report.END)


def test_every_statement_of_the_benchmarks_has_its_name() -> None:
    assert {"reference_page", "reference_server", "backend_here"} <= set(statements())
