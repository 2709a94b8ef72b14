"""Times as the catalog writes them: ISO 8601 in UTC, six digits, `Z`."""

from datetime import UTC, datetime


def utc_text(text: object) -> str | None:
    """A time in the catalog's own form; None when it is none.

    A time without an offset is taken as UTC.
    """
    if not isinstance(text, str):
        return None
    try:
        at = datetime.fromisoformat(text.strip())
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return _written(at)


def now_text() -> str:
    """This moment in the catalog's own form."""
    return _written(datetime.now(UTC))


def _written(at: datetime) -> str:
    return at.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"
