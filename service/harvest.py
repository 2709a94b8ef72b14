"""The harvester: takes jobs, lets sources read, stores what they give, page by page.

Several processes may harvest one catalog: each takes other jobs. One that is stopped
gives its jobs back; one that dies loses them when their lease ends. A source that fails
costs its job a wait and nobody else anything.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

import msgspec
import structlog
from msgspec import UNSET, UnsetType

from service import jobs, metrics
from service.errors import McpsError, SourceFailed, Unavailable
from service.intake import Counts, Intake
from service.jobs import Choice, Job, JobName
from service.models_harvest import Order, Page, SourceName
from service.settings import Settings
from service.store.base import Store
from service.store.rehearsal import Rehearsal
from service.targets import Sources

log = structlog.get_logger("harvest")

IDLE_S = 0.3
MOST_SHOWN = 20
# What will hardly be better soon.
LASTING = frozenset({"bad_url", "not_found", "refused_address", "unauthorized"})


class Failure(msgspec.Struct, frozen=True):
    """A target that could not be harvested."""

    target: str
    reason: str
    message: str


class Report(msgspec.Struct, kw_only=True):
    """What came of one source."""

    source: SourceName
    targets: int = 0
    counts: Counts = msgspec.field(default_factory=Counts)
    failures: list[Failure] = msgspec.field(default_factory=list)
    refused: list[str] = msgspec.field(default_factory=list)
    """The first of what the catalog refused, and why."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a run does with the jobs it takes."""

    since: str | UnsetType = UNSET
    registry_every_s: float = 3600.0
    """When a registry is due again; other targets are by HARVEST_EVERY."""


async def rehearse(
    store: Store,
    sources: Sources,
    settings: Settings,
    names: Sequence[JobName],
    *,
    since: str | UnsetType = UNSET,
) -> list[Report]:
    """What harvesting these targets would change; nothing is written, no job is taken.

    Each page is undone before the next one comes, so what two pages say of one server
    counts twice.
    """
    reports: dict[SourceName, Report] = {}
    for name in names:
        report = reports.setdefault(name.source, Report(source=name.source))
        report.targets += 1
        intake = Intake(
            Rehearsal(store),
            name,
            max_loss=settings.harvest_max_loss,
            on_refused=partial(_note, report),
        )
        place = await jobs.get_place(store, name)
        order = Order(target=name.target, checkpoint=place, since=since)
        try:
            async for page in sources[name.source].harvest(order):
                await intake.put(page)
        except SourceFailed as error:
            report.failures.append(_failure(name, error))
        _add(report.counts, Counts(), intake.counts)
    return list(reports.values())


class Harvester:
    """Harvests until nothing is due; `on_progress` gets the reports after each page."""

    def __init__(
        self,
        store: Store,
        sources: Sources,
        settings: Settings,
        plan: Plan,
        on_progress: Callable[[Sequence[Report]], None],
    ) -> None:
        self._store = store
        self._sources = sources
        self._settings = settings
        self._plan = plan
        self._on_progress = on_progress
        self._worker = jobs.worker_name()
        self._reports: dict[SourceName, Report] = {}
        self._names: list[JobName] | None = None
        self._busy = 0

    @property
    def reports(self) -> list[Report]:
        """What came of each source so far."""
        return list(self._reports.values())

    async def run(self, choice: Choice) -> None:
        """Work off what is due: the names of the choice, or else all of its sources.

        Waits for targets by name that another process has. Raises Unavailable when the
        database stays away; the leases then end by themselves.
        """
        self._names = None if choice.names is None else list(choice.names)
        tasks = [
            asyncio.create_task(self._work(choice.sources))
            for _ in range(self._settings.harvest_jobs)
        ]
        # Not gather: a stop would reach each task twice, the second time while it gives
        # its job back.
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()

    async def _work(self, sources: tuple[SourceName, ...]) -> None:
        while True:
            names = None if self._names is None else tuple(self._names)
            choice = Choice(sources, names)
            job = await self._lease(choice)
            if job is not None:
                await self._take(job)
            elif self._busy or await self._has_rivals(choice):
                await asyncio.sleep(IDLE_S)
            else:
                return

    async def _lease(self, choice: Choice) -> Job | None:
        """The next job. One that comes in the moment of a stop is given back."""
        leasing = asyncio.create_task(
            jobs.lease_job(
                self._store, choice, self._worker, self._settings.harvest_lease
            )
        )
        try:
            return await asyncio.shield(leasing)
        except asyncio.CancelledError:
            (found,) = await asyncio.gather(leasing, return_exceptions=True)
            if isinstance(found, Job):
                await jobs.release_job(self._store, found, self._worker)
            raise

    async def _has_rivals(self, choice: Choice) -> bool:
        """Whether another process has a target that was asked for by name."""
        if choice.names is None:
            return False
        return await jobs.wait_for_others(self._store, choice) is not None

    async def _take(self, job: Job) -> None:
        """Do one job, and give it back whatever happens."""
        self._busy += 1
        began_at = time.monotonic()
        outcome = "stopped"
        try:
            async with self._kept(job):
                outcome = await self._done(job)
        except asyncio.CancelledError:
            await jobs.release_job(self._store, job, self._worker)
            raise
        finally:
            self._busy -= 1
            source = job.name.source
            metrics.HARVEST_RUNS.labels(source, outcome).inc()
            metrics.HARVEST_SECONDS.labels(source).observe(time.monotonic() - began_at)

    async def _done(self, job: Job) -> str:
        """Do one job; gives `done` or `failed`."""
        report = self._report(job.name.source)
        report.targets += 1
        try:
            await self._harvest(job, report)
        except (Unavailable, asyncio.CancelledError):
            raise
        except Exception as error:  # noqa: BLE001 - one source must not stop the others
            await self._fail(job, report, error)
            return "failed"
        every_s = self._settings.harvest_every
        if job.name.source == "registry":
            every_s = self._plan.registry_every_s
        await jobs.finish_job(self._store, job, self._worker, every_s)
        metrics.HARVEST_DONE_AT.labels(job.name.source).set_to_current_time()
        return "done"

    async def _harvest(self, job: Job, report: Report) -> None:
        source = self._sources[job.name.source]
        order = Order(
            target=job.name.target, checkpoint=job.checkpoint, since=self._plan.since
        )
        intake = Intake(
            self._store,
            job.name,
            max_loss=self._settings.harvest_max_loss,
            on_refused=partial(_note, report),
        )
        before = intake.counts
        try:
            async for page in source.harvest(order):
                await intake.put(page)
                await self._note_page(job, page)
                before = _add(report.counts, before, intake.counts)
                self._on_progress(self.reports)
        except SourceFailed:
            await intake.finish()
            raise
        await intake.finish()

    async def _note_page(self, job: Job, page: Page) -> None:
        """Put in the targets that a source found, and note where it goes on."""
        names = [JobName(job.name.source, target) for target in page.targets]
        await jobs.queue_jobs(self._store, names, is_due=False)
        if self._names is not None:
            self._names += names
        if page.checkpoint is not UNSET:
            await jobs.save_place(self._store, job, self._worker, page.checkpoint)

    async def _fail(self, job: Job, report: Report, error: Exception) -> None:
        failure = _failure(job.name, error)
        report.failures.append(failure)
        retry_after_s = error.retry_after_s if isinstance(error, SourceFailed) else None
        if failure.reason in LASTING:
            retry_after_s = self._settings.harvest_every
        await jobs.fail_job(
            self._store, job, self._worker, failure.message, retry_after_s
        )
        self._on_progress(self.reports)

    def _report(self, source: SourceName) -> Report:
        return self._reports.setdefault(source, Report(source=source))

    @asynccontextmanager
    async def _kept(self, job: Job) -> AsyncIterator[None]:
        """Keep the lease of a job for as long as the context lasts."""
        keeper = asyncio.create_task(self._keep(job))
        try:
            yield
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)

    async def _keep(self, job: Job) -> None:
        """Renew the lease again and again.

        When it is lost all the same, both workers store the same pages, which changes
        nothing, and only the other one moves the checkpoint.
        """
        lease_s = self._settings.harvest_lease
        while True:
            await asyncio.sleep(lease_s / 3)
            try:
                await jobs.renew_job(self._store, job, self._worker, lease_s)
            except Unavailable as error:
                log.warning("a lease was not renewed", error=error.message)


def _failure(name: JobName, error: Exception) -> Failure:
    if isinstance(error, SourceFailed):
        log.info("harvest failed", job=name.url[:200], error=error.message)
        return Failure(name.target, error.reason, error.message)
    if isinstance(error, McpsError):
        log.info("harvest failed", job=name.url[:200], error=error.message)
        return Failure(name.target, error.code, error.message)
    log.error("harvest failed", job=name.url[:200], exc_info=error)
    message = f"an error of MCPS itself: {type(error).__name__}"
    return Failure(name.target, "internal", message)


def _note(report: Report, text: str) -> None:
    if len(report.refused) < MOST_SHOWN:
        report.refused.append(text)


def _add(total: Counts, before: Counts, now: Counts) -> Counts:
    """Add what came since `before` to the total; gives `now`."""
    for field in total.__struct_fields__:
        step = getattr(now, field) - getattr(before, field)
        setattr(total, field, getattr(total, field) + step)
    return now
