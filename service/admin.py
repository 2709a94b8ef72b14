"""Work on the whole catalog: figures, scores, pruning, changes of many servers.

A change moves `updated_at` of the rows that it alters and leaves all others untouched:
mirrors that follow `updated_since` see new scores, and nothing when nothing changed.
One such work runs at a time.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET

from service.models_admin import (
    BulkUpdate,
    BulkUpdated,
    Pruned,
    PruneStale,
    Recount,
    ServerFilters,
    StaleServer,
)
from service.precedence import claims
from service.store.base import Row, Store

WORK_S = 60.0
SHOWN = 100
BATCH = 500
_LEAST = -(2**63)
_MOST = 2**63 - 1


async def get_stats(store: Store) -> str:
    """The catalog in figures, as JSON; see Stats."""
    text: str = await store.value("admin_stats")
    return text


async def update_health_scores(store: Store) -> Recount:
    """Score every server anew."""
    async with store.transaction(timeout_s=WORK_S) as work:
        await work.row("admin_lock")
        (row,) = await work.rows("admin_health_put")
    return Recount(row["checked"], row["updated"])


async def update_risk_levels(store: Store) -> Recount:
    """Weigh the risk of every server anew."""
    async with store.transaction(timeout_s=WORK_S) as work:
        await work.row("admin_lock")
        (row,) = await work.rows("admin_risk_put")
    return Recount(row["checked"], row["updated"])


async def prune_stale(store: Store, wanted: PruneStale) -> Pruned:
    """Delete the servers that were not indexed for so many days.

    One never indexed counts from its creation. Each batch is final when it is done, so
    an interrupted call only has to be repeated.
    """
    if wanted.dry_run:
        rows = await store.rows("admin_stale_page", days=wanted.days, wanted=SHOWN)
        total = rows[0]["total"] if rows else 0
        return Pruned(total, dry_run=True, servers=_stale(rows))
    gone = Pruned(0, dry_run=False, servers=[])
    while True:
        async with store.transaction(timeout_s=WORK_S) as work:
            await work.row("admin_lock")
            rows = await work.rows("admin_stale_delete", days=wanted.days, wanted=BATCH)
        gone.deleted += len(rows)
        gone.servers += _stale(rows[: SHOWN - len(gone.servers)])
        if len(rows) < BATCH:
            return gone


async def update_servers(store: Store, wanted: BulkUpdate) -> BulkUpdated:
    """Change every server that fits; a dry run only counts."""
    filters = wanted.filters
    least, most = filters.min_stars, filters.max_stars
    async with store.transaction(timeout_s=WORK_S) as work:
        await work.row("admin_lock")
        (row,) = await work.rows(
            "admin_servers_put",
            fields=_json(_fields(filters)),
            min_stars=_LEAST if least is UNSET else least,
            max_stars=_MOST if most is UNSET else most,
            ids=None if filters.ids is UNSET else _json(filters.ids),
            updates=_json(wanted.updates),
            claims=claims(msgspec.to_builtins(wanted.updates)),
            dry_run=wanted.dry_run,
        )
    return BulkUpdated(row["matched"], row["updated"], dry_run=wanted.dry_run)


def _stale(rows: Sequence[Row]) -> list[StaleServer]:
    fields = StaleServer.__struct_fields__
    return [StaleServer(*(row[field] for field in fields)) for row in rows]


def _fields(filters: ServerFilters) -> dict[str, Any]:
    """The filters as a document that a fitting server contains."""
    fields: dict[str, Any] = msgspec.to_builtins(filters)
    for name in ("ids", "min_stars", "max_stars"):
        fields.pop(name, None)
    for one, many in (("category", "categories"), ("keyword", "keywords")):
        if one in fields:
            fields[many] = [fields.pop(one)]
    return fields


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
