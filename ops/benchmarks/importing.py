"""`ops/bench --import`: a file of the earlier MCPS taken over by us and by pgloader."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from ops.benchmarks.databases import bench_database
from ops.benchmarks.earlier import make_file
from ops.benchmarks.processes import ROOT, inherited
from service.store.migrate import apply

WANTED_ROWS_PER_S = 20_000
WANTED_MEMORY_MB = 150
WANTED_RATIO = 1.5
# With its defaults it exhausts its heap on embeddings.
_OPTIONS = "batch rows = 1000, batch size = 4MB, prefetch rows = 1000"
_LOAD = """\
load database
     from sqlite://{file}
     into {url}
 with include drop, create tables, create indexes, reset sequences, {options};
"""

Say = Callable[[str], None]


class Outcome(msgspec.Struct, frozen=True):
    """What one run took."""

    name: str
    rows: int
    seconds: float
    processor_s: float
    """Of the program itself, without PostgreSQL."""
    memory_mb: float

    @property
    def rows_per_s(self) -> float:
        """Rows of the file a second, from start to exit."""
        return self.rows / self.seconds


def compare(servers: int, folder: Path, say: Say) -> tuple[list[Outcome], str]:
    """Both runs on the same file, and why there is only one, if so."""
    file = folder / "earlier.db"
    say(f"Making a file with {servers:,} servers")
    rows = make_file(file, servers)
    say(f"{rows:,} rows, {file.stat().st_size / 1e6:,.0f} MB: import-sqlite")
    found = []
    with bench_database() as database:
        apply(database.url)
        found.append(_ours(file, rows, database.url, folder))
    if not shutil.which("pgloader"):
        return (
            found,
            "pgloader is not installed here (Debian has a package): not compared",
        )
    say("pgloader")
    with bench_database() as database:
        try:
            found.append(_pgloader(file, rows, database.url, folder))
        except RuntimeError as error:
            reason = next(
                iter(re.findall(r"[Hh]eap exhausted", str(error))), "see its log"
            )
            return found, f"pgloader did not finish: {reason}. Take a smaller file"
    return found, ""


def _ours(file: Path, rows: int, url: str, folder: Path) -> Outcome:
    command = [sys.executable, "-m", "service", "import-sqlite", str(file)]
    environ = {
        "DATABASE_URL": url,
        "ENVIRONMENT": "production",
        "PYTHONPATH": str(ROOT),
    }
    return _timed("mcps import-sqlite", rows, command, environ, folder)


def _pgloader(file: Path, rows: int, url: str, folder: Path) -> Outcome:
    load = folder / "pgloader.load"
    load.write_text(
        _LOAD.format(file=file, url=url, options=_OPTIONS), encoding="utf-8"
    )
    return _timed("pgloader", rows, ["pgloader", str(load)], {}, folder)


def _timed(
    name: str, rows: int, command: list[str], environ: dict[str, str], folder: Path
) -> Outcome:
    """Run a program to its end. Raises RuntimeError with its last words if it fails."""
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        began_at = time.monotonic()
        process = subprocess.Popen(
            command,
            env={**inherited(), **environ},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began_at
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        message = f"{name} failed: {log.read_text(errors='replace')[-2000:]}"
        raise RuntimeError(message)
    processor_s = usage.ru_utime + usage.ru_stime
    return Outcome(name, rows, seconds, processor_s, usage.ru_maxrss / 1024)


def markdown(outcomes: list[Outcome], note: str) -> str:
    """The figures and what was wanted of them."""
    lines = [
        "| program | rows | s | rows/s | its own CPU s | memory MB |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {run.name} | {run.rows:,} | {run.seconds:.1f} | {run.rows_per_s:,.0f} "
        f"| {run.processor_s:.1f} | {run.memory_mb:.0f} |"
        for run in outcomes
    ]
    lines += ["", "| wanted | found | |", "| --- | --- | --- |"]
    lines += [
        f"| {wanted} | {found} | {met} |" for wanted, found, met in verdicts(outcomes)
    ]
    return "\n".join([*lines, *(["", note] if note else [])])


def verdicts(outcomes: list[Outcome]) -> list[tuple[str, str, str]]:
    """What was wanted, what was found, and whether that is enough."""
    ours, *others = outcomes
    rate, memory = ours.rows_per_s, ours.memory_mb
    found = [
        (
            f"at least {WANTED_ROWS_PER_S:,} rows/s",
            f"{rate:,.0f}",
            _met(rate >= WANTED_ROWS_PER_S),
        ),
        (
            f"at most {WANTED_MEMORY_MB} MB",
            f"{memory:.0f}",
            _met(memory <= WANTED_MEMORY_MB),
        ),
    ]
    for other in others:
        ratio = other.seconds / ours.seconds
        wanted = f"at least {WANTED_RATIO} times as fast as {other.name}"
        found.append((wanted, f"{ratio:.2f}", _met(ratio >= WANTED_RATIO)))
    return found


def _met(is_met: bool) -> str:  # noqa: FBT001 - a word for it
    return "met" if is_met else "not met"
