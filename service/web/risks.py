"""The catalog's own JSON API: what shows the risk of a server."""

from litestar import get

from service.catalog import read_reference
from service.models_risk import ServerRisk
from service.risks import get_risk
from service.web.answers import Answer, json_text
from service.web.catalog import Call
from service.web.parameters import read_query
from service.web.spec import NoQuery, spec


@get(
    "/servers/{server:str}/risk",
    opt=spec(summary="What shows the risk of a server", answer=ServerRisk),
)
async def server_risk(request: Call) -> Answer:
    """The risk level, and what harvested code does or brings along, with its places.

    Kinds are shell, file_system, network, eval, install_script and dependencies.
    """
    read_query(request.scope["query_string"], NoQuery)
    server = read_reference(request.path_params["server"])
    return json_text(await get_risk(request.app.state.store, server))


ROUTES = [server_risk]
