"""Stores what a source found about one server, by the rules of precedence.

One transaction for one server. A field is changed only when its source may say it and
says something else; of a set of children only what came and what went is touched, so
that rows which stay keep their ids and embeddings. What is unchanged writes nothing.
"""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from msgspec import UNSET

from service.errors import Conflict, InvalidInput
from service.fitting import COLUMNS, Record, fit_fields, fit_set
from service.models import ServerBody
from service.models_harvest import Harvest, SourceName
from service.precedence import may_say
from service.store.base import Transaction
from service.times import now_text

Merged = Literal["new", "changed", "unchanged"]


class _Held(msgspec.Struct):
    """A server that nobody else changes until the transaction ends."""

    id: int
    fields: dict[str, Any]
    sources: dict[str, str]
    is_new: bool = False


class _Set(msgspec.Struct, frozen=True):
    """The children of one kind; of risks those that one source sees."""

    kind: str
    source: SourceName

    def holds(self, record: Record) -> bool:
        """Whether a record of this kind belongs to the set."""
        return self.kind != "risks" or record[0] == self.source


async def merge(work: Transaction, source: SourceName, harvest: Harvest) -> Merged:
    """Store a harvest in a transaction of the caller.

    Raises Conflict when its URL belongs to a server with another registry name, and
    InvalidInput when the database refuses something.
    """
    await work.row("load_lock")
    fields = fit_fields(harvest.fields)
    held = await _find(work, harvest) or await _add(work, harvest, fields)
    changes, claims = _changes(held, source, harvest, fields)
    is_changed = bool(changes) and bool(
        await work.run(
            "server_change", id=held.id, changes=_json(changes), claims=_json({})
        )
    )
    for kind in COLUMNS:
        found = getattr(harvest, kind)
        if found is UNSET or not may_say(kind, source, held.sources.get(kind)):
            continue
        wanted = fit_set(kind, source, found)
        is_changed |= await _put_set(work, held.id, _Set(kind, source), wanted)
        # Risks are a set for each source: nobody replaces those of another.
        claims |= {} if kind == "risks" else {kind: source}
    if claims:
        await work.run("server_claim", id=held.id, claims=_json(claims))
    await work.run("harvest_touch", id=held.id, is_changed=is_changed)
    if held.is_new:
        return "new"
    return "changed" if is_changed else "unchanged"


async def _find(work: Transaction, harvest: Harvest) -> _Held | None:
    row = await work.row(
        "harvest_find",
        registry_name=harvest.registry_name,
        primary_url=harvest.primary_url,
    )
    if row is None:
        return None
    fields = msgspec.json.decode(row["fields"])
    return _Held(row["id"], fields, msgspec.json.decode(row["field_sources"]))


async def _add(work: Transaction, harvest: Harvest, fields: dict[str, Any]) -> _Held:
    """Put a server in that is not there yet; a URL that is taken gets its name."""
    name = harvest.registry_name
    given = {key: value for key, value in fields.items() if value is not None}
    last = (name or harvest.primary_url).rstrip("/").rpartition("/")[2]
    body = {
        "name": last,
        **given,
        "primary_url": harvest.primary_url,
        "registry_name": name,
        "last_indexed_at": now_text(),
    }
    added = await _insert(work, body)
    if added is None and name is not None:
        body["primary_url"] += f"#{name}"
        added = await _insert(work, body)
    if added is None:
        message = f"{harvest.primary_url}: belongs to a server with a registry name"
        raise Conflict(message)
    return _Held(added, body, {}, is_new=True)


async def _insert(work: Transaction, body: dict[str, Any]) -> int | None:
    try:
        server = msgspec.convert(body, ServerBody)
    except msgspec.ValidationError as error:
        message = f"a source found a server that is none: {error}"
        raise InvalidInput(message) from error
    added: int | None = await work.value(
        "server_add", server=_json(server), claims=_json({})
    )
    return added


def _changes(
    held: _Held, source: SourceName, harvest: Harvest, fields: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """The columns to change, and the fields that this source says from now on.

    Nothing is cleared but what the same source said.
    """
    changes: dict[str, Any] = {}
    claims: dict[str, str] = {}
    if harvest.registry_name and held.fields.get("registry_name") is None:
        changes["registry_name"] = harvest.registry_name
    for field, value in fields.items():
        owner = held.sources.get(field)
        is_empty = value is None or value == []
        if not may_say(field, source, owner) or (is_empty and owner != source):
            continue
        claims[field] = source
        if held.fields.get(field) != value:
            changes[field] = value
    return changes, claims


async def _put_set(
    work: Transaction, server_id: int, children: _Set, wanted: Sequence[Record]
) -> bool:
    """Make a set what it is now; gives whether anything came or went."""
    kind, columns = children.kind, COLUMNS[children.kind]
    there: dict[Record, list[int]] = {}
    for row in await work.rows(f"harvest_{kind}", server_id=server_id):
        record = tuple(row[column] for column in columns)
        if children.holds(record):
            there.setdefault(record, []).append(row["id"])
    fresh = [record for record in wanted if not there.pop(record, None)]
    gone = [number for numbers in there.values() for number in numbers]
    if gone:
        await work.run(f"harvest_drop_{kind}", ids=_json(gone))
    if fresh:
        items = [dict(zip(columns, record, strict=True)) for record in fresh]
        await work.run(f"harvest_put_{kind}", server_id=server_id, items=_json(items))
    return bool(gone or fresh)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
