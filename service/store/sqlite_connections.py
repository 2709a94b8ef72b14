"""Connections to one SQLite file: how each is opened, and how statements run on it.

Every connection has its thread. A statement that runs past the limit of its connection
is interrupted, so that a thread is free again when its caller has long given up.
"""

import asyncio
import os
import re
import sys
import time
from array import array
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiosqlite
import msgspec

from service import errors
from service.store.base import Value
from service.store.queries import Query, load_queries
from service.store.sqlite_vectors import extension_path, missing_vectors

STEPS_BETWEEN_LOOKS = 2000
STREAM_ROWS = 500


class Script(msgspec.Struct, frozen=True):
    """A named query: statements that run one after the other; the last one answers."""

    query: Query
    statements: tuple[str, ...]

    def checked(self, values: Mapping[str, Value]) -> Mapping[str, Value]:
        """The values, if all of them are there and none holds a NUL character."""
        for value in self.query.arguments(values):
            if isinstance(value, str) and "\0" in value:
                message = "the text holds a NUL character, which cannot be stored"
                raise errors.InvalidText(message)
        return values


def load_scripts() -> dict[str, Script]:
    """Every query of SQLite; a statement ends where a line ends with `;`."""
    return {
        name: Script(query, tuple(re.split(r";[ ]*\n", query.sql)))
        for name, query in load_queries("sqlite").items()
    }


async def _opened(address: str, wait_s: float) -> aiosqlite.Connection:
    """A file that was opened, and is closed again for who does not wait for it.

    aiosqlite lets go of what it opens meanwhile without closing it.
    """

    async def open_it() -> aiosqlite.Connection:
        return await aiosqlite.connect(
            address, uri=True, isolation_level=None, timeout=wait_s
        )

    opening = asyncio.create_task(open_it())
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        await asyncio.wait([opening])
        if opening.exception() is None:
            await opening.result().close()
        raise


class Connection:
    """One connection and its thread."""

    def __init__(self, driver: aiosqlite.Connection) -> None:
        self._driver = driver
        self._ends_at = float("inf")

    @classmethod
    async def connect(
        cls, path: Path, scripts: Mapping[str, Script], *, wait_s: float, writes: bool
    ) -> "Connection":
        """Open an existing file. The driver's errors come through."""
        address = f"file:{quote(os.fsencode(path))}?mode=rw"
        opened = cls(await _opened(address, wait_s))
        try:
            await opened._prepare(scripts, writes=writes)
        except BaseException:
            await opened.close()
            raise
        return opened

    async def _prepare(self, scripts: Mapping[str, Script], *, writes: bool) -> None:
        self._driver.row_factory = aiosqlite.Row
        for name, function, parameters in _FUNCTIONS:
            await self._driver.create_function(
                name, parameters, function, deterministic=True
            )
        await self._driver.set_progress_handler(self._is_over, STEPS_BETWEEN_LOOKS)
        if not missing_vectors():
            await self._driver.enable_load_extension(True)
            await self._driver.load_extension(extension_path())
            await self._driver.enable_load_extension(False)
        wanted = "connection_writes" if writes else "connection_reads"
        for name in ("connection_settings", wanted):
            await self.fetch(scripts[name], {})

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self._driver.in_transaction

    def limit(self, seconds: float | None) -> None:
        """From now on a statement may take so long; None is without an end."""
        self._ends_at = float("inf") if seconds is None else time.monotonic() + seconds

    async def fetch(
        self, script: Script, values: Mapping[str, Value]
    ) -> Sequence[aiosqlite.Row]:
        """All rows of the answer."""
        return await self._fetch(script.statements, values)

    async def run(self, script: Script, values: Mapping[str, Value]) -> int:
        """The number of rows that the last statement touched."""
        try:
            for statement in script.statements:
                cursor = await self._driver.execute(statement, values)
                touched = cursor.rowcount
                await cursor.close()
        except asyncio.CancelledError:
            await self._driver.interrupt()
            raise
        return max(0, touched)

    async def copy(self, script: Script, records: Iterable[Sequence[Value]]) -> int:
        """Run a statement for each record; gives their number."""
        rows = [
            script.checked(dict(zip(script.query.parameters, record, strict=True)))
            for record in records
        ]
        cursor = await self._driver.executemany(script.statements[0], rows)
        await cursor.close()
        return len(rows)

    async def prepare(self, script: Script) -> None:
        """Compile the statements without running them. The driver's errors come."""
        nothing = dict.fromkeys(script.query.parameters)
        for statement in script.statements:
            await self._fetch([f"explain {statement}"], nothing)

    @asynccontextmanager
    async def cursor(
        self, script: Script, values: Mapping[str, Value]
    ) -> AsyncIterator[AsyncIterator[aiosqlite.Row]]:
        """The rows of a large answer, a few at a time."""
        async with self._driver.execute(script.statements[0], values) as cursor:
            yield _rows(cursor)

    def cut(self) -> asyncio.Future[None] | None:
        """Close it without waiting; gives what is done when it is closed."""
        return self._driver.stop()

    async def close(self) -> None:
        """Close it."""
        await self._driver.close()

    async def _fetch(
        self, statements: Iterable[str], values: Mapping[str, Value]
    ) -> Sequence[aiosqlite.Row]:
        rows: Iterable[aiosqlite.Row] = ()
        try:
            for statement in statements:
                rows = await self._driver.execute_fetchall(statement, dict(values))
        except asyncio.CancelledError:
            await self._driver.interrupt()
            raise
        return list(rows)

    def _is_over(self) -> bool:
        return time.monotonic() > self._ends_at


async def _rows(cursor: aiosqlite.Cursor) -> AsyncIterator[aiosqlite.Row]:
    while found := await cursor.fetchmany(STREAM_ROWS):
        for row in found:
            yield row


def utc_text(text: str | None) -> str | None:
    """A time as the tables hold it; what is infinite sorts before or after all."""
    if text is None or text in {"infinity", "-infinity"}:
        return text
    at = datetime.fromisoformat(text)
    try:
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError:
        # Before the year 1 or after 9999 in UTC, where only PostgreSQL goes on.
        return "-infinity" if at.year == 1 else "infinity"
    return at.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def regexp(pattern: str, text: str | None) -> bool | None:
    """Whether a pattern occurs in a text, whatever its case."""
    return None if text is None else bool(re.search(pattern, text, re.IGNORECASE))


def similarity(left: str, right: str) -> float:
    """How alike two words are, by their trigrams: 0 to 1, as pg_trgm counts."""
    ours, theirs = _trigrams(left), _trigrams(right)
    return len(ours & theirs) / len(ours | theirs)


def _trigrams(word: str) -> set[str]:
    padded = f"  {word} "
    return {padded[start : start + 3] for start in range(len(padded) - 2)}


def float_blob(numbers: str) -> bytes:
    """A JSON array of numbers as 32-bit floats, low byte first."""
    floats = array("f", msgspec.json.decode(numbers, type=list[float]))
    if sys.byteorder == "big":
        floats.byteswap()
    return floats.tobytes()


def float_text(blob: bytes) -> str:
    """The JSON array of what `float_blob` made."""
    floats = array("f", blob)
    if sys.byteorder == "big":
        floats.byteswap()
    return msgspec.json.encode(floats.tolist()).decode()


_FUNCTIONS: tuple[tuple[str, Callable[..., Any], int], ...] = (
    ("utc_text", utc_text, 1),
    ("regexp", regexp, 2),
    ("similarity", similarity, 2),
    ("float_blob", float_blob, 1),
    ("float_text", float_text, 1),
    ("hex_blob", bytes.fromhex, 1),
)
