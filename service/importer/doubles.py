"""Rows with what only one may have: the newest of those that can be stored is kept."""

from itertools import chain

from service.importer.batches import Mapper
from service.importer.plans import Table
from service.importer.source import EarlierFile, SourceTable


def doubles(
    file: EarlierFile, table: Table, source: SourceTable, mapper: Mapper
) -> dict[int, str]:
    """Rows that give way to another with the same URL or tool, and why.

    Values and times are compared as they are stored, so that every import finds the
    same. Rows that `mapper` refuses for what they are themselves stand in nobody's way.
    """
    if table.natural is None:
        return {}
    newest = "updated_at" if "updated_at" in source.names else source.key
    groups = [*file.doubles(source, table.natural, newest)]
    keys = sorted(chain.from_iterable(groups))
    chosen = file.chosen(source, mapper.names, keys)
    stored = {key for rows in chosen for key in mapper.batch(rows).keys}
    found: dict[int, str] = {}
    for group in groups:
        first, *others = [key for key in group if key in stored] or [0]
        reason = f"{table.natural} is that of {table.source} {first}, as new or newer"
        found |= dict.fromkeys(others, reason)
    return found
