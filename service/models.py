"""The words of the public JSON: every body, answer and query string as a Struct.

The database writes most answers itself; these Structs are their contract, and tests
decode every answer into them.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

HostType = Literal["github", "gitlab", "npm", "pypi", "docker", "http", "unknown"]
RiskLevel = Literal["safe", "moderate", "high", "critical", "unknown"]
DependencyType = Literal["runtime", "dev", "peer"]
VersionStatus = Literal["active", "deprecated", "deleted"]
ReadyStatus = Literal["healthy", "unhealthy", "draining"]
Role = Literal["reader", "editor", "admin"]
Sort = Literal[
    "name",
    "-name",
    "stars",
    "-stars",
    "downloads",
    "-downloads",
    "health_score",
    "-health_score",
    "updated_at",
    "-updated_at",
]

Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Score = Annotated[int, Meta(ge=0, le=100)]
Name = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=512,
        pattern=r"\S",
        description="a name, and not of blanks alone",
    ),
]
# People follow these: `javascript:` would run in the page of whoever shows them.
Url = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=2048,
        pattern=r"^(?!(javascript|vbscript|data):)[a-z][a-z0-9+.-]*:\S+\Z",
        description="a URL, but none that carries code or data",
    ),
]
WebUrl = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=2048,
        pattern=r"^[Hh][Tt][Tt][Pp][Ss]?://\S+\Z",
        description="a URL of http or https",
    ),
]
RegistryName = Annotated[
    str,
    Meta(min_length=3, max_length=200, pattern=r"^[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+\Z"),
]
Label = Annotated[str, Meta(max_length=512)]
Text = Annotated[str, Meta(max_length=10_000)]
Word = Annotated[str, Meta(min_length=1, max_length=256)]
Words = Annotated[list[Word], Meta(max_length=256)]
Readme = Annotated[str, Meta(max_length=1_000_000)]
Time = Annotated[str, Meta(description="RFC 3339, UTC")]
Moment = Annotated[datetime, Meta(tz=True)]
Since = Annotated[
    str, Meta(max_length=64, description="RFC 3339, such as 2026-01-31T12:00:00Z")
]
Id = Annotated[int, Meta(ge=1, le=2**63 - 1)]
Limit = Annotated[int, Meta(ge=1, le=1000)]
Skip = Annotated[int, Meta(ge=0, le=10_000)]
Cursor = Annotated[
    str, Meta(min_length=1, max_length=6144, pattern=r"^[A-Za-z0-9_-]+\Z")
]


class Server(msgspec.Struct, kw_only=True):
    """A server in a list."""

    id: int
    uuid: str
    name: str
    registry_name: str | None
    title: str | None
    primary_url: str
    host_type: HostType
    description: str | None
    author_name: str | None
    homepage: str | None
    license: str | None
    keywords: list[Any]
    categories: list[Any]
    stars: int
    downloads: int
    forks: int
    open_issues: int
    risk_level: RiskLevel
    verified_source: bool
    health_score: int
    latest_version: str | None
    last_indexed_at: Time | None
    created_at: Time
    updated_at: Time


class ChildCounts(msgspec.Struct):
    """How many of each kind belong to a server."""

    tools: int
    resources: int
    prompts: int
    dependencies: int
    releases: int
    contributors: int
    versions: int


class ServerDetail(Server, kw_only=True):
    """A whole server."""

    readme_content: str | None
    counts: ChildCounts


class ServerVersion(msgspec.Struct, kw_only=True):
    """One published version, with its server.json as it was sent."""

    id: int
    server_id: int
    name: str
    version: str
    status: VersionStatus
    status_message: str | None
    is_latest: bool
    problems: list[Any]
    server_json: dict[str, Any]
    published_at: Time
    updated_at: Time
    status_changed_at: Time


class Tool(msgspec.Struct, kw_only=True):
    """A tool of a server."""

    id: int
    server_id: int
    name: str
    description: str | None
    input_schema: Any
    created_at: Time
    updated_at: Time


class Resource(msgspec.Struct, kw_only=True):
    """A resource template of a server."""

    id: int
    server_id: int
    uri_template: str
    name: str | None
    mime_type: str | None
    description: str | None
    created_at: Time
    updated_at: Time


class Prompt(msgspec.Struct, kw_only=True):
    """A prompt of a server."""

    id: int
    server_id: int
    name: str
    description: str | None
    arguments: Any
    created_at: Time
    updated_at: Time


class Dependency(msgspec.Struct, kw_only=True):
    """A library that a server needs."""

    id: int
    server_id: int
    library_name: str
    version_constraint: str | None
    ecosystem: str
    type: DependencyType
    created_at: Time
    updated_at: Time


class Release(msgspec.Struct, kw_only=True):
    """A release of a server."""

    id: int
    server_id: int
    version: str
    changelog: str | None
    published_at: Time
    created_at: Time
    updated_at: Time


class Contributor(msgspec.Struct, kw_only=True):
    """Somebody who works on a server."""

    id: int
    server_id: int
    username: str
    platform: str
    commits: int
    created_at: Time
    updated_at: Time


class ServerFilters(msgspec.Struct, frozen=True, kw_only=True):
    """Which servers a list shows, and in which order."""

    sort: Sort | UnsetType = UNSET
    host_type: HostType | UnsetType = UNSET
    risk_level: RiskLevel | UnsetType = UNSET
    verified_only: bool | UnsetType = UNSET
    category: Word | UnsetType = UNSET
    keyword: Word | UnsetType = UNSET
    min_stars: Count | UnsetType = UNSET
    updated_since: Since | UnsetType = UNSET


class ServerQuery(ServerFilters, frozen=True, kw_only=True):
    """The parameters of a list of servers; `sort` is -stars unless given."""

    limit: Limit = 100
    cursor: Cursor | UnsetType = UNSET
    skip: Skip | UnsetType = UNSET
    count: bool = False


class ToolFilters(msgspec.Struct, frozen=True, kw_only=True):
    """Which tools a list shows."""

    server_id: Id | UnsetType = UNSET
    name: Text | UnsetType = UNSET


class ToolQuery(ToolFilters, frozen=True, kw_only=True):
    """The parameters of a list of tools."""

    limit: Limit = 100
    cursor: Cursor | UnsetType = UNSET
    skip: Skip | UnsetType = UNSET


class ChildFilters(msgspec.Struct, frozen=True, kw_only=True):
    """What belongs to a server is listed unfiltered."""


class ChildQuery(ChildFilters, frozen=True, kw_only=True):
    """The parameters of a list of what belongs to one server."""

    limit: Limit = 100
    cursor: Cursor | UnsetType = UNSET
    skip: Skip | UnsetType = UNSET


class ServerBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A server as a client sends it."""

    name: Name
    primary_url: Url
    registry_name: RegistryName | None = None
    title: Label | None = None
    host_type: HostType = "unknown"
    description: Text | None = None
    author_name: Label | None = None
    homepage: WebUrl | None = None
    license: Label | None = None
    readme_content: Readme | None = None
    keywords: Words = []
    categories: Words = []
    stars: Count = 0
    downloads: Count = 0
    forks: Count = 0
    open_issues: Count = 0
    risk_level: RiskLevel = "unknown"
    verified_source: bool = False
    health_score: Score = 0
    last_indexed_at: Moment | None = None


class ServerPatch(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """The fields of a server that change; null clears one that may be null."""

    name: Name | UnsetType = UNSET
    primary_url: Url | UnsetType = UNSET
    registry_name: RegistryName | UnsetType | None = UNSET
    title: Label | UnsetType | None = UNSET
    host_type: HostType | UnsetType = UNSET
    description: Text | UnsetType | None = UNSET
    author_name: Label | UnsetType | None = UNSET
    homepage: WebUrl | UnsetType | None = UNSET
    license: Label | UnsetType | None = UNSET
    readme_content: Readme | UnsetType | None = UNSET
    keywords: Words | UnsetType = UNSET
    categories: Words | UnsetType = UNSET
    stars: Count | UnsetType = UNSET
    downloads: Count | UnsetType = UNSET
    forks: Count | UnsetType = UNSET
    open_issues: Count | UnsetType = UNSET
    risk_level: RiskLevel | UnsetType = UNSET
    verified_source: bool | UnsetType = UNSET
    health_score: Score | UnsetType = UNSET
    last_indexed_at: Moment | UnsetType | None = UNSET


class DatabaseHealth(msgspec.Struct, kw_only=True):
    """The database as /health/db sees it."""

    healthy: bool
    latency_ms: float
    database_type: Literal["postgresql", "sqlite"]
    database_url: str
    pool_size: int
    pool_checked_in: int
    pool_checked_out: int
    pool_overflow: int
    pool_timeout: float
    schema_version: str
    schema_needed: str
    detail: str = ""


class Readiness(msgspec.Struct, kw_only=True):
    """The answer of /health/db."""

    status: ReadyStatus
    timestamp: Time
    database: DatabaseHealth


class Liveness(msgspec.Struct):
    """The answer of /health."""

    status: Literal["ok"]
    version: str


def has_bad_text(value: Any) -> bool:  # noqa: ANN401 - decoded JSON
    """Whether a NUL character or a lone surrogate hides anywhere in decoded JSON."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, str):
            if "\0" in part or any("\ud800" <= letter <= "\udfff" for letter in part):
                return True
        elif isinstance(part, dict):
            waiting.extend(part.keys())
            waiting.extend(part.values())
        elif isinstance(part, list | tuple):
            waiting.extend(part)
    return False
