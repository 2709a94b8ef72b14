"""Servers one by one: read, added, changed, replaced, deleted."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import msgspec
import pytest

from service.models import ServerBody, ServerDetail
from tests.web.rows import KINDS, Headers, Json, add_children

URL = "https://example.org/one"
MINIMAL: Json = {"name": "one", "primary_url": URL}
FULL: Json = {
    "name": 'One "quoted" \\ server',
    "primary_url": "https://example.org/ünï?q=1#top",
    "registry_name": "org.example/one",
    "title": "One",
    "host_type": "gitlab",
    "description": "Line\nbreak\tand \u2028 and \U0001f600",
    "author_name": "Somebody",
    "homepage": "https://example.org/home",
    "license": "MIT",
    "readme_content": "# One\n" * 1000,
    "keywords": ["a", "ä", 'quo"ted'],
    "categories": ["data"],
    "stars": 2**63 - 1,
    "downloads": 5_000_000_000,
    "forks": 3,
    "open_issues": 4,
    "risk_level": "high",
    "verified_source": True,
    "health_score": 100,
    "last_indexed_at": "2026-01-31T12:00:00.123456Z",
}
NULLABLE = [
    "registry_name",
    "title",
    "description",
    "author_name",
    "homepage",
    "license",
    "readme_content",
    "last_indexed_at",
]
NO_IDS = [
    "0",
    "2",
    "9223372036854775807",
    "9223372036854775808",
    "99999999999999999999",
    "-1",
    "+1",
    "1e3",
    "1.0",
    "0x1",
    "%D9%A1",
    "%201",
    "none",
    "00000000-0000-0000-0000-000000000000",
    "0" * 31,
    "0" * 33,
    "x" * 5000,
]
WRONG_FIELDS: list[tuple[Json, str]] = [
    ({"name": " \t "}, "name"),
    ({"name": ""}, "name"),
    ({"name": "x" * 513}, "name"),
    ({"name": None}, "name"),
    ({"name": 1}, "name"),
    ({"primary_url": "no url"}, "primary_url"),
    ({"primary_url": "https://a b"}, "primary_url"),
    ({"primary_url": "javascript:alert(1)"}, "primary_url"),
    ({"primary_url": "data:text/html,<script>alert(1)</script>"}, "primary_url"),
    ({"homepage": "javascript:alert(1)"}, "homepage"),
    ({"primary_url": "https://x.y/" + "ä" * 1100}, "primary_url"),
    ({"registry_name": "plain"}, "registry_name"),
    ({"registry_name": "a/b/c"}, "registry_name"),
    ({"registry_name": "org.example/" + "x" * 200}, "registry_name"),
    ({"title": "x" * 513}, "title"),
    ({"description": "x" * 10_001}, "description"),
    ({"host_type": "GITHUB"}, "host_type"),
    ({"risk_level": "none"}, "risk_level"),
    ({"stars": -1}, "stars"),
    ({"stars": 2**63}, "stars"),
    ({"stars": 1.5}, "stars"),
    ({"stars": "1"}, "stars"),
    ({"health_score": 101}, "health_score"),
    ({"verified_source": 1}, "verified_source"),
    ({"keywords": "a"}, "keywords"),
    ({"keywords": [1]}, "keywords"),
    ({"keywords": [""]}, "keywords"),
    ({"keywords": ["x"] * 257}, "keywords"),
    ({"last_indexed_at": "2026-01-31"}, "last_indexed_at"),
    ({"last_indexed_at": "2026-01-31T12:00:00"}, "last_indexed_at"),
    ({"last_indexed_at": "2026-02-30T12:00:00Z"}, "last_indexed_at"),
    ({"last_indexed_at": "0001-01-01T00:00:00+14:00"}, "last_indexed_at"),
    ({"last_indexed_at": "9999-12-31T23:59:59-12:00"}, "last_indexed_at"),
    ({"last_indexed_at": 1_700_000_000}, "last_indexed_at"),
    ({"id": 5}, ""),
    ({"doc": "{}"}, ""),
    ({"updated_at": "2026-01-31T12:00:00Z"}, ""),
]
Post = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture
def post(client: httpx.AsyncClient, admin: Headers) -> Post:
    """Adds a server."""

    def call(body: Any) -> Awaitable[httpx.Response]:
        return client.post("/servers", json=body, headers=admin)

    return call


async def test_an_added_server_comes_back_whole(
    client: httpx.AsyncClient, post: Post
) -> None:
    response = await post(FULL)
    assert response.status_code == 201
    unpacked = {"Accept-Encoding": "identity"}
    got = await client.get(response.headers["location"], headers=unpacked)
    assert got.content == response.content
    assert got.headers["etag"] == response.headers["etag"]
    body = got.json()
    assert {name: body[name] for name in FULL} == FULL
    assert body["counts"] == dict.fromkeys(KINDS, 0)
    msgspec.json.decode(got.content, type=ServerDetail)
    assert set(body) == set(ServerDetail.__struct_fields__)


async def test_what_is_left_out_gets_its_default(post: Post) -> None:
    body = (await post(MINIMAL)).json()
    plain = msgspec.to_builtins(ServerBody(**MINIMAL))
    assert {name: body[name] for name in plain} == plain


async def test_a_server_is_found_by_id_and_by_uuid_in_any_form(
    client: httpx.AsyncClient, post: Post
) -> None:
    one = (await post(MINIMAL)).json()
    uuid = one["uuid"]
    bare = uuid.replace("-", "")
    forms = [uuid, uuid.upper(), bare, f"{{{uuid}}}", f"urn:uuid:{uuid}"]
    for form in [str(one["id"]), f"000{one['id']}", *forms]:
        response = await client.get(f"/servers/{form}")
        assert response.json() == one, form
        assert (await client.get(f"/servers/{form}/tools")).json() == []


async def test_what_is_no_id_is_not_found(
    client: httpx.AsyncClient, admin: Headers, post: Post
) -> None:
    await post(MINIMAL)
    for method, path in [
        ("GET", "/servers/{}"),
        ("PATCH", "/servers/{}"),
        ("DELETE", "/servers/{}"),
        ("GET", "/servers/{}/releases"),
        ("GET", "/tools/{}"),
    ]:
        body: Json | None = {} if method == "PATCH" else None
        for name in NO_IDS:
            url = path.format(name)
            response = await client.request(method, url, json=body, headers=admin)
            assert response.status_code == 404, (method, url, response.text)


async def test_a_second_server_with_the_url_or_name_leads_to_the_first(
    post: Post,
) -> None:
    first = (await post(FULL)).headers["location"]
    for twin in (
        {**MINIMAL, "primary_url": FULL["primary_url"]},
        {**MINIMAL, "registry_name": FULL["registry_name"]},
        FULL,
    ):
        response = await post(twin)
        assert response.status_code == 409
        assert response.json()["existing"] == first
        assert response.json()["code"] == "conflict"


async def test_of_many_at_once_with_one_url_one_is_added(
    client: httpx.AsyncClient, post: Post
) -> None:
    answers = await asyncio.gather(*(post(MINIMAL) for _ in range(12)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 11
    location = next(a.headers["location"] for a in answers if a.status_code == 201)
    twins = {a.json()["existing"] for a in answers if a.status_code == 409}
    assert twins == {location}
    assert len((await client.get("/servers")).json()) == 1


async def test_a_wrong_field_is_refused_and_named(
    client: httpx.AsyncClient, admin: Headers, post: Post
) -> None:
    path = (await post(MINIMAL)).headers["location"]
    other = {**MINIMAL, "primary_url": URL + "/2"}
    for change, place in WRONG_FIELDS:
        for method, url, body in [
            ("POST", "/servers", other | change),
            ("PUT", path, change),
            ("PATCH", path, change),
        ]:
            response = await client.request(method, url, json=body, headers=admin)
            assert response.status_code == 400, (method, response.text)
            location = response.json()["errors"][0]["location"]
            assert location.startswith(f"body.{place}".rstrip(".")), location
    assert len((await client.get("/servers")).json()) == 1


async def test_only_the_fields_given_change(
    client: httpx.AsyncClient, admin: Headers, post: Post
) -> None:
    before = (await post(FULL)).json()
    path = f"/servers/{before['uuid']}"
    for change in (
        {"stars": 5},
        {"keywords": [], "categories": ["x"]},
        {"name": "two", "verified_source": False, "health_score": 0},
        {"primary_url": URL, "registry_name": "org.example/two"},
        {"last_indexed_at": "2026-01-31T14:00:00+02:00"},
    ):
        response = await client.patch(path, json=change, headers=admin)
        assert response.status_code == 200
        after = response.json()
        assert after["updated_at"] > before["updated_at"]
        moved = {"last_indexed_at": "2026-01-31T12:00:00.000000Z"}
        wanted = before | change | {"updated_at": after["updated_at"]}
        assert after == wanted | (moved if "last_indexed_at" in change else {})
        assert (await client.get(path)).json() == after
        before = after


async def test_null_clears_what_may_be_null(
    client: httpx.AsyncClient, admin: Headers, post: Post
) -> None:
    path = (await post(FULL)).headers["location"]
    cleared = dict.fromkeys(NULLABLE)
    response = await client.patch(path, json=cleared, headers=admin)
    assert {name: response.json()[name] for name in NULLABLE} == cleared
    for name in FULL.keys() - cleared.keys():
        response = await client.patch(path, json={name: None}, headers=admin)
        assert response.status_code == 400
        assert response.json()["errors"][0]["location"] == f"body.{name}"


async def test_a_change_that_changes_nothing_leaves_the_server_as_it_was(
    client: httpx.AsyncClient, admin: Headers, post: Post
) -> None:
    added = await post(FULL)
    path = added.headers["location"]
    for method, body in [("PATCH", {}), ("PATCH", {"stars": 2**63 - 1}), ("PUT", FULL)]:
        response = await client.request(method, path, json=body, headers=admin)
        assert response.status_code == 200
        assert response.content == added.content
        assert response.headers["etag"] == added.headers["etag"]


async def test_put_changes_the_fields_given_and_no_other(
    client: httpx.AsyncClient, admin: Headers, post: Post
) -> None:
    added = (await post(FULL)).json()
    path = f"/servers/{added['id']}"
    change = {"stars": 5, "description": None}
    response = await client.put(path, json=change, headers=admin)
    assert response.status_code == 200
    after = response.json()
    assert after == added | change | {"updated_at": after["updated_at"]}


async def test_a_wrong_word_is_answered_with_the_right_ones(
    client: httpx.AsyncClient, admin: Headers, post: Post
) -> None:
    path = (await post(MINIMAL)).headers["location"]
    for method, url, body, words in [
        ("GET", "/servers?sort=x", None, "-health_score"),
        ("GET", "/servers?host_type=x", None, "gitlab"),
        ("PATCH", path, {"host_type": "GITHUB"}, "gitlab"),
    ]:
        response = await client.request(method, url, json=body, headers=admin)
        assert response.status_code == 400
        message = response.json()["errors"][0]["message"]
        assert words in message.partition("expected one of ")[2].split(", ")


async def test_an_empty_body_is_called_empty(
    client: httpx.AsyncClient, admin: Headers
) -> None:
    headers = admin | {"content-type": "application/json"}
    response = await client.post("/admin/prune-stale", headers=headers)
    assert response.status_code == 400
    assert response.json()["detail"] == "body: is empty; expected JSON"


async def test_a_change_to_a_taken_url_leads_to_the_server_that_has_it(
    client: httpx.AsyncClient, admin: Headers, post: Post
) -> None:
    first = (await post(FULL)).headers["location"]
    second = (await post(MINIMAL)).json()
    for reference in (second["id"], second["uuid"]):
        for change in (
            {"primary_url": FULL["primary_url"]},
            {"registry_name": FULL["registry_name"], "primary_url": URL},
        ):
            path = f"/servers/{reference}"
            response = await client.patch(path, json=change, headers=admin)
            assert response.status_code == 409
            assert response.json()["existing"] == first
    assert (await client.get(f"/servers/{second['id']}")).json() == second


async def test_the_registry_name_of_published_versions_stays(
    client: httpx.AsyncClient, admin: Headers, post: Post, database: Any
) -> None:
    added = (await post(FULL)).json()
    path = f"/servers/{added['id']}"
    await add_children(database, added["id"], 1)
    for method, body in [
        ("PATCH", {"registry_name": "org.example/two"}),
        ("PATCH", {"registry_name": None}),
        ("PUT", {"registry_name": None}),
    ]:
        response = await client.request(method, path, json=body, headers=admin)
        assert response.status_code == 400
        assert response.json()["errors"][0]["location"] == "body.registry_name"
    same = {"registry_name": FULL["registry_name"], "stars": 1}
    assert (await client.patch(path, json=same, headers=admin)).status_code == 200


async def test_a_deleted_server_is_gone_with_all_that_belonged_to_it(
    client: httpx.AsyncClient, admin: Headers, post: Post, database: Any
) -> None:
    added = (await post(MINIMAL)).json()
    path = f"/servers/{added['uuid']}"
    await add_children(database, added["id"], 3)
    assert len((await client.get("/tools")).json()) == 3
    response = await client.delete(path, headers=admin)
    assert (response.status_code, response.content) == (204, b"")
    assert "content-type" not in response.headers
    for url in (path, f"{path}/tools", f"/servers/{added['id']}/versions"):
        assert (await client.get(url)).status_code == 404
    assert (await client.delete(path, headers=admin)).status_code == 404
    assert (await client.get("/tools")).json() == []
    assert (await post(MINIMAL)).status_code == 201
