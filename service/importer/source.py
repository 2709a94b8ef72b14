"""Reads a file of the earlier MCPS: one state of it, and never a write.

The file is opened read-only and one read transaction lasts as long as the import, so
that everything comes from the same moment, whatever else writes to the file. With a
`-wal` file beside it writers go on meanwhile; without one their commits wait.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from hashlib import sha256
from itertools import chain, compress, groupby, islice
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import msgspec

from service.errors import RefusedFile
from service.importer.plans import NEEDED_OF_SERVERS, TABLES
from service.importer.values import Mended, Raw, Unfit
from service.resources import resource
from service.store.base import Value
from service.store.queries import read_queries
from service.store.sqlite_file import MAGIC

HEADER_BYTES = 100
BATCH_ROWS = 5000
BATCH_CHARACTERS = 1 << 21
CHOSEN_ROWS = 500
# What is fetched at once: values may be long, so few rows, and fewer of long ones.
FETCHED_ROWS = 100
FETCHED_CHARACTERS = 1 << 19
_ROWIDS = ("rowid", "_rowid_", "oid")
_SIZED = frozenset({str, bytes})
_NO_UTF8 = "Could not decode to UTF-8"
# Not strict: what is no UTF-8 is for the rules to look at.
_LENIENT = partial(str, encoding="utf-8", errors="surrogateescape")
_NUMBERS: dict[str, Callable[[bytes], Raw]] = {"integer": int, "real": float}
_RULES = {table.source: table.columns for table in TABLES}
_OURS = "_yoyo_migration"
_WAIT_S = 10.0
_TRIES = 20

Row = tuple[Raw, ...]


class Column(msgspec.Struct, frozen=True):
    """A column as the file declares it; the type in upper case."""

    name: str
    type: str


class SourceTable(msgspec.Struct, frozen=True):
    """A table of the file."""

    name: str
    columns: tuple[Column, ...]
    key: str
    """What tells its rows apart: an integer; empty where SQLite numbers no rows."""
    is_by_id: bool
    """Whether that is its column `id`."""
    rows: int
    last_key: int

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        return [column.name for column in self.columns]


class EarlierFile:
    """An open file; a context that lasts as long as it is read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.fingerprint = ""
        """The state of the file: changes whenever it is written to."""
        self.skipped: list[str] = []
        """Virtual tables: what is in them stands in other tables."""

    def __enter__(self) -> Self:
        """Open the file. Raises RefusedFile for one that is not of the earlier MCPS."""
        _require_sqlite(self._path)
        address = f"file:{quote(os.fsencode(self._path.absolute()))}?mode=ro"
        try:
            self._file = sqlite3.connect(
                address,
                uri=True,
                isolation_level=None,
                timeout=_WAIT_S,
                check_same_thread=False,
            )
        except sqlite3.Error as error:
            raise self._refused(error) from error
        self._file.text_factory = _LENIENT
        self._file.create_function("mapped", 4, _mapped, deterministic=True)
        try:
            self._begin()
            self.tables = [*self._tables()]
            self._require_earlier()
            self._file.text_factory = str
        except sqlite3.Error as error:
            self._file.close()
            raise self._refused(error) from error
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        self._file.close()

    def rows(self, table: SourceTable, columns: Sequence[str]) -> Iterator[list[Row]]:
        """The rows of a table in batches, the key before the columns."""
        values = {"name": table.name, "columns": _json(columns)}
        if table.key:
            statement = self._value("file_reading", key=table.key, **values)
        else:
            statement = self._value("file_numbering", **values)
        yield from self._batches(table, statement)

    def chosen(
        self, table: SourceTable, columns: Sequence[str], keys: Sequence[int]
    ) -> Iterator[list[Row]]:
        """The rows with these keys in batches, the key before the columns."""
        statement = self._value(
            "file_choosing", name=table.name, key=table.key, columns=_json(columns)
        )
        for start in range(0, len(keys), CHOSEN_ROWS):
            some = _json(list(keys[start : start + CHOSEN_ROWS]))
            yield from self._batches(table, statement, some)

    def doubles(
        self, table: SourceTable, column: str, newest: str
    ) -> Iterator[list[int]]:
        """Keys of rows that have the same value, the newest first.

        They are compared as their rules map them; what these refuse is left out.
        """
        statement = self._value(
            "file_doubling",
            name=table.name,
            key=table.key,
            column=column,
            newest=newest,
        )
        for _, rows in groupby(self._read(statement), key=itemgetter(1)):
            yield [key for key, _ in rows]

    def releases(self) -> Iterator[tuple[Raw, Raw]]:
        """Servers by id with the version of their newest release."""
        for server_id, version, _ in self._read(_queries()["file_releases"]):
            yield server_id, version

    def owners(self) -> Iterator[tuple[Raw]]:
        """The servers that have tools, by id."""
        yield from self._read(_queries()["file_owners"])

    def _begin(self) -> None:
        """Hold on to one state of the file, and know which."""
        queries = _queries()
        self._file.execute(queries["file_settings"])
        for _ in range(_TRIES):
            before = _state(self._path)
            self._file.execute(queries["file_begin"])
            self._file.execute(queries["file_tables"]).fetchone()
            if _state(self._path) == before:
                self.fingerprint = before
                return
            self._file.rollback()
        message = f"{self._path} is written to without a pause: try again later"
        raise RefusedFile(message)

    def _tables(self) -> Iterator[SourceTable]:
        found = self._file.execute(_queries()["file_tables"]).fetchall()
        for name, is_virtual, is_without_rowid in found:
            if is_virtual:
                self.skipped.append(name)
                continue
            yield self._table(name, is_without_rowid=bool(is_without_rowid))

    def _table(self, name: str, *, is_without_rowid: bool) -> SourceTable:
        listed = self._file.execute(
            _queries()["file_columns"], {"name": name}
        ).fetchall()
        columns = tuple(Column(column, kind) for column, kind, _ in listed)
        names = {column.name.lower() for column in columns}
        keys = [(column, kind) for column, kind, place in listed if place]
        key = next((word for word in _ROWIDS if word not in names), "")
        if is_without_rowid:
            key = ""
        elif len(keys) == 1 and keys[0][1] == "INTEGER":
            key = keys[0][0]
        counted = key or columns[0].name
        statement = self._value("file_counting", name=name, key=counted)
        count, last = next(self._read(statement))
        last_key = last if key and isinstance(last, int) else count
        return SourceTable(name, columns, key, key == "id", count, last_key)

    def _require_earlier(self) -> None:
        names = {table.name: table for table in self.tables}
        if _OURS in names:
            message = f"{self._path} is a catalog of this MCPS, not of an earlier one"
            raise RefusedFile(message)
        server = names.get("server")
        if server is None or not {*NEEDED_OF_SERVERS} <= {*server.names}:
            message = (
                f"{self._path} is no file of the earlier MCPS: its table server is not "
                "there, or another one"
            )
            raise RefusedFile(message)
        if not server.is_by_id:
            message = f"{self._path}: the servers have no integer primary key `id`"
            raise RefusedFile(message)

    def _batches(
        self, table: SourceTable, statement: str, *values: str
    ) -> Iterator[list[Row]]:
        batch: list[Row] = []
        characters = 0
        for rows, length in self._fetched(statement, *values, place=table.name):
            batch += rows
            characters += length
            if len(batch) >= BATCH_ROWS or characters >= BATCH_CHARACTERS:
                yield batch[:BATCH_ROWS]
                batch = batch[BATCH_ROWS:]
                characters = _characters(batch)
        if batch:
            yield batch

    def _read(self, statement: str, *values: str, place: str = "") -> Iterator[Any]:
        for rows, _ in self._fetched(statement, *values, place=place):
            yield from rows

    def _fetched(
        self, statement: str, *values: str, place: str = ""
    ) -> Iterator[tuple[list[Any], int]]:
        """The rows of a statement, some at a time, with the length of their text."""
        try:
            yield from self._some(statement, values)
        except sqlite3.DatabaseError as error:
            raise self._refused(error, place) from error

    def _some(
        self, statement: str, values: Sequence[str]
    ) -> Iterator[tuple[list[Any], int]]:
        """Read strictly, which takes half the time, until something is no UTF-8."""
        wanted, fetched = 1, 0
        cursor = self._file.execute(statement, values)
        while True:
            try:
                rows = cursor.fetchmany(wanted)
            except sqlite3.OperationalError as error:
                if _NO_UTF8 not in str(error):
                    raise
                self._file.text_factory = _LENIENT
                cursor = self._file.execute(statement, values)
                _skip(cursor, fetched)
                continue
            if not rows:
                return
            characters = _characters(rows)
            yield rows, characters
            fetched += len(rows)
            fitting = FETCHED_CHARACTERS * len(rows) // (characters + 1)
            wanted = max(1, min(FETCHED_ROWS, 2 * wanted, fitting))

    def _value(self, query: str, **values: str) -> str:
        (text,) = self._file.execute(_queries()[query], values).fetchone()
        return str(text)

    def _refused(self, error: sqlite3.Error, place: str = "") -> RefusedFile:
        where = f" in table {place}" if place else ""
        if "unable to open" in str(error):
            mend = "; where it has a -wal file, its folder has to be writable"
        else:
            mend = ""
        return RefusedFile(f"{self._path} cannot be read{where}: {error}{mend}")


def _require_sqlite(path: Path) -> None:
    """Raise RefusedFile for what is no SQLite file, or not all of one."""
    if path.is_dir():
        message = f"{path} is a folder: name the SQLite file in it"
        raise RefusedFile(message)
    if not path.is_file():
        message = f"there is no file {path}"
        raise RefusedFile(message)
    try:
        with path.open("rb") as file:
            head = file.read(HEADER_BYTES)
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        raise RefusedFile(message) from error
    if not head:
        message = f"{path} is empty"
        raise RefusedFile(message)
    if not head.startswith(MAGIC) or len(head) < HEADER_BYTES:
        message = f"{path} is no SQLite file"
        raise RefusedFile(message)
    page = int.from_bytes(head[16:18], "big")
    whole = (65536 if page == 1 else page) * int.from_bytes(head[28:32], "big")
    is_counted = head[24:28] == head[92:96]
    if is_counted and path.stat().st_size < whole and not _beside(path, "-wal"):
        message = (
            f"{path} is cut off: it has {path.stat().st_size:,} of {whole:,} bytes"
        )
        raise RefusedFile(message)


def _mapped(table: str, column: str, raw: bytes, kind: str) -> Value:
    """What a rule makes of a value; SQLite gives its bytes, whatever they are."""
    value: Raw = raw
    if kind == "text":
        value = _LENIENT(raw)
    elif kind != "blob":
        value = _NUMBERS[kind](raw)
    try:
        mapped = _RULES[table][column].one(value)
    except Unfit:
        return None
    return mapped.value if isinstance(mapped, Mended) else mapped


def _characters(rows: Sequence[Row]) -> int:
    """How long the texts of some rows are together."""
    values = [*chain.from_iterable(rows)]
    sized = map(_SIZED.__contains__, map(type, values))
    return sum(map(len, compress(values, sized)))  # type: ignore[arg-type]


def _skip(cursor: sqlite3.Cursor, rows: int) -> None:
    for _ in islice(cursor, rows):
        pass


def _beside(path: Path, ending: str) -> bool:
    file = path.with_name(path.name + ending)
    return file.exists() and file.stat().st_size > 0


def _state(path: Path) -> str:
    """Something that is different after every commit to the file."""
    state = sha256()
    log = path.with_name(f"{path.name}-wal")
    for file in (path, log):
        if not file.exists() or not (stat := file.stat()).st_size:
            continue
        with file.open("rb") as opened:
            state.update(opened.read(HEADER_BYTES))
        # Only a log may be written to without a change of its head.
        state.update(
            f"{stat.st_size} {stat.st_mtime_ns if file is log else 0} ".encode()
        )
    return state.hexdigest()


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


@cache
def _queries() -> dict[str, str]:
    file = resource("queries") / "earlier" / "file.sql"
    return {query.name: query.sql for query in read_queries(file, "sqlite")}
