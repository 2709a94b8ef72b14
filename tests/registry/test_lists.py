"""The list of the registry API: shape, order, filters, cursors and refusals."""

import re

import httpx
import msgspec
import pytest

from service.models_registry import ItemList
from service.store.base import Store
from tests.registry.conftest import item, keys, load, page, path_of, whole

NPM = {
    "packages": [
        {"registryType": "npm", "identifier": "x", "transport": {"type": "stdio"}}
    ]
}
REMOTE = {"remotes": [{"type": "sse", "url": "https://a.example/sse"}]}
SOME = [
    item("io.b/two", "1.0.0", **NPM),
    item("io.b/two", "1.1.0", updatedAt="2025-06-01T00:00:00Z"),
    item("io.a/one", "2025.11.13+pr147", title="One", description=" ", **REMOTE),
    item("io.c/gone", "1.0.0", status="deleted"),
    item("io.d/old", "1.0.0", status="deprecated", statusMessage="use two"),
]


@pytest.fixture
async def filled(store: Store) -> None:
    await load(store, *SOME)


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("prefix", ["/v0.1", "/v0"])
async def test_a_list_has_the_shape_that_clients_parse(
    client: httpx.AsyncClient, prefix: str
) -> None:
    answer = await client.get(f"{prefix}/servers")
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert int(answer.headers["x-mcps-serial"]) > 1
    body = answer.json()
    msgspec.convert(body, ItemList)
    assert keys(body) == [
        ("io.a/one", "2025.11.13+pr147"),
        ("io.b/two", "1.0.0"),
        ("io.b/two", "1.1.0"),
        ("io.d/old", "1.0.0"),
    ]
    assert body["metadata"] == {"count": 4}
    (official,) = body["servers"][3]["_meta"].values()
    assert official["statusMessage"] == "use two"
    assert re.fullmatch(r"2025-01-01T00:00:00\.000000Z", official["publishedAt"])
    assert body["servers"][0]["server"]["description"] == "One"


async def test_an_empty_catalog_is_an_empty_list(client: httpx.AsyncClient) -> None:
    assert await page(client) == {"servers": [], "metadata": {"count": 0}}


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"version": "latest"}, ["io.a/one", "io.b/two", "io.d/old"]),
        ({"version": "1.0.0"}, ["io.b/two", "io.d/old"]),
        ({"version": "9"}, []),
        (
            {"include_deleted": "true", "version": "1.0.0"},
            ["io.b/two", "io.c/gone", "io.d/old"],
        ),
        (
            {"include_deleted": "true", "version": "latest"},
            ["io.a/one", "io.b/two", "io.c/gone", "io.d/old"],
        ),
        ({"status": "deleted"}, ["io.c/gone"]),
        ({"status": "deprecated"}, ["io.d/old"]),
        ({"registry_type": "npm"}, ["io.b/two"]),
        ({"transport": "sse"}, ["io.a/one"]),
        ({"transport": "stdio"}, ["io.b/two"]),
        ({"remote": "true"}, ["io.a/one"]),
        ({"remote": "false", "version": "latest"}, ["io.b/two", "io.d/old"]),
        ({"registry_type": "np"}, []),
        ({"search": "two", "version": "latest"}, ["io.b/two"]),
        ({"search": "io.b/"}, ["io.b/two", "io.b/two"]),
        ({"search": "%"}, []),
        ({"search": "tw"}, ["io.b/two", "io.b/two"]),
        ({"search": "two", "remote": "true"}, []),
        ({"updated_since": "2999-01-01T00:00:00Z"}, []),
        ({"search": "", "version": "", "cursor": "", "nonsense": "1"}, None),
    ],
)
async def test_filters_are_all_applied(
    client: httpx.AsyncClient, query: dict[str, str], expected: list[str] | None
) -> None:
    names = [name for name, _ in keys(await page(client, **query))]
    if expected is None:
        expected = ["io.a/one", "io.b/two", "io.b/two", "io.d/old"]
    assert names == expected


@pytest.mark.usefixtures("filled")
async def test_updated_since_shows_what_was_deleted(client: httpx.AsyncClient) -> None:
    found = await page(client, updated_since="2020-01-01T00:00:00+01:00")
    assert ("io.c/gone", "1.0.0") in keys(found)
    assert len(keys(found)) == 5


@pytest.mark.usefixtures("filled")
async def test_a_time_at_the_end_of_the_calendar_is_a_time(
    client: httpx.AsyncClient,
) -> None:
    """In UTC these lie before the year 1 and after the year 9999."""
    first = await page(client, updated_since="0001-01-01T00:00:00+14:00")
    assert len(keys(first)) == 5
    last = await page(client, updated_since="9999-12-31T23:59:59-14:00")
    assert keys(last) == []


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("servers?limit=05", "query.limit: expected a whole number"),
        ("servers?limit=0", "query.limit: Expected `int` >= 1"),
        (
            "servers?status=gone",
            "query.status: expected one of active, deleted, deprecated",
        ),
        (
            "x/io.mcps/changes?since=soon",
            "query.since: expected: A serial, or `next` of the answer before",
        ),
    ],
)
async def test_a_refusal_says_what_may_stand_there(
    client: httpx.AsyncClient, query: str, detail: str
) -> None:
    refused = await client.get(f"/v0.1/{query}")
    assert refused.status_code == 422
    assert refused.json()["detail"] == detail


@pytest.mark.parametrize(
    ("query", "status", "place"),
    [
        ("limit=0", 422, "query.limit"),
        ("limit=101", 422, "query.limit"),
        ("limit=x", 422, "query.limit"),
        ("limit=1e3", 422, "query.limit"),
        ("limit=05", 422, "query.limit"),
        ("status=gone", 422, "query.status"),
        ("include_deleted=perhaps", 422, "query.include_deleted"),
        ("updated_since=yesterday", 400, "query.updated_since"),
        ("updated_since=2025-01-01", 400, "query.updated_since"),
        ("updated_since=2025-01-01T00:00:00", 400, "query.updated_since"),
        (
            "updated_since=2025-01-01T00:00:00Z&include_deleted=false",
            400,
            "query.include_deleted",
        ),
        ("version=1&version=2", 400, "query.version"),
        ("search=%00", 400, "query.search"),
        ("search=%ff", 400, "query.search"),
        ("cursor=io.a/one:1.0.0", 400, ""),
        ("cursor=AQAAAAAA", 400, ""),
    ],
)
async def test_what_does_not_fit_is_refused_with_its_place(
    client: httpx.AsyncClient, query: str, status: int, place: str
) -> None:
    answer = await client.get(f"/v0.1/servers?{query}")
    assert answer.status_code == status
    problem = answer.json()
    assert problem["status"] == status
    assert problem["error"] == problem["detail"]
    if place:
        assert problem["errors"][0]["location"] == place


async def test_the_next_page_needs_only_the_cursor(
    client: httpx.AsyncClient, store: Store
) -> None:
    names = [f"io.{owner}/tool-{at:02}" for owner in "ab" for at in range(10)]
    await load(store, *(item(name, description="finds birds") for name in names))
    await load(store, item("io.z/other", description="nothing"))
    for query in (
        {},
        {"version": "latest"},
        {"search": "birds"},
        {"search": "io.a/"},
        {"version": "1.0.0", "remote": "false"},
        {"search": "birds", "version": "latest"},
        {"updated_since": "2020-01-01T00:00:00Z"},
    ):
        once = await whole(client, limit=100, **query)
        assert await whole(client, limit=7, **query) == once, query
    exact = await page(client, limit=20, search="birds")
    assert len(exact["servers"]) == 20
    assert "nextCursor" not in exact["metadata"]


async def test_a_cursor_is_safe_in_a_url_and_holds_its_filters(
    client: httpx.AsyncClient, store: Store
) -> None:
    await load(store, *(item(f"io.a/bird-{at}", "1+b/ü?") for at in range(4)))
    first = await page(client, limit=2, search="bird", version="1+b/ü?")
    cursor = first["metadata"]["nextCursor"]
    assert re.fullmatch(r"[A-Za-z0-9_-]+", cursor)
    same = await page(client, limit=2, cursor=cursor, search="bird")
    assert len(same["servers"]) == 2
    other = await client.get("/v0/servers", params={"cursor": cursor, "search": "cat"})
    assert other.status_code == 400
    assert other.json()["errors"][0]["location"] == "query.search"


async def test_a_page_stands_still_while_entries_come_and_go(
    client: httpx.AsyncClient, store: Store, admin: dict[str, str]
) -> None:
    await load(store, *(item(f"io.a/n{at}") for at in range(6)))
    first = await page(client, limit=3)
    found = (await client.get("/servers?sort=name")).json()
    gone = next(s["id"] for s in found if s["registry_name"] == "io.a/n2")
    assert (await client.delete(f"/servers/{gone}", headers=admin)).status_code == 204
    await load(store, item("io.a/n0", "0.5.0"))
    rest = await page(client, cursor=first["metadata"]["nextCursor"])
    assert [name for name, _ in keys(rest)] == ["io.a/n3", "io.a/n4", "io.a/n5"]


async def test_a_frequent_word_is_paged_through_completely(
    client: httpx.AsyncClient, store: Store
) -> None:
    named = [item(f"io.many/weather-{n:03}", stars=n) for n in range(150)]
    others = [item(f"io.many/s{n:03}", description="the weather") for n in range(550)]
    await load(store, *named, *others)
    first = await page(client, search="weather", limit=100)
    assert all("/weather-" in name for name, _ in keys(first)[:60])
    found = keys({"servers": await whole(client, search="weather", limit=100)})
    assert len(found) == len(set(found)) == 700


async def test_search_ranks_names_first_and_mends_typing_errors(
    client: httpx.AsyncClient, store: Store
) -> None:
    await load(
        store,
        item("io.a/cluster", description="for kubernetes"),
        item("io.b/kubernetes-mcp"),
        item("io.c/weather"),
    )
    for text in ("kubernetes", "Kubernetes MCP server", "kuberentes"):
        names = [name for name, _ in keys(await page(client, search=text))]
        assert names == ["io.b/kubernetes-mcp", "io.a/cluster"], text
    assert len(keys(await page(client, search="mcp server"))) == 3
    signs = await page(client, search="weather ☀ €")
    assert signs == await page(client, search="weather")
    hostile = await page(client, search="') | (:* & !\\")
    assert hostile["servers"] == []


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("prefix", ["/v0.1", "/v0"])
@pytest.mark.parametrize("slash", ["%2F", "%2f", "/", "%252F"])
async def test_a_name_may_be_written_with_either_slash(
    client: httpx.AsyncClient, prefix: str, slash: str
) -> None:
    base = f"{prefix}/servers/io.a{slash}one/versions"
    listed = (await client.get(base)).json()
    assert listed["metadata"] == {"count": 1}
    for version in ("latest", "2025.11.13+pr147", "2025.11.13%2Bpr147"):
        found = await client.get(f"{base}/{version}")
        assert found.status_code == 200
        assert found.json() == listed["servers"][0]
    for version in ("2025.11.13%20pr147", "1"):
        assert (await client.get(f"{base}/{version}")).status_code == 404


async def test_names_and_versions_that_look_like_the_path_are_found(
    client: httpx.AsyncClient, store: Store
) -> None:
    await load(
        store,
        item("io.a/versions", "versions"),
        item("versions/versions", "1/2"),
        item("plain", "1"),
        item("io.ü/%2F", "{{VERSION}}"),
    )
    for name, version in (
        ("io.a/versions", "versions"),
        ("versions/versions", "1/2"),
        ("plain", "1"),
        ("io.ü/%2F", "{{VERSION}}"),
    ):
        for asked in (version, "latest"):
            found = await client.get(path_of(name, asked))
            assert found.status_code == 200, (name, asked)
            assert found.json()["server"]["name"] == name
    plain = await client.get("/v0.1/servers/io.a/versions/versions/latest")
    assert plain.json()["server"]["name"] == "io.a/versions"


@pytest.mark.usefixtures("filled")
async def test_versions_come_newest_first_and_deleted_ones_when_asked(
    client: httpx.AsyncClient,
) -> None:
    assert keys((await client.get("/v0.1/servers/io.b%2Ftwo/versions")).json()) == [
        ("io.b/two", "1.1.0"),
        ("io.b/two", "1.0.0"),
    ]
    for tail in ("", "/latest", "/1.0.0"):
        path = f"/v0.1/servers/io.c%2Fgone/versions{tail}"
        refused = await client.get(path)
        assert refused.status_code == 404
        assert refused.json()["error"]
        shown = await client.get(f"{path}?include_deleted=true")
        assert shown.status_code == 200
    assert (await client.get("/v0.1/servers/io.x%2Fy/versions")).status_code == 404
    assert (await client.get("/v0.1/servers/IO.b%2Ftwo/versions")).status_code == 404
