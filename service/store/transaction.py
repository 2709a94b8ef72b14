"""Named queries inside one transaction of asyncpg, whose connection is handed in."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from service.store.base import Row, Value
from service.store.queries import Query

STREAM_ROWS = 500
PIECE_BYTES = 1 << 18


class DriverTransaction:
    """Named queries inside one transaction."""

    def __init__(
        self,
        connection: Any,  # noqa: ANN401 - asyncpg's proxy is untyped
        query: Callable[[str], Query],
        timeout_s: float | None,
    ) -> None:
        self._connection = connection
        self._query = query
        self._timeout_s = timeout_s

    async def value(self, query: str, /, **values: Value) -> Any:  # noqa: ANN401
        """The first column of the first row; None without a row."""
        sql, arguments = self._bound(query, values)
        return await self._connection.fetchval(sql, *arguments, timeout=self._timeout_s)

    async def row(self, query: str, /, **values: Value) -> Row | None:
        """The first row, if there is one."""
        sql, arguments = self._bound(query, values)
        row: Row | None = await self._connection.fetchrow(
            sql, *arguments, timeout=self._timeout_s
        )
        return row

    async def rows(self, query: str, /, **values: Value) -> Sequence[Row]:
        """All rows."""
        sql, arguments = self._bound(query, values)
        rows: Sequence[Row] = await self._connection.fetch(
            sql, *arguments, timeout=self._timeout_s
        )
        return rows

    @asynccontextmanager
    async def stream(
        self, query: str, /, **values: Value
    ) -> AsyncIterator[AsyncIterator[Row]]:
        """All rows of a large answer, a few at a time."""
        sql, arguments = self._bound(query, values)
        yield aiter(
            self._connection.cursor(
                sql, *arguments, prefetch=STREAM_ROWS, timeout=self._timeout_s
            )
        )

    async def run(self, query: str, /, **values: Value) -> int:
        """Run a statement without an answer; gives the number of rows it touched."""
        sql, arguments = self._bound(query, values)
        return count(
            await self._connection.execute(sql, *arguments, timeout=self._timeout_s)
        )

    async def copy(
        self, table: str, columns: Sequence[str], records: Iterable[Sequence[Value]]
    ) -> int:
        """Load records in bulk; gives their number."""
        status = await self._connection.copy_records_to_table(
            table, columns=list(columns), records=records, timeout=self._timeout_s
        )
        return count(status)

    async def copy_lines(
        self,
        table: Sequence[str],
        columns: Sequence[str],
        lines: bytes,
        *,
        null: str | None,
    ) -> int:
        """Load rows that COPY reads; gives their number."""
        *schema, name = table
        status = await self._connection.copy_to_table(
            name,
            schema_name=schema[0] if schema else None,
            columns=list(columns),
            source=_pieces(lines),
            format="binary" if null is None else "text",
            null=null,
            timeout=self._timeout_s,
        )
        return count(status)

    def _bound(self, name: str, values: dict[str, Value]) -> tuple[str, list[Value]]:
        query = self._query(name)
        return query.sql, query.arguments(values)


async def _pieces(lines: bytes) -> AsyncIterator[memoryview]:
    """So much as the driver keeps at once: else it would keep all of it once more."""
    whole = memoryview(lines)
    for start in range(0, len(lines), PIECE_BYTES):
        yield whole[start : start + PIECE_BYTES]


@asynccontextmanager
async def begun(
    transaction: Any,  # noqa: ANN401 - asyncpg's, untyped
    is_lost: Callable[[BaseException], bool],
) -> AsyncIterator[None]:
    """A transaction that is rolled back only where somebody still answers.

    On a connection that hangs the driver would wait for its rollback as long as for a
    statement: whoever gave up would wait twice.
    """
    await transaction.start()
    try:
        yield
    except BaseException as error:
        if not is_lost(error):
            await transaction.rollback()
        raise
    await transaction.commit()


def count(status: str) -> int:
    """The number at the end of a command tag such as `UPDATE 3`."""
    last = status.rsplit(" ", 1)[-1]
    return int(last) if last.isdigit() else 0
