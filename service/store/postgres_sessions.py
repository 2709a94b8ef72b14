"""Connections to PostgreSQL beside the pool: each for one purpose."""

from typing import Any, Self, cast

import asyncpg

from service.store.base import Row
from service.store.queries import Query
from service.store.serial import Told

CHANNEL = "mcps_serial"


class ProbeSession:
    """The connection of the readiness probe."""

    def __init__(self, connection: asyncpg.Connection, query: Query) -> None:
        self._connection = connection
        self._sql = query.sql

    async def ask(self) -> Row:
        """The newest applied migration, as `schema_version`."""
        row: Any = await self._connection.fetchrow(self._sql)
        return cast("Row", row)

    def cut(self) -> None:
        """Close it without a word."""
        self._connection.terminate()


class SerialSession:
    """The connection that hears of new serials."""

    def __init__(self, connection: asyncpg.Connection, query: Query) -> None:
        self._connection = connection
        self._sql = query.sql

    @classmethod
    async def listening(
        cls, connection: asyncpg.Connection, query: Query, tell: Told
    ) -> Self:
        """A session that tells of every serial from now on."""
        session = cls(connection, query)
        try:
            await connection.add_listener(
                CHANNEL, lambda _connection, _pid, _channel, serial: tell(int(serial))
            )
        except BaseException:
            session.cut()
            raise
        return session

    async def ask(self) -> int:
        """The serial as it is now."""
        return int(await self._connection.fetchval(self._sql))

    def cut(self) -> None:
        """Close it without a word."""
        self._connection.terminate()
