"""Stores entries of registry lists: idempotent, batch by batch, by sets.

A batch is copied into staging tables and stored in one transaction, so readers see all
of it or nothing, and a load that is stopped goes on when the same command is run again.

A stored version is replaced only by one that its source changed later: `updatedAt`, or
else `publishedAt`, must be newer than `source_updated_at`. An entry without both is put
in when it is new (the time of the load then counts) and never replaces anything. Of
entries with the same name and version in one load the newer one counts, the later one
when they are of the same time. So loading a file again changes nothing, and an old file
takes no newer data back.

`updated_at` is another clock: it says when a version changed in this catalog, also when
it gained or lost the mark `is_latest`, so that mirrors which ask for what was updated
since their last visit miss nothing. It never decides what is newer.

Which version is the latest is decided here, whatever the list says. Every server of the
list counts as indexed; the time is moved once a day at most.
"""

import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec
import stamina

from service.entries import Entry, Rejected
from service.errors import Conflict, InvalidInput
from service.staging import LOADED, Stored, put_entries
from service.store.base import Store, Transaction
from service.store.resilience import is_transient

# Other writers of these rows wait for a batch to end: it stays well below a second.
BATCH_ENTRIES = 1000
BATCH_CHARACTERS = 1 << 23
BATCH_TIMEOUT_S = 600.0
TRIES = 10
LONGEST_WAIT_S = 3.0
MANY_VERSIONS = 500

Entries = Iterable[Entry | Rejected] | AsyncIterable[Entry | Rejected]


class Transactions(Protocol):
    """What a load needs of a store."""

    def transaction(
        self, *, timeout_s: float | None = None
    ) -> AbstractAsyncContextManager[Transaction]:
        """One transaction."""


class LoadReport(msgspec.Struct):
    """What a load did. Each entry is one of the versions, repeated or rejected."""

    entries: int = 0
    servers_new: int = 0
    servers_changed: int = 0
    servers_unchanged: int = 0
    versions_new: int = 0
    versions_changed: int = 0
    versions_unchanged: int = 0
    repeated: int = 0
    flagged: int = 0
    rejected: int = 0
    seconds: float = 0.0


def _ignore(_said: object) -> None:
    """Tell nobody."""


async def load_entries(
    store: Store,
    entries: Entries,
    *,
    on_reject: Callable[[Rejected], None] = _ignore,
    on_progress: Callable[[LoadReport], None] = _ignore,
) -> LoadReport:
    """Store the entries; those that cannot be stored go to `on_reject`.

    `on_progress` gets the report so far after each batch. A database that is away is
    waited for, but not for ever.
    """
    load = Load(store, on_reject)
    await load.put(entries, on_progress)
    await load.finish()
    return load.report()


class Load:
    """The state of one load, whose entries may come in several parts.

    `origin` is noted with each version; see put_entries.
    """

    def __init__(
        self,
        store: Transactions,
        on_reject: Callable[[Rejected], None] = _ignore,
        *,
        origin: str = LOADED,
    ) -> None:
        self._store = store
        self._on_reject = on_reject
        self._origin = origin
        self._began_at = time.monotonic()
        self._counts = LoadReport()
        self._seen: set[str] = set()
        self._new: set[str] = set()
        self._changed: set[str] = set()
        # Keys of what this load wrote, hashed: there may be many.
        self._written: dict[int, str] = {}

    def report(self) -> LoadReport:
        """The counts so far."""
        changed = self._changed - self._new
        return msgspec.structs.replace(
            self._counts,
            servers_new=len(self._new),
            servers_changed=len(changed),
            servers_unchanged=len(self._seen) - len(self._new) - len(changed),
            seconds=round(time.monotonic() - self._began_at, 3),
        )

    async def put(
        self, entries: Entries, on_progress: Callable[[LoadReport], None] = _ignore
    ) -> None:
        """Store entries, batch by batch."""
        async for batch in _batches(self._sorted_out(entries)):
            await self._put_batch(batch)
            on_progress(self.report())

    async def finish(self) -> None:
        """Bring up to date what depends on the whole catalog."""
        if not self._new and not self._changed:
            return
        async with self._store.transaction(timeout_s=BATCH_TIMEOUT_S) as work:
            await work.row("load_lock")
            await work.run("load_count_words")
            if self._counts.versions_new > MANY_VERSIONS:
                await work.run("load_analyze")

    async def _sorted_out(self, entries: Entries) -> AsyncIterator[Entry]:
        """The entries that can be stored."""
        async for entry in _each(entries):
            self._counts.entries += 1
            if isinstance(entry, Entry):
                yield entry
            else:
                self._reject(entry)

    async def _put_batch(self, batch: list[Entry]) -> None:
        """Store a batch; halves it until what the database refuses is alone."""
        kept = self._newest(batch)
        try:
            stored = await self._stored(kept)
        except (InvalidInput, Conflict) as error:
            if len(batch) == 1:
                reason = f"the database refuses it: {error.message}"
                self._reject(Rejected(batch[0].number, reason, batch[0].text.encode()))
                return
            middle = len(batch) // 2
            await self._put_batch(batch[:middle])
            await self._put_batch(batch[middle:])
        else:
            self._counts.repeated += len(batch) - len(kept)
            self._count(kept, stored)

    async def _stored(self, entries: list[Entry]) -> Stored:
        stored = Stored(set(), set(), set(), set())
        async for attempt in stamina.retry_context(
            on=is_transient, attempts=TRIES, timeout=None, wait_max=LONGEST_WAIT_S
        ):
            with attempt:
                stored = await self._stored_once(entries)
        return stored

    async def _stored_once(self, entries: list[Entry]) -> Stored:
        async with self._store.transaction(timeout_s=BATCH_TIMEOUT_S) as work:
            return await put_entries(work, entries, self._is_again, origin=self._origin)

    def _newest(self, batch: list[Entry]) -> list[Entry]:
        """One entry for each name and version."""
        kept: dict[tuple[str, str], Entry] = {}
        for entry in batch:
            other = kept.get((entry.name, entry.version))
            if other is None or _source_time(entry) >= _source_time(other):
                kept[entry.name, entry.version] = entry
        return list(kept.values())

    def _is_again(self, entry: Entry) -> bool:
        """Whether this load wrote an older state of the same version."""
        written = self._written.get(hash((entry.name, entry.version)))
        return written is not None and _source_time(entry) >= written

    def _count(self, entries: list[Entry], stored: Stored) -> None:
        counts = self._counts
        missing = {entry.number for entry in entries if entry.name in stored.missing}
        for entry in entries:
            key = (entry.name, entry.version)
            if entry.number in missing:
                reason = "its URL belongs to a server with another registry name"
                self._reject(Rejected(entry.number, reason, entry.text.encode()))
                continue
            self._seen.add(entry.name)
            counts.flagged += bool(entry.problems)
            if key in stored.new or key in stored.changed:
                self._written[hash(key)] = _source_time(entry)
        counts.versions_new += len(stored.new)
        counts.versions_changed += len(stored.changed)
        counts.versions_unchanged += (
            len(entries) - len(missing) - len(stored.new) - len(stored.changed)
        )
        self._new |= stored.new_servers
        self._changed |= {name for name, _ in stored.new | stored.changed}

    def _reject(self, rejected: Rejected) -> None:
        self._counts.rejected += 1
        self._on_reject(rejected)


def _source_time(entry: Entry) -> str:
    return entry.updated_at or ""


async def _each(entries: Entries) -> AsyncIterator[Entry | Rejected]:
    if isinstance(entries, AsyncIterable):
        async for entry in entries:
            yield entry
    else:
        for entry in entries:
            yield entry


async def _batches(entries: AsyncIterator[Entry]) -> AsyncIterator[list[Entry]]:
    """Batches that are bounded in number and in size."""
    batch: list[Entry] = []
    characters = 0
    async for entry in entries:
        batch.append(entry)
        characters += len(entry.text)
        if len(batch) >= BATCH_ENTRIES or characters >= BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch
