"""A cluster, a proxy, a service, load on it: what a fault test breaks and watches."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from tests.cluster import Cluster
from tests.lab import database
from tests.lab.load import Call, Load
from tests.lab.oracle import (
    FILES_MORE,
    RSS_SHARE,
    RSS_SLACK_BYTES,
    Ledger,
    Walk,
    judge,
    walk,
)
from tests.lab.process import Service, serving
from tests.lab.proxy import Proxy
from tests.waiting import until

WARM_CALLS = 40
# A slow machine may take long for a statement that sleeps.
PATIENT = {
    "DB_STATEMENT_TIMEOUT": "5",
    "DB_REQUEST_TIMEOUT": "6",
    "REQUEST_TIMEOUT": "7",
}
CALM_LIMIT_S = 15.0


class Rig:
    """The parts of one fault test."""

    def __init__(self, cluster: Cluster, proxy: Proxy, service: Service) -> None:
        self.cluster = cluster
        self.proxy = proxy
        self.service = service
        self.load = Load(service.client, [])
        self.ledger = Ledger()
        self.final_url = database.url_of(cluster.port)
        self.judges_memory = True
        self._walker: asyncio.Task[None] | None = None
        self._files = 0
        self._rss_bytes = 0

    @property
    def calls(self) -> list[Call]:
        """Every request of the load so far."""
        return self.load.calls

    async def begin(self, reads_per_s: float, writes_per_s: float) -> None:
        """Start the load and let it get warm."""
        self.load = Load(
            self.service.client,
            database.moving_ids(self.cluster),
            reads_per_s=reads_per_s,
            writes_per_s=writes_per_s,
        )
        self.load.start()
        self._walker = asyncio.create_task(self._walk())
        if reads_per_s or writes_per_s:
            await self.load.until_calls(WARM_CALLS)
        self._files = self.service.open_files()
        self._rss_bytes = self.service.rss_bytes()

    async def sql(self, *statements: str) -> None:
        """Run statements as the owner of the cluster, while the load goes on."""
        await asyncio.to_thread(database.run, self.cluster, *statements)

    async def for_s(self, seconds: float) -> None:
        """Let the fault last."""
        await asyncio.sleep(seconds)

    async def until_good(self, since: float, limit_s: float = 30.0) -> float:
        """Wait for a second without a failure; gives when it began, from `since`."""
        ends_at = time.monotonic() + limit_s
        while time.monotonic() < ends_at:
            bad = [c.answer.ended_at for c in self.calls if not c.is_healed]
            last_bad_at = max(bad, default=since)
            if time.monotonic() - max(last_bad_at, since) >= 1.0:
                began = [c.answer.began_at for c in self.calls if not c.is_healed]
                return max(0.0, max(began, default=since) - since)
            await asyncio.sleep(0.05)
        message = f"still failing after {limit_s} s: {self.complaint()}"
        raise AssertionError(message)

    def complaint(self) -> str:
        """The last failures and the last words of the log."""
        bad = [c for c in self.calls if not c.is_good][-3:]
        shown = [f"{c.kind} {c.answer.status} {c.answer.body[:120]!r}" for c in bad]
        return f"{shown}; {self.service.lines()[-3:]}"

    async def end(self) -> None:
        """Stop the load and check all nine rules."""
        await self.load.stop()
        if self._walker is not None:
            self._walker.cancel()
            await asyncio.gather(self._walker, return_exceptions=True)
        breaches = judge(self.calls, self.ledger, self.final_url)
        assert breaches == [], "\n".join(breaches)
        if self.service.is_running:
            await self._gave_everything_back()

    async def _gave_everything_back(self) -> None:
        """Rule 9: in the calm no connection is in use, and no file or memory lost."""
        service = self.service
        service.client.close()

        seen: list[tuple[float, float, int]] = []

        async def is_calm() -> bool:
            in_use = await service.metric("mcps_pool_checked_out")
            waiting = await service.metric("mcps_pool_waiting")
            seen.append((in_use, waiting, service.open_files()))
            # The pool may fill up to its size meanwhile: those files belong to it.
            most = self._files + FILES_MORE + 5
            return in_use == 0 and waiting == 0 and service.open_files() <= most

        try:
            await until(is_calm, limit_s=CALM_LIMIT_S)
        except AssertionError:
            shown = f"in use, waiting, files: {seen[-1]}, files before {self._files}"
            message = f"rule 9: not everything was given back: {shown}"
            raise AssertionError(message) from None
        allowed = self._rss_bytes * RSS_SHARE + RSS_SLACK_BYTES
        if self.judges_memory:
            assert service.rss_bytes() <= allowed, "rule 9: memory was not given back"

    async def _walk(self) -> None:
        while True:
            for word in ("static", "moving"):
                found: Walk = await walk(self.service.client, word, self._told)
                self.ledger.walks.append(found)
            await asyncio.sleep(0.5)

    def _told(self, call: Call) -> None:
        """Pages of walks are judged as walks; their statuses count as well."""
        if call.answer.status not in {200, 503}:
            self.calls.append(call)


class Lab:
    """Makes rigs from one prepared cluster."""

    def __init__(self, source: Path, folder: Path) -> None:
        self.source = source
        self.folder = folder

    def cluster(
        self, *, max_connections: int = 60, settings: Mapping[str, str] | None = None
    ) -> Cluster:
        """A cluster with the catalog of the lab; not started yet."""
        return database.copied(self.source, settings or {}, max_connections)

    @asynccontextmanager
    async def rig(
        self,
        *,
        reads_per_s: float = 50.0,
        writes_per_s: float = 10.0,
        max_connections: int = 60,
        settings: Mapping[str, str] | None = None,
        is_patient: bool = False,
        **variables: str,
    ) -> AsyncIterator[Rig]:
        """A warm service under load; the oracle judges when the block ends well.

        `is_patient` is for statements that sleep.
        """
        if is_patient:
            variables |= PATIENT
        async with AsyncExitStack() as stack:
            made = self.cluster(max_connections=max_connections, settings=settings)
            cluster = stack.enter_context(made)
            proxy = await stack.enter_async_context(Proxy(lambda: cluster.port))
            variables.setdefault("DATABASE_URL", database.url_of(proxy.port))
            service = await stack.enter_async_context(serving(self.folder, **variables))
            await service.until_ready()
            rig = Rig(cluster, proxy, service)
            await rig.begin(reads_per_s, writes_per_s)
            try:
                yield rig
            except BaseException as error:
                error.add_note(rig.complaint())
                await rig.load.stop()
                raise
            await rig.end()
