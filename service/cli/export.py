"""`mcps export` and `mcps export-sqlite`: take the catalog out of its database."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, get_args

import click
from rich.table import Table

from service.cli.progress import RowProgress
from service.cli.run import drop_output, is_terminal, results, say, with_store
from service.copying import TableCopy, count_left
from service.errors import Interrupted, RefusedFile
from service.file_copy import copy_to_file
from service.listing import Format, ListReport, write_list
from service.output import placed, require_apart
from service.settings import read_settings
from service.store.base import Store
from service.store.sqlite_file import files_of, sqlite_url

STANDARD_OUTPUT = "-"
_STOPPED = "stopped before the end: no file was written. Run the same command again"


class _Closed(Exception):
    """Nobody reads standard output any more."""


@click.command()
@click.argument("file", default=STANDARD_OUTPUT)
@click.option(
    "--format",
    "kind",
    type=click.Choice(get_args(Format)),
    default="jsonl",
    show_default=True,
    help="One entry a line, or one JSON document.",
)
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
def export(file: str, kind: Format, force: bool) -> None:
    """Write every published version as a list that `mcps load` reads; - is stdout.

    The list is one state of the catalog, in the order of name and version. What no
    published version says is not in it: `mcps export-sqlite` keeps everything. Exit
    code 0 all written, 2 refused file, 75 stopped or the database is away.
    """
    with _interruptible(), _opened(file, force=force) as write:
        report = _written(write, kind)
    if report:
        _tell(report)


def _written(write: Callable[[bytes], None], kind: Format) -> ListReport | None:
    """What was written; None when its reader had enough."""
    with RowProgress(say=say, is_terminal=is_terminal()) as progress:

        async def work(store: Store) -> ListReport:
            return await write_list(store, kind, write, show)

        def show(report: ListReport) -> None:
            progress.show("versions", report.written, report.versions)

        try:
            return with_store(work)
        except _Closed:
            drop_output()
            return None


@contextmanager
def _opened(file: str, *, force: bool) -> Iterator[Callable[[bytes], None]]:
    """What writes to the file or to standard output. Raises RefusedFile."""
    if file == STANDARD_OUTPUT:
        yield lambda text: _write(sys.stdout.buffer, "standard output", text)
        return
    settings = read_settings()
    if settings.is_sqlite:
        require_apart(Path(file), *files_of(settings.sqlite_path))
    with placed(Path(file), replaces=force) as draft, draft.open("wb") as opened:
        yield lambda text: _write(opened, file, text)


def _write(file: IO[bytes], name: str, text: bytes) -> None:
    """Write it at once: an error of the file must not look like one of the database."""
    try:
        file.write(text)
        file.flush()
    except BrokenPipeError as error:
        raise _Closed from error
    except OSError as error:
        message = f"{name}: cannot be written: {error.strerror}"
        raise RefusedFile(message) from error


@click.command("export-sqlite")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
def export_sqlite(file: Path, force: bool) -> None:
    """Copy everything into an SQLite file that MCPS serves.

    The file is one state of the catalog. Ids, uuids and times stay, and so do keys: the
    file holds their hashes, only its owner may read it. Both sides are compared at the
    end. Exit code 0 all copied, 2 refused file, 75 stopped or the database is away.
    """
    settings = read_settings()
    with (
        _interruptible(),
        RowProgress(say=say, is_terminal=is_terminal()) as progress,
    ):

        async def work(store: Store) -> tuple[list[TableCopy], int]:
            copied = await copy_to_file(
                store, settings, file, replaces=force, listener=progress.show
            )
            return copied, await count_left(store)

        copied, left = with_store(work, settings=settings)
    print_copies(copied)
    if left:
        say(
            f"{left} tables of the schema `legacy` belong to no catalog and stay where "
            "they are: `pg_dump --schema=legacy` keeps them"
        )
    say(f"Serve it with DATABASE_URL={sqlite_url(file)}")


def print_copies(copied: Iterable[TableCopy]) -> None:
    """How many rows of each table were copied."""
    table = Table("table", "rows")
    table.columns[1].justify = "right"
    for each in copied:
        table.add_row(each.table, f"{each.rows:,}")
    results().print(table)


@contextmanager
def _interruptible() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(_STOPPED) from None


def _tell(report: ListReport) -> None:
    say(f"{report.written:,} versions written")
    if report.bare_servers:
        say(
            f"{report.bare_servers:,} servers have no published version and are not in "
            "the list: `mcps export-sqlite` keeps them"
        )
