"""A small catalog of made-up servers, for a first look at an empty installation."""

from pathlib import Path
from typing import Any

import msgspec

from service.entries import Entry, read_entry
from service.errors import McpsError
from service.reading import Piece, pieces
from service.staging import put_entries
from service.store.base import Store, Transaction

_FILE = Path(__file__).resolve().parent / "sample.jsonl"
_TIMEOUT_S = 60.0

Children = dict[str, list[dict[str, Any]]]


class _Line(msgspec.Struct):
    """What a line holds beyond an entry."""

    server: dict[str, Any]
    children: Children = {}


async def load_sample(store: Store) -> int:
    """Put the sample into an empty catalog; gives the number of servers put in.

    Happens as a whole or not at all; of two at once, one does it.
    """
    found = list(pieces([_FILE.read_bytes()]))
    async with store.transaction(timeout_s=_TIMEOUT_S) as work:
        await work.row("load_lock")
        if not await work.value("load_is_due"):
            return 0
        stored = await put_entries(work, [_entry(piece) for piece in found])
        await _put_children(work, _children(found))
        await work.run("load_count_words")
    return len(stored.new_servers)


def _entry(piece: Piece) -> Entry:
    entry = read_entry(piece)
    if not isinstance(entry, Entry):
        message = f"{_FILE.name}, line {entry.number}: {entry.reason}"
        raise McpsError(message)
    return entry


def _children(found: list[Piece]) -> Children:
    """What belongs to the servers, by kind, each item with the name of its server."""
    children: Children = {}
    for piece in found:
        line = msgspec.json.decode(piece.text, type=_Line)
        for kind, items in line.children.items():
            named = ({"server": line.server["name"], **item} for item in items)
            children.setdefault(kind, []).extend(named)
    return children


async def _put_children(work: Transaction, children: Children) -> None:
    for kind, items in children.items():
        await work.run(f"load_{kind}", items=msgspec.json.encode(items).decode())
