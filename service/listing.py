"""The catalog as one list in the shape that `mcps load` reads, entry by entry.

An entry has the times of its source: loading the list into the catalog it came from
changes nothing, and a catalog filled from it gives the same list again. A server
without a published version has no entry.
"""

from collections.abc import AsyncIterator, Callable
from typing import Literal

import msgspec

from service.store.base import Row, Store

Format = Literal["jsonl", "json"]
WRITE_CHARACTERS = 1 << 18
_BREAKS = str.maketrans("\r\n", "  ")


class ListReport(msgspec.Struct):
    """How many versions were written, of how many, and what the list cannot hold."""

    written: int
    versions: int
    bare_servers: int


async def write_list(
    store: Store,
    kind: Format,
    write: Callable[[bytes], object],
    on_progress: Callable[[ListReport], None],
) -> ListReport:
    """Write every version; `on_progress` hears of each piece that was written."""
    async with store.snapshot() as seen:
        (counts,) = await seen.rows("export_count")
        report = ListReport(0, counts["versions"], counts["bare_servers"])
        async with seen.stream("export_versions") as rows:
            async for text, number in _pieces(rows, kind):
                write(text.encode())
                report.written += number
                on_progress(report)
    return report


async def _pieces(
    rows: AsyncIterator[Row], kind: Format
) -> AsyncIterator[tuple[str, int]]:
    """The text in pieces, and how many entries end in each."""
    before, between, after = _SIGNS[kind]
    text, number, is_first = before, 0, True
    async for row in rows:
        # A break stands between two tokens: inside of a text it is escaped.
        text += ("" if is_first else between) + row["item"].translate(_BREAKS)
        is_first, number = False, number + 1
        if len(text) >= WRITE_CHARACTERS:
            yield text, number
            text, number = "", 0
    if kind == "jsonl" and is_first:
        return
    yield text + after, number


_SIGNS: dict[Format, tuple[str, str, str]] = {
    "jsonl": ("", "\n", "\n"),
    "json": ('{"servers":[\n', ",\n", "\n]}\n"),
}
