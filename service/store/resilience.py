"""What a failed database call means, when to try again, and when not even to try.

The limits are a budget: the database part of a request ends within one deadline, tries
included; while the database is known to be down nobody waits for it.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import stamina
import structlog

from service import errors, metrics
from service.logs import Seldom

T = TypeVar("T")

log = structlog.get_logger("store")
_seldom = Seldom(log)

TRIES = 3
FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 0.2
JITTER_S = 0.05

# Each would be a line; mcps_retries_total counts them, the first failure is logged.
stamina.instrumentation.set_on_retry_hooks([])

_BY_STATE: dict[str, type[errors.McpsError]] = {
    "22021": errors.InvalidText,
    "22P05": errors.InvalidText,
    "23505": errors.Conflict,
    "25006": errors.ReadOnly,
    "40001": errors.Unavailable,
    "40P01": errors.Unavailable,
    "42501": errors.MissingPrivilege,
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
_CONFLICTS = frozenset({"40001", "40P01"})
_NOTHING_RAN = _CONFLICTS | {"57P03", "53300"}
_LOST = frozenset(
    {
        "InternalClientError",
        "InterfaceError",
        "ConnectionDoesNotExistError",
        "TargetServerAttributeNotMatched",
    }
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
        _tell(state, error)
        return kind()
    return kind(f"the database refuses this value: {_short(error)}")


def proves_nothing_ran(error: BaseException) -> bool:
    """Whether even a write may be sent again after this error."""
    state = getattr(error, "sqlstate", None)
    return state in _NOTHING_RAN or isinstance(error, ConnectionRefusedError)


def is_conflict(error: BaseException) -> bool:
    """Whether transactions were in each other's way, and this one had to give in."""
    return getattr(error.__cause__ or error, "sqlstate", None) in _CONFLICTS


def is_full(error: BaseException) -> bool:
    """Whether the server has no connection left for this login."""
    return _kind(error) is errors.PoolExhausted


def is_transient(error: BaseException) -> bool:
    """Whether another try within the same request may succeed."""
    return _kind(error) in {errors.DatabaseDown, errors.Unavailable}


async def again(
    call: Callable[[], Awaitable[T]],
    first: Exception,
    may_repeat: Callable[[Exception], bool],
) -> T:
    """Try `call` a few times more after a failure; the caller holds the deadline."""
    if not is_cut(first):
        await asyncio.sleep(FIRST_WAIT_S + random.random() * JITTER_S)  # noqa: S311
    async for attempt in stamina.retry_context(
        on=may_repeat,
        attempts=TRIES - 1,
        wait_initial=LONGEST_WAIT_S,
        wait_max=LONGEST_WAIT_S,
        wait_jitter=JITTER_S,
    ):
        with attempt:
            metrics.RETRIES.inc()
            return await call()
    raise first


def is_cut(error: BaseException) -> bool:
    """Whether a connection was lost that had worked: the next one mostly does."""
    cause = error.__cause__ if isinstance(error, errors.McpsError) else error
    return type(cause).__name__ in _LOST or isinstance(cause, ConnectionResetError)


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


def _tell(state: str, error: BaseException) -> None:
    """One line for each kind of failure, however many requests it hits."""
    kind = state or type(error).__name__
    is_ours = _kind(error) is errors.SchemaMismatch
    _seldom(
        kind,
        "database call failed",
        level="critical" if is_ours else "warning",
        sqlstate=state,
        error=_short(error),
    )


def _short(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]
