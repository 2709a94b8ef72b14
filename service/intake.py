"""Stores the pages of one job: entries, what is gone, and what was found of servers.

Every part is a transaction of its own, so readers never see half of one; storing a page
again changes nothing. What the catalog refuses costs itself alone and is counted.
"""

from collections.abc import Callable, Iterable

import msgspec
import stamina

from service import metrics
from service.entries import Entry, Rejected, read_entry
from service.errors import Conflict, InvalidInput, SourceFailed
from service.jobs import JobName
from service.loading import BATCH_TIMEOUT_S, LONGEST_WAIT_S, TRIES, Load, Transactions
from service.merging import Merged, merge
from service.models_harvest import Gone, Harvest, Page, SourceName
from service.reading import Piece
from service.staging import mark_latest
from service.store.resilience import is_transient

FEW = 20
# What these say of the name of their server, anybody can write into a package.
CLAIMING: frozenset[SourceName] = frozenset({"npm", "pypi", "oci"})


class Counts(msgspec.Struct):
    """What came of the pages so far; entries and servers together."""

    pages: int = 0
    seen: int = 0
    new: int = 0
    changed: int = 0
    gone: int = 0
    failed: int = 0


class Intake:
    """The state of storing what one job gives.

    `max_loss` is the share of a registry's versions that may vanish at once.
    """

    def __init__(
        self,
        store: Transactions,
        name: JobName,
        *,
        max_loss: float,
        on_refused: Callable[[str], None],
    ) -> None:
        self.counts = Counts()
        self._store = store
        self._name = name
        self._max_loss = max_loss
        self._on_refused = on_refused
        self._load = Load(store, self._reject, origin=name.url)
        self._merged = Counts()
        self._keys: set[tuple[str, str]] = set()

    async def put(self, page: Page) -> None:
        """Store a page. Raises SourceFailed when too much of a registry is gone."""
        before = msgspec.structs.replace(self.counts)
        numbers = range(self._load.report().entries + 1, 1 << 62)
        pieces = map(Piece, numbers, page.entries)
        await self._load.put(self._noted(map(read_entry, pieces)))
        if page.gone:
            await self._bury(page.gone)
        for harvest in page.harvests:
            await self._merge(self._belonging(harvest))
        self._merged.pages += 1
        if page.is_complete:
            await self._bury_missing()
        self._sum_up(before)

    async def finish(self) -> None:
        """Bring up to date what depends on the whole catalog."""
        await self._load.finish()

    def _noted(self, entries: Iterable[Entry | Rejected]) -> Iterable[Entry | Rejected]:
        for entry in entries:
            if isinstance(entry, Entry):
                self._keys.add((entry.name, entry.version))
            yield entry

    def _belonging(self, harvest: Harvest) -> Harvest:
        """A harvest, of the server that named the target unless it proves another.

        A package may claim any name; only the server that names it has it.
        """
        name = self._name.registry_name
        is_claim = self._name.source in CLAIMING
        if not is_claim and (harvest.registry_name is not None or name is None):
            return harvest
        return msgspec.structs.replace(harvest, registry_name=name)

    async def _merge(self, harvest: Harvest) -> None:
        self._merged.seen += 1
        try:
            merged = await self._merged_once(harvest)
        except (InvalidInput, Conflict) as error:
            self._merged.failed += 1
            self._on_refused(error.message)
            return
        self._merged.new += merged == "new"
        self._merged.changed += merged == "changed"

    async def _merged_once(self, harvest: Harvest) -> Merged:
        merged: Merged = "unchanged"
        async for attempt in stamina.retry_context(
            on=is_transient, attempts=TRIES, timeout=None, wait_max=LONGEST_WAIT_S
        ):
            with attempt:
                async with self._store.transaction(timeout_s=BATCH_TIMEOUT_S) as work:
                    merged = await merge(work, self._name.source, harvest)
        return merged

    async def _bury(self, gone: Iterable[Gone]) -> None:
        """Turn versions that their registry has no more into tombstones."""
        text = msgspec.json.encode(list(gone)).decode()
        async with self._store.transaction(timeout_s=BATCH_TIMEOUT_S) as work:
            await work.row("load_lock")
            rows = await work.rows("harvest_bury", origin=self._name.url, gone=text)
            await mark_latest(work, rows)
        self._merged.gone += len(rows)

    async def _bury_missing(self) -> None:
        async with self._store.transaction(timeout_s=BATCH_TIMEOUT_S) as work:
            rows = await work.rows("harvest_kept", origin=self._name.url)
        kept = {(row["registry_name"], row["version"]) for row in rows}
        missing = sorted(kept - self._keys)
        if len(missing) > max(FEW, self._max_loss * len(kept)):
            message = (
                f"{self._name.target}: {len(missing)} of the {len(kept)} versions that "
                "came from there are gone at once; nothing was deleted. If that is "
                "right, set HARVEST_MAX_LOSS=1 for one run"
            )
            raise SourceFailed(message, reason="bad_answer")
        if missing:
            gone = (Gone(registry_name=name, version=it) for name, it in missing)
            await self._bury(gone)

    def _reject(self, rejected: Rejected) -> None:
        self._on_refused(f"entry {rejected.number}: {rejected.reason}")

    def _sum_up(self, before: Counts) -> None:
        """Bring the counts up to date, and the metrics by the difference."""
        load, merged = self._load.report(), self._merged
        self.counts = Counts(
            pages=merged.pages,
            seen=load.entries + merged.seen,
            new=load.versions_new + merged.new,
            changed=load.versions_changed + merged.changed,
            gone=merged.gone,
            failed=load.rejected + merged.failed,
        )
        for outcome in ("seen", "new", "changed", "gone", "failed"):
            step = getattr(self.counts, outcome) - getattr(before, outcome)
            metrics.HARVEST_ENTRIES.labels(self._name.source, outcome).inc(step)
