"""`mcps export`: the catalog as a list that `mcps load` reads, from either database."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from service import listing
from service.store.base import Store
from tests.by_hand import put
from tests.conftest import ROOT, RunMcps
from tests.registry.conftest import item, load

ODD = 'Ä "quoted" \\ back\tslash \x01 日本 \U0001f600'
ENTRIES = [
    item("io.b/two", "1.0.0", updatedAt="2025-06-01T00:00:00Z", title=ODD),
    item("io.b/two", "1.1.0", description=" "),
    item("io.a/one", "auto", status="deprecated", statusMessage=ODD),
    item("io.c/gone", "1.0.0", status="deleted"),
]


@pytest.fixture
async def filled(store: Store) -> None:
    await load(store, *ENTRIES)


def documents(text: str) -> list[Any]:
    return [json.loads(line)["server"] for line in text.splitlines()]


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("kind", ["jsonl", "json"])
async def test_a_catalog_filled_from_an_export_gives_the_same_bytes(
    run_mcps: RunMcps, tmp_path: Path, sqlite_template: Path, kind: str
) -> None:
    other = {"DATABASE_URL": f"sqlite:///{tmp_path}/other.db"}
    (tmp_path / "other.db").write_bytes(sqlite_template.read_bytes())
    first = run_mcps("export", "--format", kind, "first")
    assert (first.returncode, first.stdout) == (0, "")
    assert "4 versions written" in first.stderr
    loaded = run_mcps("load", "--json", "first", env=other)
    (report,) = json.loads(loaded.stdout)["files"]
    assert (report["versions_new"], report["rejected"]) == (4, 0)
    second = run_mcps("export", "--format", kind, "-", env=other)
    assert second.stdout.encode() == (tmp_path / "first").read_bytes()


@pytest.mark.usefixtures("filled")
async def test_loading_an_export_where_it_came_from_changes_nothing(
    run_mcps: RunMcps, store: Store
) -> None:
    serial = await store.value("serial_get")
    run_mcps("export", "list.jsonl")
    done = run_mcps("load", "--json", "list.jsonl")
    (report,) = json.loads(done.stdout)["files"]
    assert report["versions_unchanged"] == 4
    assert await store.value("serial_get") == serial


@pytest.mark.usefixtures("filled")
async def test_it_holds_documents_as_they_were_sent(run_mcps: RunMcps) -> None:
    written = documents(run_mcps("export").stdout)
    sent = [entry["server"] for entry in ENTRIES]
    assert sorted(written, key=str) == sorted(sent, key=str)
    keys = [(document["name"], document["version"]) for document in written]
    assert keys == sorted(keys)


async def test_an_empty_catalog_is_an_empty_list(run_mcps: RunMcps) -> None:
    assert run_mcps("export").stdout == ""
    assert json.loads(run_mcps("export", "--format", "json").stdout) == {"servers": []}


async def test_what_the_list_cannot_hold_is_counted(
    run_mcps: RunMcps, database: Any
) -> None:
    rows = [{"name": n, "primary_url": f"https://example.org/{n}"} for n in "ab"]
    await put(database, "server", rows)
    said = run_mcps("export").stderr
    assert "2 servers have no published version" in said
    assert "mcps export-sqlite" in said


@pytest.mark.usefixtures("filled")
async def test_a_file_that_is_there_stays_without_force(
    run_mcps: RunMcps, tmp_path: Path
) -> None:
    (tmp_path / "list").write_text("mine")
    refused = run_mcps("export", "list")
    assert refused.returncode == 2
    assert "--force" in refused.stderr
    assert (tmp_path / "list").read_text() == "mine"
    assert run_mcps("export", "--force", "list").returncode == 0
    assert len((tmp_path / "list").read_text().splitlines()) == 4
    assert run_mcps("export", "none/list").returncode == 2


async def test_a_document_with_breaks_is_one_line(
    run_mcps: RunMcps, store: Store, database: Any
) -> None:
    await load(store, item("io.a/one"))
    broken = '{"name": "io.a/one",\n\r\n "version": "1.0.0"}'
    await database.execute("update server_version set document = $1", broken)
    (document,) = documents(run_mcps("export").stdout)
    assert document == {"name": "io.a/one", "version": "1.0.0"}


async def test_pieces_join_without_a_seam(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await load(store, *(item(f"io.a/n{at:03}") for at in range(50)))
    written: dict[int, bytes] = {}
    for characters in (1, 700, 1 << 20):
        monkeypatch.setattr(listing, "WRITE_CHARACTERS", characters)
        chunks: list[bytes] = []
        report = await listing.write_list(store, "json", chunks.append, lambda _: None)
        assert (report.written, report.versions) == (50, 50)
        written[characters] = b"".join(chunks)
    assert len(json.loads(written[1])["servers"]) == 50
    assert len(set(written.values())) == 1


def start(database_url: str, folder: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "service", "export", "-"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "DATABASE_URL": database_url},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.fixture
async def large(store: Store) -> None:
    text = "x" * 10_000
    await load(store, *(item(f"io.a/n{at}", text=text) for at in range(300)))


@pytest.mark.usefixtures("large")
async def test_a_reader_may_take_its_time_and_stop_early(
    database_url: str, tmp_path: Path
) -> None:
    process = start(database_url, tmp_path)
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline().startswith(b'{"server"')
    process.stdout.close()
    with process.stderr:
        assert process.stderr.read() == b""
    assert process.wait(30) == 0


@pytest.mark.usefixtures("large")
async def test_ctrl_c_ends_it_in_one_sentence(
    database_url: str, tmp_path: Path
) -> None:
    process = start(database_url, tmp_path)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 75
    assert said.decode().splitlines() == [f"mcps: {STOPPED}"]


STOPPED = "stopped before the end: no file was written. Run the same command again"


def test_a_list_never_takes_the_place_of_the_catalog(
    run_mcps: RunMcps, tmp_path: Path, sqlite_template: Path
) -> None:
    catalog = tmp_path / "catalog.db"
    catalog.write_bytes(sqlite_template.read_bytes())
    before = catalog.read_bytes()
    env = {"DATABASE_URL": f"sqlite:///{catalog}"}
    done = run_mcps("export", "catalog.db", "--force", env=env)
    assert done.returncode == 2
    assert "catalog.db: cannot be written: " in done.stderr
    assert catalog.read_bytes() == before
