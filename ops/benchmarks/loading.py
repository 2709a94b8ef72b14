"""The made-up catalog in a database, by COPY."""

import asyncio
from collections.abc import Iterator
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import aiosql
import asyncpg

from ops.benchmarks.catalog import Catalog, Size
from ops.benchmarks.records import Record, tables

_FILE = Path(__file__).with_name("bench.sql")
_SETTLE_S = 60.0
_SETTLE_PAUSE_S = 0.5


@cache
def statements() -> dict[str, str]:
    """The statements of `bench.sql` by name."""
    loaded: Any = aiosql.from_path(_FILE, "asyncpg", mandatory_parameters=False)
    return {
        name: getattr(loaded, name).sql.strip().removesuffix(";")
        for name in loaded.available_queries
        if not name.endswith("_cursor")
    }


def load_catalog(url: str, size: Size) -> None:
    """Fill a migrated, empty database, and leave it ready to be measured."""
    asyncio.run(_load(url, Catalog(size)))


async def _load(url: str, catalog: Catalog) -> None:
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            for table, records in tables(catalog):
                await _copy(connection, table, records)
            await connection.execute(statements()["sequence_follow"])
        await _settle(connection)
        await connection.execute(statements()["pages_write"])
    finally:
        await connection.close()


async def _settle(connection: Any) -> None:  # noqa: ANN401
    """Vacuum until plans may rely on the index alone, as in a catalog at rest."""
    async with asyncio.timeout(_SETTLE_S):
        while True:
            await connection.execute(statements()["tables_analyze"])
            if await connection.fetchval(statements()["tables_settled"]):
                return
            await asyncio.sleep(_SETTLE_PAUSE_S)


async def _copy(connection: Any, table: str, records: Iterator[Record]) -> None:  # noqa: ANN401
    first = next(records, None)
    if first is None:
        return
    await connection.copy_records_to_table(
        table,
        columns=list(first),
        records=(tuple(record.values()) for record in chain([first], records)),
    )
