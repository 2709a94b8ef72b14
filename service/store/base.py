"""What the work modules know of a database: named queries and transactions.

Values cross this border as str, int, float, bool, bytes or None, in both dialects
alike: times as ISO 8601 text, JSON as text. Rows are read by column name.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal, Protocol, TypeVar

import msgspec

from service import metrics

Dialect = Literal["postgresql", "sqlite"]
Value = str | int | float | bool | bytes | None
T = TypeVar("T")


class Row(Protocol):
    """One row of an answer."""

    def __getitem__(self, column: str | int, /) -> Any:  # noqa: ANN401
        """The value of one column."""


class Queries(Protocol):
    """Named queries, on the pool or inside one transaction.

    Every method takes the name of a query and its parameters by name, and raises an
    Unavailable when the database cannot answer in time, Conflict when a unique value is
    taken, InvalidInput for a value the database refuses.
    """

    async def value(self, query: str, /, **values: Value) -> Any:  # noqa: ANN401
        """The first column of the first row; None without a row."""

    async def row(self, query: str, /, **values: Value) -> Row | None:
        """The first row, if there is one."""

    async def rows(self, query: str, /, **values: Value) -> Sequence[Row]:
        """All rows."""

    async def run(self, query: str, /, **values: Value) -> int:
        """Run a statement without an answer; gives the number of rows it touched."""


class Transaction(Queries, Protocol):
    """One transaction on one connection; everything in it happens or nothing does."""

    async def copy(
        self, table: str, columns: Sequence[str], records: Iterable[Sequence[Value]]
    ) -> int:
        """Load records in bulk; gives their number."""

    async def copy_lines(
        self,
        table: Sequence[str],
        columns: Sequence[str],
        lines: bytes,
        *,
        null: str | None,
    ) -> int:
        """Load rows that COPY reads; gives their number.

        `table` is its schema and its name, or its name alone; `null` stands for nothing
        in the text form, and is None for the binary one.
        """


class Snapshot(Protocol):
    """One state of the whole database, however long somebody reads it."""

    async def rows(self, query: str, /, **values: Value) -> Sequence[Row]:
        """All rows."""

    def stream(
        self, query: str, /, **values: Value
    ) -> AbstractAsyncContextManager[AsyncIterator[Row]]:
        """All rows of a large answer, a few at a time."""


class PoolState(msgspec.Struct, frozen=True):
    """How the connections of this process stand."""

    size: int
    checked_in: int
    checked_out: int
    overflow: int
    waiting: int
    timeout_s: float

    def show(self) -> None:
        """Bring the gauges up to date."""
        metrics.POOL_SIZE.set(self.checked_in + self.checked_out)
        metrics.POOL_CHECKED_OUT.set(self.checked_out)
        metrics.POOL_OVERFLOW.set(self.overflow)
        metrics.POOL_WAITING.set(self.waiting)


class Health(msgspec.Struct, frozen=True):
    """What the last look at the database showed."""

    healthy: bool
    latency_ms: float
    detail: str
    schema_version: str
    schema_needed: str
    answers: bool
    """Whether the server is there, be its schema as it may."""


class Store(Queries, Protocol):
    """A database that holds the catalog."""

    dialect: Dialect
    url: str
    """The address without its password."""

    async def open(self) -> None:
        """Get ready to serve; succeeds while the database is away."""

    async def close(self) -> None:
        """Give every connection back."""

    def transaction(
        self, *, timeout_s: float | None = None
    ) -> AbstractAsyncContextManager[Transaction]:
        """One transaction; `timeout_s` replaces the limits of a request."""

    async def transact(
        self,
        work: Callable[[Transaction], Awaitable[T]],
        *,
        is_repeatable: bool = False,
    ) -> T:
        """What `work` gives in one transaction, within the limits of a request.

        It runs again when it is certain that nothing of it happened: the connection
        was lost before the end, or another transaction was in the way. What is
        `is_repeatable` also runs again when nobody knows whether it happened.
        """

    def snapshot(self) -> AbstractAsyncContextManager[Snapshot]:
        """The database as it is now, for as long as the block lasts."""

    async def health(self) -> Health:
        """Ask the database on a connection of its own; at most once a second."""

    def pool(self) -> PoolState:
        """The connections as they are now."""

    def report_pool(self) -> PoolState:
        """Bring the gauges of the pool up to date; gives what they show."""

    @property
    def known_serial(self) -> int | None:
        """The serial of the catalog; None while this process is not sure of it."""

    async def serial(self) -> int:
        """The serial of the catalog, asked of the database after this call began."""

    async def has_vectors(self) -> bool:
        """Whether this database can compare embeddings."""
