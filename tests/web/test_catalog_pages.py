"""Lists of servers: every server once, in order, whatever the filters."""

from collections.abc import Callable
from itertools import chain
from typing import Any, get_args

import httpx
import msgspec
import pytest

from service import pages
from service.models import Server, Sort
from tests.web.rows import Headers, Json, add_servers, follow, servers

SORTS: tuple[str, ...] = get_args(Sort)
FILTERS: dict[str, Callable[[Json], bool]] = {
    "": lambda _: True,
    "host_type=npm": lambda s: s["host_type"] == "npm",
    "risk_level=safe": lambda s: s["risk_level"] == "safe",
    "verified_only=true": lambda s: s["verified_source"],
    "verified_only=false": lambda _: True,
    "category=data": lambda s: "data" in s["categories"],
    "keyword=data": lambda s: "data" in s["keywords"],
    "keyword=a%2Cb": lambda s: "a,b" in s["keywords"],
    "keyword=dat": lambda _: False,
    "keyword=ai&category=chat": lambda s: (
        "ai" in s["keywords"] and "chat" in s["categories"]
    ),
    "min_stars=6": lambda s: s["stars"] >= 6,
    "min_stars=0": lambda _: True,
    "keyword=ai&min_stars=5&host_type=github&risk_level=high": lambda s: (
        "ai" in s["keywords"]
        and s["stars"] >= 5
        and s["host_type"] == "github"
        and s["risk_level"] == "high"
    ),
    "updated_since=2026-01-01T00:00:00Z": lambda _: True,
    "updated_since=2999-01-01T00:00:00%2B02:00": lambda _: False,
}


def joined(got: list[list[Json]]) -> list[Json]:
    """The rows of all pages."""
    return list(chain.from_iterable(got))


def expected(found: list[Json], sort: str, keep: Callable[[Json], bool]) -> list[Json]:
    """The list as Python sorts it."""
    column = sort.removeprefix("-")

    def key(server: Json) -> tuple[Any, int]:
        value = server[column]
        return (value[:200].encode() if column == "name" else value), server["id"]

    return sorted(filter(keep, found), key=key, reverse=sort.startswith("-"))


@pytest.fixture
async def found(client: httpx.AsyncClient, admin: Headers) -> list[Json]:
    """Sixty servers as lists show them."""
    return await add_servers(client, admin, servers())


async def test_pages_hold_every_server_once_and_in_order(
    client: httpx.AsyncClient, found: list[Json]
) -> None:
    for sort in SORTS:
        got = await follow(client, f"/servers?limit=7&sort={sort}")
        assert [len(page) for page in got] == [7] * 8 + [4]
        assert joined(got) == expected(found, sort, lambda _: True), sort


@pytest.mark.parametrize("few", [0, 5, 500])
async def test_filters_keep_what_they_say_in_every_order(
    client: httpx.AsyncClient,
    found: list[Json],
    monkeypatch: pytest.MonkeyPatch,
    few: int,
) -> None:
    monkeypatch.setattr(pages, "FEW", few)
    for number, (query, keep) in enumerate(FILTERS.items()):
        for sort in SORTS if few == 500 else SORTS[number % 2 :: 2]:
            got = await follow(client, f"/servers?limit=9&sort={sort}&{query}")
            assert joined(got) == expected(found, sort, keep), (query, sort)


async def test_updated_since_means_later_than(
    client: httpx.AsyncClient, found: list[Json]
) -> None:
    at = sorted(server["updated_at"] for server in found)[20]
    for sort in ("stars", "-updated_at", "updated_at"):
        got = await follow(client, f"/servers?limit=50&sort={sort}&updated_since={at}")
        assert joined(got) == expected(found, sort, lambda s: s["updated_at"] > at)


async def test_most_stars_come_first_by_default(
    client: httpx.AsyncClient, found: list[Json]
) -> None:
    response = await client.get("/servers")
    assert response.json() == expected(found, "-stars", lambda _: True)
    assert response.headers["content-type"] == "application/json; charset=utf-8"


@pytest.mark.parametrize("limit", [1, 20, 30, 60])
async def test_the_last_page_has_no_link_and_none_is_empty(
    client: httpx.AsyncClient, found: list[Json], limit: int
) -> None:
    got = await follow(client, f"/servers?limit={limit}")
    assert [len(page) for page in got] == [limit] * (len(found) // limit)


async def test_an_empty_list_is_an_empty_array(client: httpx.AsyncClient) -> None:
    response = await client.get("/servers?count=true&sort=name")
    assert response.content == b"[]"
    assert response.headers["x-total-count"] == "0"
    assert "link" not in response.headers


async def test_every_body_is_what_the_document_says(
    client: httpx.AsyncClient, found: list[Json]
) -> None:
    response = await client.get("/servers")
    decoded = msgspec.json.decode(response.content, type=list[Server])
    assert len(decoded) == len(found)
    assert set(response.json()[0]) == set(Server.__struct_fields__)
    assert "secret readme" not in response.text


async def test_servers_that_come_and_go_between_pages_move_no_others(
    client: httpx.AsyncClient, admin: Headers, found: list[Json]
) -> None:
    first = await client.get("/servers?limit=30")
    gone, rest = first.json()[-1], expected(found, "-stars", lambda _: True)[30:]
    assert (
        await client.delete(f"/servers/{gone['id']}", headers=admin)
    ).status_code == 204
    top = {"name": "top", "primary_url": "https://example.org/top", "stars": 2**62}
    await add_servers(client, admin, [top])
    got = await follow(client, first.links["next"]["url"])
    assert joined(got) == rest
    next_first = rest[0]
    await client.delete(f"/servers/{next_first['id']}", headers=admin)
    got = await follow(client, first.links["next"]["url"])
    assert joined(got) == rest[1:]


async def test_skip_leaves_rows_out_and_its_link_goes_on_after_them(
    client: httpx.AsyncClient, found: list[Json]
) -> None:
    wanted = expected(found, "name", lambda _: True)
    for few in ("", "&updated_since=2000-01-01T00:00:00Z"):
        got = await follow(client, f"/servers?sort=name&limit=8&skip=5{few}")
        assert joined(got) == wanted[5:]
    assert (await client.get("/servers?skip=10000")).json() == []


async def test_the_total_is_counted_when_asked_for(
    client: httpx.AsyncClient, found: list[Json]
) -> None:
    response = await client.get("/servers?limit=2&keyword=ai&count=true")
    total = sum("ai" in server["keywords"] for server in found)
    assert response.headers["x-total-count"] == str(total)
    following = await client.get(response.links["next"]["url"] + "&count=true")
    assert following.headers["x-total-count"] == str(total)
    assert "x-total-count" not in (await client.get("/servers?count=false")).headers


async def test_a_cursor_carries_filters_and_order_but_not_the_limit(
    client: httpx.AsyncClient, found: list[Json]
) -> None:
    first = await client.get("/servers?limit=3&sort=name&keyword=ai&verified_only=0")
    cursor = first.links["next"]["url"].split("cursor=")[1].split("&")[0]
    wanted = expected(found, "name", lambda s: "ai" in s["keywords"])[3:]
    for same in ("", "&sort=name", "&keyword=ai&verified_only=false&limit=99"):
        response = await client.get(f"/servers?cursor={cursor}{same}")
        assert response.json() == wanted[: len(response.json())]
        assert len(response.json()) == len(wanted)
    for other in ("sort=-name", "keyword=map", "verified_only=1", "min_stars=1"):
        response = await client.get(f"/servers?cursor={cursor}&{other}")
        assert response.status_code == 400
        place = f"query.{other.split('=')[0]}"
        assert response.json()["errors"][0]["location"] == place
    response = await client.get(f"/servers?cursor={cursor}&skip=1")
    assert response.json()["errors"][0]["location"] == "query.skip"


async def test_the_link_is_a_path_below_the_prefix(app: Any, found: list[Json]) -> None:
    transport = httpx.ASGITransport(app=app, root_path="/mcps b")
    base = "http://catalog.test"
    async with httpx.AsyncClient(transport=transport, base_url=base) as client:
        response = await client.get("/mcps b/servers?limit=59&sort=name")
    assert response.headers["link"].startswith("</mcps%20b/servers?cursor=")
    assert response.headers["link"].endswith('&limit=59>; rel="next"')
    assert len(response.json()) == len(found) - 1


async def test_head_answers_as_get_without_the_body(
    client: httpx.AsyncClient, found: list[Json]
) -> None:
    got = await client.get("/servers?limit=5&count=1")
    head = await client.head("/servers?limit=5&count=1")
    assert head.content == b""
    for name in ("link", "x-total-count", "content-length", "content-type"):
        assert head.headers[name] == got.headers[name]
    assert len(found) > 5
