"""Query strings, read strictly: every parameter known, once, and of its type.

Litestar ignores unknown parameters, takes the last of two and reads `1e3` as a number;
clients then believe in a filter that was never applied.
"""

import re
from functools import cache, lru_cache
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints
from urllib.parse import unquote_to_bytes

import msgspec

from service.errors import InvalidInput, InvalidText

Query = TypeVar("Query", bound=msgspec.Struct)

MAX_QUERY_BYTES = 8192
CACHED_BYTES = 512
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
INTEGER = re.compile(r"(?:0|-?[1-9][0-9]{0,17})\Z", re.ASCII)
_MISSING = re.compile(r"Object missing required field `(.*)`\Z")
# That a pattern does not fit, or that one of some words is expected, but not which.
_IS_TERSE = re.compile(r"Invalid enum value|Expected `str` matching regex")
_BOOLEANS = {"true": "true", "1": "true", "false": "false", "0": "false"}


def read_query(raw: bytes, kind: type[Query]) -> Query:
    """The parameters of a query string as a Struct.

    Raises InvalidInput naming the parameter, InvalidText for text that is not UTF-8 or
    holds a NUL.
    """
    if len(raw) <= CACHED_BYTES:
        return cast("Query", _read_cached(raw, kind))
    if len(raw) > MAX_QUERY_BYTES:
        raise InvalidInput.at("query", f"longer than {MAX_QUERY_BYTES} bytes")
    return _read(raw, kind)


def decode(raw: bytes, location: str) -> str:
    """Percent-decoded text. Raises InvalidText when it cannot be stored."""
    if _BAD_ESCAPE.search(raw):
        raise InvalidText.at(location, "a % that is not followed by two hex digits")
    try:
        text = unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidText.at(location, "not valid UTF-8") from None
    if "\0" in text:
        raise InvalidText.at(location, "holds a NUL character")
    return text


def _read(raw: bytes, kind: type[Query]) -> Query:
    shapes = shapes_of(kind)
    values: dict[str, str] = {}
    for pair in raw.split(b"&"):
        if not pair:
            continue
        raw_name, _, raw_value = pair.partition(b"=")
        name = decode(raw_name.replace(b"+", b" "), "query")
        if name not in shapes:
            known = ", ".join(sorted(shapes)) or "none"
            raise InvalidInput.at(
                f"query.{name[:64]}", f"unknown parameter; known are: {known}"
            )
        if name in values:
            raise InvalidInput.at(f"query.{name}", "given more than once")
        value = decode(raw_value.replace(b"+", b" "), f"query.{name}")
        values[name] = _plain(name, value, shapes[name])
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise mismatch(error, kind) from None


_read_cached = lru_cache(maxsize=4096)(_read)


@cache
def shapes_of(kind: type[msgspec.Struct]) -> dict[str, type]:
    """How the text of each parameter must look: int, bool or str."""
    hints = get_type_hints(kind)
    fields = msgspec.structs.fields(kind)
    return {field.encode_name: _shape(hints[field.name]) for field in fields}


def _shape(hint: Any) -> type:  # noqa: ANN401 - a type hint
    if get_origin(hint) is None:
        return hint if hint in {int, bool} else str
    shapes = {_shape(part) for part in get_args(hint)}
    return next((kind for kind in (int, bool) if kind in shapes), str)


def _plain(name: str, value: str, shape: type) -> str:
    if not value:
        raise InvalidInput.at(f"query.{name}", "has no value")
    if shape is int and not INTEGER.match(value):
        raise InvalidInput.at(f"query.{name}", "expected a whole number")
    if shape is bool:
        if value not in _BOOLEANS:
            raise InvalidInput.at(f"query.{name}", "expected true or false")
        return _BOOLEANS[value]
    return value


@cache
def _hints(kind: type[msgspec.Struct]) -> dict[str, str]:
    _, components = msgspec.json.schema_components([kind])
    shapes = components[kind.__name__].get("properties", {})
    hints = {name: _hint(shape) for name, shape in shapes.items()}
    return {name: hint for name, hint in hints.items() if hint}


def _hint(shape: dict[str, Any]) -> str:
    if "enum" in shape:
        return f"expected one of {', '.join(map(str, shape['enum']))}"
    if "pattern" in shape and "description" in shape:
        return f"expected: {shape['description']}"
    return ""


def plainly(message: str, kind: object, name: str) -> str:
    """What msgspec says of a field, with the words or the form that it takes."""
    is_struct = isinstance(kind, type) and issubclass(kind, msgspec.Struct)
    if not is_struct or not _IS_TERSE.match(message):
        return message
    return _hints(cast("type[msgspec.Struct]", kind)).get(name, message)


def mismatch(
    error: msgspec.ValidationError,
    kind: type[msgspec.Struct],
    refusal: type[InvalidInput] = InvalidInput,
) -> InvalidInput:
    """What is wrong with the parameters, in words of those who send them."""
    message, _, place = str(error).partition(" - at `$.")
    if missing := _MISSING.match(message):
        return refusal.at(f"query.{missing[1]}", "is needed")
    name = place.rstrip("`")
    message = plainly(message, kind, name)
    return refusal.at(f"query.{name}" if name else "query", message)
