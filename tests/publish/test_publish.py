"""New versions: what is stored, what is refused and why, and who is first."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from service import publishing
from service.models_registry import OFFICIAL
from service.store.postgres import PostgresStore
from tests.publish.conftest import (
    NAME,
    SCHEMA,
    Publish,
    document,
    official,
    path_of,
    places,
    remote,
)
from tests.registry.conftest import Item, load, serial_of
from tests.waiting import until

PUBLISHER = "io.modelcontextprotocol.registry/publisher-provided"


def latest_of(page: list[Item]) -> list[str]:
    """The versions of a page that are marked as the latest."""
    marked = [it for it in page if it["_meta"][OFFICIAL]["isLatest"]]
    return [it["server"]["version"] for it in marked]


@pytest.mark.parametrize("prefix", ["/v0", "/v0.1"])
async def test_a_published_version_is_stored_as_it_was_sent(
    client: httpx.AsyncClient, publish: Publish, prefix: str
) -> None:
    began_at = datetime.now(UTC)
    sent = document(title="Wetter – ☀", _meta={PUBLISHER: {"b": 1.5, "a": [None]}})
    answer = await publish(prefix, **sent)
    said = official(answer)
    assert list(answer.json()["server"].items()) == list(sent.items())
    assert said["status"] == "active"
    assert said["isLatest"] is True
    assert said["publishedAt"] == said["updatedAt"] == said["statusChangedAt"]
    assert abs(datetime.fromisoformat(said["publishedAt"]) - began_at).seconds < 60
    stored = await client.get(f"{prefix}{path_of(version='1.0.0')}")
    assert stored.json() == answer.json()


async def test_a_key_that_is_sent_twice_is_stored_once(
    client: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    """Or clients that take the first one would see another name."""
    text = json.dumps(document())
    twice = text.replace('"name":', '"name": "io.example.other/forecast", "name":')
    headers = {**admin, "Content-Type": "application/json"}
    answer = await client.post("/v0/publish", content=twice, headers=headers)
    assert answer.status_code == 200
    assert answer.text.count('"name"') == 1
    assert answer.json()["server"]["name"] == NAME


BROKEN: list[tuple[dict[str, Any], list[str]]] = [
    ({"$schema": None}, ["body.$schema"]),
    ({"name": "io.example.weather"}, ["body.name", "body.name"]),
    ({"name": 5}, ["body.name"]),
    ({"version": "^1.0.0"}, ["body.version"]),
    ({"version": ""}, ["body.version"]),
    ({"version": "1.0\n"}, ["body.version"]),
    ({"description": "d" * 101, "title": " "}, ["body.description", "body.title"]),
    (
        {"remotes": remote("http://localhost/mcp"), "websiteUrl": "ftp://x"},
        ["body.websiteUrl", "body.remotes[0].url"],
    ),
    (
        {"packages": [{"registryType": "npm", "identifier": "a b"}]},
        [
            "body.packages[0].transport",
            "body.packages[0].identifier",
            "body.packages[0].version",
        ],
    ),
    ({"_meta": {"com.example/own": {}}}, ["body._meta"]),
]


async def test_every_rule_that_is_broken_is_named_with_its_place(
    client: httpx.AsyncClient, publish: Publish
) -> None:
    before = await serial_of(client)
    for changes, where in BROKEN:
        answer = await publish(**changes)
        assert answer.status_code == 422, changes
        assert places(answer) == where
        assert answer.json()["code"] == "unprocessable"
        more = f" (and {len(where) - 1} more)" if len(where) > 1 else ""
        assert answer.json()["error"].startswith(f"{where[0]}: ")
        assert answer.json()["error"].endswith(more)
    assert await serial_of(client) == before


async def test_the_declared_schema_counts_as_well_as_the_current_one(
    publish: Publish,
) -> None:
    """The older one knows no packages without a version, nor what is not in it."""
    older = SCHEMA.replace("2025-12-11", "2025-09-29")
    image = {
        "registryType": "oci",
        "identifier": "images.example/a:1",
        "transport": {"type": "stdio"},
        "color": "red",
    }
    assert (await publish(packages=[image])).status_code == 200
    answer = await publish(packages=[image], version="2.0.0", **{"$schema": older})
    assert answer.status_code == 422
    assert places(answer) == ["body.packages[0].version", "body.packages[0]"]
    assert answer.json()["errors"][1]["message"] == "must not have color"


async def test_a_version_is_published_once(
    client: httpx.AsyncClient, publish: Publish, admin: dict[str, str]
) -> None:
    assert (await publish()).status_code == 200
    before = await serial_of(client)
    again = await publish(description="Changed")
    assert (again.status_code, places(again)) == (400, ["body.version"])
    url = f"/v0{path_of(version='1.0.0', end='/status')}"
    gone = await client.patch(url, json={"status": "deleted"}, headers=admin)
    assert gone.status_code == 200
    assert (await publish()).status_code == 400, "not even when it is deleted"
    assert await serial_of(client) == before + 1


async def test_who_lost_the_answer_may_publish_again_with_the_same_key(
    client: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    headers = {**admin, "Idempotency-Key": "release-1"}
    first = await client.post("/v0/publish", json=document(), headers=headers)
    serial = await serial_of(client)
    again = await client.post("/v0/publish", json=document(), headers=headers)
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.content == first.content
    assert await serial_of(client) == serial
    other = document(description="Something else")
    reused = await client.post("/v0/publish", json=other, headers=headers)
    assert reused.status_code == 422
    assert places(reused) == ["header.idempotency-key"]


async def test_too_much_meta_is_a_bad_request(publish: Publish) -> None:
    meta = {PUBLISHER: {"a": "x" * 4096}}
    answer = await publish(_meta=meta)
    assert (answer.status_code, places(answer)) == (400, ["body._meta"])
    answer = await publish(_meta=meta, title=" ")
    assert (answer.status_code, places(answer)) == (422, ["body.title", "body._meta"])
    assert (await publish(_meta={PUBLISHER: {"a": "x" * 3900}})).status_code == 200


async def test_the_url_of_a_remote_belongs_to_one_name(
    client: httpx.AsyncClient, publish: Publish, admin: dict[str, str]
) -> None:
    other = "io.example.other/forecast"
    urls = [*remote("https://a.example/mcp"), *remote("https://b.example/mcp")]
    assert (await publish(remotes=urls)).status_code == 200
    assert (await publish(version="1.1.0", remotes=urls)).status_code == 200
    assert (await publish(version="2.0.0")).status_code == 200
    before = await serial_of(client)
    refused = await publish(name=other, remotes=remote("https://b.example/mcp"))
    assert (refused.status_code, places(refused)) == (400, ["body.remotes"])
    assert "https://b.example/mcp" in refused.json()["detail"]
    assert NAME in refused.json()["detail"]
    assert await serial_of(client) == before

    async def set_status(status: str, name: str = NAME) -> httpx.Response:
        url = f"/v0{path_of(name, end='/status')}"
        return await client.patch(url, json={"status": status}, headers=admin)

    assert (await set_status("deprecated")).status_code == 200
    assert (await publish(name=other, remotes=urls)).status_code == 400
    assert (await set_status("deleted")).status_code == 200
    assert (await publish(name=other, remotes=urls)).status_code == 200
    back = await set_status("active")
    assert (back.status_code, places(back)) == (400, ["body.remotes"])
    assert (await set_status("deleted", other)).status_code == 200
    assert (await set_status("active")).status_code == 200


async def test_a_name_has_room_for_a_bounded_number_of_versions(
    publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert publishing.MOST_VERSIONS == 10_000
    monkeypatch.setattr(publishing, "MOST_VERSIONS", 2)
    for version, status in (("1.0.0", 200), ("1.1.0", 200), ("1.2.0", 400)):
        assert (await publish(version=version)).status_code == status
    assert (await publish(name="io.example.other/forecast")).status_code == 200


ORDERS: list[tuple[list[str], str]] = [
    (["1.0.0", "1.10.0", "1.9.0"], "1.10.0"),
    (["1.0.0", "2.0.0-rc.1", "1.5.0"], "2.0.0-rc.1"),
    (["v1.0.0", "0.9.0"], "v1.0.0"),
    (["alpha", "beta"], "beta"),
    (["1.0.0", "nightly"], "1.0.0"),
    (["nightly", "0.0.1"], "0.0.1"),
    (["1.0.0+a", "1.0.0+b"], "1.0.0+b"),
]


async def test_the_highest_version_is_the_latest(
    client: httpx.AsyncClient, publish: Publish
) -> None:
    for at, (order, latest) in enumerate(ORDERS):
        name = f"io.example.order/number-{at}"
        for version in order:
            answer = await publish(name=name, version=version, title=f"The {version}")
            assert answer.status_code == 200
        found = (await client.get(f"/v0{path_of(name, 'latest')}")).json()
        assert found["server"]["version"] == latest
        page = (await client.get(f"/v0.1{path_of(name)}/versions")).json()["servers"]
        assert latest_of(page) == [latest]


async def test_a_server_shows_its_latest_version(
    client: httpx.AsyncClient, publish: Publish
) -> None:
    await publish(title="One", repository=None)
    await publish(version="2.0.0", title="Two")
    await publish(version="1.5.0", title="Between")
    (found,) = (await client.get("/servers")).json()
    assert (found["title"], found["latest_version"]) == ("Two", "2.0.0")
    assert found["registry_name"] == NAME


async def test_servers_of_one_repository_live_side_by_side(
    client: httpx.AsyncClient, publish: Publish
) -> None:
    place = {"url": "https://github.com/example/tools", "source": "github"}
    names = [f"io.example/tool-{at}" for at in range(4)]
    answers = await asyncio.gather(
        *(publish(name=name, repository=place) for name in names)
    )
    assert [answer.status_code for answer in answers] == [200] * 4
    found = (await client.get("/servers")).json()
    urls = {server["primary_url"] for server in found}
    assert place["url"] in urls
    assert len(urls) == len(found) == 4


async def test_of_two_publishers_of_one_version_one_succeeds(
    client: httpx.AsyncClient, publish: Publish
) -> None:
    before = await serial_of(client)
    answers = await asyncio.gather(*(publish(title=f"By {at}") for at in range(8)))
    codes = sorted(answer.status_code for answer in answers)
    assert codes == [200] + [400] * 7
    (winner,) = [answer for answer in answers if answer.status_code == 200]
    stored = await client.get(f"/v0{path_of(version='1.0.0')}")
    assert stored.json() == winner.json()
    assert await serial_of(client) == before + 1


async def test_of_two_names_at_one_url_one_succeeds(publish: Publish) -> None:
    names = [f"io.example/tool-{at}" for at in range(6)]
    answers = await asyncio.gather(
        *(publish(name=name, remotes=remote()) for name in names)
    )
    codes = sorted(answer.status_code for answer in answers)
    assert codes == [200] + [400] * 5


async def test_parallel_publishers_end_with_the_right_latest(
    client: httpx.AsyncClient, publish: Publish
) -> None:
    mixed = [f"1.{at * 7 % 20}.0" for at in range(20)]

    async def patiently(version: str) -> None:
        """As a client that asks again after 503: the queue may be long."""

        async def is_done() -> bool:
            answer = await publish(version=version)
            assert answer.status_code in {200, 503}, answer.text
            return answer.status_code == 200

        await until(is_done, limit_s=60)

    await asyncio.gather(*map(patiently, mixed))
    page = (await client.get(f"/v0.1{path_of()}/versions")).json()["servers"]
    assert len(page) == 20
    assert latest_of(page) == ["1.19.0"]


async def test_a_server_without_a_registry_name_is_adopted_by_who_may_do_all(
    client: httpx.AsyncClient, publish: Publish, admin: dict[str, str]
) -> None:
    place = {"url": "https://github.com/example/tools", "source": "github"}
    body = {"name": "tools", "primary_url": place["url"], "license": "MIT"}
    added = await client.post("/servers", json=body, headers=admin)
    assert added.status_code == 201
    await publish(repository=place)
    (found,) = (await client.get("/servers")).json()
    assert (found["registry_name"], found["license"]) == (NAME, "MIT")


async def test_a_load_does_not_take_back_what_was_published(
    client: httpx.AsyncClient, publish: Publish, store: PostgresStore
) -> None:
    stored = (await publish()).json()
    older = {**stored["server"], "description": "Older"}
    await load(store, {"server": older})
    same = await client.get(f"/v0{path_of(version='1.0.0')}")
    assert same.json()["server"]["description"] == stored["server"]["description"]


def with_meta(raw: str) -> bytes:
    """A document without fault whose publisher says this."""
    text = json.dumps(document(_meta={PUBLISHER: {"a": "RAW"}}))
    return text.replace('"RAW"', raw).encode()


HOSTILE: list[tuple[bytes, str, int]] = [
    (b"", "application/json", 400),
    (b"{", "application/json", 400),
    (b'{"a": 1} x', "application/json", 400),
    (b"[]", "application/json", 422),
    (b"null", "application/json", 422),
    (b'"x"', "application/json", 422),
    (b"{}", "application/json", 422),
    (b"\xff\xfe", "application/json", 400),
    (b'{"name": "a\\u0000"}', "application/json", 400),
    (b'{"name": "\\ud800"}', "application/json", 400),
    (b"[" * 100_000, "application/json", 400),
    (b'{"a":' * 500 + b"1" + b"}" * 500, "application/json", 422),
    *(
        (with_meta("[" * depth + "]" * depth), "application/json", status)
        for depth, status in ((64, 422), (500, 422), (100_000, 400))
    ),
    (with_meta("1e400"), "application/json", 400),
    (with_meta("9" * 900_000), "application/json", 400),
    (with_meta("[" + "0," * 400_000 + "0]"), "application/json", 422),
    (with_meta('"' + "x" * 900_000 + '"'), "application/json", 400),
    (b"{}", "text/plain", 415),
    (b"{" + b" " * 1_048_576 + b"}", "application/json", 413),
]


async def test_a_hostile_body_is_the_clients_fault(
    client: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    before = await serial_of(client)
    for content, media, status in HOSTILE:
        headers = {**admin, "Content-Type": media}
        for method, url in (
            ("POST", "/v0/publish"),
            ("PUT", f"/v0{path_of(version='1.0.0')}"),
        ):
            answer = await client.request(method, url, content=content, headers=headers)
            assert answer.status_code == status, (method, content[:40], answer.text)
    assert await serial_of(client) == before


async def test_text_is_refused_however_deep_it_hides(
    client: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    headers = {**admin, "Content-Type": "application/json"}
    for depth in range(800, 1100):
        content = with_meta("[" * depth + '"\\u0000"' + "]" * depth)
        answer = await client.post("/v0/publish", content=content, headers=headers)
        assert answer.status_code == 400, depth
