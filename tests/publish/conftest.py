"""Documents without fault, and what publishes them."""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

import httpx
import msgspec
import pytest

from service.models_registry import OFFICIAL
from service.permissions import Permission
from service.settings import Settings
from service.tokens import Tokens

Object = dict[str, Any]
Publish = Callable[..., Awaitable[httpx.Response]]

SCHEMA = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"
TOKEN_KEY = "0123456789abcdef" * 4
NAME = "io.example.weather/forecast"


def document(**changes: object) -> Object:
    """A document without fault, with some fields replaced or, by None, left out."""
    whole: Object = {
        "$schema": SCHEMA,
        "name": NAME,
        "description": "Weather of the next days",
        "version": "1.0.0",
    }
    whole |= changes
    return {key: value for key, value in whole.items() if value is not None}


def remote(url: str = "https://weather.example/mcp") -> list[Object]:
    """Remotes with one that is reached at a URL."""
    return [{"type": "streamable-http", "url": url}]


def path_of(name: str = NAME, version: str = "", end: str = "") -> str:
    """The path below a prefix of all versions, of one, or of something of it."""
    path = f"/servers/{quote(name, safe='')}"
    if version:
        path += f"/versions/{quote(version, safe='')}"
    return path + end


def official(answer: httpx.Response) -> Object:
    """What the registry says of the version in an answer."""
    assert answer.status_code == 200, answer.text
    block: Object = answer.json()["_meta"][OFFICIAL]
    return block


def places(answer: httpx.Response) -> list[str]:
    """Where a request is wrong."""
    return [problem["location"] for problem in answer.json()["errors"]]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """With a key for registry tokens, so that tests can make their own."""
    return msgspec.structs.replace(settings, registry_token_key=TOKEN_KEY)


def bearer(settings: Settings, *permissions: tuple[str, str]) -> dict[str, str]:
    """Headers with a registry token for these actions on these patterns."""
    allowed = [Permission(*permission) for permission in permissions]
    token = Tokens(settings).issue("test", "someone", allowed)
    return {"Authorization": f"Bearer {token.registry_token}"}


@pytest.fixture
def publish(client: httpx.AsyncClient, admin: dict[str, str]) -> Publish:
    """Publishes a document without fault, but for the changes."""

    async def send(prefix: str = "/v0", **changes: object) -> httpx.Response:
        url = f"{prefix}/publish"
        return await client.post(url, json=document(**changes), headers=admin)

    return send
