"""Tools, resources and prompts of a Python package, found in its syntax trees.

Three ways of the SDKs are known: functions below `@mcp.tool()`, functions handed to
`mcp.add_tool(f)`, and the lists of low-level servers, `Tool(name=…, inputSchema=…)`.
Names and texts count where they are written out, also behind a name of the module.
"""

import ast
import inspect
from collections.abc import Iterator

from service.models_harvest import FoundPrompt, FoundResource, FoundTool
from service.sources.clean import LONGEST_TEXT, plain
from service.sources.python_names import Function, Module, keywords
from service.sources.python_schemas import (
    arguments_schema,
    ast_name,
    class_schema,
    prompt_arguments,
)
from service.sources.values import known

Found = FoundTool | FoundResource | FoundPrompt

SDKS = ("mcp", "fastmcp")
_KINDS = {"tool", "resource", "prompt"}
_NOT_SERVERS = ("Agent", "Graph", "Toolkit")


def uses_sdk(module: Module) -> bool:
    """Whether a module imports an SDK of the protocol."""
    roots = {name.partition(".")[0] for name in module.imports.values()}
    return bool(roots & set(SDKS))


def find_in_python(module: Module) -> Iterator[Found]:
    """What one module of a package that uses an SDK offers, from top to bottom."""
    for node in sorted(module.nodes, key=lambda node: getattr(node, "lineno", 0)):
        if isinstance(node, Function):
            for decorator in node.decorator_list:
                yield from _decorated(module, node, decorator)
        elif isinstance(node, ast.Call):
            yield from _called(module, node)


def _decorated(
    module: Module, function: Function, decorator: ast.expr
) -> Iterator[Found]:
    call = decorator if isinstance(decorator, ast.Call) else None
    named = call.func if call else decorator
    if not isinstance(named, ast.Attribute) or named.attr not in _KINDS:
        return
    if _is_other(module, named.value):
        return
    yield from _offered(module, function, named.attr, call)


def _offered(
    module: Module, function: Function, kind: str, call: ast.Call | None
) -> Iterator[Found]:
    """What a function offers that is registered by a call with these arguments."""
    given = keywords(call) if call else {}
    first = module.text(call.args[0]) if call and call.args else None
    told = module.text(given.get("description")) or ast.get_docstring(function)
    text = plain(inspect.cleandoc(told))[:LONGEST_TEXT] if told else None
    name = module.text(given.get("name"))
    if kind == "tool":
        schema = arguments_schema(module, function)
        yield FoundTool(
            name=name or first or function.name, description=text, input_schema=schema
        )
    elif kind == "prompt":
        arguments = prompt_arguments(module, function)
        yield FoundPrompt(
            name=name or first or function.name, description=text, arguments=arguments
        )
    elif uri := first or module.text(given.get("uri")):
        yield FoundResource(
            uri_template=uri,
            name=name or function.name,
            mime_type=module.text(given.get("mime_type")),
            description=text,
        )


def _is_other(module: Module, owner: ast.expr) -> bool:
    """Whether a decorator belongs to what only looks like a server."""
    if isinstance(owner, ast.Attribute):
        return False
    if not isinstance(owner, ast.Name):
        return True
    made = module.values.get(owner.id)
    name = ast_name(made) if isinstance(made, ast.Call) else owner.id
    return any(word.lower() in name.lower() for word in _NOT_SERVERS)


def _called(module: Module, call: ast.Call) -> Iterator[Found]:
    name = ast_name(call.func)
    given = keywords(call)
    if name == "add_tool" and call.args and isinstance(call.args[0], ast.Name):
        home = module.home_of(call.args[0].id)
        function = home.functions.get(call.args[0].id)
        if function is not None:
            plain = ast.Call(func=call.func, args=[], keywords=call.keywords)
            yield from _offered(home, function, "tool", plain)
    elif name in _LISTED and _is_of_sdk(module, call.func):
        yield from _LISTED[name](module, given)


def _is_of_sdk(module: Module, func: ast.expr) -> bool:
    return module.dotted(func).partition(".")[0] in SDKS


def _listed_tool(module: Module, given: dict[str, ast.expr]) -> Iterator[Found]:
    name = module.text(given.get("name"))
    if name is None:
        return
    node = given.get("inputSchema", given.get("input_schema"))
    schema = known(module.value(node))
    if schema is None and isinstance(node, ast.Call):
        schema = _of_model(module, node)
    text = _text(module, given)
    yield FoundTool(name=name, description=text, input_schema=schema or None)


def _of_model(module: Module, node: ast.Call) -> object:
    """The schema of `Model.model_json_schema()`."""
    if not isinstance(node.func, ast.Attribute):
        return None
    if node.func.attr not in {"model_json_schema", "schema"}:
        return None
    return class_schema(module, ast_name(node.func.value))


def _listed_prompt(module: Module, given: dict[str, ast.expr]) -> Iterator[Found]:
    name = module.text(given.get("name"))
    if name is None:
        return
    listed = given.get("arguments")
    items = listed.elts if isinstance(listed, ast.List) else []
    arguments = [
        {key: known(module.value(value)) for key, value in keywords(item).items()}
        for item in items
        if isinstance(item, ast.Call)
    ]
    text = _text(module, given)
    yield FoundPrompt(name=name, description=text, arguments=arguments)


def _listed_resource(module: Module, given: dict[str, ast.expr]) -> Iterator[Found]:
    places = [given.get(key) for key in ("uriTemplate", "uri_template", "uri")]
    uri = next((text for node in places if (text := _uri(module, node))), None)
    if uri is not None:
        yield FoundResource(
            uri_template=uri,
            name=module.text(given.get("name")),
            mime_type=module.text(given.get("mimeType", given.get("mime_type"))),
            description=_text(module, given),
        )


def _uri(module: Module, node: ast.expr | None) -> str | None:
    """A text, or the one inside of `AnyUrl(…)`."""
    if isinstance(node, ast.Call) and len(node.args) == 1:
        node = node.args[0]
    return module.text(node)


def _text(module: Module, given: dict[str, ast.expr]) -> str | None:
    text = module.text(given.get("description"))
    return inspect.cleandoc(text)[:LONGEST_TEXT] if text else None


_LISTED = {
    "Tool": _listed_tool,
    "Prompt": _listed_prompt,
    "Resource": _listed_resource,
    "ResourceTemplate": _listed_resource,
}
