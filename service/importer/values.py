"""How the values of the earlier MCPS become ours: one rule for each logical type.

SQLite keeps any value in any column. What a rule understands is mapped, what can be
kept by a rule that is written here is *repaired*, all else is refused with its row:

==========  ====================================================================
text        NUL characters are removed; bytes that are no UTF-8 and halves of
            surrogate pairs become U+FFFD, also in BLOBs; numbers are written out;
            an empty name becomes `unnamed`
integer     text of digits is read; a fraction is cut off; NULL is the default
boolean     other numbers than 0 are true; `true`, `yes`, `on`, `false`, `no`, `off`
            are read, any other text is false; NULL is false
time        any form of ISO 8601, with or without fraction, `T`, offset (UTC is
            meant), time of day, or separators, also by week (`2025-W01-1`); empty or
            no time at all is null, or 1970 where one is needed
enumeration the NAME or the value; anything else is `unknown` or the default
UUID        with or without dashes, in any case
JSON        NaN and infinities become null; NUL characters and halves of surrogate
            pairs as in text; an empty text is null
list        as JSON; NULL and `null` are empty, another value becomes its only item
embedding   a JSON list of 1,536 finite numbers
==========  ====================================================================

Values come out as they are sent and as the database writes them as text, because the
checksums of both sides are taken from that. Columns are mapped as wholes: where all
values of a batch are of the usual form, nothing is done for each of them.
"""

import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from hashlib import md5
from typing import Any

import msgspec

from service.store.base import Value

Raw = str | bytes | int | float | None

MOST_TOGETHER = 1 << 20
SOME = 500
BETWEEN = "\x1f"
NULL = "\x1e"
UNNAMED = "unnamed"
EPOCH = "1970-01-01 00:00:00+00"
_USUAL_TIME = len("2025-01-02 03:04:05.678901")
ODD = re.compile("[\0\ud800-\udfff]")
SURROGATE = re.compile("[\ud800-\udfff]")
_HEX = re.compile("[0-9a-f]*")
_UUID = re.compile("[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}")
_INTEGER = re.compile(r"\s*[+-]?[0-9]{1,19}\s*")
_TRUE, _FALSE = (
    {"1", "true", "yes", "on", "t", "y"},
    {"0", "false", "no", "off", "f", "n"},
)
_LEAST, _MOST = -(2**63), 2**63 - 1


class Unfit(Exception):
    """A value that cannot be kept; the text says why."""


class Mended(msgspec.Struct, frozen=True):
    """A value that was changed to be kept, and the rule that did it."""

    value: Value
    rule: str


class Rule(msgspec.Struct, frozen=True):
    """How the values of one column are mapped."""

    type: str
    """The type of the column in the staging table."""
    one: Callable[[Raw], Value | Mended]
    """Maps one value; raises Unfit."""
    usual: Callable[[Sequence[Any]], list[Any] | None] | None = None
    """Maps a whole column if all its values are of the usual form, else gives None."""
    shown: Callable[[Any], str] | None = None
    """A sent value as its checksum sees it, where that is not its text."""
    written: Callable[[Any], str] | None = None
    """A sent value as the database reads it, where that is not its text."""


def texts(rule: Rule, values: Sequence[Any]) -> list[str]:
    """The values of a column as the database writes them, and NULL."""
    if rule.type == "text":
        return [NULL if value is None else value for value in values]
    if rule.type == "boolean":
        return [NULL if value is None else str(value).lower() for value in values]
    if rule.type == "bigint" and None not in values:
        return [*map(str, values)]
    return [NULL if value is None else str(value) for value in values]


def shown_texts(rule: Rule, values: Sequence[Any]) -> list[str]:
    """The values of a column as checksums see them, and NULL."""
    if rule.shown is None:
        return texts(rule, values)
    return [NULL if value is None else rule.shown(value) for value in values]


def digest(texts: Sequence[str]) -> str:
    """The digest of a column; see `import_digest`."""
    found = md5(usedforsecurity=False)
    for start in range(0, len(texts), SOME):
        found.update(BETWEEN.encode() if start else b"")
        found.update(BETWEEN.join(texts[start : start + SOME]).encode())
    return found.hexdigest()


def _text(value: Raw, *, needed: bool, filled: bool, most_bytes: int) -> Value | Mended:
    if value is None:
        if needed:
            message = "is missing"
            raise Unfit(message)
        return None
    text, rule = plain_text(value)
    if most_bytes and (size := len(text.encode())) > most_bytes:
        message = f"has {size:,} bytes, at most {most_bytes:,} can be kept"
        raise Unfit(message)
    if filled and not text and not most_bytes:
        return Mended(UNNAMED, f"an empty name becomes `{UNNAMED}`")
    if filled and not text:
        message = "is empty"
        raise Unfit(message)
    return Mended(text, rule) if rule else text


def plain_text(value: str | bytes | float) -> tuple[str, str]:
    """Text that the database takes, and the rule that made it so, if one had to."""
    if isinstance(value, int | float):
        return str(value), "a number is written out"
    rule = "a BLOB is read as text" if isinstance(value, bytes) else ""
    text = value if isinstance(value, str) else value.decode("utf-8", "surrogateescape")
    if not ODD.search(text):
        return text, rule
    whole = text.replace("\0", "")
    if not SURROGATE.search(whole):
        return whole, rule or "NUL characters are removed"
    # The bytes as they were, with one mark for each sequence that is none.
    mended = whole.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return mended, rule or "what is no UTF-8 becomes U+FFFD"


def json_value(value: Raw) -> object:
    """A value of the file as JSON: what is no text in hexadecimal."""
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    if isinstance(value, float):
        return value if abs(value) < float("inf") else str(value)
    if not isinstance(value, str):
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        return {"hex": value.encode("utf-8", "surrogateescape").hex()}
    return {"hex": value.encode().hex()} if "\0" in value else value


def _usual_text(
    values: Sequence[Any], *, needed: bool, filled: bool, most_bytes: int
) -> list[Any] | None:
    kinds = set(map(type, values))
    if not kinds <= ({str} if needed else {str, type(None)}):
        return None
    if _is_odd(values):
        return None
    if filled and not all(values):
        return None
    if most_bytes and max(map(len, values)) * 4 > most_bytes:
        return None
    return list(values)


def _is_odd(values: Sequence[str | None]) -> bool:
    """Whether any text holds a NUL character or half of a surrogate pair."""
    return any(
        "\0" in text or (not text.isascii() and SURROGATE.search(text))
        for text in together(values)
    )


def together(values: Sequence[str | None]) -> list[str]:
    """The texts of a column, as one where they are not too long, to be looked through.

    Long ones are not put together: that would need their memory once more.
    """
    there = [value for value in values if value]
    is_long = sum(map(len, there)) > MOST_TOGETHER
    return there if is_long else ["".join(there)]


def text(*, needed: bool = False, filled: bool = False, most_bytes: int = 0) -> Rule:
    """Text that may have to be there, to hold something, and to be short."""
    options: dict[str, Any] = {"needed": needed or filled, "filled": filled}
    options["most_bytes"] = most_bytes
    return Rule("text", partial(_text, **options), partial(_usual_text, **options))


def _integer(
    value: Raw, *, default: int | None, least: int = _LEAST, most: int = _MOST
) -> Value | Mended:
    rule = ""
    if value is None:
        if default is None:
            message = "is missing"
            raise Unfit(message)
        return Mended(default, f"NULL becomes {default}")
    number: Any = value
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        number, rule = int(value), "text of digits is read as a number"
    elif isinstance(value, float) and math.isfinite(value):
        number, rule = int(value), "a fraction is cut off"
    if not isinstance(number, int):
        message = "is no whole number"
        raise Unfit(message)
    if not least <= number <= most:
        message = f"is not between {least} and {most}"
        raise Unfit(message)
    return Mended(number, rule) if rule else number


def _usual_integer(
    values: Sequence[Any], *, least: int = _LEAST, most: int = _MOST
) -> list[Any] | None:
    if set(map(type, values)) != {int} or min(values) < least or max(values) > most:
        return None
    return list(values)


def integer(*, default: int | None = 0, least: int = _LEAST, most: int = _MOST) -> Rule:
    """A whole number of up to 64 bits; without a default it has to be there."""
    return Rule(
        "bigint",
        partial(_integer, default=default, least=least, most=most),
        partial(_usual_integer, least=least, most=most),
    )


def _boolean(value: Raw) -> Value | Mended:
    if isinstance(value, int) and value in (0, 1):
        return bool(value)
    if value is None:
        return Mended(False, "NULL becomes false")
    if isinstance(value, int | float):
        return Mended(bool(value), "a number that is not 0 is true")
    word = plain_text(value)[0].strip().lower()
    rule = "a word is read" if word in _TRUE | _FALSE else "other text is false"
    return Mended(word in _TRUE, rule)


def _usual_boolean(values: Sequence[Any]) -> list[Any] | None:
    if set(map(type, values)) == {int} and set(values) <= {0, 1}:
        return list(map(bool, values))
    return None


BOOLEAN = Rule("boolean", _boolean, _usual_boolean)


def _time(value: Raw, *, needed: bool) -> Value | Mended:
    absent = EPOCH if needed else None
    if value is None:
        return Mended(absent, "a missing time becomes 1970") if needed else None
    if value == "":
        return Mended(absent, "an empty time is none")
    at = read_time(value)
    return Mended(absent, "what is no time is none") if at is None else at


def read_time(value: Raw) -> str | None:
    """A time as the database writes it; None for what is none."""
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value.strip())
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    text = at.replace(tzinfo=None).isoformat(" ", "microseconds")
    return f"{text.rstrip('0').rstrip('.')}+00"


def _usual_time(values: Sequence[Any]) -> list[Any] | None:
    if set(map(type, values)) != {str} or set(map(len, values)) != {_USUAL_TIME}:
        return None
    joined = BETWEEN.join(values) + BETWEEN
    width, count = _USUAL_TIME + 1, len(values)
    is_usual = (
        joined[10::width] == " " * count
        and joined[19::width] == "." * count
        and joined.count("-") == 2 * count
        and "+" not in joined
        and "Z" not in joined
        and "W" not in joined
    )
    try:
        list(map(datetime.fromisoformat, values if is_usual else [""]))
    except ValueError:
        return None
    if "0" not in joined[25::width]:
        return [f"{value}+00" for value in values]
    return [
        f"{value}+00" if value[-1] != "0" else f"{value.rstrip('0').rstrip('.')}+00"
        for value in values
    ]


def time(*, needed: bool = False) -> Rule:
    """A time in UTC."""
    return Rule("text", partial(_time, needed=needed), _usual_time)


def _word(value: Raw, *, words: dict[str, str], default: str) -> Value | Mended:
    if value is None:
        return Mended(default, f"NULL becomes {default}")
    word = words.get(value) if isinstance(value, str) else None
    return word or Mended(default, f"an unknown word becomes {default}")


def _usual_words(values: Sequence[Any], *, words: dict[str, str]) -> list[Any] | None:
    found = list(map(words.get, values))
    return None if None in found else found


def word(*words: str, default: str) -> Rule:
    """One of the words of an enumeration, by its name or its value."""
    known = {form: one for one in words for form in (one, one.upper())}
    return Rule(
        "text",
        partial(_word, words=known, default=default),
        partial(_usual_words, words=known),
    )


def _uuid(value: Raw) -> Value | Mended:
    digits = value.strip().lower() if isinstance(value, str) else ""
    if not _UUID.fullmatch(digits):
        message = "is no UUID"
        raise Unfit(message)
    return _dashed(digits.replace("-", ""))


def _dashed(digits: str) -> str:
    return "-".join(
        (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
    )


def _usual_uuid(values: Sequence[Any]) -> list[Any] | None:
    if set(map(type, values)) != {str} or set(map(len, values)) != {32}:
        return None
    if not _HEX.fullmatch("".join(values)):
        return None
    return list(map(_dashed, values))


UUID = Rule("text", _uuid, _usual_uuid)
