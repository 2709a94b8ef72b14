"""Facts about the risk of a server: stored by the harvest, read by everybody."""

from collections.abc import Iterable

import msgspec

from service.catalog import Reference
from service.errors import NotFound
from service.models_harvest import Risk, SourceName
from service.store.base import Queries, Transaction


async def get_risk(store: Queries, server: Reference) -> str:
    """The level and the facts of a server as JSON. Raises NotFound."""
    body: str | None = await store.value("risk_get", id=server.id, uuid=server.uuid)
    if body is None:
        message = "there is no such server"
        raise NotFound(message)
    return body


async def put_risks(
    work: Transaction, server_id: int, source: SourceName, risks: Iterable[Risk]
) -> int:
    """Make these the facts that a source shows of a server; gives how many changed.

    The same facts again touch no row. Those of other sources stay.
    """
    facts = msgspec.json.encode(list(dict.fromkeys(risks))).decode()
    gone = await work.run("risk_prune", server_id=server_id, source=source, facts=facts)
    new = await work.run("risk_put", server_id=server_id, source=source, facts=facts)
    return gone + new
