"""The catalog's own JSON API: search by words and by vectors."""

from litestar import get, post

from service.catalog import read_id
from service.errors import InvalidInput
from service.models_search import (
    MAX_TEXT,
    SearchAnswer,
    SearchQuery,
    SimilarQuery,
    SimilarTool,
    VectorBody,
)
from service.search import search
from service.vectors import nearest_tools, similar_tools
from service.web.answers import Answer, json_text
from service.web.bodies import read_body
from service.web.catalog import Call
from service.web.parameters import read_query
from service.web.spec import NoQuery, spec


@get(
    "/search",
    opt=spec(
        summary="Servers and tools that match words",
        answer=SearchAnswer,
        query=SearchQuery,
        tag="search",
    ),
)
async def search_catalog(request: Call) -> Answer:
    """Ranked search; `limit` goes for servers and for tools.

    Every word must match in the name part, title, description, keywords or tool names
    of a server, or in the name or description of a tool. A word with a `/` is a part of
    a registry name or URL. Mistyped words are mended where they find nothing.
    """
    query = read_query(request.scope["query_string"], SearchQuery)
    text = query.q.strip()
    if not 0 < len(text) <= MAX_TEXT:
        raise InvalidInput.at("query.q", f"expected 1 to {MAX_TEXT} characters")
    return json_text(await search(request.app.state.store, text, query.limit))


@get(
    "/tools/{tool:str}/similar",
    opt=spec(
        summary="Tools that are like one",
        answer=list[SimilarTool],
        query=SimilarQuery,
        tag="search",
        may_fail=("not_supported",),
    ),
)
async def tools_similar(request: Call) -> Answer:
    """The tools with the nearest embeddings of the same model, nearest first.

    404 also for a tool without an embedding.
    """
    query = read_query(request.scope["query_string"], SimilarQuery)
    tool = read_id(request.path_params["tool"])
    store = request.app.state.store
    return json_text(await similar_tools(store, tool, query.limit))


@post(
    "/search/vector",
    status_code=200,
    opt=spec(
        summary="Tools nearest to a vector",
        answer=list[SimilarTool],
        body=VectorBody,
        tag="search",
        may_fail=("not_supported",),
    ),
)
async def search_vector(request: Call) -> Answer:
    """The tools whose embeddings have the smallest angle to the vector."""
    read_query(request.scope["query_string"], NoQuery)
    body = await read_body(request, VectorBody)
    store = request.app.state.store
    return json_text(await nearest_tools(store, body.vector, body.limit))


ROUTES = [search_catalog, tools_similar, search_vector]
