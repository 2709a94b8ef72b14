"""The comparison of imports, on a file so small that it takes seconds."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ops.benchmarks.earlier import make_file
from ops.benchmarks.importing import Outcome, compare, markdown, verdicts


def test_a_file_has_as_many_rows_as_it_says_and_is_always_the_same(
    tmp_path: Path,
) -> None:
    rows = make_file(tmp_path / "a.db", 100)
    assert make_file(tmp_path / "b.db", 100) == rows
    with (
        closing(sqlite3.connect(tmp_path / "a.db")) as a,
        closing(sqlite3.connect(tmp_path / "b.db")) as b,
    ):
        assert [*a.iterdump()] == [*b.iterdump()]
        names = [
            n
            for (n,) in a.execute("select name from sqlite_master where type = 'table'")
        ]
        counts = [a.execute(f"select count(*) from {n}").fetchone()[0] for n in names]
    assert sum(counts) == rows == 1496


@pytest.mark.slow
def test_an_import_is_measured_beside_pgloader_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    outcomes, note = compare(50, tmp_path, lambda _: None)
    assert [run.name for run in outcomes] == ["mcps import-sqlite"]
    assert outcomes[0].rows_per_s > 0
    # What it was started from counts too: here that is a large process.
    assert outcomes[0].memory_mb > 0
    assert "not installed" in note
    assert note in markdown(outcomes, note)


def test_the_verdicts_follow_the_figures() -> None:
    ours = Outcome("ours", 40_000, 2.0, 1.0, 149.0)
    other = Outcome("pgloader", 40_000, 3.0, 1.0, 400.0)
    assert [met for *_, met in verdicts([ours, other])] == ["met", "met", "met"]
    slow = Outcome("ours", 40_000, 2.1, 1.0, 151.0)
    found = [met for *_, met in verdicts([slow, other])]
    assert found == ["not met", "not met", "not met"]
