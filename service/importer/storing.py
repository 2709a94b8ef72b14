"""Stores batches in PostgreSQL, one transaction each, and takes note how far that came.

A database that is away is waited for. Whether a transaction whose end was not heard of
did commit is asked before it is tried again.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

import msgspec
import stamina

from service.errors import (
    Conflict,
    DatabaseDown,
    InvalidInput,
    LockTimeout,
    PoolExhausted,
    ReadOnly,
)
from service.importer.batches import Batch, Field, Plan
from service.importer.documents import unpacked_array
from service.importer.lines import Lines
from service.importer.values import NULL
from service.store.base import Store, Transaction, Value
from service.store.resilience import is_transient

BATCH_TIMEOUT_S = 600.0
LONGEST_OUTAGE_S = 600.0
LONGEST_WAIT_S = 2.0
SECOND = 2
Answer = TypeVar("Answer")

_WORTH_WAITING = (LockTimeout, PoolExhausted, ReadOnly)


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of one kind on their way: what they are, and the columns that are sent."""

    plan: Plan
    fields: tuple[Field, ...]
    extra: tuple[tuple[str, str], ...] = ()
    """Names and types of columns that are no columns of the file."""

    @property
    def is_keyed(self) -> bool:
        """Whether the key is one of the columns of the file."""
        return any(field.name == self.plan.key for field in self.fields)

    @property
    def sent(self) -> list[tuple[str, str]]:
        """Names and types of the staging table."""
        sent = [(field.name, field.rule.type) for field in self.fields]
        sent += self.extra
        return sent if self.is_keyed else [*sent, (self.plan.key, "bigint")]

    @property
    def has_arrays(self) -> bool:
        """Whether rows are copied in binary form: embeddings, a third as long in it."""
        return any(field.rule.type == "real[]" for field in self.fields)

    @property
    def columns(self) -> list[str]:
        """The names of what comes from the file, the key always."""
        names = [field.name for field in self.fields]
        return names if self.is_keyed else [*names, self.plan.key]

    @property
    def table(self) -> tuple[str, ...]:
        """The table that the rows go to, after its schema."""
        schema, target = self.plan.schema, self.plan.target
        return (schema, target) if schema else (target,)

    def records(
        self, batch: Batch, extra: Sequence[Sequence[Value]]
    ) -> Iterable[tuple[Value, ...]]:
        """The rows as they are sent."""
        keys = [] if self.is_keyed else [batch.keys]
        return zip(*batch.columns, *extra, *keys, strict=True)

    def readable(self, batch: Batch) -> Iterable[tuple[Any, ...]]:
        """The rows with all their values, the key first."""
        columns = [
            map(unpacked_array, column) if field.rule.type == "real[]" else column
            for field, column in zip(self.fields, batch.columns, strict=True)
        ]
        return zip(batch.keys, *columns, strict=True)


class Progress(msgspec.Struct, frozen=True):
    """How far the rows of one kind are."""

    last_id: int = 0
    written: int = 0
    repaired: int = 0


class Note(msgspec.Struct, frozen=True):
    """What became of a row that was sent and not written."""

    key: int
    state: str
    reason: str


class Storage:
    """One import in the database."""

    is_writing = True

    def __init__(self, store: Store, say: Callable[[str], None]) -> None:
        self._store = store
        self._say = say
        self._run = 0
        # What has a column that tells rows apart, in a table that was empty: whatever
        # the file brings more of it is new too.
        self._alone: set[str] = set()

    async def begin(self, origin: str, fingerprint: str) -> bool:
        """Begin an import; gives whether one of the same file is gone on with."""

        async def do(work: Transaction) -> bool:
            found = await work.value("import_find", fingerprint=fingerprint)
            if found is None:
                await work.run("import_forget", origin=origin)
                found = await work.value(
                    "import_begin", origin=origin, fingerprint=fingerprint
                )
                self._run = found
                return False
            self._run = found
            return True

        return await self._do(do)

    async def progress(self) -> dict[str, Progress]:
        """How far the import is, by kind of rows."""
        rows = await self._do(lambda work: work.rows("import_progress", run=self._run))
        return {
            row["source_table"]: Progress(
                row["last_id"], row["written"], row["repaired"]
            )
            for row in rows
        }

    async def make_legacy(self, plan: Plan, types: dict[str, str]) -> None:
        """Make the table of a plan in schema `legacy`, or widen the one there.

        Raises InvalidInput that names it where the database has no room for that.
        """
        columns = _json([{"name": name, "type": kind} for name, kind in types.items()])
        try:
            await self._do(
                lambda work: work.run(
                    "import_legacy", name=plan.target, key=plan.key, columns=columns
                )
            )
        except InvalidInput as error:
            message = f"the table legacy.{plan.target}: {error.message}"
            raise InvalidInput(message) from error

    async def follow(self, target: str, last_id: int) -> None:
        """Let new ids of a table of the catalog begin above those of the file."""
        await self._do(
            lambda work: work.value("import_follow", target=target, last_id=last_id)
        )

    async def put(
        self,
        load: Load,
        batch: Batch,
        extra: Sequence[Sequence[Value]],
        lines: Sequence[Lines] = (),
    ) -> list[Note]:
        """Store a batch; gives what was not written.

        Rows that cannot be here yet are copied straight into their table; if that is
        not to be, the batch goes the long way, where a row that is refused is found.
        """
        is_again = False
        async for attempt in self._tries():
            with attempt:
                if is_again and await self._has(load.plan, batch):
                    break
                is_again = True
                if await self._put_new(load, batch, extra, lines):
                    return []
                await self._put_once(load, batch, extra, lines)
        return await self.notes(load.plan, batch)

    async def notes(self, plan: Plan, batch: Batch) -> list[Note]:
        """What was not written of a batch that was stored."""
        rows = await self._do(
            lambda work: work.rows(
                "import_notes",
                run=self._run,
                source_table=plan.source,
                first_id=batch.keys[0],
                last_id=batch.keys[-1],
            )
        )
        return [Note(row["source_id"], row["state"], row["reason"]) for row in rows]

    async def digest(
        self, plan: Plan, first: int, last: int, ids: str
    ) -> tuple[int, list[str | None]]:
        """How many of these rows there are, and a digest of each column."""
        row = await self._do(
            lambda work: work.row(
                "import_digest",
                run=self._run,
                plan=_json(plan),
                first_id=first,
                last_id=last,
                ids=ids,
            )
        )
        digests = msgspec.json.decode(row["digests"]) if row else []
        return (row["amount"] if row else 0), digests

    async def lift_nearest(self, expected: int) -> None:
        """Take away the index of embeddings before so many come."""
        await self._do(
            lambda work: work.value("import_lift_nearest", expected=expected)
        )

    async def build_nearest(self) -> None:
        """Build the index of embeddings where it is missing."""
        await self._do(lambda work: work.run("import_build_nearest"))

    async def finish_search(self, *, is_large: bool) -> None:
        """Bring up to date what depends on the whole catalog."""

        async def do(work: Transaction) -> None:
            await work.row("load_lock")
            await work.run("import_search_rest")
            await work.run("search_word_recount")
            if is_large:
                await work.run("load_analyze")

        await self._do(do)

    async def end(self) -> None:
        """End the import: what it needed to go on is deleted."""
        await self._do(lambda work: work.run("import_end", run=self._run))

    async def _do(self, do: Callable[[Transaction], Awaitable[Answer]]) -> Answer:
        """What `do` gives in a transaction, tried again while the database is away."""
        async for attempt in self._tries():
            with attempt:
                async with self._transaction() as work:
                    return await do(work)
        raise DatabaseDown

    async def _has(self, plan: Plan, batch: Batch) -> bool:
        progress = await self.progress()
        return progress.get(plan.source, Progress()).last_id >= batch.keys[-1]

    async def _put_new(
        self,
        load: Load,
        batch: Batch,
        extra: Sequence[Sequence[Value]],
        lines: Sequence[Lines],
    ) -> bool:
        """Store a batch none of which is here; gives whether that could be done."""
        plan = load.plan
        try:
            async with self._transaction() as work:
                if not await self._is_new(work, load, batch):
                    return False
                if extra:
                    await _copy_servers(work, batch, extra, lines)
                else:
                    await _copy(work, lines)
                await work.run(
                    "import_progress_put",
                    run=self._run,
                    source_table=plan.source,
                    last_id=batch.keys[-1],
                    written=len(batch.keys),
                    repaired=len(batch.mended),
                )
        except InvalidInput:
            return False
        except Conflict:
            self._alone.discard(plan.source)
            return False
        return True

    async def _is_new(self, work: Transaction, load: Load, batch: Batch) -> bool:
        plan = load.plan
        if plan.source in self._alone:
            return True
        is_new = await work.value(
            "import_is_new", run=self._run, plan=_json(plan), first_id=batch.keys[0]
        )
        if is_new and plan.natural:
            self._alone.add(plan.source)
        return bool(is_new)

    async def _put_once(
        self,
        load: Load,
        batch: Batch,
        extra: Sequence[Sequence[Value]],
        lines: Sequence[Lines],
    ) -> None:
        plan, sent = load.plan, load.sent
        columns = [{"name": name, "type": kind} for name, kind in sent]
        records = load.records(batch, extra)
        async with self._transaction() as work:
            await work.run("import_stage", stage=plan.stage, columns=_json(columns))
            if load.has_arrays:
                await _copy(work, lines, (plan.stage,))
            else:
                await work.copy(plan.stage, [name for name, _ in sent], records)
            if plan.source == "server":
                await work.row("load_lock")
                await work.run("import_spare_names")
            changed = await work.value(
                "import_put",
                run=self._run,
                plan=_json(plan),
                first_id=batch.keys[0],
                last_id=batch.keys[-1],
                mended=f"{{{','.join(map(str, batch.mended))}}}",
            )
            if plan.source == "server" and changed != "[]":
                await _mark_latest(work, changed)

    def _transaction(self) -> AbstractAsyncContextManager[Transaction]:
        return self._store.transaction(timeout_s=BATCH_TIMEOUT_S)

    async def _tries(self) -> AsyncIterator[stamina.Attempt]:
        async for attempt in stamina.retry_context(
            on=is_worth_waiting,
            attempts=None,
            timeout=LONGEST_OUTAGE_S,
            wait_max=LONGEST_WAIT_S,
        ):
            if attempt.num == SECOND:
                self._say("The database is away; waiting for it")
            yield attempt


def is_worth_waiting(error: Exception) -> bool:
    """Whether an error ends by itself."""
    return is_transient(error) or isinstance(error, _WORTH_WAITING)


async def _copy_servers(
    work: Transaction,
    batch: Batch,
    extra: Sequence[Sequence[Value]],
    lines: Sequence[Lines],
) -> None:
    """Servers and their versions; those with tools are sorted in with these."""
    await work.row("load_lock")
    await work.value("import_tools_follow")
    await _copy(work, lines)
    *_, has_tools = extra
    ids = [key for key, has in zip(batch.keys, has_tools, strict=True) if not has]
    await work.value("import_search_put", server_ids=f"{{{','.join(map(str, ids))}}}")


async def _copy(
    work: Transaction, lines: Sequence[Lines], stage: tuple[str, ...] = ()
) -> None:
    """Copy rows into their tables, or into the stage if one is named."""
    for some in lines:
        await work.copy_lines(
            stage or some.table,
            some.columns,
            some.body,
            null=None if some.is_binary else NULL,
        )


async def _mark_latest(work: Transaction, server_ids: str) -> None:
    await work.run("load_clear_latest", server_ids=server_ids)
    await work.run("load_set_latest", server_ids=server_ids)
    await work.run("import_show_latest", server_ids=server_ids)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
