"""Files that are not what the command reads: one sentence, and nothing is touched."""

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from service.errors import RefusedFile
from service.importer.source import EarlierFile
from service.store.migrate import apply
from service.store.sqlite_file import sqlite_url
from tests.conftest import RunMcps
from tests.importer.conftest import Earlier

LIMIT_S = 5.0


def absent(path: Path) -> None:
    path.unlink()


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def zero(path: Path) -> None:
    path.write_bytes(b"")


def text(path: Path) -> None:
    path.write_text("This is no database.\n" * 100)


def cut_off(path: Path) -> None:
    with closing(sqlite3.connect(path)) as file:
        file.executemany("insert into alembic_version values (?)", [("x" * 900,)] * 90)
        file.commit()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def head_only(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:50])


def of_another_program(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as file:
        file.execute("create table photos (id integer primary key)")
        file.commit()


def with_other_servers(path: Path) -> None:
    with closing(sqlite3.connect(path)) as file:
        file.execute("drop table server")
        file.execute("create table server (hostname text, port integer)")
        file.commit()


def of_this_mcps(path: Path) -> None:
    path.unlink()
    apply(sqlite_url(path))


def damaged(path: Path) -> None:
    whole = bytearray(path.read_bytes())
    whole[100:4096] = os.urandom(3996)
    path.write_bytes(whole)


CASES = [
    (absent, "there is no file"),
    (folder, "is a folder: name the SQLite file in it"),
    (zero, "is empty"),
    (text, "is no SQLite file"),
    (head_only, "is no SQLite file"),
    (cut_off, "is cut off"),
    (of_another_program, "is no file of the earlier MCPS"),
    (with_other_servers, "is no file of the earlier MCPS"),
    (of_this_mcps, "is a catalog of this MCPS"),
    (damaged, "cannot be read"),
]


@pytest.mark.parametrize(("spoil", "sentence"), CASES)
def test_a_file_that_cannot_be_imported_is_refused_and_stays(
    earlier: Earlier, spoil: Callable[[Path], None], sentence: str
) -> None:
    spoil(earlier.path)
    before = earlier.path.read_bytes() if earlier.path.is_file() else None
    began_at = time.monotonic()
    with (
        pytest.raises(RefusedFile, match=sentence) as caught,
        EarlierFile(earlier.path),
    ):
        pass
    assert time.monotonic() - began_at < LIMIT_S
    assert "\n" not in caught.value.message
    after = earlier.path.read_bytes() if earlier.path.is_file() else None
    assert after == before


def test_the_command_refuses_it_with_one_line_and_code_2(
    run_mcps: RunMcps, earlier: Earlier
) -> None:
    cut_off(earlier.path)
    done = run_mcps("import-sqlite", str(earlier.path))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_a_file_that_may_only_be_read_is_imported(
    run_mcps: RunMcps, earlier: Earlier
) -> None:
    earlier.fill(2)
    earlier.path.chmod(0o444)
    before = earlier.path.read_bytes()
    done = run_mcps("import-sqlite", str(earlier.path))
    assert done.returncode == 0, done.stderr
    assert earlier.path.read_bytes() == before
    assert sorted(p.name for p in earlier.path.parent.glob("earlier.db*")) == [
        "earlier.db"
    ]


@pytest.mark.parametrize("option", ["--report", "--rejects"])
async def test_a_result_that_cannot_be_written_is_told_before_the_work(
    run_mcps: RunMcps, earlier: Earlier, database: Any, option: str
) -> None:
    earlier.fill(2)
    for place in ("none/file.json", "."):
        done = run_mcps("import-sqlite", str(earlier.path), option, place)
        assert done.returncode == 2
        assert f"{place}: cannot be written: " in done.stderr
    assert await database.fetchval("select count(*) from server") == 0


def test_rejects_of_an_earlier_import_go_only_from_a_file(
    run_mcps: RunMcps, earlier: Earlier, tmp_path: Path
) -> None:
    earlier.fill(2)
    (tmp_path / "old.jsonl").write_text('{"table":"server","key":1,')
    os.mkfifo(tmp_path / "pipe")
    for name in ("old.jsonl", "pipe"):
        done = run_mcps("import-sqlite", str(earlier.path), "--rejects", name)
        assert done.returncode == 0, done.stderr
    assert not (tmp_path / "old.jsonl").exists()
    assert (tmp_path / "pipe").exists()


@pytest.mark.parametrize("stars", [1, "many"])
async def test_a_file_that_holds_no_rejects_is_not_lost(
    run_mcps: RunMcps, database: Any, earlier: Earlier, tmp_path: Path, stars: object
) -> None:
    earlier.add("server", {"id": 1, "stars": stars})
    (tmp_path / "notes.txt").write_text("my notes\n")
    (tmp_path / "empty.jsonl").touch()
    done = run_mcps("import-sqlite", str(earlier.path), "--rejects", "notes.txt")
    assert done.returncode == 2
    assert "notes.txt is there already and holds no rejects" in done.stderr
    assert (tmp_path / "notes.txt").read_text() == "my notes\n"
    assert await database.fetchval("select count(*) from server") == 0
    done = run_mcps("import-sqlite", str(earlier.path), "--rejects", "empty.jsonl")
    assert done.returncode in (0, 3)


@pytest.mark.parametrize("option", ["--report", "--rejects"])
def test_no_result_takes_the_place_of_the_file_or_of_another_result(
    run_mcps: RunMcps, earlier: Earlier, tmp_path: Path, option: str
) -> None:
    earlier.fill(1)
    before = earlier.path.read_bytes()
    (tmp_path / "link").symlink_to(earlier.path)
    for name in (earlier.path.name, "link", f"{earlier.path.name}-wal"):
        done = run_mcps("import-sqlite", str(earlier.path), option, name, "--dry-run")
        assert done.returncode == 2, name
        assert f"{name}: cannot be written: " in done.stderr
    assert earlier.path.read_bytes() == before
    both = ("--report", "both", "--rejects", "both")
    assert run_mcps("import-sqlite", str(earlier.path), *both).returncode == 2
    nowhere = ("--report", "/dev/null", "--rejects", "/dev/null")
    assert run_mcps("import-sqlite", str(earlier.path), *nowhere).returncode == 0
