"""Facts about the risk of a server: stored by the harvest, read by everybody."""

from service.catalog import Reference
from service.errors import NotFound
from service.store.base import Queries


async def get_risk(store: Queries, server: Reference) -> str:
    """The level and the facts of a server as JSON. Raises NotFound."""
    body: str | None = await store.value("risk_get", id=server.id, uuid=server.uuid)
    if body is None:
        message = "there is no such server"
        raise NotFound(message)
    return body
