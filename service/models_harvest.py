"""The words of the harvester: what a source is asked for, and what it answers.

A source only reads: what it found is a `Page`, and the work of ring 2 decides what of
that is stored. UNSET says "this source does not know"; it never clears anything.
"""

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from service.models import (
    Count,
    DependencyType,
    HostType,
    Label,
    Name,
    Readme,
    RegistryName,
    Text,
    Time,
    Url,
    WebUrl,
    Words,
)

SourceName = Literal["registry", "npm", "pypi", "github", "oci", "http"]
RiskKind = Literal[
    "shell", "file_system", "network", "eval", "install_script", "dependencies"
]
Checkpoint = dict[str, Any]


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a source is asked for: everything of one target, or what is new there."""

    target: str
    """A package, `owner/repo`, an image or a URL, in the source's own notation."""
    checkpoint: Checkpoint = {}
    """What the last page said, such as a cursor or an ETag; empty the first time."""
    since: Time | UnsetType = UNSET
    """Only what changed after this time, where the source can tell; asked by hand."""


class RefreshBody(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """What is to be harvested soon."""

    url: Url


class JobState(msgspec.Struct, kw_only=True):
    """A job of the harvester as it stands."""

    source: SourceName
    target: str
    status: Literal["waiting", "running", "done", "failed"]
    attempts: int
    """Since it was last done."""
    error_message: str | None
    """Why the last attempt failed."""
    last_attempt_at: Time | None
    next_try_at: Time


class Fields(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The columns of a server that a source knows; null says there is none."""

    name: Name | UnsetType = UNSET
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


class FoundTool(msgspec.Struct, frozen=True, kw_only=True):
    """A tool of a server."""

    name: str
    description: str | None = None
    input_schema: Any = None


class FoundResource(msgspec.Struct, frozen=True, kw_only=True):
    """A resource, or a template of resources."""

    uri_template: str
    name: str | None = None
    mime_type: str | None = None
    description: str | None = None


class FoundPrompt(msgspec.Struct, frozen=True, kw_only=True):
    """A prompt of a server."""

    name: str
    description: str | None = None
    arguments: Any = None


class FoundDependency(msgspec.Struct, frozen=True, kw_only=True):
    """A library that a server needs; `ecosystem` is npm, pypi and so on."""

    library_name: str
    version_constraint: str | None = None
    ecosystem: str
    type: DependencyType = "runtime"


class FoundRelease(msgspec.Struct, frozen=True, kw_only=True):
    """A release of a server."""

    version: str
    changelog: str | None = None
    published_at: Time


class FoundContributor(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who works on a server."""

    username: str
    platform: str
    commits: Count = 0


class Risk(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a server does or brings along, and the place that shows it."""

    kind: RiskKind
    file: str = ""
    """Path inside the package, with slashes; empty for the package as a whole."""
    line: int = 0
    """From 1; 0 for the file as a whole."""
    detail: str = ""
    """What stands there, such as `subprocess.run` or the text of the script."""


class Harvest(msgspec.Struct, frozen=True, kw_only=True):
    """What a source found out about one server.

    The server is the one with this registry name, or else with this primary URL; one
    that is not there yet is put in. A list replaces the whole set, also with nothing.
    """

    primary_url: Url
    registry_name: RegistryName | None = None
    fields: Fields = Fields()
    tools: list[FoundTool] | UnsetType = UNSET
    resources: list[FoundResource] | UnsetType = UNSET
    prompts: list[FoundPrompt] | UnsetType = UNSET
    dependencies: list[FoundDependency] | UnsetType = UNSET
    releases: list[FoundRelease] | UnsetType = UNSET
    contributors: list[FoundContributor] | UnsetType = UNSET
    risks: list[Risk] | UnsetType = UNSET


class Gone(msgspec.Struct, frozen=True, kw_only=True):
    """A version that its registry has no more."""

    registry_name: str
    version: str


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """A part of what a source found; stored as a whole, and then its checkpoint.

    Entries are stored before the harvests of the same page, which may belong to them.
    """

    entries: list[bytes] = []
    """JSON of `{"server": {…}, "_meta": {…}}` as registries list it; or server.json."""
    gone: list[Gone] = []
    harvests: list[Harvest] = []
    targets: list[str] = []
    """Further targets of the same source, such as the results of a search."""
    checkpoint: Checkpoint | UnsetType = UNSET
    """Where to go on after this page; UNSET keeps what was there."""
    is_complete: bool = False
    """Whether every entry of a registry was in the pages of this call: what else came
    from there is gone."""
