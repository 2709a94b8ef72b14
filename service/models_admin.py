"""The words of keys and administration: bodies and answers."""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from service.models import (
    ChildCounts,
    Count,
    HostType,
    RiskLevel,
    Role,
    Server,
    Text,
    Time,
    WebUrl,
    Word,
    Words,
)

Days = Annotated[int, Meta(ge=1, le=36_500)]
Id = Annotated[int, Meta(ge=1, le=2**63 - 1)]
Ids = Annotated[list[Id], Meta(min_length=1, max_length=1000)]


class NewKey(msgspec.Struct, kw_only=True):
    """A key that was just made; the only time that anybody sees it."""

    key: str
    prefix: str
    role: Role
    name: str
    created_at: Time
    expires_at: Time | None


class KeyEntry(msgspec.Struct, kw_only=True):
    """A key as it is listed, without its secret."""

    prefix: str
    role: Role
    name: str
    created_at: Time
    expires_at: Time | None
    last_used_at: Time | None
    state: str


class Stats(msgspec.Struct, kw_only=True):
    """The catalog in figures."""

    servers: int
    average_health_score: float
    by_host_type: dict[HostType, int]
    by_risk_level: dict[RiskLevel, int]
    children: ChildCounts
    top_by_stars: list[Server]
    recently_updated: list[Server]


class Recount(msgspec.Struct):
    """How many servers were looked at, and how many of them changed."""

    checked: int
    updated: int


class PruneStale(msgspec.Struct, forbid_unknown_fields=True):
    """Which servers count as stale."""

    days: Days = 180
    dry_run: bool = False


class StaleServer(msgspec.Struct):
    """A server that nobody indexed for too long."""

    id: int
    name: str
    primary_url: str
    last_indexed_at: Time | None


class Pruned(msgspec.Struct):
    """How many servers went, or would go in a dry run, with the first of them."""

    deleted: int
    dry_run: bool
    servers: list[StaleServer]


class ServerFilters(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Which servers to change; all that is given has to fit."""

    ids: Ids | UnsetType = UNSET
    host_type: HostType | UnsetType = UNSET
    risk_level: RiskLevel | UnsetType = UNSET
    verified_source: bool | UnsetType = UNSET
    category: Word | UnsetType = UNSET
    keyword: Word | UnsetType = UNSET
    license: Word | UnsetType = UNSET
    author_name: Word | UnsetType = UNSET
    min_stars: Count | UnsetType = UNSET
    max_stars: Count | UnsetType = UNSET

    def __post_init__(self) -> None:
        """Raise ValueError when nothing is given."""
        _refuse_empty(self)


class ServerUpdates(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What to write into them; null clears what may be empty."""

    host_type: HostType | UnsetType = UNSET
    risk_level: RiskLevel | UnsetType = UNSET
    verified_source: bool | UnsetType = UNSET
    categories: Words | UnsetType = UNSET
    keywords: Words | UnsetType = UNSET
    license: Text | UnsetType | None = UNSET
    author_name: Text | UnsetType | None = UNSET
    homepage: WebUrl | UnsetType | None = UNSET

    def __post_init__(self) -> None:
        """Raise ValueError when nothing is given."""
        _refuse_empty(self)


class BulkUpdate(msgspec.Struct, forbid_unknown_fields=True):
    """One change of many servers."""

    filters: ServerFilters
    updates: ServerUpdates
    dry_run: bool = False


class BulkUpdated(msgspec.Struct):
    """How many servers fit, and how many changed or would change in a dry run."""

    matched: int
    updated: int
    dry_run: bool


def _refuse_empty(given: msgspec.Struct) -> None:
    if all(getattr(given, name) is UNSET for name in given.__struct_fields__):
        known = ", ".join(given.__struct_fields__)
        message = f"empty: give at least one of {known}"
        raise ValueError(message)
