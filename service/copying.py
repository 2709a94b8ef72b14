"""The whole catalog from one database into an empty one, whichever each of them is.

Rows keep ids, uuids and times, and keys stay valid: their hashes are copied. Everything
comes from one state of the source and arrives as a whole or not at all. The serial goes
on from that of the source, with every row as a change, so clients and mirrors of the
one catalog may go on with the other. What a database makes of the rows by itself, such
as its text indexes and the change feed, is made anew.
"""

from array import array
from collections.abc import AsyncIterator, Callable
from hashlib import sha256

import msgspec

from service.errors import Conflict, McpsError
from service.search import recount_words
from service.store.base import Row, Snapshot, Store, Transaction

# What belongs to others comes after them.
TABLES = (
    "server",
    "server_version",
    "tool",
    "tool_embedding",
    "resource_template",
    "prompt",
    "dependency",
    "release",
    "contributor",
    "risk",
    "api_key",
    "source",
    "processing_log",
)
BATCH_ROWS = 1000
BATCH_CHARACTERS = 1 << 22
LIMIT_S = 86_400.0

Listener = Callable[[str, int, int], None]


class TableCopy(msgspec.Struct, frozen=True):
    """One table as it was read: how many rows, and the sum of their contents."""

    table: str
    rows: int
    checksum: str


class _Embedding(msgspec.Struct):
    id: int
    tool_id: int
    model_name: str
    embedding: list[float]


async def copy_catalog(
    source: Store, target: Store, on_progress: Listener
) -> list[TableCopy]:
    """Copy everything, and compare what arrived; gives what was copied, by table.

    `on_progress` gets a table, how many of its rows are done, and how many there are.
    Raises Conflict when the target holds anything, McpsError when the two differ.
    """
    async with (
        source.snapshot() as there,
        target.transaction(timeout_s=LIMIT_S) as here,
    ):
        if not await here.value("copy_is_due"):
            message = "a catalog can only be copied into an empty one"
            raise Conflict(message)
        (counts,) = await there.rows("copy_count")
        (serial,) = await there.rows("serial_get")
        # First: in SQLite the first change takes the serial of all.
        await here.run("copy_serial", value=serial["value"])
        copied = [
            await _copy(there, here, table, _counted(on_progress, table, counts[table]))
            for table in TABLES
        ]
        await here.rows("copy_continue_ids")
    await recount_words(target)
    await _require_equal(target, copied)
    return copied


async def count_left(store: Store) -> int:
    """How many tables of the earlier MCPS no copy takes along."""
    return int(await store.value("copy_left"))


async def sums(store: Store) -> list[TableCopy]:
    """What is in a catalog, by table; equal catalogs have equal sums everywhere."""
    async with store.snapshot() as seen:
        return [await _sum(seen, table) for table in TABLES]


async def _require_equal(target: Store, copied: list[TableCopy]) -> None:
    for ours, theirs in zip(copied, await sums(target), strict=True):
        if ours != theirs:
            message = (
                f"the copy of {ours.table} differs: of {ours.rows:,} rows "
                f"{theirs.rows:,} arrived, and what is in them is not the same"
            )
            raise McpsError(message)


async def _copy(
    there: Snapshot, here: Transaction, table: str, on_rows: Callable[[int], None]
) -> TableCopy:
    done, total = 0, sha256()
    async with there.stream(f"copy_{table}") as rows:
        async for batch in _batches(rows):
            for text in batch:
                total.update(_canonical(table, text))
            await here.run(f"copy_put_{table}", rows=f"[{','.join(batch)}]")
            done += len(batch)
            on_rows(done)
    return TableCopy(table, done, total.hexdigest())


async def _sum(seen: Snapshot, table: str) -> TableCopy:
    done, total = 0, sha256()
    async with seen.stream(f"copy_{table}") as rows:
        async for row in rows:
            total.update(_canonical(table, row["row"]))
            done += 1
    return TableCopy(table, done, total.hexdigest())


def _canonical(table: str, text: str) -> bytes:
    """A row in the same bytes, whichever database wrote it."""
    if table != "tool_embedding":
        return text.encode() + b"\n"
    row = msgspec.json.decode(text, type=_Embedding)
    rest = f"{row.id} {row.tool_id} {row.model_name} "
    return rest.encode() + array("f", row.embedding).tobytes()


async def _batches(rows: AsyncIterator[Row]) -> AsyncIterator[list[str]]:
    """Batches that are bounded in number and in size."""
    batch: list[str] = []
    characters = 0
    async for row in rows:
        batch.append(row["row"])
        characters += len(row["row"])
        if len(batch) >= BATCH_ROWS or characters >= BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _counted(listener: Listener, table: str, total: int) -> Callable[[int], None]:
    return lambda done: listener(table, done, total)
