"""A store on which nothing that is written stays: for dry runs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from service.store.base import Store, Transaction


class _UndoError(Exception):
    """The end of a transaction that must leave no trace."""


class Rehearsal:
    """Transactions of another store that see what they wrote, and are then undone."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @asynccontextmanager
    async def transaction(
        self, *, timeout_s: float | None = None
    ) -> AsyncIterator[Transaction]:
        """One transaction that is rolled back at its end."""
        with suppress(_UndoError):
            async with self._store.transaction(timeout_s=timeout_s) as work:
                yield work
                raise _UndoError
