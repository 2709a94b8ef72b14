"""A connection of a test's own, by hand, to whichever database the test runs on.

Statements are those that both databases understand, with `$1` for a value.
"""

import re
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from typing import Any

import asyncpg

from service.settings import is_sqlite_url, sqlite_path

_PLACE = re.compile(r"\$(\d+)")


class FileConnection:
    """What tests use of asyncpg's connection, on an SQLite file."""

    def __init__(self, driver: sqlite3.Connection) -> None:
        self._driver = driver
        driver.row_factory = sqlite3.Row
        driver.execute("pragma foreign_keys = on")
        driver.create_function("now", 0, lambda: _plain(datetime.now(UTC)))

    async def execute(self, statement: str, *values: Any) -> None:
        """Run one statement."""
        await self.fetch(statement, *values)

    async def executemany(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run one statement for each row of values."""
        for values in rows:
            await self.fetch(statement, *values)

    async def fetch(self, statement: str, *values: Any) -> list[sqlite3.Row]:
        """All rows."""
        numbered = _PLACE.sub(r"?\1", statement)
        return self._driver.execute(numbered, [*map(_plain, values)]).fetchall()

    async def fetchrow(self, statement: str, *values: Any) -> sqlite3.Row | None:
        """The first row."""
        return next(iter(await self.fetch(statement, *values)), None)

    async def fetchval(self, statement: str, *values: Any) -> Any:
        """The first column of the first row."""
        row = await self.fetchrow(statement, *values)
        return None if row is None else row[0]


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Any]:
    """A connection to the database of this URL."""
    if is_sqlite_url(url):
        driver = sqlite3.connect(sqlite_path(url), isolation_level=None)
        with closing(driver):
            yield FileConnection(driver)
        return
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def put(database: Any, table: str, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows that have the same columns; times are datetimes, JSON is text."""
    if not rows:
        return
    names = ", ".join(rows[0])
    places = ", ".join(f"${n}" for n in range(1, len(rows[0]) + 1))
    statement = f"insert into {table} ({names}) values ({places})"
    await database.executemany(statement, [[*row.values()] for row in rows])


def moment(value: Any) -> datetime:
    """A time as one, whichever database it comes from."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def _plain(value: Any) -> Any:
    """A value as SQLite keeps it."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return value
