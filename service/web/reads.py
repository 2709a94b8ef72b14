"""Reads of the catalog: kept answers, conditions, and what goes out while it is away.

An answer is kept with the serial of the catalog that it shows, and serves as long as
that is the serial now. Where this process cannot be sure of the serial it asks for it;
where the database does not say, a kept answer goes out marked as stale, with its age.

Identical requests share one query, but only one that began after each of them arrived:
nobody is answered with a state from before the question.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, Protocol

from service import metrics
from service.errors import Unavailable
from service.settings import Settings
from service.store.base import Store
from service.web.answers import Answer, Header
from service.web.auth import KeyCheck
from service.web.cache import OF_BODY, Cache, Form, Kept, Key, tag_in, tag_of
from service.web.flights import Flights
from service.web.packing import (
    ENCODINGS,
    IDENTITY,
    SMALLEST_BYTES,
    encoding_for,
    packed,
)

OPEN_PATHS = ("/v0.1/", "/v0/", "/exports/")
_KEPT_PATHS = (*OPEN_PATHS, "/servers", "/tools", "/search")
# They tell that the process answers, so they ask nobody.
LIVE_PATHS = frozenset(
    f"{prefix}{path}" for prefix in ("/v0.1", "/v0") for path in ("/ping", "/health")
)
SERIAL_LIMIT_S = 0.5
LONGEST_KEY_BYTES = 2048
_FRESH = "max-age=30, stale-while-revalidate=60, stale-if-error=86400"
# RFC 9211.
_HIT = (b"cache-status", b"mcps; hit")
_MISS = (b"cache-status", b"mcps; fwd=uri-miss")
_OUTDATED = (b"cache-status", b"mcps; fwd=stale")
_ON_REQUEST = (b"cache-status", b"mcps; fwd=request")
_SWITCHED_OFF = (b"cache-status", b"mcps; fwd=bypass")
_COUNTS = {
    result: metrics.CACHE_ANSWERS.labels(result)
    for result in ("hit", "miss", "outdated", "stale")
}
_OK, _NOT_MODIFIED, _UNAVAILABLE = 200, 304, 503

Call = Callable[[dict[str, Any], Any], Awaitable[Answer]]


def is_kept(path: str) -> bool:
    """Whether answers at a path, below the prefix, are kept and have a validator."""
    return path.startswith(_KEPT_PATHS) and path not in LIVE_PATHS


class Exchange(Protocol):
    """What a read needs to know of a request."""

    scope: dict[str, Any]
    headers: dict[bytes, bytes]
    began_at: float

    async def receive(self) -> Any:  # noqa: ANN401 - an ASGI event
        """The next part of the body."""


class Outcome(NamedTuple):
    """What a handler answered; `kept` when it may serve again."""

    answer: Answer
    route: str
    kept: Kept | None


class Reads:
    """Answers reads from memory where that is right, and from the database else."""

    def __init__(
        self, call: Call, store: Store, check: KeyCheck, settings: Settings
    ) -> None:
        """`call` asks the database."""
        self._call = call
        self._store = store
        self._check = check
        self._is_on = settings.cache_max_bytes > 0
        self._cache = Cache(settings.cache_max_bytes)
        self._flights: Flights[Key, Outcome] = Flights()
        self._highest = 0
        self._reads_need_key = settings.require_api_key
        audience = "private" if settings.require_api_key else "public"
        self._open_control = (b"cache-control", f"public, {_FRESH}".encode())
        self._keyed_control = (b"cache-control", f"{audience}, {_FRESH}".encode())

    def covers(self, scope: dict[str, Any]) -> bool:
        """Whether a request is a read of the catalog that others may repeat."""
        path: str = scope["path"]
        if root := scope["root_path"]:
            path = path.removeprefix(root)
        return (
            scope["method"] == "GET"
            and is_kept(path)
            and len(scope["query_string"]) <= LONGEST_KEY_BYTES
        )

    def known(self, exchange: Exchange) -> Answer | None:
        """The answer, if it can be given without asking anybody."""
        headers = exchange.headers
        serial = self._store.known_serial
        if serial is None or b"cache-control" in headers:
            return None
        self._take_note(serial)
        kept = self._cache.get(_key(exchange))
        if kept is None:
            return None
        if kept.serial < serial or self._is_keyed(exchange):
            return None
        form = kept.forms.get(_encoding(exchange, kept))
        if form is None:
            return None
        return _shown(exchange, kept, form, _hit(exchange, kept))

    async def answer(self, exchange: Exchange) -> Answer:
        """The answer. Raises Unauthorized for a key that is wrong or missing."""
        if self._is_keyed(exchange):
            await self._check.may_read(exchange.scope["headers"])
        serial = await self._serial()
        control = exchange.headers.get(b"cache-control", b"")
        if not self._is_on or b"no-cache" in control.lower():
            outcome = await self._ask(exchange, serial)
            reason = _ON_REQUEST if self._is_on else _SWITCHED_OFF
            return await self._asked(exchange, None, outcome, reason)
        kept = self._cache.get(_key(exchange))
        if kept is not None:
            if serial is None:
                return await self._stale(exchange, kept)
            if kept.serial >= serial:
                return await self._packed(exchange, kept, _hit(exchange, kept))
        if serial is not None and (tag := _held(exchange, serial)):
            return self._unchanged(exchange, serial, tag)
        return await self._asked(exchange, kept, await self._shared(exchange, serial))

    def _is_keyed(self, exchange: Exchange) -> bool:
        """Whether it takes a look at the key first."""
        headers = exchange.headers
        has_key = b"x-api-key" in headers or b"authorization" in headers
        return (has_key or self._reads_need_key) and not _is_open(exchange)

    async def _serial(self) -> int | None:
        """The serial now; None when the database does not say."""
        serial = self._store.known_serial
        if serial is None:
            try:
                async with asyncio.timeout(SERIAL_LIMIT_S):
                    serial = await self._store.serial()
            except (Unavailable, TimeoutError):
                return None
        self._take_note(serial)
        return serial

    def _take_note(self, serial: int) -> None:
        """A serial that went back is that of another database: nothing kept counts."""
        if serial < self._highest:
            self._cache.clear()
        self._highest = serial

    async def _shared(self, exchange: Exchange, serial: int | None) -> Outcome:
        """The outcome of a query that began after this, or shows what is there now."""

        def is_current(outcome: Outcome) -> bool:
            kept = outcome.kept
            return kept is not None and serial is not None and kept.serial >= serial

        return await self._flights.share(
            _key(exchange), lambda: self._ask(exchange, serial), is_current
        )

    async def _ask(self, exchange: Exchange, serial: int | None) -> Outcome:
        scope = exchange.scope
        answer = await self._call(scope, exchange.receive)
        route: str = scope.get("path_template", "")
        given = dict(answer.raw_headers)
        shown = given.get(b"x-mcps-serial", serial)
        if answer.status_code != _OK or shown is None or b"cache-control" in given:
            return Outcome(answer, route, None)
        headers = [*answer.raw_headers, self._control(exchange)]
        kept = Kept(_key(exchange), int(shown), route, headers, answer.body)
        if self._is_on:
            self._cache.put(kept)
        return Outcome(answer, route, kept)

    async def _asked(
        self,
        exchange: Exchange,
        outdated: Kept | None,
        outcome: Outcome,
        reason: Header = _MISS,
    ) -> Answer:
        """What was asked for, or what was there before when the database is away."""
        exchange.scope.setdefault("path_template", outcome.route)
        if outcome.kept is not None:
            _COUNTS["outdated" if outdated else "miss"].inc()
            status = _OUTDATED if outdated else reason
            return await self._packed(exchange, outcome.kept, status)
        answer = outcome.answer
        if answer.status_code == _UNAVAILABLE and outdated is not None:
            return await self._stale(exchange, outdated)
        return Answer.whole(answer.status_code, [*answer.raw_headers], answer.body)

    async def _stale(self, exchange: Exchange, kept: Kept) -> Answer:
        """What was there before, with its age; the database does not answer."""
        _COUNTS["stale"].inc()
        age_s = max(1, round(time.perf_counter() - kept.sure_at))
        status = b"mcps; hit; ttl=-%d; detail=database-away" % age_s
        answer = await self._packed(exchange, kept, (b"cache-status", status))
        answer.raw_headers.append((b"age", b"%d" % age_s))
        return answer

    async def _packed(self, exchange: Exchange, kept: Kept, status: Header) -> Answer:
        encoding = _encoding(exchange, kept)
        form = kept.forms.get(encoding)
        if form is None:
            body = await packed(kept.forms[IDENTITY].body, encoding)
            form = self._cache.pack(kept, encoding, body)
        return _shown(exchange, kept, form, status)

    def _unchanged(self, exchange: Exchange, serial: int, tag: bytes) -> Answer:
        """What the client has is what the database would answer now."""
        headers = [
            (b"etag", tag),
            (b"vary", b"Accept-Encoding"),
            (b"x-mcps-serial", b"%d" % serial),
            self._control(exchange),
            _HIT,
        ]
        return Answer.whole(_NOT_MODIFIED, headers)

    def _control(self, exchange: Exchange) -> Header:
        """What other caches may do with an answer."""
        return self._open_control if _is_open(exchange) else self._keyed_control


def _key(exchange: Exchange) -> Key:
    scope = exchange.scope
    return scope.get("raw_path") or scope["path"].encode(), scope["query_string"]


def _is_open(exchange: Exchange) -> bool:
    """Whether everybody may read it, with or without a key."""
    scope = exchange.scope
    path: str = scope["path"].removeprefix(scope["root_path"])
    return path.startswith(OPEN_PATHS)


def _hit(exchange: Exchange, kept: Kept) -> Header:
    """Take note that an answer is right; gives the header that says so."""
    kept.sure_at = exchange.began_at
    _COUNTS["hit"].inc()
    return _HIT


def _held(exchange: Exchange, serial: int) -> bytes:
    """The validator of the answer now, if the client sent it."""
    condition = exchange.headers.get(b"if-none-match", b"")
    if not condition:
        return b""
    whole = tag_of(_key(exchange), serial)
    tags = (tag_in(whole, encoding) for encoding in ENCODINGS)
    return next((tag for tag in tags if tag in condition), b"")


def _encoding(exchange: Exchange, kept: Kept) -> bytes:
    accepted = exchange.headers.get(b"accept-encoding", b"")
    if len(kept.forms[IDENTITY].body) < SMALLEST_BYTES and b"identity" not in accepted:
        return IDENTITY
    return encoding_for(accepted)


def _shown(exchange: Exchange, kept: Kept, form: Form, status: Header) -> Answer:
    """A kept answer, or 304 when the client has it."""
    exchange.scope["path_template"] = kept.route
    condition = exchange.headers.get(b"if-none-match")
    if condition is not None and (form.tag in condition or condition.strip() == b"*"):
        shown = [header for header in form.headers if header[0] not in OF_BODY]
        return Answer.whole(_NOT_MODIFIED, [*shown, status])
    return Answer.whole(_OK, [*form.headers, status], form.body)
