"""JSON schemas from the annotations of Python, as far as they are simple.

What is not understood becomes `{}`, which allows everything: a schema that says too
little is right, one that says something wrong is not.
"""

import ast
from collections.abc import Iterator
from typing import Any

from service.sources.python_names import (
    Function,
    Module,
    keywords,
)
from service.sources.values import Unknown, known

Schema = dict[str, Any]

_TYPES = {
    "str": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "bytes": "string",
    "None": "null",
    "dict": "object",
    "Dict": "object",
    "Mapping": "object",
    "list": "array",
    "List": "array",
    "Sequence": "array",
    "Iterable": "array",
    "set": "array",
    "Set": "array",
    "tuple": "array",
    "Tuple": "array",
}
_FORMATS = {"datetime": "date-time", "date": "date", "UUID": "uuid", "Path": "path"}
_MODELS = {"BaseModel", "TypedDict", "SQLModel", "Struct"}
_ENUMS = {"Enum", "StrEnum", "IntEnum"}
# Handed in by the framework, not by the client.
_INJECTED = frozenset(
    (
        *("Context", "RequestContext", "ToolContext", "CurrentContext"),
        *("Depends", "Progress", "Request", "ServerSession"),
    )
)
_WRAPPERS = frozenset({"Annotated", "Optional", "Union"})
_BOUNDS = {
    "ge": "minimum",
    "le": "maximum",
    "gt": "exclusiveMinimum",
    "lt": "exclusiveMaximum",
    "min_length": "minLength",
    "max_length": "maxLength",
    "pattern": "pattern",
    "description": "description",
    "title": "title",
}


def arguments_schema(module: Module, function: Function) -> Schema:
    """The schema of the arguments that a client gives to a function."""
    properties: Schema = {}
    required = []
    for argument, default in _arguments(function):
        if _is_injected(argument.annotation, default):
            continue
        schema, is_needed = _field(module, argument.annotation, default, 0)
        properties[argument.arg] = schema
        if is_needed:
            required.append(argument.arg)
    return _object(properties, required)


def prompt_arguments(module: Module, function: Function) -> list[Schema]:
    """The arguments of a prompt in the form of the protocol."""
    schema = arguments_schema(module, function)
    required = schema.get("required", [])
    return [
        {"name": name}
        | ({"description": of["description"]} if of.get("description") else {})
        | {"required": name in required}
        for name, of in schema["properties"].items()
    ]


def class_schema(module: Module, name: str, depth: int = 0) -> Schema:
    """The schema of a class of the package with annotated fields; `{}` for others."""
    module = module.home_of(name)
    found = module.classes.get(name)
    if found is None or not module.may_go_on(depth):
        return {}
    bases = {ast_name(base) for base in found.bases}
    if bases & _ENUMS:
        members = [
            module.value(s.value) for s in found.body if isinstance(s, ast.Assign)
        ]
        return {"enum": [m for m in members if isinstance(m, str | int)]}
    decorators = {ast_name(decorator) for decorator in found.decorator_list}
    if not bases & _MODELS and "dataclass" not in decorators:
        return {}
    properties: Schema = {}
    required = []
    for statement in found.body:
        if isinstance(statement, ast.AnnAssign) and isinstance(
            statement.target, ast.Name
        ):
            schema, is_needed = _field(
                module, statement.annotation, statement.value, depth + 1
            )
            properties[statement.target.id] = schema
            if is_needed:
                required.append(statement.target.id)
    return _object(properties, required)


def ast_name(node: ast.expr) -> str:
    """The last part of a name, also of one that is called or subscripted."""
    while isinstance(node, ast.Call | ast.Subscript):
        node = node.func if isinstance(node, ast.Call) else node.value
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _arguments(function: Function) -> Iterator[tuple[ast.arg, ast.expr | None]]:
    """Arguments with their defaults, without `self` and `cls`."""
    told = function.args
    plain = [*told.posonlyargs, *told.args]
    defaults = [None] * (len(plain) - len(told.defaults)) + told.defaults
    pairs = [*zip(plain, defaults, strict=True)]
    pairs += zip(told.kwonlyargs, told.kw_defaults, strict=True)
    for place, (argument, default) in enumerate(pairs):
        if place > 0 or argument.arg not in {"self", "cls"}:
            yield argument, default


def _is_injected(annotation: ast.expr | None, default: ast.expr | None) -> bool:
    parts = [annotation, default]
    if isinstance(annotation, ast.BinOp):
        parts += _sides(annotation)
    elif isinstance(annotation, ast.Subscript) and ast_name(annotation) in _WRAPPERS:
        inner = annotation.slice
        parts += inner.elts if isinstance(inner, ast.Tuple) else [inner]
    names = {ast_name(part) for part in parts if part is not None}
    if isinstance(annotation, ast.Constant):
        words = str(annotation.value).replace("|", " ").replace("[", " ").split()
        names.update(word.rpartition(".")[2] for word in words)
    return bool(names & _INJECTED)


def _field(
    module: Module, annotation: ast.expr | None, default: ast.expr | None, depth: int
) -> tuple[Schema, bool]:
    """The schema of a field, and whether it has to be given."""
    schema = _schema(module, annotation, depth)
    if isinstance(default, ast.Call) and ast_name(default) == "Field":
        given = keywords(default)
        schema = schema | _bounds(module, given)
        default = default.args[0] if default.args else given.get("default")
        if default is None and "default_factory" in given:
            return schema, False
    is_needed = default is None or _is_ellipsis(default)
    value = module.value(default)
    if not is_needed and not isinstance(value, Unknown):
        schema = schema | {"default": known(value)}
    return schema, is_needed


def _is_ellipsis(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is Ellipsis


def _bounds(module: Module, given: dict[str, ast.expr]) -> Schema:
    values = {
        to: module.value(given[name]) for name, to in _BOUNDS.items() if name in given
    }
    return {
        key: value for key, value in values.items() if not isinstance(value, Unknown)
    }


def _schema(module: Module, node: ast.expr | None, depth: int) -> Schema:
    """The schema of an annotation."""
    if node is None or not module.may_go_on(depth):
        return {}
    if isinstance(node, ast.Constant):
        return _quoted(module, node, depth)
    if isinstance(node, ast.BinOp):
        return _union(module, _sides(node), depth)
    if isinstance(node, ast.Subscript):
        return _subscript(module, node, depth)
    return _named(module, ast_name(node), depth)


def _named(module: Module, name: str, depth: int) -> Schema:
    """The schema of a type by its name."""
    if name in _TYPES:
        return {"type": _TYPES[name]}
    if name in _FORMATS:
        return {"type": "string", "format": _FORMATS[name]}
    home = module.home_of(name)
    alias = home.values.get(name)
    if isinstance(alias, ast.Subscript | ast.BinOp):
        return _schema(home, alias, depth + 1)
    return class_schema(module, name, depth + 1)


def _quoted(module: Module, node: ast.Constant, depth: int) -> Schema:
    """An annotation in quotes, or None."""
    if node.value is None:
        return {"type": "null"}
    if not isinstance(node.value, str):
        return {}
    try:
        inner = ast.parse(node.value, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    return _schema(module, inner, depth + 1)


def _sides(node: ast.expr) -> list[ast.expr]:
    """The sides of `a | b | c`."""
    found: list[ast.expr] = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        found.append(node.right)
        node = node.left
    return [node, *reversed(found)]


def _union(module: Module, sides: list[ast.expr], depth: int) -> Schema:
    schemas = [_schema(module, side, depth + 1) for side in sides]
    if {} in schemas:
        return {}
    return {"anyOf": schemas}


def _subscript(module: Module, node: ast.Subscript, depth: int) -> Schema:
    """The schema of `list[str]`, `Optional[int]`, `Literal["a"]` and the like."""
    name = ast_name(node.value)
    inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if name in {"Optional", "Union"}:
        absent = [ast.Constant(None)] if name == "Optional" else []
        return _union(module, [*inner, *absent], depth)
    if name == "Literal":
        values = [module.value(item) for item in inner]
        return {"enum": [v for v in values if not isinstance(v, Unknown)]}
    if name == "Annotated" and inner:
        return _annotated(module, inner, depth)
    schema = _named(module, name, depth)
    if schema == {"type": "array"} and inner:
        items = _schema(module, inner[0], depth + 1)
        return schema | ({"items": items} if items else {})
    return schema


def _annotated(module: Module, inner: list[ast.expr], depth: int) -> Schema:
    """The schema of the type, with what its notes say of it."""
    schema = _schema(module, inner[0], depth + 1)
    for note in inner[1:]:
        if isinstance(note, ast.Call):
            schema = schema | _bounds(module, keywords(note))
        elif text := module.text(note):
            schema = schema | {"description": text}
    return schema


def _object(properties: Schema, required: list[str]) -> Schema:
    schema: Schema = {"type": "object", "properties": properties}
    return schema | ({"required": required} if required else {})
