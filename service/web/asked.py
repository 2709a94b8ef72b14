"""Query strings of the registry API, read as its clients write them.

Unknown parameters and empty values are ignored, as every other registry does: clients
send what they have. What is known has to fit, or it is 422 as the API says.
"""

from functools import lru_cache
from typing import TypeVar, cast

import msgspec

from service.errors import InvalidCursor, InvalidInput, Unprocessable
from service.web.parameters import (
    CACHED_BYTES,
    INTEGER,
    MAX_QUERY_BYTES,
    decode,
    mismatch,
    shapes_of,
)

Query = TypeVar("Query", bound=msgspec.Struct)

_BOOLEANS = {"true": "true", "1": "true", "t": "true"} | {
    "false": "false",
    "0": "false",
    "f": "false",
}


def read_asked(raw: bytes, kind: type[Query]) -> Query:
    """The parameters that `kind` knows.

    Raises Unprocessable naming the parameter, InvalidCursor, InvalidText; InvalidInput
    for a parameter that is given twice with two values.
    """
    if len(raw) <= CACHED_BYTES:
        return cast("Query", _read_cached(raw, kind))
    if len(raw) > MAX_QUERY_BYTES:
        raise InvalidInput.at("query", f"longer than {MAX_QUERY_BYTES} bytes")
    return _read(raw, kind)


def _read(raw: bytes, kind: type[Query]) -> Query:
    shapes = shapes_of(kind)
    values: dict[str, str] = {}
    for pair in raw.split(b"&"):
        raw_name, _, raw_value = pair.partition(b"=")
        name = decode(raw_name.replace(b"+", b" "), "query")
        value = decode(raw_value.replace(b"+", b" "), f"query.{name[:64]}")
        if name not in shapes or not value:
            continue
        plain = _plain(name, value, shapes[name])
        if values.setdefault(name, plain) != plain:
            raise InvalidInput.at(f"query.{name}", "given more than once")
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        if str(error).endswith(" - at `$.cursor`"):
            raise InvalidCursor from None
        raise mismatch(error, kind, Unprocessable) from None


_read_cached = lru_cache(maxsize=4096)(_read)


def _plain(name: str, value: str, shape: type) -> str:
    if shape is int and not INTEGER.match(value):
        raise Unprocessable.at(f"query.{name}", "expected a whole number")
    if shape is bool and value.lower() not in _BOOLEANS:
        raise Unprocessable.at(f"query.{name}", "expected true or false")
    return _BOOLEANS[value.lower()] if shape is bool else value
