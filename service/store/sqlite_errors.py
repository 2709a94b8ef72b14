"""What an error of SQLite means.

Knows the driver by its error codes only, so that no driver is imported here.
"""

import structlog

from service import errors, metrics

log = structlog.get_logger("store")

DAMAGED = (
    "the SQLite file is damaged: restore it from a backup, and let `mcps check` "
    "look at that"
)
NOT_A_DATABASE = "the file is not an SQLite database"

_UNIQUE = frozenset({1555, 2067, 2579})
_BY_CODE: dict[int, type[errors.McpsError]] = {
    5: errors.LockTimeout,
    6: errors.LockTimeout,
    7: errors.Unavailable,
    8: errors.ReadOnly,
    9: errors.DeadlineExceeded,
    10: errors.DatabaseDown,
    11: errors.DatabaseDown,
    13: errors.StorageFull,
    14: errors.DatabaseDown,
    18: errors.InvalidInput,
    19: errors.InvalidInput,
    20: errors.InvalidInput,
    23: errors.ReadOnly,
    26: errors.DatabaseDown,
}
_TEXTS: dict[int, str] = {11: DAMAGED, 26: NOT_A_DATABASE}
_MISSING = ("no such table", "no such column", "no such view", "no such function")
_WRONG_VALUE = ("malformed JSON", "user-defined function", "JSON path", "too large")


def translate_sqlite(error: BaseException) -> errors.McpsError:
    """The error of our own that a driver's error means."""
    if isinstance(error, errors.McpsError):
        return error
    code = getattr(error, "sqlite_errorcode", None) or 0
    metrics.QUERY_ERRORS.labels(f"sqlite {code & 255}" if code else "none").inc()
    kind = _kind(error, code)
    if kind is errors.McpsError:
        log.error("unexpected database error", error=repr(error))
        return errors.McpsError("the database call failed")
    if issubclass(kind, errors.Unavailable | errors.Conflict):
        log.warning("database call failed", code=code, error=_short(error))
        return kind(_TEXTS.get(code & 255))
    return kind(f"the database refuses this value: {_short(error)}")


def is_busy(error: BaseException) -> bool:
    """Whether another process holds the file just now."""
    code = getattr(error, "sqlite_errorcode", None) or 0
    return code & 255 in {5, 6}


def is_missing(error: BaseException) -> bool:
    """Whether a table is not there: then migrations are missing."""
    return str(error).startswith(_MISSING)


def _kind(error: BaseException, code: int) -> type[errors.McpsError]:
    if code in _UNIQUE:
        return errors.Conflict
    if found := _BY_CODE.get(code & 255):
        return found
    if isinstance(error, TimeoutError):
        return errors.DeadlineExceeded
    if is_missing(error):
        return errors.SchemaMismatch
    return errors.InvalidInput if _is_wrong_value(error) else errors.McpsError


def _is_wrong_value(error: BaseException) -> bool:
    if isinstance(error, UnicodeError | OverflowError):
        return True
    return any(text in str(error) for text in _WRONG_VALUE)


def _short(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]
