"""The words of publishing: bodies and answers of the registry API's writes."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from service.models import VersionStatus
from service.models_registry import Item

Severity = Literal["error", "warning", "info"]
Kind = Literal["json", "schema", "semantic", "linter"]
Secret = Annotated[str, Meta(min_length=1, max_length=16_384)]
Objects = list[dict[str, Any]]


class ServerDocument(msgspec.Struct, kw_only=True, rename="camel"):
    """A server.json. The schema that it names says what may stand in it."""

    schema: str = msgspec.field(name="$schema")
    name: str
    description: str
    version: str
    title: str | UnsetType = UNSET
    website_url: str | UnsetType = UNSET
    repository: dict[str, Any] | UnsetType = UNSET
    icons: Objects | UnsetType = UNSET
    packages: Objects | UnsetType = UNSET
    remotes: Objects | UnsetType = UNSET
    meta: dict[str, Any] | UnsetType = msgspec.field(default=UNSET, name="_meta")


class StatusChange(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    rename="camel",
    forbid_unknown_fields=True,
):
    """The new status; without a message the old message goes."""

    status: VersionStatus
    status_message: Annotated[str, Meta(max_length=500)] | None = None


class StatusChanged(msgspec.Struct, kw_only=True, rename="camel"):
    """The versions whose status changed."""

    updated_count: int
    servers: list[Item]


class Finding(msgspec.Struct, frozen=True):
    """One thing that is wrong with a server.json; only errors make it invalid."""

    type: Kind
    path: str
    """Where, such as `packages[0].transport.url`; empty for the whole document."""
    message: str
    severity: Severity
    reference: str
    """Which rule: its place in the schema, or the name of a semantic rule."""


class Verdict(msgspec.Struct, kw_only=True):
    """Whether a server.json could be published, and everything found in it."""

    valid: bool
    issues: list[Finding]


class OidcBody(msgspec.Struct, frozen=True, kw_only=True):
    """An ID token of the configured issuer."""

    oidc_token: Secret


class GithubBody(msgspec.Struct, frozen=True, kw_only=True):
    """An access token of GitHub."""

    github_token: Secret


class ProofBody(msgspec.Struct, frozen=True, kw_only=True):
    """A time, signed with a key of the domain; see the registry's documentation."""

    domain: Annotated[str, Meta(min_length=1, max_length=253)]
    timestamp: Annotated[str, Meta(max_length=64, description="RFC 3339, of now")]
    signed_timestamp: Annotated[str, Meta(max_length=512, description="Hexadecimal")]


class RegistryToken(msgspec.Struct, kw_only=True):
    """What to send as a bearer token until it expires."""

    registry_token: str
    expires_at: Annotated[int, Meta(description="Seconds since 1970")]
