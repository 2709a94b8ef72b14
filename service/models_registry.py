"""The words of the standard registry API: queries, bodies and answers as Structs."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from service.models import Cursor, Since, Time, VersionStatus

OFFICIAL = "io.modelcontextprotocol.registry/official"
MAX_NAMES = 100

PageSize = Annotated[int, Meta(ge=1, le=100)]
Words = Annotated[str, Meta(max_length=256)]
Exact = Annotated[
    str, Meta(max_length=1024, description="`latest`, or a version as it was published")
]
Position = Annotated[
    str,
    Meta(
        pattern=r"^(0|[1-9][0-9]{0,17})(\.(0|[1-9][0-9]{0,17}))?\Z",
        description="A serial, or `next` of the answer before",
    ),
]


class ListFilters(msgspec.Struct, frozen=True, kw_only=True):
    """Which versions a list shows."""

    search: Words | UnsetType = UNSET
    version: Exact | UnsetType = UNSET
    include_deleted: bool | UnsetType = UNSET
    updated_since: Since | UnsetType = UNSET
    registry_type: Words | UnsetType = UNSET
    transport: Words | UnsetType = UNSET
    remote: bool | UnsetType = UNSET
    status: VersionStatus | UnsetType = UNSET


class ListQuery(ListFilters, frozen=True, kw_only=True):
    """The parameters of a list; others and empty ones are ignored."""

    limit: PageSize = 30
    cursor: Cursor | UnsetType = UNSET


class VersionQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters of one server's versions; others and empty ones are ignored."""

    include_deleted: bool = False


class ChangeQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Where to read on in the change feed."""

    since: Position = "0"
    limit: PageSize = 100


class BatchBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The names of the servers that are wanted."""

    names: Annotated[
        list[Annotated[str, Meta(min_length=1, max_length=1024)]],
        Meta(min_length=1, max_length=MAX_NAMES),
    ]


class OfficialMeta(msgspec.Struct, kw_only=True, rename="camel"):
    """What the registry itself says of a version."""

    status: VersionStatus
    status_changed_at: Time
    status_message: str | UnsetType = UNSET
    published_at: Time
    updated_at: Time
    is_latest: bool


class ItemMeta(msgspec.Struct, kw_only=True):
    """What is said beside a server.json."""

    official: OfficialMeta = msgspec.field(name=OFFICIAL)


class Item(msgspec.Struct, kw_only=True):
    """A server.json as it was published, and what the registry says of it."""

    server: dict[str, Any]
    meta: ItemMeta = msgspec.field(name="_meta")


class ListMeta(msgspec.Struct, kw_only=True, rename="camel"):
    """The size of a page, and where the next one begins if there is one."""

    next_cursor: str | UnsetType = UNSET
    count: int


class ItemList(msgspec.Struct, kw_only=True):
    """A page of versions."""

    servers: list[Item]
    metadata: ListMeta


class Change(msgspec.Struct, kw_only=True):
    """A version or a server that was put or is gone, as it is now."""

    serial: int
    kind: Literal["server", "version"]
    name: str | None
    id: int | UnsetType = UNSET
    version: str | UnsetType = UNSET
    deleted: bool
    item: Item | UnsetType = UNSET


class ChangeList(msgspec.Struct, kw_only=True):
    """A part of the change feed; `next` is where to read on."""

    changes: list[Change]
    next: str
    serial: int


class Batch(msgspec.Struct, kw_only=True):
    """The latest versions of the servers asked for; `missing` are the other names."""

    servers: list[Item]
    missing: list[str]


class Facets(msgspec.Struct, kw_only=True):
    """How many servers there are by status, package type, transport and remote."""

    labels: dict[str, int]


class RegistryHealth(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The answer of /health as registry clients read it."""

    status: Literal["ok"] = msgspec.field(default_factory=lambda: "ok")
    github_client_id: str = ""


class Pong(msgspec.Struct):
    """The answer of /ping."""

    pong: bool


class RegistryVersion(msgspec.Struct):
    """The answer of /version."""

    version: str


class Allowed(msgspec.Struct, kw_only=True, rename="camel"):
    """A server that may run: by its name or by the address of its remote."""

    server_name: str | UnsetType = UNSET
    server_url: str | UnsetType = UNSET


class Policy(msgspec.Struct, kw_only=True):
    """`managed-settings.json`: the servers that clients may run."""

    allowed: list[Allowed] = msgspec.field(name="allowedMcpServers")


class ItemFile(msgspec.Struct, kw_only=True):
    """The latest versions of all servers."""

    servers: list[Item]


class Launch(msgspec.Struct, kw_only=True, omit_defaults=True):
    """How a client starts a server, or reaches it."""

    type: str
    url: str | UnsetType = UNSET
    headers: dict[str, str] = {}
    command: str | UnsetType = UNSET
    args: list[str] = []
    env: dict[str, str] = {}


class Prompt(msgspec.Struct, kw_only=True, tag_field="type", tag="promptString"):
    """What a user is asked for before the server starts."""

    id: str
    description: str
    password: bool


class McpFile(msgspec.Struct, kw_only=True):
    """`mcp.json`: one server, and what its user has to be asked for."""

    servers: dict[str, Launch]
    inputs: list[Prompt] = []


class LaunchQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which server."""

    server: Annotated[
        str, Meta(min_length=1, max_length=1024, description="A registry name")
    ]
