"""Tables with more columns than PostgreSQL takes: each row as one JSON object."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain, islice

import msgspec

from service.importer.source import Column, Row, SourceTable
from service.importer.values import json_value, plain_text

MOST_COLUMNS = 1600
COLUMN = "row"
# SQLite gives at most 2000 at once.
_READ_COLUMNS = 1000
_BATCH_ROWS = 50

Read = Callable[[Sequence[str]], Iterator[list[Row]]]


def is_wide(table: SourceTable) -> bool:
    """Whether PostgreSQL has no room for the columns of a table and its key."""
    keyed = {*table.names, table.key}
    return len(keyed) > MOST_COLUMNS


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
