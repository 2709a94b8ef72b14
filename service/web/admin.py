"""What an administrator asks and changes, all of it with an admin key."""

from typing import Any

from litestar import Request, get, post

from service import admin
from service.models_admin import (
    BulkUpdate,
    BulkUpdated,
    Pruned,
    PruneStale,
    Recount,
    Stats,
)
from service.web.answers import Answer, json_text, json_value
from service.web.bodies import read_body, read_no_body
from service.web.parameters import read_query
from service.web.spec import NoQuery, spec

LIMIT_S = 300.0


@get(
    "/admin/stats",
    opt=spec(summary="The catalog in figures", answer=Stats, role="admin", tag="admin"),
)
async def get_stats(request: Request[Any, Any, Any]) -> Answer:
    """Totals, the average score, the most starred and the last updated servers."""
    read_query(request.scope["query_string"], NoQuery)
    return json_text(await admin.get_stats(request.app.state.store))


@post(
    "/admin/update-health-scores",
    opt=spec(
        summary="Score every server anew",
        answer=Recount,
        role="admin",
        tag="admin",
        limit_s=LIMIT_S,
    ),
)
async def update_health_scores(request: Request[Any, Any, Any]) -> Answer:
    """Health from 0 to 100; `updated_at` moves where the score changes."""
    read_query(request.scope["query_string"], NoQuery)
    await read_no_body(request)
    return json_value(await admin.update_health_scores(request.app.state.store))


@post(
    "/admin/update-risk-levels",
    opt=spec(
        summary="Weigh the risk of every server anew",
        answer=Recount,
        role="admin",
        tag="admin",
        limit_s=LIMIT_S,
    ),
)
async def update_risk_levels(request: Request[Any, Any, Any]) -> Answer:
    """Risk from safe to critical; `updated_at` moves where the level changes."""
    read_query(request.scope["query_string"], NoQuery)
    await read_no_body(request)
    return json_value(await admin.update_risk_levels(request.app.state.store))


@post(
    "/admin/prune-stale",
    opt=spec(
        summary="Delete servers that are no longer indexed",
        answer=Pruned,
        body=PruneStale,
        role="admin",
        tag="admin",
        limit_s=LIMIT_S,
    ),
)
async def prune_stale(request: Request[Any, Any, Any]) -> Answer:
    """Deletes servers not indexed for `days`, and names the first hundred.

    A server that was never indexed counts from its creation. A dry run says what would
    go.
    """
    read_query(request.scope["query_string"], NoQuery)
    wanted = await read_body(request, PruneStale)
    return json_value(await admin.prune_stale(request.app.state.store, wanted))


@post(
    "/admin/bulk-update",
    opt=spec(
        summary="Change many servers at once",
        answer=BulkUpdated,
        body=BulkUpdate,
        role="admin",
        tag="admin",
        limit_s=LIMIT_S,
    ),
)
async def bulk_update(request: Request[Any, Any, Any]) -> Answer:
    """Writes the updates into every server that all filters fit.

    Identity and counters are not among what can be changed. A dry run says how many
    servers would change.
    """
    read_query(request.scope["query_string"], NoQuery)
    wanted = await read_body(request, BulkUpdate)
    return json_value(await admin.update_servers(request.app.state.store, wanted))


ROUTES = [
    get_stats,
    update_health_scores,
    update_risk_levels,
    prune_stale,
    bulk_update,
]
"""The handlers of this file."""
