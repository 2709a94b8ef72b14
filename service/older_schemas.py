"""Schemas of a server.json other than the current: what was different in each."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

Schema = dict[str, Any]
Change = Callable[[Schema], None]

DRAFT = "draft"
_TEMPLATE = r"\{[a-zA-Z_][a-zA-Z0-9_]*\}[^\s]*"
_SNAKE = {
    "environmentVariables": "environment_variables",
    "fileSha256": "file_sha256",
    "isRepeated": "is_repeated",
    "isRequired": "is_required",
    "isSecret": "is_secret",
    "packageArguments": "package_arguments",
    "registryBaseUrl": "registry_base_url",
    "registryType": "registry_type",
    "runtimeArguments": "runtime_arguments",
    "runtimeHint": "runtime_hint",
    "valueHint": "value_hint",
    "websiteUrl": "website_url",
}


def other_schemas(current: Schema) -> dict[str, Schema]:
    """Each schema that is not the current one, by its version."""
    found = {DRAFT: deepcopy(current)}
    url = found[DRAFT]["$defs"]["endpoint"]["properties"]["url"]
    url["pattern"] = rf"^(https?://[^\s]+|{_TEMPLATE})$"
    older = deepcopy(current)
    for versions, change in _STEPS_BACK:
        change(older)
        found |= {version: deepcopy(older) for version in versions}
    return found


def _free_urls(schema: Schema) -> None:
    """Any text was the URL of a transport, and any URL that of sse."""
    endpoint = schema["$defs"]["endpoint"]
    endpoint["properties"]["url"] = {"type": "string"}
    endpoint["if"] = {"required": ["type"], "properties": {"type": {"const": "sse"}}}
    endpoint["then"] = {"properties": {"url": {"format": "uri"}}}
    del schema["$defs"]["remote"]["properties"]["variables"]


def _closed_packages(schema: Schema) -> None:
    """Packages had a version and nothing unknown; there were no titles and icons."""
    for name in ("title", "icons"):
        del schema["properties"][name]
    del schema["$defs"]["input"]["properties"]["placeholder"]
    package = schema["$defs"]["package"]
    package["required"].append("version")
    package["additionalProperties"] = False


def _with_status(schema: Schema) -> None:
    """The status stood in the document, and the registry's block beside it."""
    schema["properties"]["status"] = {"enum": ["active", "deprecated", "deleted"]}
    block = "io.modelcontextprotocol.registry/official"
    schema["properties"]["_meta"]["properties"][block] = {"type": "object"}


def _snake_case(part: Any) -> None:  # noqa: ANN401 - any part of a schema
    """Names had underscores."""
    if isinstance(part, list):
        part[:] = [_SNAKE.get(x, x) if isinstance(x, str) else x for x in part]
    if isinstance(part, dict):
        for name in _SNAKE.keys() & part.keys():
            part[_SNAKE[name]] = part.pop(name)
    for inner in part.values() if isinstance(part, dict) else part:
        if isinstance(inner, dict | list):
            _snake_case(inner)


_STEPS_BACK: tuple[tuple[tuple[str, ...], Change], ...] = (
    (("2025-10-17", "2025-10-11"), _free_urls),
    (("2025-09-29",), _closed_packages),
    (("2025-09-16",), _with_status),
    (("2025-07-09",), _snake_case),
)
