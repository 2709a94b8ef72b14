"""Logins of an application, and what their tokens allow."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
import jwt
import msgspec
import pytest

from service.app import create_app
from service.settings import Settings
from service.store.base import Store
from tests.publish.conftest import TOKEN_KEY, document

Open = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]
AUDIENCE = "mcps-catalog"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """With a key for registry tokens."""
    return msgspec.structs.replace(settings, registry_token_key=TOKEN_KEY)


@pytest.fixture
def opened(settings: Settings, store: Store) -> Open:
    """A client of an application with these settings, ready to ask others."""

    @asynccontextmanager
    async def start(**changes: Any) -> AsyncIterator[httpx.AsyncClient]:
        app = create_app(msgspec.structs.replace(settings, **changes), store)
        found = app.app.state.logins
        await found.open()
        transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
        try:
            async with httpx.AsyncClient(
                transport=transport, base_url="http://catalog.test"
            ) as client:
                yield client
        finally:
            await found.close()

    return start


def permissions(answer: httpx.Response) -> list[tuple[str, str]]:
    """What a token allows, which has to be there."""
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert set(body) == {"registry_token", "expires_at"}
    assert 290 < body["expires_at"] - time.time() <= 300
    claims = jwt.decode(body["registry_token"], options={"verify_signature": False})
    return [(p["action"], p["resource"]) for p in claims["permissions"]]


async def publishes(
    client: httpx.AsyncClient, answer: httpx.Response, name: str
) -> int:
    """The status of publishing that name with the token."""
    headers = {"Authorization": f"Bearer {answer.json()['registry_token']}"}
    body = document(name=name)
    return (await client.post("/v0/publish", json=body, headers=headers)).status_code
