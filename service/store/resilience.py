"""What a failed database call means, when to try again, and when not even to try.

The limits are a budget: the database part of a request ends within one deadline, tries
included; while the database is known to be down nobody waits for it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import stamina
import structlog

from service import errors, metrics

T = TypeVar("T")

log = structlog.get_logger("store")

TRIES = 3
FIRST_WAIT_S = 0.05
LONGEST_WAIT_S = 0.2
JITTER_S = 0.05
FAST_PROBES = 20
FAST_PROBE_S = 0.5
SLOWEST_PROBE_S = 5.0

_BY_STATE: dict[str, type[errors.McpsError]] = {
    "22021": errors.InvalidText,
    "22P05": errors.InvalidText,
    "23505": errors.Conflict,
    "25006": errors.ReadOnly,
    "40001": errors.Unavailable,
    "40P01": errors.Unavailable,
    "42501": errors.Unavailable,
    "42703": errors.SchemaMismatch,
    "42P01": errors.SchemaMismatch,
    "53100": errors.StorageFull,
    "53200": errors.Unavailable,
    "53300": errors.PoolExhausted,
    "55P03": errors.LockTimeout,
    "57014": errors.DeadlineExceeded,
    "57P01": errors.DatabaseDown,
    "57P02": errors.DatabaseDown,
    "57P03": errors.DatabaseDown,
}
_BY_CLASS: dict[str, type[errors.McpsError]] = {
    "08": errors.DatabaseDown,
    "22": errors.InvalidInput,
    "23": errors.InvalidInput,
    "28": errors.DatabaseDown,
    "3D": errors.DatabaseDown,
    "42": errors.SchemaMismatch,
    "53": errors.Unavailable,
    "54": errors.InvalidInput,
}
_NOTHING_RAN = frozenset({"57P03", "53300", "40001", "40P01"})
_LOST = frozenset(
    {"InternalClientError", "InterfaceError", "ConnectionDoesNotExistError"}
)


def translate(error: BaseException) -> errors.McpsError:
    """The error of our own that a driver's error means.

    Knows drivers by SQLSTATE and class name only, so that no driver is imported here.
    """
    if isinstance(error, errors.McpsError):
        return error
    state = getattr(error, "sqlstate", None) or ""
    metrics.QUERY_ERRORS.labels(state[:2] or "none").inc()
    kind = _kind(error)
    if kind is errors.McpsError:
        log.error("unexpected database error", error=repr(error))
        return errors.McpsError("the database call failed")
    if issubclass(kind, errors.Unavailable | errors.Conflict):
        log.warning("database call failed", sqlstate=state, error=_short(error))
        return kind()
    return kind(f"the database refuses this value: {_short(error)}")


def proves_nothing_ran(error: BaseException) -> bool:
    """Whether even a write may be sent again after this error."""
    state = getattr(error, "sqlstate", None)
    return state in _NOTHING_RAN or isinstance(error, ConnectionRefusedError)


def is_transient(error: BaseException) -> bool:
    """Whether another try within the same request may succeed."""
    return _kind(error) in {errors.DatabaseDown, errors.Unavailable}


class Breaker:
    """Knows whether the database is down, and asks it again at a bounded rate."""

    def __init__(self, probe: Callable[[], Awaitable[object]]) -> None:
        self._probe = probe
        self._task: asyncio.Task[None] | None = None
        self._next_probe_at = 0.0

    @property
    def is_open(self) -> bool:
        """Whether calls should fail at once."""
        return self._task is not None

    def check(self) -> None:
        """Raise DatabaseDown, with the time of the next probe, while known down."""
        if self._task is None:
            return
        wait_s = self._next_probe_at - time.monotonic()
        raise errors.DatabaseDown(retry_after_s=max(1, min(5, round(wait_s + 0.5))))

    def trip(self) -> None:
        """Take note that the database is down, and look after it from now on."""
        if self._task is None:
            metrics.DB_UP.set(0)
            log.error("database is down")
            self._task = asyncio.create_task(self._watch())

    async def close(self) -> None:
        """Stop looking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self) -> None:
        began_at = time.monotonic()
        tries = 0
        while True:
            wait_s = FAST_PROBE_S if tries else FIRST_WAIT_S
            if tries > FAST_PROBES:
                wait_s = min(SLOWEST_PROBE_S, FAST_PROBE_S * 2 ** (tries - FAST_PROBES))
            self._next_probe_at = time.monotonic() + wait_s
            await asyncio.sleep(wait_s)
            tries += 1
            try:
                await self._probe()
            except Exception as error:  # noqa: BLE001 - it is still down
                log.debug("database still down", error=_short(error))
                continue
            break
        metrics.DB_UP.set(1)
        log.info("database is back", down_s=round(time.monotonic() - began_at, 2))
        self._task = None


async def again(call: Callable[[], Awaitable[T]], first: Exception) -> T:
    """Try `call` a few times more after a failure; the caller holds the deadline."""
    await asyncio.sleep(FIRST_WAIT_S)
    async for attempt in stamina.retry_context(
        on=is_transient,
        attempts=TRIES - 1,
        wait_initial=FIRST_WAIT_S,
        wait_max=LONGEST_WAIT_S,
        wait_jitter=JITTER_S,
    ):
        with attempt:
            metrics.RETRIES.inc()
            return await call()
    raise first


def _kind(error: BaseException) -> type[errors.McpsError]:
    if isinstance(error, errors.McpsError):
        return type(error)
    state = getattr(error, "sqlstate", None) or ""
    return _BY_STATE.get(state) or _BY_CLASS.get(state[:2]) or _by_type(error)


def _by_type(error: BaseException) -> type[errors.McpsError]:
    if isinstance(error, OSError | EOFError) or type(error).__name__ in _LOST:
        return errors.DatabaseDown
    if isinstance(error, TimeoutError):
        return errors.DatabaseDown
    if type(error).__name__ == "DataError" or isinstance(error, UnicodeError):
        return errors.InvalidInput
    return errors.McpsError


def _short(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]
