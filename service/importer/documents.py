"""JSON as the earlier MCPS kept it in text: documents, lists and embeddings.

The rules are those of `values`.
"""

import json
import math
import struct
import sys
from array import array
from collections.abc import Sequence
from hashlib import md5
from typing import Any

import msgspec

from service.importer.jsonb import jsonb_text
from service.importer.values import ODD, SURROGATE, Mended, Raw, Rule, Unfit, plain_text
from service.store.base import Value

DIMENSIONS = 1536
_MOST_DIGITS = sys.get_int_max_str_digits()
_ODD_ESCAPE = "\\u0000"
_STRINGS = msgspec.json.Decoder(list[str])
_FLOATS = msgspec.json.Decoder(list[float])
_FLOAT4 = 700
_ARRAY_HEAD = ">iiIii"
_encode = json.JSONEncoder(ensure_ascii=False).encode


def _json(value: Raw) -> Value | Mended:
    if value is None or value == "null":
        return None
    if value == "":
        return Mended(None, "an empty text is null")
    if isinstance(value, str) and _ODD_ESCAPE not in value:
        try:
            msgspec.json.decode(value)
        except (msgspec.DecodeError, ValueError, RecursionError):
            pass
        else:
            return value
    found, rule = read_json(value)
    if not rule:
        return plain_text(value)[0]
    return Mended(json.dumps(found, ensure_ascii=False), rule)


def _usual_json(values: Sequence[Any]) -> list[Any] | None:
    if not set(map(type, values)) <= {str, type(None)}:
        return None
    mapped = [None if value == "null" else value for value in values]
    try:
        for value in mapped:
            if value is None:
                continue
            if _ODD_ESCAPE in value:
                return None
            msgspec.json.decode(value)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    return mapped


JSON = Rule("text", _json, _usual_json)


def _list(value: Raw) -> Value | Mended:
    if value in ("[]", "null", None):
        return "[]"
    if isinstance(value, str) and _ODD_ESCAPE not in value:
        try:
            return _encode(_STRINGS.decode(value))
        except (msgspec.DecodeError, ValueError):
            pass
    if value == "":
        return Mended("[]", "an empty text is an empty list")
    found, rule = read_json(value)
    if found is None:
        return Mended("[]", rule or "null is an empty list")
    if not isinstance(found, list):
        found, rule = [found], rule or "a single value becomes a list"
    shown = jsonb_text(found)
    return Mended(shown, rule) if rule else shown


def _usual_lists(values: Sequence[Any]) -> list[Any] | None:
    if set(map(type, values)) != {str} or any(_ODD_ESCAPE in value for value in values):
        return None
    try:
        return [*map(_encode, map(_STRINGS.decode, values))]
    except (msgspec.DecodeError, ValueError):
        return None


LIST = Rule("text", _list, _usual_lists)


def read_json(value: Raw) -> tuple[Any, str]:
    """The value of a JSON text, and the rule that mended it; raises Unfit."""
    text, rule = plain_text(value if value is not None else "null")
    rules = [rule] if rule else []
    try:
        found = json.loads(
            text, parse_constant=lambda _name: rules.append("NaN becomes null")
        )
        found = _plain(found, rules)
    except json.JSONDecodeError as error:
        message = f"is no valid JSON: {error}"
        raise Unfit(message) from error
    except ValueError as error:
        message = f"holds a number of more than {_MOST_DIGITS:,} digits"
        raise Unfit(message) from error
    except RecursionError as error:
        message = "is nested too deeply"
        raise Unfit(message) from error
    return found, rules[0] if rules else ""


def _plain(value: Any, rules: list[str]) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, list):
        return [_plain(item, rules) for item in value]
    if isinstance(value, dict):
        return {_plain(key, rules): _plain(item, rules) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        rules.append("a number that is too large becomes null")
        return None
    if not isinstance(value, str) or not ODD.search(value):
        return value
    rules.append("NUL characters and halves of surrogate pairs are mended")
    return SURROGATE.sub("\ufffd", value.replace("\0", ""))


def _embedding(value: Raw) -> Value | Mended:
    floats = _floats(value)
    if len(floats) != DIMENSIONS:
        message = f"has {len(floats):,} dimensions instead of {DIMENSIONS:,}"
        raise Unfit(message)
    if not all(map(math.isfinite, floats)):
        message = "holds a number that is not finite"
        raise Unfit(message)
    return packed_array(floats)


def _floats(value: Raw) -> "array[float]":
    try:
        return array("f", _FLOATS.decode(value))  # type: ignore[arg-type]
    except (msgspec.DecodeError, TypeError, ValueError):
        pass
    try:
        return array("f", json.loads(value))  # type: ignore[arg-type]
    except (TypeError, ValueError, RecursionError) as error:
        message = "is no JSON list of numbers"
        raise Unfit(message) from error


def packed_array(floats: "array[float]") -> bytes:
    """An array of one dimension of float4 as the database sends and reads it."""
    if sys.byteorder == "little":
        floats.byteswap()
    packed, body = floats.tobytes(), bytearray(8 * len(floats))
    body[3::8] = b"\x04" * len(floats)
    for place in range(4):
        body[4 + place :: 8] = packed[place::4]
    return struct.pack(_ARRAY_HEAD, 1, 0, _FLOAT4, len(floats), 1) + body


def unpacked_array(packed: bytes) -> list[float]:
    """The numbers of a packed array."""
    body = packed[struct.calcsize(_ARRAY_HEAD) :]
    return [number for _, number in struct.iter_unpack(">if", body)]


def _embedding_shown(value: bytes) -> str:
    return md5(value, usedforsecurity=False).hexdigest()


EMBEDDING = Rule("real[]", _embedding, shown=_embedding_shown)
