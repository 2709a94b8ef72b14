"""Tools, resources and prompts of a JavaScript package, found by the calls of the SDKs.

`server.registerTool("name", {…})`, `server.tool("name", …)`, `server.addTool({…})`, the
same for prompts and resources, and objects with `name` and `inputSchema` in the lists
of low-level servers. A name that is not written out is not guessed.
"""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from service.models_harvest import FoundPrompt, FoundResource, FoundTool
from service.sources.clean import LONGEST_TEXT, mapping
from service.sources.javascript_tokens import Script
from service.sources.javascript_values import Shape, Values, json_schema

Found = FoundTool | FoundResource | FoundPrompt

LONGEST_NAME = 256
# `prompt` and `tool` are names of many things; these only count on a server.
_ON_SERVERS = frozenset({"tool", "prompt", "resource", "addTool", "addPrompt"})
_SCHEMA_KEYS = ("inputSchema", "parameters")


def find_in_javascript(script: Script, values: Values) -> Iterator[Found]:
    """What one file of a package that uses an SDK offers, from top to bottom."""
    objects: list[int] = []
    for place, token in enumerate(script.tokens):
        while objects and script.partners.get(objects[-1], 0) < place:
            objects.pop()
        if token.kind == "sign" and token.text in {"{", "("}:
            objects.append(place)
        elif token.kind == "name" and token.text in _CALLS:
            yield from _called(script, values, place)
        elif token.kind == "name" and token.text in _SCHEMA_KEYS and objects:
            yield from _listed(script, values, objects[-1], token.text)


def _called(script: Script, values: Values, place: int) -> Iterator[Found]:
    name = script.tokens[place].text
    is_call = script.says(place - 1) == "." and script.says(place + 1) == "("
    if not is_call or (name in _ON_SERVERS and not _is_server(script.says(place - 2))):
        return
    given = values.arguments(place + 1)
    if given:
        yield from _CALLS[name](given)


def _is_server(name: str) -> bool:
    return any(word in name.lower() for word in ("server", "mcp"))


def _listed(
    script: Script, values: Values, opened: int, key: str
) -> Iterator[FoundTool]:
    """A tool as an object that stands in a list or behind a name."""
    if script.says(opened) != "{":
        return
    value, _ = values.read(opened)
    is_whole = isinstance(value, dict) and key in value
    if is_whole and (key == "inputSchema" or "execute" in value):
        yield from _tool(value.get("name"), value)


def _registered_tool(given: list[Any]) -> Iterator[FoundTool]:
    config = given[1] if len(given) > 1 and isinstance(given[1], dict) else {}
    yield from _tool(given[0], config)


def _old_tool(given: list[Any]) -> Iterator[FoundTool]:
    """`tool(name, description?, schema or annotations?, callback)`."""
    described = [value for value in given[1:3] if isinstance(value, str)]
    shapes = [value for value in given[1:4] if _is_shape(value)]
    config = {
        "description": described[0] if described else None,
        "inputSchema": shapes[0] if shapes else None,
    }
    yield from _tool(given[0], config)


def _added_tool(given: list[Any]) -> Iterator[FoundTool]:
    if isinstance(given[0], dict):
        yield from _tool(given[0].get("name"), given[0])


def _tool(name: object, config: dict[str, Any]) -> Iterator[FoundTool]:
    if not _is_name(name):
        return
    schemas = [config[key] for key in _SCHEMA_KEYS if key in config]
    schema = json_schema(schemas[0]) if schemas else None
    text = _text(config)
    yield FoundTool(name=str(name), description=text, input_schema=schema)


def _registered_prompt(given: list[Any]) -> Iterator[FoundPrompt]:
    config = given[1] if len(given) > 1 and isinstance(given[1], dict) else {}
    yield from _prompt(given[0], config, config.get("argsSchema"))


def _old_prompt(given: list[Any]) -> Iterator[FoundPrompt]:
    """`prompt(name, description?, arguments?, callback)`."""
    described = [value for value in given[1:2] if isinstance(value, str)]
    shapes = [value for value in given[1:3] if _is_shape(value)]
    config = {"description": described[0] if described else None}
    yield from _prompt(given[0], config, shapes[0] if shapes else None)


def _added_prompt(given: list[Any]) -> Iterator[FoundPrompt]:
    if isinstance(given[0], dict):
        yield from _prompt(given[0].get("name"), given[0], None)


def _prompt(name: object, config: dict[str, Any], shapes: Any) -> Iterator[FoundPrompt]:  # noqa: ANN401 - what was read
    if not _is_name(name):
        return
    schema = json_schema(shapes) or {}
    required = schema.get("required")
    needed = required if isinstance(required, list) else []
    arguments = [
        {"name": key}
        | ({"description": of["description"]} if "description" in of else {})
        | {"required": key in needed}
        for key, of in mapping(schema.get("properties")).items()
        if isinstance(of, dict)
    ]
    yield FoundPrompt(name=str(name), description=_text(config), arguments=arguments)


def _registered_resource(given: list[Any]) -> Iterator[FoundResource]:
    """`registerResource(name, uri, {description, mimeType}, callback)`."""
    if len(given) < 2 or not _is_name(given[0]) or not isinstance(given[1], str):
        return
    config = given[2] if len(given) > 2 and isinstance(given[2], dict) else {}
    kind = config.get("mimeType")
    yield FoundResource(
        uri_template=given[1],
        name=given[0],
        mime_type=kind if isinstance(kind, str) else None,
        description=_text(config),
    )


def _is_shape(value: object) -> bool:
    """Whether it describes arguments, rather than hints about a tool."""
    if isinstance(value, Shape):
        return True
    if not isinstance(value, dict):
        return False
    return not value or any(isinstance(item, Shape) for item in value.values())


def _is_name(value: object) -> bool:
    is_text = isinstance(value, str) and 0 < len(value) <= LONGEST_NAME
    return is_text and "…" not in str(value)


def _text(config: dict[str, Any]) -> str | None:
    text = config.get("description")
    is_text = isinstance(text, str) and text.strip()
    return inspect.cleandoc(str(text))[:LONGEST_TEXT] if is_text else None


_CALLS: dict[str, Callable[[list[Any]], Iterator[Found]]] = {
    "registerTool": _registered_tool,
    "tool": _old_tool,
    "addTool": _added_tool,
    "registerPrompt": _registered_prompt,
    "prompt": _old_prompt,
    "addPrompt": _added_prompt,
    "registerResource": _registered_resource,
    "resource": _registered_resource,
}
