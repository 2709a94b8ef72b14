"""`mcps load` as a process: every form, rejects, exit codes, Ctrl-C, memory."""

import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from service.cli import progress
from service.files import Source
from service.loading import LoadReport
from tests.conftest import ROOT, RunMcps
from tests.loading.conftest import item
from tests.waiting import until

ITEMS = [item(f"io.example/s{n}", "1.0.0", "2025-01-01") for n in range(3)]
BAD = {"server": {"name": "io.example/bad"}}


def summary(done: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    document = json.loads(done.stdout)
    return {**document["files"][0], "rejects": document["rejects"]}


def start(
    database_url: str, *arguments: str, folder: Path
) -> "subprocess.Popen[bytes]":
    """The command, still running, with a pipe to its standard input."""
    return subprocess.Popen(
        [sys.executable, "-m", "service", "load", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), "DATABASE_URL": database_url}
        | {"ENVIRONMENT": "development"},
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_files_in_every_form_are_loaded(run_mcps: RunMcps, tmp_path: Path) -> None:
    text = json.dumps(ITEMS)
    (tmp_path / "plain.json").write_text(text)
    (tmp_path / "packed").write_bytes(gzip.compress(b"\xef\xbb\xbf" + text.encode()))
    (tmp_path / "päge.json").write_text(json.dumps({"servers": ITEMS, "metadata": {}}))
    (tmp_path / "lines").write_text("\n".join(map(json.dumps, ITEMS)))
    done = run_mcps("load", "--json", "plain.json", "packed", "päge.json", "lines")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    names = [file["file"] for file in document["files"]]
    assert names == ["plain.json", "packed", "päge.json", "lines"]
    assert [file["versions_new"] for file in document["files"]] == [3, 0, 0, 0]
    assert [file["versions_unchanged"] for file in document["files"]] == [0, 3, 3, 3]
    assert document["rejects"] == []
    assert not list(tmp_path.glob("*rejects*"))


def test_people_get_a_table(run_mcps: RunMcps, tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text(json.dumps(ITEMS))
    done = run_mcps("load", "list.json")
    assert done.returncode == 0, done.stderr
    assert "list.json" in done.stdout
    rows = [line.replace("│", " ").split() for line in done.stdout.splitlines()]
    assert ["servers", "3", "0", "0"] in rows
    assert ["versions", "3", "0", "0"] in rows
    assert "3 entries: 0 flagged, 0 repeated, 0 rejected" in done.stdout


def test_rejects_are_written_with_number_and_reason(
    run_mcps: RunMcps, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    lines = [json.dumps(ITEMS[0]), '{"x": \xff', json.dumps(BAD), "x" * 9000]
    (folder / "list.jsonl").write_text("\n".join(lines), encoding="latin-1")
    done = run_mcps("load", "--json", "in/list.jsonl")
    assert done.returncode == 3
    file = tmp_path / "list.jsonl.rejects.jsonl"
    assert str(file.name) in done.stderr
    found = [json.loads(line) for line in file.read_text().splitlines()]
    assert [each["entry"] for each in found] == [2, 3, 4]
    assert found[0]["raw"] == '{"x": \\xff'
    assert found[1]["reason"] == "`version` is missing"
    assert json.loads(found[1]["raw"]) == BAD
    assert len(found[2]["raw"]) == 4096
    assert {each["file"] for each in found} == {"in/list.jsonl"}
    report = summary(done)
    assert (report["rejected"], report["versions_new"]) == (3, 1)
    assert report["rejects"] == [file.name]


def test_a_load_without_rejects_takes_the_file_of_an_earlier_one_away(
    run_mcps: RunMcps, tmp_path: Path
) -> None:
    list_, rejects = tmp_path / "list.json", tmp_path / "list.json.rejects.jsonl"
    list_.write_text(json.dumps([BAD, BAD]))
    assert run_mcps("load", "list.json").returncode == 3
    list_.write_text(json.dumps([BAD]))
    assert run_mcps("load", "list.json").returncode == 3
    assert len(rejects.read_text().splitlines()) == 1
    list_.write_text(json.dumps(ITEMS))
    assert run_mcps("load", "list.json").returncode == 0
    assert not rejects.exists()


def test_rejects_of_all_files_go_where_they_are_told(
    run_mcps: RunMcps, tmp_path: Path
) -> None:
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text(json.dumps([BAD]))
    done = run_mcps("load", "--rejects", "all.jsonl", "a.json", "b.json")
    assert done.returncode == 3
    found = (tmp_path / "all.jsonl").read_text().splitlines()
    assert [json.loads(line)["file"] for line in found] == ["a.json", "b.json"]
    assert not list(tmp_path.glob("*rejects*"))


def test_a_file_whose_name_is_no_utf_8_is_loaded(
    run_mcps: RunMcps, tmp_path: Path
) -> None:
    name = os.fsdecode(b"p\xe4ge.json")
    (tmp_path / name).write_text(json.dumps([*ITEMS, BAD]))
    for arguments in ((), ("--json",)):
        done = run_mcps("load", *arguments, name)
        assert done.returncode == 3, done.stderr
        assert "xe4ge.json" in done.stdout
    rejects = tmp_path / "p\\xe4ge.json.rejects.jsonl"
    (line,) = rejects.read_text().splitlines()
    assert json.loads(line)["file"] == "p\\xe4ge.json"


def test_lists_of_the_same_name_share_a_file_of_rejects(
    run_mcps: RunMcps, tmp_path: Path
) -> None:
    for folder, items in (("a", [BAD]), ("b", [BAD]), ("c", ITEMS)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "list.json").write_text(json.dumps(items))
    done = run_mcps("load", "a/list.json", "b/list.json", "c/list.json")
    assert done.returncode == 3
    found = (tmp_path / "list.json.rejects.jsonl").read_text().splitlines()
    files = [json.loads(line)["file"] for line in found]
    assert files == ["a/list.json", "b/list.json"]


def test_a_place_for_rejects_that_cannot_be_written_is_told_before_the_load(
    run_mcps: RunMcps, tmp_path: Path
) -> None:
    (tmp_path / "list.json").write_text(json.dumps(ITEMS))
    done = run_mcps("load", "--rejects", "none/all.jsonl", "list.json")
    assert done.returncode == 2
    assert "none/all.jsonl: cannot be written: " in done.stderr
    assert run_mcps("export").stdout == ""


def test_rejects_of_an_earlier_load_go_only_from_a_file(
    run_mcps: RunMcps, tmp_path: Path
) -> None:
    (tmp_path / "list.json").write_text(json.dumps(ITEMS))
    (tmp_path / "all.jsonl").write_text('{"file":"list.json","entry":1}\n')
    (tmp_path / "link").symlink_to("/dev/null")
    for name in ("all.jsonl", "link"):
        assert run_mcps("load", "--rejects", name, "list.json").returncode == 0
    assert not (tmp_path / "all.jsonl").exists()
    assert (tmp_path / "link").is_symlink()


@pytest.mark.parametrize("entry", [ITEMS[0], BAD])
def test_a_file_that_holds_no_rejects_is_not_lost(
    run_mcps: RunMcps, tmp_path: Path, entry: dict[str, Any]
) -> None:
    (tmp_path / "list.json").write_text(json.dumps([entry]))
    for name in ("notes.txt", "list.json.rejects.jsonl"):
        (tmp_path / name).write_text("my notes\n")
        options = ["--rejects", name] if name == "notes.txt" else []
        done = run_mcps("load", *options, "list.json")
        assert done.returncode == 2
        assert f"{name} is there already and holds no rejects" in done.stderr
        assert (tmp_path / name).read_text() == "my notes\n"
    assert run_mcps("export").stdout == ""


def test_a_broken_list_is_loaded_up_to_the_break(
    run_mcps: RunMcps, tmp_path: Path
) -> None:
    (tmp_path / "cut.json.gz").write_bytes(
        gzip.compress(json.dumps(ITEMS).encode()[:-30])
    )
    done = run_mcps("load", "--json", "cut.json.gz")
    report = summary(done)
    assert (done.returncode, report["versions_new"], report["rejected"]) == (3, 2, 1)
    (line,) = (tmp_path / "cut.json.gz.rejects.jsonl").read_text().splitlines()
    assert json.loads(line)["reason"].startswith("broken at byte ")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"name,version\n", "bad.json: neither JSON nor JSON lines"),
        (None, "bad.json: cannot be read: No such file"),
    ],
)
def test_a_file_that_is_no_list_is_refused(
    run_mcps: RunMcps, tmp_path: Path, content: bytes | None, reason: str
) -> None:
    (tmp_path / "good.json").write_text(json.dumps(ITEMS))
    if content is not None:
        (tmp_path / "bad.json").write_bytes(content)
    done = run_mcps("load", "--json", "good.json", "bad.json")
    assert done.returncode == 2
    assert reason in done.stderr
    assert summary(done)["versions_new"] == 3


def test_nothing_to_load_is_a_usage_error(run_mcps: RunMcps) -> None:
    assert run_mcps("load").returncode == 2


def test_standard_input_is_read(run_mcps: RunMcps, tmp_path: Path) -> None:
    text = "\n".join(map(json.dumps, [*ITEMS, BAD]))
    done = run_mcps("load", "--json", "-", input=text)
    report = summary(done)
    assert (done.returncode, report["versions_new"]) == (3, 3)
    assert report["file"] == "standard input"
    assert (tmp_path / "stdin.rejects.jsonl").exists()


async def test_ctrl_c_keeps_whole_batches_and_the_next_run_goes_on(
    run_mcps: RunMcps, database_url: str, database: Any, tmp_path: Path
) -> None:
    items = [item(f"io.example/s{n}", "1.0.0", "2025-01-01") for n in range(2500)]
    lines = "".join(json.dumps(each) + "\n" for each in items)
    process = start(database_url, "-", folder=tmp_path)
    assert process.stdin
    process.stdin.write(lines.encode())
    process.stdin.flush()
    count = "select count(*) from server_version"

    async def is_stored() -> bool:
        return await database.fetchval(count) == 2000

    try:
        await until(is_stored, limit_s=30)
        process.send_signal(signal.SIGINT)
        # Standard input is still open: nothing more will come, and it must not matter.
        assert process.wait(timeout=60) == 75
        assert process.stderr
        assert b"Run the same command again" in process.stderr.read()
    finally:
        process.kill()
        process.communicate()
    assert await database.fetchval(count) == 2000
    again = run_mcps("load", "--json", "-", input=lines)
    report = summary(again)
    assert (report["versions_new"], report["versions_unchanged"]) == (500, 2000)


def test_a_long_load_says_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
    source = Source("list.json", check=lambda: None)
    source.size_bytes, source.read_bytes = 200, 50
    report = LoadReport(entries=3000, versions_new=2000, rejected=1, seconds=2.0)
    said: list[str] = []
    with progress.Progress(source, say=said.append, is_terminal=False) as shown:
        shown.show(report)
        source.size_bytes = None
        shown.show(report)
    counts = "3,000 entries, 2,000 new or changed, 1 rejected, 1,500/s"
    assert said == [f"list.json: 25%, {counts}", f"list.json: {counts}"]


@pytest.mark.slow
def test_memory_stays_small_however_large_the_list(
    database_url: str, tmp_path: Path
) -> None:
    entry = json.dumps(item("io.example/large", "1.0.0", x="y" * 40_000)).encode()
    with (tmp_path / "large.json").open("wb") as file:
        file.write(b"[")
        for _ in range(5000):
            file.write(entry + b",")
        file.write(entry + b"]")
    assert (tmp_path / "large.json").stat().st_size > 200_000_000
    with start(database_url, "--json", "large.json", folder=tmp_path) as process:
        peak_bytes = _watch_memory(process)
        assert process.stdout
        report = json.loads(process.stdout.read())["files"][0]
    assert process.returncode == 0
    assert report["entries"] == 5001
    assert 0 < peak_bytes < 150_000_000


def _watch_memory(process: "subprocess.Popen[bytes]") -> int:
    """The most memory the process had at once, watched until it ends.

    Not from its accounting: that counts what the test's own process had at the start.
    """
    peak_bytes = 0
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status").read_text()
        if found := re.search(r"VmHWM:\s+([0-9]+) kB", status):
            peak_bytes = int(found[1]) * 1024
        time.sleep(0.02)
    return peak_bytes


def test_rejects_never_take_the_place_of_a_list(
    run_mcps: RunMcps, tmp_path: Path
) -> None:
    names = ["list.json", "list.json.rejects.jsonl"]
    for name in names:
        (tmp_path / name).write_text(json.dumps([BAD]))
    for arguments in ([*names], [*names, "--rejects", names[1]]):
        done = run_mcps("load", *arguments)
        assert done.returncode == 2
        assert f"{names[1]}: cannot be written: " in done.stderr
    assert all(json.loads((tmp_path / name).read_text()) == [BAD] for name in names)
