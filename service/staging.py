"""Stores one batch of entries inside a transaction of the caller.

Copies it into staging tables, then: servers by name, versions, the marks of the latest
ones, and at last what servers show, from their latest versions.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from service.entries import Entry
from service.precedence import REGISTRY, may_say
from service.profile import Profile, read_profile
from service.store.base import Queries, Row, Transaction

Key = tuple[str, str]

LOADED = "load"

_SERVER_COLUMNS = ("registry_name", "base_url", "latest_version", "profile")
_VERSION_COLUMNS = (
    "registry_name",
    "version",
    "document",
    "status",
    "status_message",
    "published_at",
    "source_updated_at",
    "status_changed_at",
    "precedence",
    "content_hash",
    "problems",
    "is_again",
)


class Stored(msgspec.Struct, frozen=True):
    """What became of a batch: versions by name and version, servers by name."""

    new: set[Key]
    changed: set[Key]
    new_servers: set[str]
    missing: set[str]


def _never(_entry: Entry) -> bool:
    """Nothing was stored before in this load."""
    return False


async def put_entries(
    work: Transaction,
    entries: Sequence[Entry],
    is_again: Callable[[Entry], bool] = _never,
    *,
    origin: str = LOADED,
) -> Stored:
    """Store entries, at most one of each name and version.

    `is_again` says of which entries an older state was stored by the same load: they
    replace it even when their source gives the same time, or none. `origin` is noted
    with what is stored. What a registry gives replaces all that differs from what it
    gave before, because documents are rewritten without a newer time, and never what
    came by the API.
    """
    await _stage(work, entries, is_again)
    await work.run("load_adopt")
    servers = await work.rows("load_insert_servers")
    new = await work.rows("load_insert_versions", origin=origin)
    changed = await work.rows("load_replace_versions", origin=origin)
    await mark_latest(work, [*new, *changed], changed)
    await work.run("load_seen")
    missing = await work.rows("load_missing")
    return Stored(
        new={(row["registry_name"], row["version"]) for row in new},
        changed={(row["registry_name"], row["version"]) for row in changed},
        new_servers={row["registry_name"] for row in servers},
        missing={row["registry_name"] for row in missing},
    )


async def _stage(
    work: Transaction, entries: Sequence[Entry], is_again: Callable[[Entry], bool]
) -> None:
    await work.row("load_lock")
    await work.run("load_stage_servers")
    await work.run("load_stage_versions")
    versions = (_version_record(entry, is_again=is_again(entry)) for entry in entries)
    await work.copy("load_version", _VERSION_COLUMNS, versions)
    latest = _latest(entries)
    servers = (_server_record(entry) for entry in latest)
    await work.copy("load_server", _SERVER_COLUMNS, servers)


async def mark_latest(
    work: Queries, rows: Sequence[Row], replaced: Sequence[Row] = ()
) -> None:
    """Set the marks of servers whose versions changed, and show what is latest now.

    `rows` are all that changed, by `server_id`; `replaced` those with a new document.
    """
    touched = _ids(rows)
    if touched == "[]":
        return
    await work.run("load_clear_latest", server_ids=touched)
    await work.run("load_set_latest", server_ids=touched)
    behind = await work.rows(
        "load_behind", server_ids=touched, replaced_ids=_ids(replaced)
    )
    if behind:
        profiles = [_shown(row) for row in behind]
        await work.run("load_describe", profiles=_json(profiles))
    await work.run("load_touch", server_ids=touched)


def _latest(entries: Iterable[Entry]) -> list[Entry]:
    """The latest version of each server, as far as these entries go."""
    latest: dict[str, Entry] = {}
    for entry in entries:
        other = latest.get(entry.name)
        if other is None or _rank(entry) > _rank(other):
            latest[entry.name] = entry
    return list(latest.values())


def _rank(entry: Entry) -> tuple[bool, str, str, str]:
    is_there = entry.status != "deleted"
    return is_there, entry.precedence, entry.published_at, entry.version


def _version_record(
    entry: Entry, *, is_again: bool
) -> tuple[str | bytes | bool | None, ...]:
    problems = [
        {"type": finding.type, "path": finding.path, "message": finding.message}
        for finding in entry.problems
    ]
    return (
        entry.name,
        entry.version,
        entry.text,
        entry.status,
        entry.status_message,
        entry.published_at,
        entry.updated_at,
        entry.status_changed_at,
        entry.precedence,
        entry.content_hash,
        _json(problems),
        is_again,
    )


def _server_record(entry: Entry) -> tuple[str, ...]:
    profile = read_profile(entry.name, entry.document, entry.meta)
    return entry.name, profile.base_url, entry.version, first_fields(profile)


def first_fields(profile: Profile) -> str:
    """What a new server shows, as JSON, and that its entry says so."""
    fields = msgspec.structs.asdict(profile)
    return _json({**fields, "field_sources": dict.fromkeys(_given(fields), REGISTRY)})


def _shown(row: Row) -> dict[str, object]:
    """What a server shows now: what its document gives, unless others say it better."""
    document = msgspec.json.decode(row["document"])
    profile = read_profile(row["registry_name"], document, {})
    fields = msgspec.structs.asdict(profile)
    sources = msgspec.json.decode(row["field_sources"])
    kept = {
        field: value
        for field, value in msgspec.json.decode(row["others"]).items()
        if field in fields and not may_say(field, REGISTRY, sources[field])
    }
    ours = dict.fromkeys(_given(fields) - kept.keys(), REGISTRY)
    return {
        **fields,
        **kept,
        "id": row["id"],
        "latest_version": row["version"],
        "field_sources": {**sources, **ours},
    }


def _given(fields: Mapping[str, object]) -> set[str]:
    """The fields of a profile about which the document says something."""
    return {
        field
        for field, value in fields.items()
        if field != "base_url" and value is not None and value != []
    }


def _ids(rows: Iterable[Row]) -> str:
    return _json(sorted({row["server_id"] for row in rows}))


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
