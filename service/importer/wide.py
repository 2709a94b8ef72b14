"""Tables that are wider than a row of PostgreSQL: each row as one JSON object.

A row has at most 1600 columns. It has to fit a page of 8 kB when all that is long has
been moved out for a pointer of 18 bytes; what has 24 bytes or less stays in
(MaxHeapTupleSize and heap_toast_insert_or_update of PostgreSQL).
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain, islice

import msgspec

from service.importer.source import Column, Row, SourceTable
from service.importer.values import Raw, json_value, plain_text

MOST_COLUMNS = 1600
COLUMN = "row"
MOST_ROW_BYTES = 8000
_HEAD_BYTES = 24
_VALUE_BYTES = 24
_NUMBER_BYTES = 16
# So many always fit.
_FEW_COLUMNS = 300
# SQLite gives at most 2000 at once.
_READ_COLUMNS = 1000
_BATCH_ROWS = 50

Read = Callable[[Sequence[str]], Iterator[list[Row]]]


def is_wide(table: SourceTable, read: Read) -> bool:
    """Whether PostgreSQL has no room for a table with its key, or for a row of it."""
    columns = len({*table.names, table.key})
    if columns > MOST_COLUMNS:
        return True
    if columns <= _FEW_COLUMNS:
        return False
    rows = chain.from_iterable(read(table.names))
    return any(_row_bytes(row) > MOST_ROW_BYTES for row in rows)


def narrowed(table: SourceTable, read: Read) -> tuple[SourceTable, Read]:
    """The table as one column of JSON objects, and how that is read."""
    column = Column(COLUMN, "JSON")
    narrow = msgspec.structs.replace(table, columns=(column,))
    return narrow, partial(_objects, table.names, read)


def _objects(
    names: Sequence[str],
    read: Read,
    _: Sequence[str],
) -> Iterator[list[Row]]:
    places = range(0, len(names), _READ_COLUMNS)
    reads = (read(names[place : place + _READ_COLUMNS]) for place in places)
    rows = zip(*map(chain.from_iterable, reads), strict=True)
    fields = [plain_text(name)[0] for name in names]
    while some := [*islice(rows, _BATCH_ROWS)]:
        yield [(parts[0][0], _object(fields, parts)) for parts in some]


def _object(fields: Sequence[str], parts: Sequence[Row]) -> str:
    values = chain.from_iterable(values for _, *values in parts)
    whole = dict(zip(fields, map(json_value, values), strict=True))
    return msgspec.json.encode(whole).decode()


def _row_bytes(row: Row) -> int:
    """What a row takes in its page at most."""
    return _HEAD_BYTES + len(row) // 8 + sum(map(_value_bytes, row))


def _value_bytes(value: Raw) -> int:
    if value is None:
        return 0
    if isinstance(value, str):
        value = value.encode("utf-8", "surrogateescape")
    if isinstance(value, bytes):
        return min(len(value) + 1, _VALUE_BYTES)
    return _NUMBER_BYTES
