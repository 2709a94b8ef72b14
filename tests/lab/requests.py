"""Requests made up from the OpenAPI document: mostly legal, often just not.

Every value follows the schema of its parameter or breaks it in one way; the seed makes
a run repeatable.
"""

import random
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

Schema = dict[str, Any]

_WORDS = ("", "a", "static", "0", "-1", "null", "true", "é", "𝕏", "%", "'", '"', "\\")
_WILD = (
    "../..",
    "1e3",
    "9" * 30,
    "' or 1=1 --",
    "a" * 300,
    "\u202e",
    "\x7f",
    "٣",
    "2031-01-01T00:00:00Z",
    "[]",
    "{}",
)
_NUMBERS = (0, 1, -1, 2, 100, 101, 2**31, 2**63, -(2**63), 1.5, 1e300)


class Made(msgspec.Struct, frozen=True):
    """One request, and the operation that it is for."""

    method: str
    path: str
    template: str
    operation: Schema
    body: Any = msgspec.UNSET
    headers: dict[str, str] = {}


class Maker:
    """Makes requests for every operation of a document."""

    def __init__(
        self, document: Schema, seed: int, known: dict[str, list[str]]
    ) -> None:
        """`known` are values of path parameters that lead to something."""
        self._document = document
        self._chance = random.Random(seed)
        self._known = known

    def requests(self, count: int, headers: dict[str, str]) -> Iterator[Made]:
        """So many requests, spread over all operations."""
        operations = [
            (template, method, operation)
            for template, methods in self._document["paths"].items()
            for method, operation in methods.items()
        ]
        for number in range(count):
            template, method, operation = operations[number % len(operations)]
            yield self._request(template, method, operation, headers)

    def _request(
        self, template: str, method: str, operation: Schema, headers: dict[str, str]
    ) -> Made:
        path, query = template, []
        for parameter in operation.get("parameters", []):
            name, place = parameter["name"], parameter["in"]
            if place == "path":
                path = path.replace(f"{{{name}}}", self._segment(name))
            elif place == "query" and (
                parameter.get("required") or self._chance.random() < 0.4
            ):
                query.append((name, self._text(parameter["schema"])))
        if query and self._chance.random() < 0.03:
            query.append(self._chance.choice(query))
        body: Any = msgspec.UNSET
        if content := operation.get("requestBody", {}).get("content"):
            body = self._value(content["application/json"]["schema"], 0)
        if self._chance.random() < 0.05:
            headers = {}
        full = path + (f"?{urlencode(query, quote_via=quote)}" if query else "")
        return Made(method.upper(), full, template, operation, body, headers)

    def _segment(self, name: str) -> str:
        chosen = self._known.get(name, [])
        if chosen and self._chance.random() < 0.7:
            return quote(self._chance.choice(chosen), safe="")
        return quote(self._chance.choice(_WORDS + _WILD) or "x", safe="")

    def _text(self, schema: Schema) -> str:
        if self._chance.random() < 0.15:
            return self._chance.choice(_WORDS + _WILD)
        value = self._value(schema, 0)
        return value if isinstance(value, str) else msgspec.json.encode(value).decode()

    def _value(self, schema: Schema, depth: int) -> Any:
        if self._chance.random() < 0.04:
            return self._chance.choice((None, "x", 7, [], {}, True, [[]], "\0"))
        if name := schema.get("$ref"):
            found = self._document["components"]["schemas"][name.rsplit("/", 1)[-1]]
            return self._value(found, depth)
        if "enum" in schema:
            return self._chance.choice(schema["enum"])
        if "anyOf" in schema:
            return self._value(self._chance.choice(schema["anyOf"]), depth)
        kinds: dict[str, Callable[[Schema, int], Any]] = {
            "object": self._object,
            "array": self._array,
            "boolean": lambda _schema, _depth: self._chance.random() < 0.5,
            "integer": self._number,
            "number": self._number,
            "null": lambda _schema, _depth: None,
        }
        return kinds.get(schema.get("type", ""), self._string)(schema, depth)

    def _array(self, schema: Schema, depth: int) -> list[Any]:
        count = self._chance.choice((0, 1, 3)) if depth < 4 else 0
        return [self._value(schema.get("items", {}), depth + 1)] * count

    def _object(self, schema: Schema, depth: int) -> dict[str, Any]:
        required = schema.get("required", [])
        found = {
            name: self._value(part, depth + 1)
            for name, part in schema.get("properties", {}).items()
            if name in required or self._chance.random() < 0.3
        }
        if self._chance.random() < 0.03:
            found["unknown"] = 1
        return found

    def _number(self, schema: Schema, _depth: int) -> Any:
        if self._chance.random() < 0.2:
            return self._chance.choice(_NUMBERS)
        low = schema.get("minimum", 0)
        high = min(schema.get("maximum", 1000), low + 1000)
        if schema["type"] == "integer":
            return self._chance.randint(int(low), int(high))
        return self._chance.uniform(low, high)

    def _string(self, schema: Schema, _depth: int) -> str:
        if schema.get("format") == "date-time":
            return self._chance.choice(("2026-01-31T12:00:00Z", "2026-13-01"))
        text = self._chance.choice(_WORDS + _WILD)
        unique = f"{text}{self._chance.randrange(10**6)}"
        return self._chance.choice((text, unique, f"https://fuzz.test/{unique}"))
