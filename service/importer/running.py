"""One import from its beginning to its end.

Every run reads the whole file, so that rejects, repairs and checksums are those of the
whole file too; what an interrupted run of the same state of the file stored is not sent
again. Owners come before what they own, and rows without owners last, into the schema
`legacy`; then both sides are compared. Two things are done side by side where they can.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import Any, Protocol, TypeVar

from service.errors import InvalidSettings, NotSupported
from service.importer.batches import Mapper, Refusal, Repair
from service.importer.doubles import doubles
from service.importer.ids import Ids
from service.importer.legacy import legacy_table
from service.importer.loads import (
    Prepared,
    catalog_load,
    digest_names,
    digests,
    is_there,
    prepared,
    unknown,
    with_names,
)
from service.importer.plans import MOST_ID, TABLES, Table
from service.importer.reporting import Check, Report, Tally
from service.importer.source import EarlierFile, Row, SourceTable
from service.importer.storing import Load, Note, Progress, Storage
from service.importer.trial import Trial
from service.importer.wide import COLUMN, Read, is_wide, narrowed
from service.store.base import Store

# A change of the rules makes an interrupted import begin anew.
RULES_VERSION = "2"
MANY_ROWS = 500
# Belongs to servers and is nobody's owner. The largest comes last: it would wait all
# the time for the tools of the same servers.
_SIMPLE = ("contributor", "release", "resourcetemplate", "prompt", "dependency")
# Constraints of the database that rows of a file may run into.
_TAKEN = {
    "server_uuid_key": ("uuid", "uuid is that of another server"),
    "server_primary_url_key": ("primary_url", "primary_url is that of another server"),
}

Answer = TypeVar("Answer")


class Listener(Protocol):
    """Who hears what happens."""

    def say(self, message: str) -> None:
        """Something that takes a while."""

    def refused(self, table: str, refusal: Refusal) -> None:
        """A row that cannot be kept."""

    def repaired(self, table: str, repair: Repair) -> None:
        """A value that was changed to be kept."""

    def kept(self, table: str, note: Note) -> None:
        """A row that stays as the catalog has it."""

    def progress(self, table: str, done: int, total: int) -> None:
        """How many rows of a table are done; `table` is empty for the comparison."""


async def import_file(
    store: Store, file: EarlierFile, listener: Listener, *, is_strict: bool = False
) -> Report:
    """Take over an open file; `is_strict` refuses what could be repaired.

    Raises NotSupported where the catalog is in an SQLite file, InvalidSettings where
    the role may not do what is needed, RefusedFile when the file turns out damaged.
    """
    await _require_database(store)
    storage = Storage(store, listener.say)
    with closing(_Import(file, storage, listener, is_strict=is_strict)) as work:
        await work.begin(storage)
        await work.run()
        await work.finish(storage)
        return work.report()


async def try_file(
    file: EarlierFile, listener: Listener, *, is_strict: bool = False
) -> Report:
    """Find out what an import into an empty catalog would do, without any."""
    with closing(_Import(file, Trial(), listener, is_strict=is_strict)) as work:
        await work.run()
        return work.report()


async def _require_database(store: Store) -> None:
    if store.dialect != "postgresql":
        message = (
            "import-sqlite works in PostgreSQL: set DATABASE_URL or POSTGRES_HOST, or "
            "install PostgreSQL on this machine"
        )
        raise NotSupported(message)
    if not await store.value("import_may_add_legacy"):
        message = (
            "this role may not make the tables of the schema `legacy`: as the owner of "
            "the database, run `create schema legacy authorization` with its name there"
        )
        raise InvalidSettings(message)


class _Import:
    """The state of one import."""

    def __init__(
        self,
        file: EarlierFile,
        storage: Storage | Trial,
        listener: Listener,
        *,
        is_strict: bool,
    ) -> None:
        self._file = file
        self._storage = storage
        self._listener = listener
        self._is_strict = is_strict
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="reader")
        self._began_at = time.monotonic()
        self._is_resumed = False
        self._progress: dict[str, Progress] = {}
        self._tallies: dict[str, Tally] = {}
        self._kept = 0
        self._checks: list[tuple[Tally, Load, Check]] = []
        # What can be an owner: the rows of a table that could be stored.
        self._ids: dict[str, Ids] = {}
        self._tables = {table.name: table for table in file.tables}
        catalog = (table for table in TABLES if is_there(table, self._tables))
        self._catalog = {table.source: table for table in catalog}

    def close(self) -> None:
        """Wait for the reader: the file may not be closed under it."""
        self._reader.shutdown(cancel_futures=True)

    async def begin(self, storage: Storage) -> None:
        """Begin, or go on where an interrupted import of the same file ended."""
        origin = await self._in_reader(self._origin)
        fingerprint = f"{RULES_VERSION} {self._is_strict} {self._file.fingerprint}"
        self._is_resumed = await storage.begin(origin, fingerprint)
        self._progress = await storage.progress()
        if self._is_resumed:
            self._listener.say(
                "Going on where the interrupted import of this file ended"
            )

    async def run(self) -> None:
        """Send everything."""
        for source in self._tables.values():
            self._tallies[source.name] = Tally(source.rows)
        await _together(self._import_tables("server"), self._import_others())
        await _together(self._import_tools(), self._import_tables(*_SIMPLE))
        for number, source in enumerate(self._tables.values()):
            if self._tallies[source.name].orphans:
                await self._import_orphans(source, number)
            if source.name in self._catalog:
                await self._import_unknown(source, number)

    async def _import_tables(self, *names: str) -> None:
        for name in names:
            if name in self._catalog:
                await self._import_catalog(self._catalog[name])

    async def _import_others(self) -> None:
        """What does not wait for the servers."""
        await self._import_tables("processinglog")
        for number, source in enumerate(self._tables.values()):
            if source.name not in self._catalog:
                await self._import_legacy(source, number)

    async def _import_tools(self) -> None:
        """Tools and their embeddings, whose index is built at once at the end."""
        embeddings = self._tables.get("toolembedding")
        if embeddings is not None:
            await self._storage.lift_nearest(embeddings.rows)
        await self._import_tables("tool", "toolembedding")

    def _origin(self) -> str:
        """What tells installations apart: the first server of the file."""
        server = self._tables["server"]
        column = "uuid" if "uuid" in server.names else "primary_url"
        first = next(self._file.rows(server, [column]), [(0, "")])[0]
        return str(first[1])

    async def _import_catalog(self, table: Table) -> None:
        source = self._tables[table.source]
        load = catalog_load(table, source)
        tally = self._tallies[source.name]
        await self._storage.follow(table.target, min(source.last_key, MOST_ID))
        owner = table.owner
        mapper = Mapper(
            load.fields,
            owner=owner.column if owner else "",
            owners=self._ids.get(owner.source, Ids()) if owner else None,
            is_strict=self._is_strict,
        )
        found = await self._in_reader(doubles, self._file, table, source, mapper)
        mapper.give_way(table.natural or "", found)
        extend = None
        if table.source == "server":
            extend = await self._in_reader(
                lambda: with_names(load, self._file, has=self._catalog)
            )
        rows = self._file.rows(source, mapper.names)
        await self._take(load, tally, source, prepared(mapper, load, rows, extend))

    async def _import_legacy(self, source: SourceTable, number: int) -> None:
        tally = self._tallies[source.name]
        read = partial(self._file.rows, source)
        await self._take_legacy(
            source, source.name, number, tally, read, is_strict=self._is_strict
        )

    async def _import_orphans(self, source: SourceTable, number: int) -> None:
        """The rows of a table of the catalog whose owner is not here."""
        whole = self._tallies[source.name]
        tally = Tally(len(whole.orphans))

        def read(names: Sequence[str]) -> Iterator[list[Row]]:
            return self._file.chosen(source, names, whole.orphans)

        await self._take_legacy(
            source,
            f"orphans of {source.name}",
            number,
            tally,
            read,
            is_strict=self._is_strict,
        )
        whole.take_orphans(tally)

    async def _import_unknown(self, source: SourceTable, number: int) -> None:
        """The columns of a table of the catalog that this has no place for.

        What is odd in them is repaired even by a strict import: their rows are in.
        """
        table = self._catalog[source.name]
        rest = unknown(table, source)
        if rest is None:
            return
        for name in rest.names:
            if name not in table.columns:
                self._listener.say(
                    f"{source.name}: the catalog has no column {name}; it goes to "
                    f"legacy.{source.name}"
                )
        tally = Tally(source.rows)
        read = partial(self._file.rows, rest)
        name = f"columns of {source.name}"
        await self._take_legacy(rest, name, number, tally, read, is_strict=False)
        self._tallies[source.name].take_columns(tally)

    async def _take_legacy(
        self,
        source: SourceTable,
        name: str,
        number: int,
        tally: Tally,
        read: Read,
        *,
        is_strict: bool,
    ) -> None:
        if await self._in_reader(is_wide, source, read):
            self._listener.say(
                f"{source.name} has {len(source.names):,} columns, which is more than "
                f"fits a row of PostgreSQL: its rows become JSON objects in `{COLUMN}`"
            )
            source, read = narrowed(source, read)
        names = source.names
        legacy = await self._in_reader(
            lambda: legacy_table(source, source=name, number=number, rows=read(names))
        )
        await self._storage.make_legacy(legacy.plan, legacy.types)
        load = Load(plan=legacy.plan, fields=legacy.fields)
        mapper = Mapper(load.fields, is_strict=is_strict)
        await self._take(load, tally, source, prepared(mapper, load, read(names)))

    async def _in_reader(self, call: Callable[..., Answer], *arguments: Any) -> Answer:  # noqa: ANN401
        """What a call gives in the one thread that reads the file."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._reader, call, *arguments)

    async def _ahead(self, items: Iterator[Prepared]) -> AsyncIterator[Prepared]:
        """The items, the next of which is made meanwhile."""
        pending = asyncio.create_task(self._in_reader(next, items, None))
        try:
            while (item := await pending) is not None:
                pending = asyncio.create_task(self._in_reader(next, items, None))
                yield item
        finally:
            await asyncio.wait([pending])

    async def _take(
        self,
        load: Load,
        tally: Tally,
        source: SourceTable,
        batches: Iterator[Prepared],
    ) -> None:
        """Send the batches of one kind of rows."""
        began_at = time.monotonic()
        done_before = self._progress.get(load.plan.source, Progress())
        async for ready in self._ahead(batches):
            notes = await self._sent(load, ready, done_before)
            self._count(load, tally, ready, notes)
            self._listener.progress(source.name, tally.read, tally.source)
        written = (await self._storage.progress()).get(load.plan.source, Progress())
        tally.written, tally.written_repaired = written.written, written.repaired
        tally.seconds = time.monotonic() - began_at

    async def _sent(
        self, load: Load, ready: Prepared, done_before: Progress
    ) -> list[Note]:
        """What was not written of a batch, stored now or by the interrupted run."""
        batch = ready.batch
        if not batch.keys:
            return []
        if batch.keys[-1] <= done_before.last_id:
            return await self._storage.notes(load.plan, batch)
        return await self._storage.put(load, batch, ready.extra, ready.lines)

    def _count(
        self, load: Load, tally: Tally, ready: Prepared, notes: list[Note]
    ) -> None:
        batch, source = ready.batch, load.plan.source
        refused = [*batch.refused, *_refusals(load, ready, notes)]
        stored = batch.without(note.key for note in notes if note.state == "refused")
        equal = stored.without(note.key for note in notes)
        for refusal in refused:
            self._listener.refused(source, refusal)
        for repair in [*stored.repaired, *batch.orphans]:
            self._listener.repaired(source, repair)
        for note in notes:
            if note.state == "kept":
                self._kept += 1
                self._listener.kept(source, note)
        tally.read += batch.read
        tally.refused += len(refused)
        tally.accepted += len(stored.keys)
        tally.orphans += [orphan.key for orphan in batch.orphans]
        self._ids.setdefault(source, Ids()).add(stored.keys)
        if equal.keys:
            sums = ready.digests if equal is batch else digests(load, equal)
            ids = str(Ids(equal.keys))
            check = Check(equal.keys[0], equal.keys[-1], ids, len(equal.keys), sums)
            tally.source_sums.add(digest_names(load), sums)
            self._checks.append((tally, load, check))

    async def finish(self, storage: Storage) -> None:
        """Compare both sides, and leave the database ready to be searched."""
        await _together(
            self._compare(storage),
            self._finish_search(storage),
            storage.build_nearest(),
        )
        await storage.end()

    async def _finish_search(self, storage: Storage) -> None:
        written = sum(tally.written for tally in self._tallies.values())
        if written:
            await storage.finish_search(is_large=written > MANY_ROWS)

    async def _compare(self, storage: Storage) -> None:
        for number, (tally, load, check) in enumerate(self._checks, 1):
            began_at = time.monotonic()
            amount, found = await storage.digest(
                load.plan, check.first, check.last, check.ids
            )
            tally.target_sums.add(digest_names(load), found)
            tally.is_complete &= amount == check.amount
            tally.seconds += time.monotonic() - began_at
            self._listener.progress("", number, len(self._checks))

    def report(self) -> Report:
        """What came of it."""
        rows = sum(tally.source for tally in self._tallies.values())
        seconds = time.monotonic() - self._began_at
        is_dry = not self._storage.is_writing
        return Report(
            is_dry_run=is_dry,
            is_strict=self._is_strict,
            is_resumed=self._is_resumed,
            tables={
                name: tally.report(is_compared=not is_dry)
                for name, tally in self._tallies.items()
            },
            skipped=self._file.skipped,
            kept=self._kept,
            seconds=round(seconds, 3),
            rows_per_s=round(rows / seconds, 1),
        )


def _refusals(load: Load, ready: Prepared, notes: list[Note]) -> Iterator[Refusal]:
    """The rows that the database refused, with their values as they were sent."""
    refused = {note.key: note.reason for note in notes if note.state == "refused"}
    if not refused:
        return
    names = [field.source for field in load.fields]
    for key, *values in load.readable(ready.batch):
        if key in refused:
            row = dict(zip(names, values, strict=True))
            column, reason = _told(refused[key])
            yield Refusal(key, column, reason, row.get(column), row)


def _told(said: str) -> tuple[str, str]:
    """The column and the reason for what the database says of a row it refuses."""
    for constraint, told in _TAKEN.items():
        if f'"{constraint}"' in said:
            return told
    return "", f"the database refuses it: {said}"


async def _together(*works: Coroutine[Any, Any, None]) -> None:
    """Do all of it side by side; the first failure ends it."""
    try:
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(work)
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
