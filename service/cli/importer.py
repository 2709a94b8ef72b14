"""`mcps import-sqlite`: take over the file of an earlier MCPS."""

import shlex
import sys
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import click
import msgspec
from rich.table import Table
from rich.text import Text

from service.cli.detour import by_postgres
from service.cli.export import print_copies
from service.cli.progress import RowProgress
from service.cli.run import is_terminal, results, run_async, say, with_store
from service.copying import TableCopy
from service.errors import Interrupted, McpsError, RefusedFile
from service.file_copy import copy_from_file
from service.importer.batches import Refusal, Repair
from service.importer.reporting import Report
from service.importer.running import import_file, try_file
from service.importer.source import EarlierFile
from service.importer.storing import Note, is_worth_waiting
from service.importer.values import json_value
from service.output import (
    remove_earlier,
    require_apart,
    require_rejects,
    require_writable,
    shown_path,
)
from service.settings import read_settings
from service.store.base import Store
from service.store.sqlite_file import files_of, is_catalog

SOME_REJECTED = 3
COMPARING = "comparing"
REJECTS = "rejects.jsonl"
TOLD_CONFLICTS = 3
_LISTED = "--report FILE lists them all"
_WIDE = 110


@click.command("import-sqlite")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--strict", is_flag=True, help="Reject what could be repaired.")
@click.option("--dry-run", is_flag=True, help="Only say what would happen.")
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where a report goes, with the originals of all that was repaired and every "
    "conflict; a file that is there is replaced.",
)
@click.option(
    "--rejects",
    type=click.Path(path_type=Path),
    default=Path(REJECTS),
    show_default=True,
    metavar="FILE",
    help="Where rows go that cannot be kept. Rejects of an earlier run are replaced, "
    "or taken away where there are none.",
)
def import_sqlite(
    file: Path, strict: bool, dry_run: bool, report: Path | None, rejects: Path
) -> None:
    """Take everything in the SQLite file of an earlier MCPS over into PostgreSQL.

    The file is only read. Importing it again changes nothing, an older file takes no
    newer data back, and a stopped import goes on when the same command is run again.
    Exit code 0 all in, 3 some rows rejected, 2 refused file, 75 stopped: run it again.

    With USE_SQLITE or a DATABASE_URL of sqlite:/// the catalog goes into that file,
    which must not be there yet, by way of a PostgreSQL for the length of the command.

    A file of this MCPS, as `mcps export-sqlite` writes it, is copied as it is into a
    catalog that is still empty.
    """
    if is_catalog(file):
        if strict or dry_run or report:
            message = f"{file} is copied as it is: only its name can be given"
            raise click.UsageError(message)
        _copy_back(file)
        return
    require_apart(rejects, *files_of(file))
    if report:
        require_apart(report, rejects, *files_of(file))
    with Listener(rejects, report) as listener, EarlierFile(file) as opened:
        if dry_run:
            done = run_async(try_file(opened, listener, is_strict=strict))
        else:
            done = _imported(opened, listener, is_strict=strict)
        listener.finish(file, done)
    _print(done, rejects)
    _tell_conflicts(done, listener.first_conflicts, report)
    if not done.is_equal:
        message = (
            "the checksums of both sides differ: if the catalog was not written to "
            "meanwhile, run the same command again and look into the report"
        )
        raise McpsError(message)
    if done.rejected:
        sys.exit(SOME_REJECTED)


def _imported(file: EarlierFile, listener: "Listener", *, is_strict: bool) -> Report:
    async def work(store: Store) -> Report:
        return await import_file(store, file, listener, is_strict=is_strict)

    settings = read_settings()
    resume = f"Run the same command again to go on: mcps {shlex.join(sys.argv[1:])}"
    try:
        if settings.is_sqlite:
            return by_postgres(work, settings, settings.sqlite_path)
        return with_store(work, settings=settings)
    except KeyboardInterrupt:
        message = f"stopped; what is in stays. {resume}"
        raise Interrupted(message) from None
    except McpsError as error:
        if not is_worth_waiting(error):
            raise
        message = f"{error.message} What is in stays. {resume}"
        raise Interrupted(message) from error


def _copy_back(file: Path) -> None:
    """Copy a catalog of ours. Raises Conflict when there is one already."""
    settings = read_settings()
    with RowProgress(say=say, is_terminal=is_terminal()) as bars:

        async def work(store: Store) -> list[TableCopy]:
            return await copy_from_file(store, settings, file, listener=bars.show)

        try:
            copied = with_store(work, settings=settings)
        except KeyboardInterrupt:
            message = "stopped; nothing was copied. Run the same command again"
            raise Interrupted(message) from None
    print_copies(copied)


class Listener:
    """Shows how far an import is, and writes what it rejects and repairs to files."""

    def __init__(self, rejects: Path, report: Path | None) -> None:
        self._rejects_path = rejects
        self._report_path = report
        self._rejects: IO[bytes] | None = None
        self._files = ExitStack()
        self._repairs = self._files.enter_context(closing(Spool()))
        self._conflicts = self._files.enter_context(closing(Spool()))
        self.first_conflicts: list[str] = []
        """Table and key of some rows that stay as the catalog has them."""
        self._bars = RowProgress(say=say, is_terminal=is_terminal())

    def __enter__(self) -> Self:
        """Show the bars. Raises RefusedFile when the files cannot be written."""
        for path in (self._rejects_path, self._report_path):
            if path is not None:
                require_writable(path)
        require_rejects(self._rejects_path)
        self._files.enter_context(self._bars)
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Take the bars away and close the files."""
        self._files.close()

    def say(self, message: str) -> None:
        """Something that takes a while."""
        say(message)

    def refused(self, table: str, refusal: Refusal) -> None:
        """Write a rejected row; the file is made with the first one."""
        if self._rejects is None:
            self._rejects = self._files.enter_context(_opened(self._rejects_path))
        line = {
            "table": table,
            "key": refusal.key,
            "column": refusal.column,
            "reason": refusal.reason,
            "raw": json_value(refusal.raw),
            "row": {name: json_value(value) for name, value in refusal.row.items()},
        }
        self._rejects.write(msgspec.json.encode(line) + b"\n")

    def repaired(self, table: str, repair: Repair) -> None:
        """Keep the original for the report."""
        if self._report_path is not None:
            self._repairs.add(
                {
                    "table": table,
                    "key": repair.key,
                    "column": repair.column,
                    "rule": repair.rule,
                    "original": json_value(repair.original),
                }
            )

    def kept(self, table: str, note: Note) -> None:
        """Keep a conflict for the report, and some to be told."""
        if len(self.first_conflicts) < TOLD_CONFLICTS:
            self.first_conflicts.append(f"{table} {note.key}")
        if self._report_path is not None:
            conflict = {"table": table, "key": note.key, "reason": note.reason}
            self._conflicts.add(conflict)

    def progress(self, table: str, done: int, total: int) -> None:
        """Show how many rows of a table are done."""
        self._bars.show(table or COMPARING, done, total)

    def finish(self, file: Path, report: Report) -> None:
        """Write the report; the rejects of an earlier run go when there are none."""
        if self._rejects is None:
            remove_earlier(self._rejects_path)
        if self._report_path is None:
            return
        counts = msgspec.json.encode(
            {"file": shown_path(file), **msgspec.structs.asdict(report)}
        )
        with _opened(self._report_path) as opened:
            opened.write(msgspec.json.format(counts, indent=1)[:-2])
            self._repairs.write("repairs", opened)
            self._conflicts.write("conflicts", opened)
            opened.write(b"\n}\n")


class Spool:
    """Items of a report, maybe millions: kept on the disk until it is written."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=1 << 20)  # noqa: SIM115

    def add(self, item: dict[str, object]) -> None:
        """Take an item."""
        self._file.write(msgspec.json.encode(item) + b"\n")

    def write(self, name: str, report: IO[bytes]) -> None:
        """Write the items as a field of an object that has others already."""
        report.write(f',\n "{name}": ['.encode())
        self._file.seek(0)
        for number, line in enumerate(self._file):
            report.write((b",\n  " if number else b"\n  ") + line.rstrip())
        report.write(b"\n ]")

    def close(self) -> None:
        """Drop the items."""
        self._file.close()


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("wb")
    except OSError as error:
        message = f"{path}: cannot be written: {error.strerror}"
        raise RefusedFile(message) from error


def _print(report: Report, rejects: Path) -> None:
    console = results()
    title = "what would be imported" if report.is_dry_run else None
    heads = ("table", "source", "copied", "repaired", "rejected", "unchanged")
    table = Table(*heads, "s", "rows/s", "checksums", title=title)
    for column in table.columns[1:-1]:
        column.justify = "right"
    for name, row in report.tables.items():
        counts = (getattr(row, head) for head in heads[1:])
        equal = "-" if report.is_dry_run else ("equal" if row.is_equal else "DIFFER")
        table.add_row(
            Text(name),
            *(f"{count:,}" for count in counts),
            f"{row.seconds:.1f}",
            f"{row.rows_per_s:,.0f}",
            equal,
        )
    if console.width < _WIDE:
        _squeeze(table)
    console.print(table)
    rows = _rows(sum(row.source for row in report.tables.values()))
    unchanged = sum(row.unchanged for row in report.tables.values())
    console.print(
        f"{rows} in {report.seconds:.1f} s, {report.rows_per_s:,.0f} rows/s"
        + (f"; {_rows(unchanged)} unchanged" if unchanged else ""),
        highlight=False,
    )
    for name in report.skipped:
        say(f"{name} is a virtual table: what is in it stands in other tables")
    if report.rejected:
        say(f"What was rejected, and why: {shown_path(rejects)}")


def _tell_conflicts(report: Report, first: list[str], path: Path | None) -> None:
    if not report.kept:
        return
    differ = "differs" if report.kept == 1 else "differ"
    line = (
        f"{_rows(report.kept)} {differ} from the catalog, which is as new or newer and "
        f"stays: {', '.join(first)}"
    )
    if report.kept > len(first):
        every = f"all of them: {shown_path(path)}" if path else _LISTED
        line = f"{line}, …; {every}"
    say(line)


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _squeeze(table: Table) -> None:
    """For a narrow terminal: heads take more lines, and nothing is cut off."""
    table.padding = (0, 0)
    for column in table.columns:
        column.min_width = max(map(len, map(str, column.cells)), default=1)
        column.overflow = "fold"
