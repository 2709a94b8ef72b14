"""Load at a fixed rate, whatever the answers do; every request is recorded.

Reads are a list, one server and a search in turn; writes are a new server and a new
version of one that is there, at most one under way for a row.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from itertools import count

import msgspec

from tests.lab import rows
from tests.lab.http import Answer, Client
from tests.waiting import until

READS_PER_S = 50.0
WRITES_PER_S = 10.0
PAGE = 40


class Call(msgspec.Struct, frozen=True):
    """One request and what came back."""

    kind: str
    """list, server, search, add, change"""
    answer: Answer
    number: int = 0
    """The row that it is about, if it is about one."""
    version: int = 0

    @property
    def is_read(self) -> bool:
        """Whether it changes nothing."""
        return self.kind not in {"add", "change"}

    @property
    def is_good(self) -> bool:
        """Whether it did what was asked."""
        return self.answer.status in {200, 201}

    @property
    def is_stale(self) -> bool:
        """Whether it says that it shows an earlier state, because nobody knows."""
        return "database-away" in self.answer.headers.get("cache-status", "")

    @property
    def is_healed(self) -> bool:
        """Whether the database answered it."""
        return self.is_good and not self.is_stale


class Load:
    """The requests of one test."""

    def __init__(
        self,
        client: Client,
        ids: Sequence[int],
        *,
        reads_per_s: float = READS_PER_S,
        writes_per_s: float = WRITES_PER_S,
    ) -> None:
        """`ids` are those of the moving rows, in their order."""
        self.calls: list[Call] = []
        self._client = client
        self._ids = ids
        self._rates = (reads_per_s, writes_per_s)
        self._versions = [0] * len(ids)
        self._busy: set[int] = set()
        self._next_new = count()
        self._random = random.Random(7)
        self._tickers: list[asyncio.Task[None]] = []
        self._running: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin."""
        reads, writes = self._rates
        turns = (self._list, self._server, self._search)
        if reads:
            self._tickers.append(asyncio.create_task(self._tick(reads, turns)))
        if writes:
            pair = (self._add, self._change)
            self._tickers.append(asyncio.create_task(self._tick(writes, pair)))

    async def stop(self) -> None:
        """Ask nothing more, and wait for what is under way."""
        for ticker in self._tickers:
            ticker.cancel()
        await asyncio.gather(*self._tickers, return_exceptions=True)
        if self._running:
            await asyncio.wait(self._running)

    async def until_calls(self, wanted: int) -> None:
        """Wait until so many more requests have been answered well."""
        enough = self._good() + wanted
        await until(lambda: self._good() >= enough, limit_s=60)

    def _good(self) -> int:
        return sum(call.is_good for call in self.calls)

    async def _tick(
        self, per_s: float, turns: Sequence[Callable[[], Awaitable[Call]]]
    ) -> None:
        began_at = time.monotonic()
        for number in count(1):
            task = asyncio.create_task(self._record(turns[number % len(turns)]))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            wait_s = began_at + number / per_s - time.monotonic()
            await asyncio.sleep(max(0.0, wait_s))

    async def _record(self, turn: Callable[[], Awaitable[Call]]) -> None:
        self.calls.append(await turn())

    async def _list(self) -> Call:
        path = f"/servers?keyword=static&sort=name&limit={PAGE}"
        return Call("list", await self._client.get(path))

    async def _server(self) -> Call:
        number = self._random.randrange(len(self._ids))
        answer = await self._client.get(f"/servers/{self._ids[number]}")
        return Call("server", answer, number)

    async def _search(self) -> Call:
        return Call("search", await self._client.get("/search?q=static&limit=5"))

    async def _add(self) -> Call:
        number = next(self._next_new)
        body = rows.row("added", number)
        return Call("add", await self._client.write("POST", "/servers", body), number)

    async def _change(self) -> Call:
        free = [n for n in range(len(self._ids)) if n not in self._busy]
        number = self._random.choice(free)
        self._busy.add(number)
        self._versions[number] += 1
        version = self._versions[number]
        body = rows.change("moving", number, version)
        path = f"/servers/{self._ids[number]}"
        answer = await self._client.write("PATCH", path, body)
        self._busy.discard(number)
        return Call("change", answer, number, version)


def after(calls: Sequence[Call], at: float) -> list[Call]:
    """The calls that began after a moment."""
    return [call for call in calls if call.answer.began_at >= at]


def share_good(calls: Sequence[Call]) -> float:
    """The share that did what was asked; 1 of none."""
    return sum(call.is_good for call in calls) / len(calls) if calls else 1.0


def quantile_s(calls: Sequence[Call], share: float) -> float:
    """The time below which that share of the calls took; 0 of none."""
    times = sorted(call.answer.took_s for call in calls)
    return times[min(len(times) - 1, int(share * len(times)))] if times else 0.0


def healed_s(calls: Sequence[Call], at: float) -> float:
    """How long after a moment the last call began that failed; 0 without any."""
    bad = [call.answer.began_at for call in calls if not call.is_healed]
    return max(0.0, max(bad, default=at) - at)


def longest_failure_s(calls: Sequence[Call]) -> float:
    """The longest stretch in which every call failed, by when they began."""
    longest = 0.0
    first: float | None = None
    for call in sorted(calls, key=lambda call: call.answer.began_at):
        if call.is_healed:
            first = None
            continue
        first = call.answer.began_at if first is None else first
        longest = max(longest, call.answer.began_at - first)
    return longest
