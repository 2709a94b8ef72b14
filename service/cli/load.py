"""`mcps load`: take over registry lists from files or standard input."""

import asyncio
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import click
import msgspec
from rich.table import Table
from rich.text import Text

from service.cli.progress import Progress
from service.cli.run import is_terminal, results, say, with_store
from service.entries import Entry, Rejected, read_entry
from service.errors import Interrupted, RefusedFile
from service.files import Source
from service.loading import LoadReport, load_entries
from service.output import (
    remove_earlier,
    require_apart,
    require_rejects,
    require_writable,
    shown_path,
)
from service.reading import pieces
from service.store.base import Store

SOME_REJECTED = 3
LONGEST_RAW = 4096


class Rejects:
    """The file of what could not be stored, made with the first such entry."""

    def __init__(self, path: str, files: Sequence[str]) -> None:
        """`path` is empty for a file of the list's name in the current folder.

        `files` are the lists, which stay as they are.
        """
        self._given = path
        self._files = [*map(Path, files)]
        self._begun: set[Path] = set()
        self._opened: set[Path] = set()

    @property
    def paths(self) -> list[str]:
        """The files that were written."""
        return sorted(map(shown_path, self._opened))

    def writer(self, source: Source) -> Callable[[Rejected], None]:
        """Writes what is rejected of one list; a file of an earlier load goes away."""
        name = "stdin" if source.is_standard_input else Path(source.name).name
        path = Path(self._given or f"{name}.rejects.jsonl")
        if path not in self._begun:
            self._begun.add(path)
            require_apart(path, *self._files)
            if self._given:
                require_writable(path)
            require_rejects(path)
            remove_earlier(path)
        return lambda rejected: self._write(path, source, rejected)

    def _write(self, path: Path, source: Source, rejected: Rejected) -> None:
        line = {
            "file": source.name,
            "entry": rejected.number,
            "reason": rejected.reason,
            "raw": rejected.raw[:LONGEST_RAW].decode("utf-8", "backslashreplace"),
        }
        is_first = path not in self._opened
        self._opened.add(path)
        try:
            with path.open("wb" if is_first else "ab") as file:
                file.write(msgspec.json.encode(line) + b"\n")
        except OSError as error:
            message = f"{path}: cannot be written: {error.strerror}"
            raise RefusedFile(message) from error


class FileReport(LoadReport, kw_only=True):
    """What the load of one file did."""

    file: str
    entries_per_s: float


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--rejects",
    default="",
    metavar="FILE",
    help="Where entries go that cannot be stored; else <file>.rejects.jsonl here. "
    "Rejects of an earlier run are replaced, or taken away where there are none.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def load(files: tuple[str, ...], rejects: str, as_json: bool) -> None:
    """Store the servers of registry lists: JSON, JSON lines, plain or gzip; - is stdin.

    Loading again changes nothing, and an old list takes no newer data back. Exit code
    0 all stored, 3 some entries rejected, 2 refused file, 75 stopped: run it again.
    """
    kept = Rejects(rejects, files)
    reports: list[FileReport] = []

    async def work(store: Store) -> None:
        for path in files:
            await _load_file(store, path, kept, reports)

    try:
        with_store(work)
    except KeyboardInterrupt:
        message = "stopped; what is stored stays. Run the same command again to go on"
        raise Interrupted(message) from None
    finally:
        _print(reports, kept, as_json=as_json)
    if any(report.rejected for report in reports):
        sys.exit(SOME_REJECTED)


async def _load_file(
    store: Store, path: str, rejects: Rejects, reports: list[FileReport]
) -> None:
    source = Source(path, check=_stop_when_cancelled)
    try:
        with Progress(source, say=say, is_terminal=is_terminal()) as progress:
            report = await load_entries(
                store,
                _entries(source),
                on_reject=rejects.writer(source),
                on_progress=progress.show,
            )
    except RefusedFile as error:
        message = f"{source.name}: {error.message}"
        raise RefusedFile(message) from error
    rate = report.entries / report.seconds if report.seconds else 0.0
    counts = msgspec.structs.asdict(report)
    reports.append(FileReport(file=source.name, entries_per_s=round(rate, 1), **counts))


def _entries(source: Source) -> Iterator[Entry | Rejected]:
    return map(read_entry, pieces(source.chunks()))


def _stop_when_cancelled() -> None:
    """A pipe with nothing in it must not hold up Ctrl-C."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _print(reports: list[FileReport], rejects: Rejects, *, as_json: bool) -> None:
    if as_json:
        document = {"files": reports, "rejects": rejects.paths}
        click.echo(msgspec.json.encode(document).decode())
    elif reports:
        _print_tables(reports)
    for path in rejects.paths:
        say(f"What was rejected, and why: {path}")


def _print_tables(reports: list[FileReport]) -> None:
    console = results()
    for report in reports:
        table = Table("", "new", "changed", "unchanged", title=Text(report.file))
        for column in table.columns[1:]:
            column.justify = "right"
        for noun in ("servers", "versions"):
            states = ("new", "changed", "unchanged")
            counts = (getattr(report, f"{noun}_{state}") for state in states)
            table.add_row(noun, *(f"{count:,}" for count in counts))
        console.print(table)
        console.print(
            f"{report.entries:,} entries: {report.flagged:,} flagged, "
            f"{report.repeated:,} repeated, {report.rejected:,} rejected; "
            f"{report.seconds:.1f} s, {report.entries_per_s:,.0f} entries/s",
            highlight=False,
        )
