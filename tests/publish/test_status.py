"""Active, deprecated, deleted: every change, its times, and the latest version."""

from collections.abc import Awaitable, Callable

import httpx
import pytest

from service.models_registry import OFFICIAL
from service.store.postgres import PostgresStore
from tests.publish.conftest import (
    NAME,
    Object,
    Publish,
    official,
    path_of,
    places,
)
from tests.registry.conftest import item, load, serial_of

STATUSES = ("active", "deprecated", "deleted")
Change = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture
def change(client: httpx.AsyncClient, admin: dict[str, str]) -> Change:
    """Changes the status of a version, or of all."""

    async def send(
        status: str, message: str | None = None, version: str = "1.0.0"
    ) -> httpx.Response:
        body = {"status": status}
        if message is not None:
            body["statusMessage"] = message
        url = f"/v0{path_of(version=version, end='/status')}"
        return await client.patch(url, json=body, headers=admin)

    return send


async def test_every_status_can_become_any_other(
    client: httpx.AsyncClient, publish: Publish, change: Change
) -> None:
    await publish()
    at = "active"
    for after in ("deprecated", "deleted", "active", "deleted", "deprecated", "active"):
        path = path_of(version="1.0.0")
        first = official(await client.get(f"/v0{path}?include_deleted=true"))
        assert first["status"] == at
        message = None if after == "active" else f"from {at}"
        answer = await change(after, message)
        said = official(answer)
        assert said["status"] == after
        assert said.get("statusMessage") == message
        assert said["publishedAt"] == first["publishedAt"]
        assert said["statusChangedAt"] == said["updatedAt"] > first["statusChangedAt"]
        assert said["isLatest"] is True
        stored = await client.get(f"/v0{path}?include_deleted=true")
        assert stored.json() == answer.json()
        shown = await client.get(f"/v0{path}")
        assert shown.status_code == (404 if after == "deleted" else 200)
        at = after


async def test_a_new_message_moves_only_the_time_of_the_change(
    publish: Publish, change: Change
) -> None:
    await publish()
    first = official(await change("deprecated", "one"))
    second = official(await change("deprecated", "two"))
    assert second["statusMessage"] == "two"
    assert second["statusChangedAt"] == first["statusChangedAt"]
    assert second["updatedAt"] > first["updatedAt"]


@pytest.mark.parametrize(
    ("given", "again"),
    [
        (("active",), ("active",)),
        (("deprecated", "why"), ("deprecated", "why")),
        (("deprecated",), ("deprecated", "")),
        (("deleted",), ("deleted",)),
    ],
)
async def test_what_would_change_nothing_is_refused(
    client: httpx.AsyncClient,
    publish: Publish,
    change: Change,
    given: tuple[str, ...],
    again: tuple[str, ...],
) -> None:
    await publish()
    await change(*given)
    before = await serial_of(client)
    answer = await change(*again)
    assert (answer.status_code, places(answer)) == (400, ["body.status"])
    answer = await change(*again, version="")
    assert (answer.status_code, places(answer)) == (400, ["body.status"])
    assert await serial_of(client) == before


async def test_latest_is_no_version_to_change(publish: Publish, change: Change) -> None:
    await publish()
    answer = await change("deprecated", version="latest")
    assert answer.status_code == 404
    assert "latest" in answer.json()["detail"]


@pytest.mark.parametrize("version", ["1.0.0", ""])
async def test_a_body_that_does_not_fit_is_refused(
    client: httpx.AsyncClient, publish: Publish, admin: dict[str, str], version: str
) -> None:
    await publish()
    before = await serial_of(client)
    url = f"/v0{path_of(version=version, end='/status')}"
    for body, status, place in (
        ({}, 422, "body.status"),
        ([], 422, "body"),
        ({"status": "gone"}, 422, "body.status"),
        ({"status": "deleted", "statusMessage": "x" * 501}, 422, "body.statusMessage"),
        ({"status": "deleted", "statusMessage": 5}, 422, "body.statusMessage"),
        ({"status": "deleted", "reason": "x"}, 422, "body.reason"),
        ({"status": "active", "statusMessage": "x"}, 400, "body.statusMessage"),
    ):
        answer = await client.patch(url, json=body, headers=admin)
        assert (answer.status_code, places(answer)) == (status, [place]), body
    answer = await client.patch(url, json={"status": "gone"}, headers=admin)
    wanted = "expected one of active, deleted, deprecated"
    assert answer.json()["detail"] == f"body.status: {wanted}"
    assert await serial_of(client) == before
    body = {"status": "deleted", "statusMessage": "ä" * 500}
    assert (await client.patch(url, json=body, headers=admin)).status_code == 200


async def test_only_what_is_there_has_a_status(
    client: httpx.AsyncClient, publish: Publish, change: Change, admin: dict[str, str]
) -> None:
    assert (await change("deleted")).status_code == 404
    assert (await change("deleted", version="")).status_code == 404
    await publish()
    assert (await change("deleted", version="2.0.0")).status_code == 404
    body = {"name": "bare", "primary_url": "https://a.example", "registry_name": "a/b"}
    assert (await client.post("/servers", json=body, headers=admin)).status_code == 201
    url = f"/v0{path_of('a/b', end='/status')}"
    answer = await client.patch(url, json={"status": "deleted"}, headers=admin)
    assert answer.status_code == 404


async def latest(client: httpx.AsyncClient) -> str:
    url = f"/v0{path_of(version='latest')}?include_deleted=true"
    body: Object = (await client.get(url)).json()
    assert body["_meta"][OFFICIAL]["isLatest"] is True
    version: str = body["server"]["version"]
    return version


async def test_the_latest_version_is_the_highest_that_is_not_deleted(
    client: httpx.AsyncClient, publish: Publish, change: Change
) -> None:
    for version in ("1.0.0", "2.0.0", "3.0.0"):
        await publish(version=version, title=f"The {version}")
    lost = official(await change("deleted", version="3.0.0"))
    assert lost["isLatest"] is False
    assert await latest(client) == "2.0.0"
    (server,) = (await client.get("/servers")).json()
    assert (server["title"], server["latest_version"]) == ("The 2.0.0", "2.0.0")
    await change("deprecated", version="2.0.0")
    assert await latest(client) == "2.0.0", "deprecated is still there"
    await change("deleted", version="2.0.0")
    await change("deleted", version="1.0.0")
    assert await latest(client) == "3.0.0", "all are deleted: the highest of them"
    gone = await client.get(f"/v0{path_of(version='latest')}")
    assert gone.status_code == 404
    await change("active", version="1.0.0")
    assert await latest(client) == "1.0.0"
    back = official(await change("active", version="3.0.0"))
    assert back["isLatest"] is True
    assert await latest(client) == "3.0.0"


@pytest.mark.parametrize("prefix", ["/v0", "/v0.1"])
async def test_all_versions_change_in_one_step(
    client: httpx.AsyncClient, publish: Publish, admin: dict[str, str], prefix: str
) -> None:
    for version in ("1.0.0", "2.0.0", "3.0.0"):
        await publish(version=version)
    await publish(name="io.example.other/forecast")
    url = f"{prefix}{path_of(end='/status')}"
    one = f"{prefix}{path_of(version='2.0.0', end='/status')}"
    body = {"status": "deprecated", "statusMessage": "moved"}
    await client.patch(one, json=body, headers=admin)
    before = await serial_of(client)
    answer = await client.patch(url, json=body, headers=admin)
    assert answer.status_code == 200
    found = answer.json()
    assert found["updatedCount"] == len(found["servers"]) == 2, "one was so already"
    versions = [entry["server"]["version"] for entry in found["servers"]]
    assert versions == ["3.0.0", "1.0.0"], "the newest first"
    page = (await client.get(f"{prefix}{path_of()}/versions")).json()["servers"]
    assert {entry["_meta"][OFFICIAL]["statusMessage"] for entry in page} == {"moved"}
    assert [e for e in page if e["server"]["version"] != "2.0.0"] == found["servers"]
    assert await serial_of(client) == before + 1
    other = official(
        await client.get(f"/v0{path_of('io.example.other/forecast', 'latest')}")
    )
    assert other["status"] == "active"


async def test_all_versions_change_in_bounded_time(
    client: httpx.AsyncClient, admin: dict[str, str], store: PostgresStore
) -> None:
    await load(store, *(item(NAME, f"1.0.{at}") for at in range(2000)))
    url = f"/v0{path_of(end='/status')}"
    answer = await client.patch(url, json={"status": "deleted"}, headers=admin)
    assert answer.status_code == 200
    assert answer.json()["updatedCount"] == 2000
    assert await latest(client) == "1.0.1999"
