"""Tables that are no part of the catalog, as they are, into the schema `legacy`.

The type of a column is the one that it is declared with, if every value fits it without
being changed, and text otherwise. Text is repaired as everywhere. A table keeps its
integer key; one without gets the number of its rows in the file, `rowid`. One that is
wider than a row of PostgreSQL becomes one of JSON objects; see `wide`.
"""

import struct
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from hashlib import sha256
from typing import Any

import msgspec

from service.importer import values
from service.importer.batches import Field, Plan
from service.importer.source import Column, Row, SourceTable
from service.importer.values import Mended, Raw, Rule, Unfit
from service.store.base import Value

SCHEMA = "legacy"
LONGEST_NAME_BYTES = 63
_TAKEN = {"cmax", "cmin", "ctid", "oid", "tableoid", "xmax", "xmin"}
_DECLARED = (
    ("INT", "bigint"),
    ("BOOL", "boolean"),
    ("CHAR(32)", "uuid"),
    ("DATE", "timestamp with time zone"),
    ("TIMESTAMP", "timestamp with time zone"),
    ("JSON", "json"),
    ("CHAR", "text"),
    ("TEXT", "text"),
    ("CLOB", "text"),
    ("BLOB", "bytea"),
    ("REAL", "double precision"),
    ("FLOA", "double precision"),
    ("DOUB", "double precision"),
    ("NUM", "double precision"),
    ("DEC", "double precision"),
)
# What columns without a known type may be, in this order.
_ANY = ("bigint", "double precision", "bytea")


class LegacyTable(msgspec.Struct, frozen=True):
    """A table in schema `legacy`: what goes there, and the types of its columns."""

    plan: Plan
    fields: tuple[Field, ...]
    types: dict[str, str]


def legacy_table(
    table: SourceTable, *, source: str, number: int, rows: Iterable[list[Row]]
) -> LegacyTable:
    """The table that holds all these rows, whose columns are those of `table`."""
    kinds = _kinds(table.columns, rows)
    taken: set[str] = set()
    fields = []
    for column, kind in zip(table.columns, kinds, strict=True):
        name = _name(column.name, taken)
        taken.add(name)
        fields.append(Field(column.name, name, _RULES[kind]))
    key = _key(table, fields, taken)
    types = {field.name: kind for field, kind in zip(fields, kinds, strict=True)}
    plan = Plan(
        source=source,
        target=_name(table.name, set()),
        stage=f"import_row_{number}",
        key=key,
        columns=tuple(types) if key in types else (*types, key),
        schema=SCHEMA,
    )
    return LegacyTable(plan, tuple(fields), types)


def _kinds(columns: Sequence[Column], rows: Iterable[list[Row]]) -> list[str]:
    """The type of each column, which every value fits."""
    possible = [_candidates(column.type) for column in columns]
    for batch in rows:
        _, *batch_columns = zip(*batch, strict=True)
        for place, column in enumerate(batch_columns):
            there = [value for value in column if value is not None]
            while possible[place][0] != "text" and not _FITS[possible[place][0]](there):
                possible[place] = possible[place][1:]
    return [kinds[0] for kinds in possible]


def _candidates(declared: str) -> list[str]:
    for word, kind in _DECLARED:
        if word in declared:
            return [kind, "text"]
    return [*_ANY, "text"] if not declared else ["text"]


def _name(name: str, taken: set[str]) -> str:
    """A name that PostgreSQL takes: of 63 bytes, and not one of its own."""
    plain = values.plain_text(name)[0]
    if len(plain.encode()) > LONGEST_NAME_BYTES:
        digits = sha256(plain.encode()).hexdigest()[:8]
        plain = f"{plain.encode()[:50].decode('utf-8', 'ignore')}_{digits}"
    while plain in taken or plain in _TAKEN or not plain:
        plain += "_"
    return plain


def _key(table: SourceTable, fields: Sequence[Field], taken: set[str]) -> str:
    names = {field.source: field.name for field in fields}
    return names.get(table.key) or _name("rowid", taken)


def _is_int(there: Sequence[Raw]) -> bool:
    return all(type(value) is int for value in there)


def _is_float(there: Sequence[Raw]) -> bool:
    return all(type(value) is float or _is_exact(value) for value in there)


def _is_exact(value: Raw) -> bool:
    return type(value) is int and int(float(value)) == value


def _is_bytes(there: Sequence[Raw]) -> bool:
    return all(isinstance(value, bytes) for value in there)


def _is_boolean(there: Sequence[Raw]) -> bool:
    return _is_int(there) and {*there} <= {0, 1}


def _fits(rule: Rule, there: Sequence[Raw]) -> bool:
    """Whether the rule maps every value without changing it."""
    if not there or (rule.usual is not None and rule.usual(there) is not None):
        return True
    try:
        return not any(isinstance(rule.one(value), Mended) for value in there)
    except Unfit:
        return False


def _is_json(there: Sequence[Raw]) -> bool:
    return all(isinstance(value, str) and _is_json_text(value) for value in there)


def _is_json_text(value: str) -> bool:
    try:
        msgspec.json.decode(value)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return False
    return "\0" not in value


def _or_null(rule: Rule) -> Rule:
    def one(raw: Raw) -> Value | Mended:
        return None if raw is None else rule.one(raw)

    return Rule(rule.type, one, rule.usual, rule.shown)


def _as_is(raw: Raw) -> Value:
    return raw


def _as_float(raw: Raw) -> Value:
    return raw if raw is None else float(raw)


def _float_shown(value: Any) -> str:  # noqa: ANN401 - of this column
    return struct.pack(">d", value).hex()


def _bytes_shown(value: Any) -> str:  # noqa: ANN401 - of this column
    return str(value.hex())


def _bytes_written(value: Any) -> str:  # noqa: ANN401 - of this column
    return rf"\\x{value.hex()}"


def _as_text(raw: Raw) -> Value | Mended:
    """Text; what is none in a column of text is written out, bytes in hexadecimal."""
    if raw is None:
        return None
    if isinstance(raw, bytes):
        return Mended(f"\\x{raw.hex()}", "a BLOB among text is written in hexadecimal")
    if isinstance(raw, int | float):
        return str(raw)
    text, rule = values.plain_text(raw)
    return Mended(text, rule) if rule else text


_RULES: dict[str, Rule] = {
    "bigint": Rule("bigint", _as_is),
    "boolean": _or_null(values.BOOLEAN),
    "uuid": _or_null(values.UUID),
    "timestamp with time zone": values.time(),
    "json": Rule("text", _as_is),
    "double precision": Rule("double precision", _as_float, shown=_float_shown),
    "bytea": Rule("bytea", _as_is, shown=_bytes_shown, written=_bytes_written),
    "text": Rule("text", _as_text, values.text().usual),
}
_FITS: dict[str, Callable[[Sequence[Raw]], bool]] = {
    "bigint": _is_int,
    "boolean": _is_boolean,
    "uuid": partial(_fits, values.UUID),
    "timestamp with time zone": partial(_fits, values.time()),
    "json": _is_json,
    "double precision": _is_float,
    "bytea": _is_bytes,
}
