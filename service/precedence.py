"""Who may say what of a server: each field, and each set of children, has one source.

A source replaces what it said itself, what a weaker one said, and what nobody said.
What came by the API is replaced by nobody but the API.
"""

from collections.abc import Iterable, Mapping

import msgspec

from service.models_harvest import Fields

API = "api"
REGISTRY = "registry"

# The strongest first. `registry` is the server.json of the latest version.
_USUAL = (API, REGISTRY, "github", "npm", "pypi", "oci", "http")
_FORGE_FIRST = (API, "github", REGISTRY, "npm", "pypi", "oci", "http")
_PACKAGE_FIRST = (API, "npm", "pypi", "oci", REGISTRY, "github", "http")
_LIVE_FIRST = (API, "http", "npm", "pypi", "oci", REGISTRY, "github")

_ORDERS: Mapping[str, tuple[str, ...]] = {
    "stars": _FORGE_FIRST,
    "forks": _FORGE_FIRST,
    "open_issues": _FORGE_FIRST,
    "readme_content": _FORGE_FIRST,
    "releases": _FORGE_FIRST,
    "contributors": _FORGE_FIRST,
    "downloads": _PACKAGE_FIRST,
    "dependencies": _PACKAGE_FIRST,
    "tools": _LIVE_FIRST,
    "resources": _LIVE_FIRST,
    "prompts": _LIVE_FIRST,
}


def may_say(field: str, source: str, owner: str | None) -> bool:
    """Whether a source may replace what the owner said; None is nobody."""
    if owner is None or owner == source:
        return True
    order = _ORDERS.get(field, _USUAL)
    return owner in order and order.index(source) < order.index(owner)


def claims(fields: Iterable[str]) -> str:
    """What the API says from now on, of those of the fields that sources know too."""
    said = dict.fromkeys(sorted({*fields} & {*Fields.__struct_fields__}), API)
    return msgspec.json.encode(said).decode()
