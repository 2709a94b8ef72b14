"""Rows in the text form of COPY, made column by column, and in its binary form.

Where nothing in a column has to be escaped, its lines are made of the very texts that
its checksum is taken from.
"""

import struct
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from service.importer.values import NULL, Rule, texts, together

_BINARY = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END = b"\xff\xff"
_ESCAPES = {
    "\\": r"\\",
    "\t": r"\t",
    "\n": r"\n",
    "\r": r"\r",
    NULL: f"\\{NULL}",
}


class Lines(msgspec.Struct, frozen=True):
    """Rows of one table, ready to be copied."""

    table: tuple[str, ...]
    """Its schema and its name, or its name alone."""
    columns: tuple[str, ...]
    body: bytes
    is_binary: bool = False


def packed(types: Sequence[str], columns: Sequence[Sequence[Any]]) -> bytes:
    """Rows in the binary form of COPY; arrays are packed already."""
    fields = [
        [*map(_PACK.get(kind, _packed_bytes), column)]
        for kind, column in zip(types, columns, strict=True)
    ]
    head = struct.pack(">h", len(fields))
    rows = [head + b"".join(row) for row in zip(*fields, strict=True)]
    return b"".join((_BINARY, *rows, _END))


def _packed_number(value: int) -> bytes:
    return struct.pack(">iq", 8, value)


def _packed_text(value: str) -> bytes:
    return _packed_bytes(value.encode())


def _packed_bytes(value: bytes) -> bytes:
    return struct.pack(">i", len(value)) + value


_PACK: dict[str, Callable[[Any], bytes]] = {
    "bigint": _packed_number,
    "text": _packed_text,
}


def joined(columns: Sequence[Sequence[str]]) -> bytes:
    """One line for each row, from columns as `written` gives them."""
    rows = map("\t".join, zip(*columns, strict=True))
    return "\n".join([*rows, ""]).encode()


def written(rule: Rule, values: Sequence[Any], shown: list[str]) -> list[str]:
    """A column as COPY reads it; `shown` are the texts that its checksum sees."""
    if rule.written is not None:
        return [NULL if value is None else rule.written(value) for value in values]
    if rule.shown is not None:
        return texts(rule, values)
    return shown if rule.type != "text" else _escaped(values, shown)


def _escaped(values: Sequence[str | None], shown: list[str]) -> list[str]:
    some = together(values)
    found = [mark for mark in _ESCAPES if any(mark in text for text in some)]
    if not found:
        return shown
    # The backslash is the first: it is in what the others become.
    escaped = list(values)
    for mark in found:
        other = _ESCAPES[mark]
        escaped = [value and value.replace(mark, other) for value in escaped]
    return [NULL if value is None else value for value in escaped]
