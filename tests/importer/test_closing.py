"""What the command says at its end, about rows of the catalog that stay as they are."""

import json
from pathlib import Path

from tests.conftest import RunMcps
from tests.importer.conftest import Earlier


def test_the_last_line_counts_what_was_here_already(
    run_mcps: RunMcps, earlier: Earlier
) -> None:
    earlier.add("server", {"id": 1})
    first = run_mcps("import-sqlite", str(earlier.path)).stdout.splitlines()[-1]
    again = run_mcps("import-sqlite", str(earlier.path)).stdout.splitlines()[-1]
    assert first.startswith("1 row in ")
    assert first.endswith(" rows/s")
    assert again.endswith(" rows/s; 1 row unchanged")


def test_conflicts_are_told_with_where_all_of_them_are(
    run_mcps: RunMcps, earlier: Earlier, tmp_path: Path
) -> None:
    earlier.fill(5)
    run_mcps("import-sqlite", str(earlier.path))
    earlier.run("update server set name = 'other' where id <= 4")
    bare = run_mcps("import-sqlite", str(earlier.path))
    (said,) = (line for line in bare.stderr.splitlines() if "differ" in line)
    assert said == (
        "4 rows differ from the catalog, which is as new or newer and stays: server 1, "
        "server 2, server 3, …; --report FILE lists them all"
    )
    assert bare.returncode == 0
    done = run_mcps("import-sqlite", str(earlier.path), "--report", "report.json")
    assert "server 3, …; all of them: report.json" in done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert [conflict["key"] for conflict in report["conflicts"]] == [1, 2, 3, 4]
    assert report["kept"] == 4


def test_one_conflict_is_told_in_full(run_mcps: RunMcps, earlier: Earlier) -> None:
    earlier.fill(2)
    run_mcps("import-sqlite", str(earlier.path))
    earlier.run("update tool set name = 'other' where id = 3")
    done = run_mcps("import-sqlite", str(earlier.path))
    assert (
        "1 row differs from the catalog, which is as new or newer and stays: tool 3\n"
        in done.stderr
    )
