"""What expressions of JavaScript write out: texts, lists, objects and zod schemas.

Names lead to the nearest `const` before them in the same file; one that is imported to
the only one in the package. What would have to be run is UNKNOWN.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from service.sources.javascript_tokens import Script
from service.sources.values import UNKNOWN, Unknown, known

Schema = dict[str, Any]

DEEPEST = 12
MOST_STEPS = 200_000
_DECLARED = frozenset({"const", "let", "var"})
_ENDS = frozenset({",", ";", ")", "]", "}", ""})
_WORDS = {"true": True, "false": False, "null": None}
_ZOD = frozenset({"z", "zod", "z3", "z4"})
_ZOD_TYPES: dict[str, Schema] = {
    "string": {"type": "string"},
    "number": {"type": "number"},
    "int": {"type": "integer"},
    "boolean": {"type": "boolean"},
    "date": {"type": "string", "format": "date-time"},
    "url": {"type": "string", "format": "uri"},
    "email": {"type": "string", "format": "email"},
    "uuid": {"type": "string", "format": "uuid"},
    "null": {"type": "null"},
    "record": {"type": "object"},
}


class Shape(NamedTuple):
    """A zod schema."""

    schema: Schema
    is_optional: bool = False


class Values:
    """Reads the expressions of one file."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._steps_left = MOST_STEPS
        self._elsewhere: Mapping[str, Values] = {}
        self.declared = _declarations(script)
        self._imported = _imported(script)

    def link(self, elsewhere: "Mapping[str, Values]") -> None:
        """Let names that this file imports lead to other files."""
        self._elsewhere = elsewhere

    def read(self, place: int, depth: int = 0) -> tuple[Any, int]:
        """The value of the expression at a place, and the place behind it."""
        self._steps_left -= 1
        if depth > DEEPEST or self._steps_left <= 0:
            return UNKNOWN, self.end(place)
        value, place = self._operand(place, depth)
        while self._script.says(place) == "+":
            other, place = self._operand(place + 1, depth)
            is_text = isinstance(value, str) and isinstance(other, str)
            value = value + other if is_text else UNKNOWN
        if self._script.says(place) in {"as", "satisfies"}:
            return value, self.end(place)
        if self._is_more(place):
            return UNKNOWN, self.end(place)
        return value, place

    def arguments(self, opened: int, depth: int = 0) -> list[Any]:
        """The values between the bracket at a place and its partner."""
        end = self._script.partners.get(opened, opened)
        values = []
        place = opened + 1
        while place < end and self._steps_left > 0:
            value, place = self.read(place, depth + 1)
            values.append(value)
            place = self.end(place) + 1
        return values

    def end(self, place: int) -> int:
        """Where the expression at a place ends: at a comma or a closing bracket."""
        while self._script.says(place) not in _ENDS or self._is_text(place):
            self._steps_left -= 1
            if self._steps_left <= 0:
                break
            place = self._script.partners.get(place, place) + 1
        return place

    def _is_text(self, place: int) -> bool:
        tokens = self._script.tokens
        return place < len(tokens) and tokens[place].kind not in {"name", "sign"}

    def _is_more(self, place: int) -> bool:
        """Whether an operator follows, so that the value is not the whole."""
        token = self._script.tokens[place] if place < len(self._script.tokens) else None
        return bool(token and token.kind == "sign" and token.text not in _ENDS)

    def _operand(self, place: int, depth: int) -> tuple[Any, int]:
        if place >= len(self._script.tokens):
            return UNKNOWN, place
        kind, text, _ = self._script.tokens[place]
        if kind in {"text", "template"}:
            return self._members(text, place + 1, depth)
        if kind == "name":
            return self._name(text, place, depth)
        if kind == "sign":
            return self._bracketed(text, place, depth)
        return _number(text), place + 1

    def _bracketed(self, sign: str, place: int, depth: int) -> tuple[Any, int]:
        if sign == "{":
            return self._object(place, depth)
        if sign == "[":
            value, behind = self._list(place, depth)
            return self._members(value, behind, depth)
        if sign == "(":
            value, _ = self.read(place + 1, depth + 1)
            return value, self._script.partners.get(place, place) + 1
        return UNKNOWN, place + 1

    def _name(self, text: str, place: int, depth: int) -> tuple[Any, int]:
        if text in _WORDS:
            return _WORDS[text], place + 1
        following = self._script.says(place + 1)
        if text in _ZOD and following == ".":
            return self._chain(Shape({}), place + 1, depth)
        if text == "new" and following == "ResourceTemplate":
            return self._first_argument(place + 2, depth), self.end(place)
        if following in {"=>", "("} or text in {"async", "function", "new", "await"}:
            return UNKNOWN, self.end(place)
        return self._members(self._behind(text, place, depth), place + 1, depth)

    def _first_argument(self, opened: int, depth: int) -> Any:  # noqa: ANN401
        is_call = self._script.says(opened) == "("
        given = self.arguments(opened, depth) if is_call else []
        return given[0] if given else UNKNOWN

    def _behind(self, name: str, place: int, depth: int) -> Any:  # noqa: ANN401
        """The value of a name, by its nearest declaration above."""
        starts = self.declared.get(name, [])
        if starts:
            nearest = bisect_right(starts, place) - 1
            return self.read(starts[max(nearest, 0)], depth + 1)[0]
        other = self._elsewhere.get(name) if name in self._imported else None
        if other is None:
            return UNKNOWN
        return other.read(other.declared[name][0], depth + 1)[0]

    def _members(self, value: Any, place: int, depth: int) -> tuple[Any, int]:  # noqa: ANN401
        """The value of `.a`, `.shape`, `.trim()` and `.join(" ")` of a value."""
        while self._script.says(place) in {".", "?."}:
            if isinstance(value, Shape):
                return self._chain(value, place, depth)
            name = self._script.says(place + 1)
            place += 2
            given: list[Any] | None = None
            if self._script.says(place) == "(":
                given = self.arguments(place, depth)
                place = self._script.partners.get(place, place) + 1
            value = _member(value, name, given)
        return value, place

    def _object(self, opened: int, depth: int) -> tuple[Any, int]:
        end = self._script.partners.get(opened, opened)
        found: dict[str, Any] = {}
        place = opened + 1
        while place < end and self._steps_left > 0:
            self._steps_left -= 1
            place = self._property(found, place, depth)
            place = self.end(place) + 1
        return found, end + 1

    def _property(self, found: dict[str, Any], place: int, depth: int) -> int:
        """Read one property into what was found; gives the place behind it."""
        script = self._script
        text, following = script.tokens[place].text, script.says(place + 1)
        if script.says(place) == "...":
            value, place = self.read(place + 1, depth + 1)
            found |= value if isinstance(value, dict) else {}
            return place
        if following == ":" and script.says(place) != "[":
            found[text], place = self.read(place + 2, depth + 1)
            return place
        if following in {",", "}"} and script.tokens[place].kind == "name":
            found[text] = self._behind(text, place, depth)
        elif following == "(":
            found[text] = UNKNOWN
        return place

    def _list(self, opened: int, depth: int) -> tuple[list[Any], int]:
        end = self._script.partners.get(opened, opened)
        values = []
        place = opened + 1
        while place < end and self._steps_left > 0:
            value, place = self.read(place, depth + 1)
            values.append(value)
            place = self.end(place) + 1
        return values, end + 1

    def _chain(self, shape: Shape, place: int, depth: int) -> tuple[Any, int]:
        """A zod schema made by `.string().optional().describe("…")`."""
        script = self._script
        while script.says(place) == ".":
            name = script.says(place + 1)
            place += 2
            if name == "shape":
                properties = shape.schema.get("properties")
                return (_inner_shapes(shape) if properties else UNKNOWN), place
            given: list[Any] = []
            if script.says(place) == "(":
                given = self.arguments(place, depth)
                place = script.partners.get(place, place) + 1
            shape = _shaped(shape, name, given)
        return shape, place


def link(files: Sequence[Values]) -> None:
    """Let the names of a package lead from file to file, where only one has them."""
    owners: dict[str, list[Values]] = {}
    for values in files:
        for name in values.declared:
            owners.setdefault(name, []).append(values)
    alone = {name: found[0] for name, found in owners.items() if len(found) == 1}
    for values in files:
        values.link(alone)


def json_schema(value: Any) -> Schema | None:  # noqa: ANN401 - what was read
    """The JSON schema that a value is, or that zod makes of it; None for neither."""
    if isinstance(value, Shape):
        return value.schema
    if not isinstance(value, dict):
        return None
    if isinstance(value.get("type"), str) or "properties" in value:
        return {key: known(_plain(item)) for key, item in value.items()}
    return _object_schema(value)


def _object_schema(shapes: dict[str, Any]) -> Schema:
    properties = {
        name: shape.schema if isinstance(shape, Shape) else {}
        for name, shape in shapes.items()
    }
    required = [
        name
        for name, shape in shapes.items()
        if isinstance(shape, Shape) and not shape.is_optional
    ]
    schema: Schema = {"type": "object", "properties": properties}
    return schema | ({"required": required} if required else {})


def _inner_shapes(shape: Shape) -> dict[str, Shape]:
    required = shape.schema.get("required", [])
    properties = shape.schema["properties"]
    return {name: Shape(of, name not in required) for name, of in properties.items()}


def _shaped(shape: Shape, name: str, given: list[Any]) -> Shape:
    """The schema after one more step of its chain."""
    change = _STEPS.get(name)
    if change is not None:
        return change(shape, given)
    if name in _ZOD_TYPES and name != "int":
        return Shape(shape.schema | _ZOD_TYPES[name])
    if name == "int":
        return Shape(shape.schema | {"type": "integer"}, shape.is_optional)
    return shape


def _first(given: list[Any]) -> Any:  # noqa: ANN401 - an argument
    return given[0] if given else UNKNOWN


def _enum(shape: Shape, given: list[Any]) -> Shape:
    values = _first(given)
    plain = known(values) if isinstance(values, list) else []
    return Shape(shape.schema | {"enum": plain}) if plain else shape


def _array(shape: Shape, given: list[Any]) -> Shape:
    items = json_schema(_first(given))
    inner = {"items": items} if items else {}
    if not given and shape.schema:
        inner = {"items": shape.schema}
    return Shape({"type": "array"} | inner)


def _union(shape: Shape, given: list[Any]) -> Shape:
    sides = _first(given)
    if not isinstance(sides, list) or not sides:
        return shape
    schemas = [json_schema(side) or {} for side in sides]
    return Shape({} if {} in schemas else {"anyOf": schemas})


def _with(shape: Shape, key: str, value: Any) -> Shape:  # noqa: ANN401 - JSON
    if isinstance(value, Unknown | Shape):
        return shape
    return Shape(shape.schema | {key: known(_plain(value))}, shape.is_optional)


def _nullable(shape: Shape, _given: list[Any]) -> Shape:
    if not shape.schema:
        return shape
    return Shape({"anyOf": [shape.schema, {"type": "null"}]}, shape.is_optional)


def _object(shape: Shape, given: list[Any]) -> Shape:
    value = _first(given)
    if not isinstance(value, dict):
        return shape._replace(schema=shape.schema | {"type": "object"})
    before = _inner_shapes(shape) if "properties" in shape.schema else {}
    return Shape(_object_schema({**before, **value}))


_STEPS: dict[str, Callable[[Shape, list[Any]], Shape]] = {
    "optional": lambda shape, _: Shape(shape.schema, is_optional=True),
    "nullish": lambda shape, _: Shape(shape.schema, is_optional=True),
    "default": lambda shape, given: Shape(
        _with(shape, "default", _first(given)).schema, is_optional=True
    ),
    "describe": lambda shape, given: _with(shape, "description", _first(given)),
    "literal": lambda shape, given: _with(shape, "const", _first(given)),
    "nullable": _nullable,
    "enum": _enum,
    "array": _array,
    "union": _union,
    "object": _object,
    "strictObject": _object,
    "looseObject": _object,
    "extend": _object,
}


def _plain(value: Any) -> Any:  # noqa: ANN401 - what was read
    """The value with zod schemas as JSON schemas."""
    if isinstance(value, Shape):
        return value.schema
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _member(value: Any, name: str, given: list[Any] | None) -> Any:  # noqa: ANN401
    if given is None:
        return value.get(name, UNKNOWN) if isinstance(value, dict) else UNKNOWN
    if isinstance(value, str) and name in {"trim", "trimEnd", "trimStart"}:
        return value.strip()
    is_texts = isinstance(value, list) and all(isinstance(v, str) for v in value)
    between = _first(given) if given else ","
    if is_texts and name == "join" and isinstance(between, str):
        return between.join(value)
    return UNKNOWN


def _number(text: str) -> int | float | Unknown:
    try:
        return int(text) if text.isdigit() and len(text) < 16 else float(text)
    except ValueError:
        return UNKNOWN


def _declarations(script: Script) -> dict[str, list[int]]:
    """Where the values of names begin, such as behind `const name: Type =`."""
    found: dict[str, list[int]] = {}
    for place, token in enumerate(script.tokens):
        if token.kind != "name" or token.text not in _DECLARED:
            continue
        if script.says(place + 2) == "=":
            start = place + 3
        elif script.says(place + 2) == ":" and script.says(place + 4) == "=":
            start = place + 5
        else:
            continue
        found.setdefault(script.says(place + 1), []).append(start)
    return found


def _imported(script: Script) -> frozenset[str]:
    """Names between `import` and its module, or in `const { a, b } = require`."""
    found: set[str] = set()
    for place, token in enumerate(script.tokens):
        if token.kind != "name" or token.text not in {"import", *_DECLARED}:
            continue
        opened = place + 1
        if token.text == "import" and script.says(place + 2) == ",":
            opened = place + 3
        end = script.partners.get(opened, opened)
        is_require = script.says(end + 2) == "require"
        if script.says(opened) == "{" and (token.text == "import" or is_require):
            found.update(map(script.says, range(opened + 1, end)))
    return frozenset(found)
