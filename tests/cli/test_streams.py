"""Commands whose standard streams are closed, full or not there."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, RunMcps

ITEM = {"server": {"name": "io.example/a", "version": "1.0.0", "description": "d"}}


def run_in_shell(
    database_url: str, folder: Path, redirection: str, *arguments: str
) -> "subprocess.CompletedProcess[str]":
    """The command with what a shell makes of its streams."""
    script = f'exec "$0" -m service "$@" {redirection}'
    return subprocess.run(
        ["sh", "-c", script, sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), "DATABASE_URL": database_url}
        | {"ENVIRONMENT": "development"},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("keys", "list"), ("check", "--json"), ("load", "list.json")],
)
def test_output_that_cannot_be_written_is_one_line_and_code_2(
    database_url: str, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "list.json").write_text(json.dumps([ITEM]))
    done = run_in_shell(database_url, tmp_path, ">/dev/full", *arguments)
    said = "mcps: the output cannot be written: No space left on device\n"
    assert (done.returncode, done.stderr) == (2, said)


def test_closed_standard_input_is_an_error_and_no_wait(
    database_url: str, tmp_path: Path
) -> None:
    done = run_in_shell(database_url, tmp_path, "<&-", "load", "-")
    assert done.returncode == 2
    assert "standard input: cannot be read: " in done.stderr


@pytest.mark.parametrize("redirection", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_keep_no_command_from_its_work(
    run_mcps: RunMcps, database_url: str, tmp_path: Path, redirection: str
) -> None:
    (tmp_path / "list.json").write_text(json.dumps([ITEM]))
    done = run_in_shell(database_url, tmp_path, redirection, "load", "list.json")
    assert done.returncode == 0, done.stderr
    assert json.loads(run_mcps("export").stdout)["server"]["name"] == "io.example/a"
