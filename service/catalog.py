"""One server of the catalog: read, added, changed, deleted.

An edit holds the row from the check of If-Match to the end of its transaction, so that
of two editors who read the same state only the first succeeds.
"""

import re
from collections.abc import Collection
from datetime import UTC, datetime
from hashlib import blake2b
from uuid import UUID

import msgspec
from msgspec import UNSET

from service.errors import Conflict, InvalidInput, NotFound, PreconditionFailed
from service.models import ServerBody, ServerPatch
from service.precedence import claims
from service.store.base import Queries, Row, Store

SERVERS = "/servers"
ANY = "*"
MAX_ID = 2**63 - 1
MAX_URL_BYTES = 2048

_ID = re.compile(r"[0-9]{1,19}\Z", re.ASCII)
_UUID = re.compile(
    r"(?:urn:uuid:)?\{?[0-9a-f]{8}(?:-?[0-9a-f]{4}){4}[0-9a-f]{8}\}?\Z",
    re.ASCII | re.IGNORECASE,
)


class Reference(msgspec.Struct, frozen=True):
    """A server as a path names it: by id or by uuid."""

    id: int | None = None
    uuid: str | None = None

    @property
    def path(self) -> str:
        """The path of that server."""
        return f"{SERVERS}/{self.uuid if self.id is None else self.id}"


def read_id(text: str) -> int:
    """An id out of a path. Raises NotFound for what cannot be one."""
    if not _ID.match(text) or int(text) > MAX_ID:
        message = "there is no entry with such an id"
        raise NotFound(message)
    return int(text)


def read_reference(text: str) -> Reference:
    """A server's id or uuid out of a path. Raises NotFound for what is neither."""
    if _UUID.match(text):
        return Reference(uuid=str(UUID(text)))
    return Reference(id=read_id(text))


def etag(body: str) -> str:
    """The strong validator of an answer."""
    return f'"{blake2b(body.encode(), digest_size=12).hexdigest()}"'


async def get_server(store: Queries, server: Reference) -> str:
    """The whole server as JSON. Raises NotFound."""
    if server.id is None:
        row = await store.row("server_get_by_uuid", uuid=server.uuid)
    else:
        row = await store.row("server_get", id=server.id)
    if row is None:
        raise _missing()
    # To quote a README here costs a fifth of what it does in the query.
    readme = msgspec.json.encode(row["readme_content"]).decode()
    shown = row["doc"].removesuffix("}")
    return f'{shown},"readme_content":{readme},"counts":{row["counts"]}}}'


async def add_server(work: Queries, body: ServerBody) -> tuple[Reference, str]:
    """Add a server, in a transaction of the caller; gives it whole.

    Raises Conflict with the path of the server that has the URL or the registry name.
    """
    text, said = _checked(body), _claims(body)
    added = Reference(await work.value("server_add", server=text, claims=said))
    if added.id is None:
        raise await _taken(work, added, body)
    return added, await get_server(work, added)


async def put_server(
    store: Store,
    server: Reference,
    changes: ServerPatch,
    expected: Collection[str] = (),
) -> str:
    """Change the fields of a server that are given; gives it whole.

    Raises NotFound; PreconditionFailed unless its validator is one of those `expected`,
    if there are any; Conflict with the path of the server that has the URL or the
    registry name.
    """
    text, said = _checked(changes), _claims(changes)

    async def change(work: Queries) -> str:
        held = await _hold(work, server, expected)
        _keep_published_name(held, changes)
        await work.run("server_change", id=held["id"], changes=text, claims=said)
        return await get_server(work, server)

    try:
        return await store.transact(change)
    except Conflict:
        raise await _taken(store, server, changes) from None


async def delete_server(
    store: Store, server: Reference, expected: Collection[str] = ()
) -> None:
    """Delete a server and all that belongs to it.

    Raises NotFound and PreconditionFailed as put_server does.
    """

    async def delete(work: Queries) -> None:
        held = await _hold(work, server, expected)
        await work.run("server_delete", id=held["id"])

    await store.transact(delete)


async def _hold(work: Queries, server: Reference, expected: Collection[str]) -> Row:
    """Keep others from changing the server until the transaction ends."""
    held = await work.row("server_lock", id=server.id, uuid=server.uuid)
    if held is None:
        raise _missing()
    if not expected or ANY in expected:
        return held
    if etag(await get_server(work, server)) not in expected:
        raise PreconditionFailed
    return held


def _claims(body: ServerBody | ServerPatch) -> str:
    """What the client says of the server from now on, against every source.

    All fields of a change; of a whole server those that are not as by default.
    """
    said = msgspec.to_builtins(body)
    if isinstance(body, ServerBody):
        usual = msgspec.to_builtins(ServerBody(name="-", primary_url="-"))
        said = {name: value for name, value in said.items() if value != usual[name]}
    return claims(said)


def _missing() -> NotFound:
    return NotFound("there is no such server")


def _keep_published_name(held: Row, changes: ServerPatch) -> None:
    name = changes.registry_name
    if name is UNSET or name == held["registry_name"] or not held["is_published"]:
        return
    place = "body.registry_name"
    message = f"its published versions carry {held['registry_name']}: send that"
    raise InvalidInput.at(place, message)


async def _taken(
    store: Queries, server: Reference, body: ServerBody | ServerPatch
) -> Conflict:
    """The error that leads to the server which was there first."""
    twin = await store.value(
        "server_twin",
        id=server.id,
        uuid=server.uuid,
        primary_url=body.primary_url or None,
        registry_name=body.registry_name or None,
    )
    message = "another server has this primary_url or registry_name"
    return Conflict(message, existing=Reference(twin).path if twin else "")


def _checked(body: ServerBody | ServerPatch) -> str:
    """The fields as JSON, after the checks that no type expresses."""
    if len((body.primary_url or "").encode()) > MAX_URL_BYTES:
        place = "body.primary_url"
        raise InvalidInput.at(place, f"longer than {MAX_URL_BYTES} bytes")
    if isinstance(body.last_indexed_at, datetime):
        try:
            at = body.last_indexed_at.astimezone(UTC)
        except OverflowError:
            place = "body.last_indexed_at"
            message = "not between the years 1 and 9999 in UTC"
            raise InvalidInput.at(place, message) from None
        body = msgspec.structs.replace(body, last_indexed_at=at)
    return msgspec.json.encode(body).decode()
