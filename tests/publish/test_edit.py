"""Edits of a version: what may change, and what stays."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import httpx
import pytest

from tests.publish.conftest import (
    NAME,
    Publish,
    document,
    official,
    path_of,
    places,
    remote,
)
from tests.registry.conftest import serial_of

Edit = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture
def edit(client: httpx.AsyncClient, admin: dict[str, str]) -> Edit:
    """Puts a document without fault, but for the changes, in a version's place."""

    async def send(
        name: str = NAME, version: str = "1.0.0", prefix: str = "/v0", **changes: Any
    ) -> httpx.Response:
        url = prefix + path_of(name, version)
        body = document(**{"name": name, "version": version, **changes})
        return await client.put(url, json=body, headers=admin)

    return send


@pytest.mark.parametrize("prefix", ["/v0", "/v0.1"])
async def test_an_edit_changes_the_document_and_its_time(
    client: httpx.AsyncClient, publish: Publish, edit: Edit, prefix: str
) -> None:
    first = official(await publish(title="One"))
    answer = await edit(prefix=prefix, title="Two", description="Changed")
    second = official(answer)
    assert answer.json()["server"]["title"] == "Two"
    assert second["publishedAt"] == first["publishedAt"]
    assert second["statusChangedAt"] == first["statusChangedAt"]
    assert datetime.fromisoformat(second["updatedAt"]) > datetime.fromisoformat(
        first["updatedAt"]
    )
    stored = await client.get(f"/v0{path_of(version='latest')}")
    assert stored.json() == answer.json()
    (server,) = (await client.get("/servers")).json()
    assert (server["title"], server["description"]) == ("Two", "Changed")


async def test_an_edit_of_an_older_version_leaves_what_the_server_shows(
    client: httpx.AsyncClient, publish: Publish, edit: Edit
) -> None:
    await publish(title="One")
    await publish(version="2.0.0", title="Two")
    assert (await edit(title="Changed")).status_code == 200
    (server,) = (await client.get("/servers")).json()
    assert server["title"] == "Two"
    latest = (await client.get(f"/v0{path_of(version='latest')}")).json()
    assert latest["server"]["version"] == "2.0.0"


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"body_name": "io.example.other/forecast"}, ["body.name"]),
        ({"body_version": "2.0.0"}, ["body.version"]),
    ],
)
async def test_name_and_version_stay(
    client: httpx.AsyncClient,
    publish: Publish,
    admin: dict[str, str],
    changes: dict[str, str],
    where: list[str],
) -> None:
    await publish()
    before = await serial_of(client)
    body = document(**{key.removeprefix("body_"): v for key, v in changes.items()})
    url = f"/v0{path_of(version='1.0.0')}"
    answer = await client.put(url, json=body, headers=admin)
    assert (answer.status_code, places(answer)) == (400, where)
    assert await serial_of(client) == before


async def test_only_what_is_there_can_be_edited(
    client: httpx.AsyncClient, publish: Publish, edit: Edit, admin: dict[str, str]
) -> None:
    assert (await edit()).status_code == 404
    await publish()
    assert (await edit(version="2.0.0")).status_code == 404
    url = f"/v0{path_of(version='1.0.0', end='/status')}"
    await client.patch(url, json={"status": "deleted"}, headers=admin)
    before = await serial_of(client)
    answer = await edit()
    assert answer.status_code == 404
    assert "restore" in answer.json()["detail"]
    assert await serial_of(client) == before


async def test_an_edit_keeps_all_rules_of_publishing(
    client: httpx.AsyncClient, publish: Publish, edit: Edit
) -> None:
    await publish(remotes=remote())
    await publish(name="io.example.other/forecast")
    before = await serial_of(client)
    answer = await edit(name="io.example.other/forecast", remotes=remote())
    assert (answer.status_code, places(answer)) == (400, ["body.remotes"])
    answer = await edit(description="", title=" ")
    assert answer.status_code == 422
    assert places(answer) == ["body.description", "body.title"]
    assert await serial_of(client) == before
    assert (await edit(remotes=remote())).status_code == 200, "its own URL is free"


async def test_an_edit_takes_urls_and_lets_them_go(
    publish: Publish, edit: Edit
) -> None:
    other = "io.example.other/forecast"
    first, second = (remote(f"https://{at}.example/mcp") for at in ("a", "b"))
    await publish(remotes=first)
    assert (await publish(name=other, remotes=second)).status_code == 200
    assert (await edit(remotes=second)).status_code == 400
    assert (await edit(name=other, title="None")).status_code == 200
    assert (await edit(remotes=second)).status_code == 200
    assert (await edit(name=other, remotes=first)).status_code == 200
    assert (await edit(remotes=first)).status_code == 400


async def test_a_version_with_a_slash_and_a_plus_can_be_edited(
    publish: Publish, edit: Edit
) -> None:
    version = "1.0.0+b/1"
    assert (await publish(version=version)).status_code == 200
    assert (await edit(version=version, title="Two")).status_code == 200
