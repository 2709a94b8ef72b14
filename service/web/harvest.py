"""What is asked of the harvester over HTTP."""

from typing import Any

from litestar import Request, post

from service.jobs import refresh_job
from service.models_harvest import JobState, RefreshBody
from service.targets import find_name, idle_sources
from service.web.answers import Answer, json_value
from service.web.bodies import read_body
from service.web.parameters import read_query
from service.web.spec import NoQuery, spec


@post(
    "/servers/refresh",
    opt=spec(
        summary="Harvest one place soon",
        answer=JobState,
        status=202,
        body=RefreshBody,
        role="editor",
    ),
)
async def refresh(request: Request[Any, Any, Any]) -> Answer:
    """Puts a repository, package, image or endpoint in line for the harvester.

    Nothing is fetched here: `mcps harvest all --watch` takes it within seconds. Asking
    again says what came of it; a minute after the last attempt it is taken once more.
    """
    read_query(request.scope["query_string"], NoQuery)
    body = await read_body(request, RefreshBody)
    state = request.app.state
    name = find_name(idle_sources(state.settings), state.settings, body.url)
    job = await refresh_job(state.store, name)
    return json_value(job, status=202, headers=[(b"cache-control", b"no-store")])


ROUTES = [refresh]
"""The handlers of this file."""
