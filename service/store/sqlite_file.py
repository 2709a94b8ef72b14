"""Whether an SQLite file may be used at all, found out without writing to it."""

import os
import shlex
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from service.errors import InvalidSettings, RefusedFile
from service.resources import resource
from service.store.queries import read_queries
from service.store.sqlite_errors import DAMAGED, NOT_A_DATABASE

MAGIC = b"SQLite format 3\0"
CHECK_LIMIT_S = 1.0
_STEPS_BETWEEN_LOOKS = 10_000
_EARLIER = {"server", "toolembedding"}
_OURS = "_yoyo_migration"
_YOYO = ("_yoyo", "yoyo_lock", "sqlite_")


def sqlite_url(path: Path) -> str:
    """The URL of a file, absolute: it means the same in every process."""
    return f"sqlite:///{quote(os.fsencode(path.absolute()))}"


def files_of(path: Path) -> list[Path]:
    """The file and what SQLite may have beside it."""
    endings = ("", "-wal", "-shm", "-journal")
    return [path.with_name(path.name + ending) for ending in endings]


def require_file(path: Path) -> None:
    """Look at a file that is to be served.

    Raises InvalidSettings when it is not there, RefusedFile for one that cannot hold a
    catalog.
    """
    if not path.exists():
        message = f"there is no SQLite file {path}: `mcps migrate` makes it"
        raise InvalidSettings(message)
    require_usable(path)


def require_usable(path: Path) -> None:
    """Raise RefusedFile unless the file is empty or one of ours, whole and writable."""
    if not path.is_file():
        message = f"{path} is not a file: name one in DATABASE_PATH or DATABASE_URL"
        raise RefusedFile(message)
    if not os.access(path, os.R_OK):
        message = f"{path} may not be read by this user"
        raise RefusedFile(message)
    with path.open("rb") as file:
        head = file.read(len(MAGIC))
    if head and head != MAGIC:
        message = f"{path}: {NOT_A_DATABASE}"
        raise RefusedFile(message)
    tables, said = _look(path)
    _refuse_foreign(path, tables)
    if said != "ok":
        message = f"{path}: {DAMAGED} ({said})"
        raise RefusedFile(message)
    if not os.access(path, os.W_OK) or not os.access(path.parent, os.W_OK):
        message = f"{path} is read-only: the file and its folder have to be writable"
        raise RefusedFile(message)


def is_catalog(path: Path) -> bool:
    """Whether a file holds a catalog of this MCPS, whole or not."""
    if not path.is_file():
        return False
    tables, _ = _look(path)
    return _OURS in tables


def check_file(path: Path, *, limit_s: float | None = None) -> str:
    """What is wrong inside a file; `ok` when nothing is, or nothing in that time."""
    with _opened(path) as connection:
        return _checked(connection, limit_s)


def _look(path: Path) -> tuple[set[str], str]:
    """The tables of a file, and what a short check says of it."""
    queries = _queries()
    try:
        with _opened(path) as connection:
            rows = connection.execute(queries["connection_tables"]).fetchall()
            return {name for (name,) in rows}, _checked(connection, CHECK_LIMIT_S)
    except sqlite3.DatabaseError as error:
        return set(), str(error)


def _checked(connection: sqlite3.Connection, limit_s: float | None) -> str:
    ends_at = float("inf") if limit_s is None else time.monotonic() + limit_s
    connection.set_progress_handler(
        lambda: time.monotonic() > ends_at, _STEPS_BETWEEN_LOOKS
    )
    try:
        (said,) = connection.execute(_queries()["connection_check"]).fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
            return "ok"
        raise
    return str(said).splitlines()[0]


def _refuse_foreign(path: Path, tables: set[str]) -> None:
    if _OURS in tables:
        return
    if tables >= _EARLIER or "alembic_version" in tables:
        message = (
            f"{path} is a file of the earlier MCPS and stays as it is: take it over "
            "into a catalog of its own with `mcps import-sqlite "
            f"{shlex.quote(str(path))}`"
        )
        raise RefusedFile(message)
    others = sorted(name for name in tables if not name.startswith(_YOYO))
    if others:
        message = f"{path} belongs to another program: it has a table {others[0]}"
        raise RefusedFile(message)


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    address = f"file:{quote(os.fsencode(path.absolute()))}?mode=ro"
    with closing(sqlite3.connect(address, uri=True)) as connection:
        yield connection


def _queries() -> dict[str, str]:
    file = resource("queries") / "sqlite" / "connection.sql"
    return {query.name: query.sql for query in read_queries(file, "sqlite")}
