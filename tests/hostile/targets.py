"""Everything that can be asked, taken from the routes of the application itself."""

import json
import re
from collections.abc import Iterator
from typing import Any, get_args, get_origin, get_type_hints
from urllib.parse import quote_from_bytes

import msgspec

from service.web.edge import Edge
from service.web.openapi import operations
from service.web.spec import Spec
from tests.conftest import ADMIN_KEY
from tests.hostile.asgi import Headers

ADMIN = (b"x-api-key", ADMIN_KEY.encode())
JSON = (b"content-type", b"application/json")
VECTOR = [0.5] * 1536
SCHEMA = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"

# A body that each kind of route takes; a route with another body has to be added here.
BODIES: dict[str, Any] = {
    "PruneStale": {"days": 9000, "dry_run": True},
    "BulkUpdate": {
        "filters": {"keyword": "k", "ids": [1]},
        "updates": {"license": "MIT", "keywords": ["k"]},
        "dry_run": True,
    },
    "ServerBody": {
        "name": "hostile",
        "primary_url": "https://example.org/hostile",
        "description": "d",
        "keywords": ["k"],
    },
    "ServerPatch": {"title": "t", "keywords": ["k"]},
    "VectorBody": {"vector": VECTOR, "limit": 1},
    "BatchBody": {"names": ["io.example/one"]},
    "ServerDocument": {
        "$schema": SCHEMA,
        "name": "io.example/one",
        "description": "d",
        "version": "1.0.0",
        "remotes": [{"type": "sse", "url": "https://hostile.example/sse"}],
    },
    "OidcBody": {"oidc_token": "eyJ0.eyJ0.eA"},
    "GithubBody": {"github_token": "t"},
    "ProofBody": {
        "domain": "hostile.example",
        "timestamp": "2026-01-01T00:00:00Z",
        "signed_timestamp": "00",
    },
    "StatusChange": {"status": "deprecated", "statusMessage": "m"},
    "RefreshBody": {"url": "https://mcp.example.org/"},
}


Header = tuple[bytes, bytes]


class Attack(msgspec.Struct, frozen=True):
    """One request as it goes out."""

    name: str
    method: str
    target: bytes
    headers: Headers
    body: bytes


class Target(msgspec.Struct, frozen=True):
    """One method of one route."""

    method: str
    template: str
    spec: Spec

    @property
    def name(self) -> str:
        """How the target is called in a table and in a failure."""
        return f"{self.method} {self.template}"

    @property
    def is_strict(self) -> bool:
        """Whether unknown and empty parameters are errors, unlike in the standard."""
        return self.spec.tag != "registry"

    @property
    def parameters(self) -> list[str]:
        """The names in the path."""
        return re.findall(r"\{(\w+)", self.template)

    @property
    def queries(self) -> dict[str, Any]:
        """The query parameters with their types."""
        return get_type_hints(self.spec.query)

    @property
    def body(self) -> bytes:
        """A body that the route takes; nothing for a route without one."""
        if self.spec.body is None:
            return b""
        return json.dumps(BODIES[self.spec.body.__name__]).encode()

    @property
    def headers(self) -> Headers:
        """What has to come with the body."""
        return [] if self.spec.body is None else [JSON]

    def attack(
        self,
        path: bytes | None = None,
        *,
        query: bytes = b"",
        headers: Headers = (),
        body: bytes | None = None,
        key: Header | None = ADMIN,
    ) -> "Attack":
        """A request to this route, proper where nothing else is said."""
        keys = [key] if key else []
        return Attack(
            name=self.name,
            method=self.method,
            target=(self.path() if path is None else path) + query,
            headers=[*keys, *self.headers, *headers],
            body=self.body if body is None else body,
        )

    def path(self, value: bytes = b"1", *, name: str = "") -> bytes:
        """The path with `value` in one parameter, or in all."""
        path = self.template
        for parameter in self.parameters:
            chosen = value if name in {"", parameter} else b"1"
            path = path.replace(f"{{{parameter}}}", escaped(chosen).decode())
        return path.encode()


def targets(app: Edge) -> list[Target]:
    """All of them."""
    return [
        Target(method=method.upper(), template=path, spec=spec)
        for path, method, _, spec in operations(app.app)
    ]


def escaped(value: bytes) -> bytes:
    """Any bytes as they have to stand in a URL."""
    return quote_from_bytes(value, safe="").encode()


def holds(hint: Any, kind: type) -> bool:
    """Whether a type hint has `kind` among its parts."""
    if get_origin(hint) is None:
        return hint is kind
    return any(holds(part, kind) for part in get_args(hint))


def with_everywhere(document: Any, value: Any) -> Iterator[Any]:
    """The document with `value` in the place of each of its parts, one at a time."""
    yield value
    if isinstance(document, dict):
        for name, part in document.items():
            for changed in with_everywhere(part, value):
                yield {**document, name: changed}
    elif isinstance(document, list):
        for place, part in enumerate(document[:3]):
            for changed in with_everywhere(part, value):
                yield [*document[:place], changed, *document[place + 1 :]]


def with_name_everywhere(document: Any, name: str) -> Iterator[Any]:
    """The document with one more member called `name`, in each of its objects."""
    if isinstance(document, dict):
        yield {**document, name: "x"}
        for key, part in document.items():
            for changed in with_name_everywhere(part, name):
                yield {**document, key: changed}


def nested(value: Any, depth: int) -> Any:
    """A value inside so many lists."""
    for _ in range(depth):
        value = [value]
    return value
