"""Kept answers: what clients get from memory, on what condition, and in which form."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import msgspec
import pytest
import zstandard

from service import metrics
from service.app import create_app
from service.settings import Settings
from service.store.base import Store
from tests.web.rows import Headers, add_servers, servers

PATHS = (
    "/servers?limit=3",
    "/servers/1",
    "/servers/1/tools",
    "/tools",
    "/search?q=alpha",
    "/v0.1/servers?limit=3",
    "/v0/x/io.mcps/facets",
    "/v0.1/x/io.mcps/changes?since=0",
)
UNPACKED = {"Accept-Encoding": "identity"}
ACCEPTED = {
    "gzip": "gzip",
    "zstd": "zstd",
    "gzip, zstd": "zstd",
    "gzip;q=0.5, zstd;q=0": "gzip",
    "gzip, zstd;q=0.5": "gzip",
    "br;q=1.0, gzip;q=0.8, *;q=0.1": "gzip",
    "identity;q=0, *": "zstd",
    "identity, gzip;q=0.5": None,
    "gzip;q=0.000": None,
    "*": "zstd",
    "br": None,
    "gzip;q=0": None,
    "": None,
}
UNPACK: dict[str | None, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "zstd": zstandard.decompress,
    None: bytes,
}
Open = Callable[..., httpx.AsyncClient]


@pytest.fixture
async def keeping(settings: Settings, store: Store) -> AsyncIterator[Open]:
    """Makes clients of an application that keeps answers, each of one of its own."""
    opened: list[httpx.AsyncClient] = []

    def client(**changes: Any) -> httpx.AsyncClient:
        given = {"cache_max_bytes": 1 << 20} | changes
        kept = msgspec.structs.replace(settings, **given)
        transport = httpx.ASGITransport(app=create_app(kept, store))  # type: ignore[arg-type]
        base = "http://catalog.test"
        opened.append(httpx.AsyncClient(transport=transport, base_url=base))
        return opened[-1]

    yield client
    for each in opened:
        await each.aclose()


@pytest.fixture
async def cached(keeping: Open, admin: Headers) -> httpx.AsyncClient:
    """A client of a catalog with a few servers, whose answers are kept."""
    client = keeping()
    await add_servers(client, admin, servers(8))
    return client


def said(answer: httpx.Response) -> str:
    return str(answer.headers["cache-status"])


async def test_a_repeated_read_is_answered_from_memory(
    cached: httpx.AsyncClient,
) -> None:
    for path in PATHS:
        first = await cached.get(path, headers=UNPACKED)
        second = await cached.get(path, headers=UNPACKED)
        assert (said(first), said(second)) == ("mcps; fwd=uri-miss", "mcps; hit")
        assert second.content == first.content
        assert second.headers["etag"] == first.headers["etag"]
        assert second.headers["content-type"] == "application/json; charset=utf-8"
        assert second.headers["vary"] == "Accept-Encoding"
        assert int(second.headers["x-mcps-serial"]) > 0
        control = second.headers["cache-control"]
        assert control.startswith("public, max-age=30, stale-while-revalidate=")
        assert control.endswith("stale-if-error=86400")


async def test_head_is_answered_from_memory_too(cached: httpx.AsyncClient) -> None:
    for path in PATHS:
        got = await cached.get(path, headers=UNPACKED)
        head = await cached.head(path, headers=UNPACKED)
        assert (head.status_code, head.content, said(head)) == (200, b"", "mcps; hit")
        assert head.headers["content-length"] == str(len(got.content))


async def test_links_and_totals_are_kept_with_a_page(
    cached: httpx.AsyncClient,
) -> None:
    path = "/servers?limit=3&count=true"
    first, second = [await cached.get(path) for _ in range(2)]
    assert second.headers["link"] == first.headers["link"]
    assert second.headers["x-total-count"] == "8"


async def test_a_copy_that_is_still_good_is_not_sent_again(
    cached: httpx.AsyncClient, keeping: Open
) -> None:
    fresh = keeping()
    for path in PATHS:
        first = await cached.get(path, headers=UNPACKED)
        tag = first.headers["etag"]
        for asked in (cached, fresh):
            condition = {**UNPACKED, "If-None-Match": tag}
            again = await asked.get(path, headers=condition)
            assert (again.status_code, again.content) == (304, b""), path
            assert again.headers["etag"] == tag
            assert again.headers["access-control-allow-origin"] == "*"
            assert again.headers["cache-control"] == first.headers["cache-control"]
            assert "content-type" not in again.headers
            condition = {**UNPACKED, "If-None-Match": '"other"'}
            assert (await asked.get(path, headers=condition)).status_code == 200


async def test_a_validator_belongs_to_one_release(
    cached: httpx.AsyncClient, keeping: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = "/v0.1/version"
    before = await cached.get(path, headers=UNPACKED)
    condition = {**UNPACKED, "If-None-Match": before.headers["etag"]}
    assert (await keeping().get(path, headers=condition)).status_code == 304
    monkeypatch.setattr("service.web.cache._RELEASE", b"99.0.0")
    assert (await keeping().get(path, headers=condition)).status_code == 200


async def test_a_serial_that_went_back_empties_the_memory_at_once(
    cached: httpx.AsyncClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        answer = await cached.get("/servers/1", headers=UNPACKED)
    assert said(answer) == "mcps; hit"
    monkeypatch.setattr(type(store), "known_serial", 1)
    answer = await cached.get("/servers/1", headers=UNPACKED)
    assert said(answer) == "mcps; fwd=uri-miss"


async def test_a_validator_belongs_to_one_query(cached: httpx.AsyncClient) -> None:
    tags = {
        path: (await cached.get(path, headers=UNPACKED)).headers["etag"]
        for path in (*PATHS, "/servers?limit=4", "/v0/servers?limit=3")
    }
    assert len(set(tags.values())) == len(tags)


async def test_answers_are_packed_as_the_client_likes(
    cached: httpx.AsyncClient,
) -> None:
    plain = await cached.get("/servers", headers=UNPACKED)
    for accepted, encoding in ACCEPTED.items():
        headers = {"Accept-Encoding": accepted}
        for _ in range(2):
            async with cached.stream("GET", "/servers", headers=headers) as answer:
                raw = b"".join([part async for part in answer.aiter_raw()])
            assert answer.headers.get("content-encoding") == encoding, accepted
            assert answer.headers["content-length"] == str(len(raw))
            assert UNPACK[encoding](raw) == plain.content
            is_same = answer.headers["etag"] == plain.headers["etag"]
            assert is_same == (encoding is None)
        condition = {**headers, "If-None-Match": answer.headers["etag"]}
        assert (await cached.get("/servers", headers=condition)).status_code == 304


async def test_a_short_answer_is_packed_only_for_who_takes_nothing_else(
    cached: httpx.AsyncClient,
) -> None:
    for accepted, encoding in (("gzip", None), ("identity;q=0, gzip", "gzip")):
        headers = {"Accept-Encoding": accepted}
        answer = await cached.get("/servers/1", headers=headers)
        assert answer.headers.get("content-encoding") == encoding
        assert answer.json()["id"] == 1


async def test_a_packed_copy_may_be_what_an_edit_is_based_on(
    cached: httpx.AsyncClient, admin: Headers
) -> None:
    long = {"readme_content": "read me " * 500}
    await cached.patch("/servers/1", json=long, headers=admin)
    for number, encoding in enumerate(("gzip", "zstd"), 100):
        packed = {"Accept-Encoding": encoding}
        tag = (await cached.get("/servers/1", headers=packed)).headers["etag"]
        assert tag.endswith(f'-{encoding}"')
        condition = {**admin, "If-Match": tag}
        stars = {"stars": number}
        edited = await cached.patch("/servers/1", json=stars, headers=condition)
        assert edited.status_code == 200
        again = await cached.patch("/servers/1", json=stars, headers=condition)
        assert again.status_code == 412


async def test_a_client_reads_its_own_writes(
    cached: httpx.AsyncClient, admin: Headers
) -> None:
    for stars in range(1, 30):
        edited = await cached.patch("/servers/1", json={"stars": stars}, headers=admin)
        assert edited.status_code == 200
        one = await cached.get("/servers/1")
        page = await cached.get("/servers")
        assert one.json()["stars"] == stars
        assert {s["id"]: s["stars"] for s in page.json()}[1] == stars
        assert (await cached.get("/servers")).content == page.content


async def test_what_changed_is_read_anew(
    cached: httpx.AsyncClient, admin: Headers
) -> None:
    before = await cached.get("/servers?limit=3")
    await cached.patch("/servers/2", json={"stars": 2**50}, headers=admin)
    condition = {"If-None-Match": before.headers["etag"]}
    after = await cached.get("/servers?limit=3", headers=condition)
    assert after.status_code == 200
    assert said(after) == "mcps; fwd=stale"
    assert int(after.headers["x-mcps-serial"]) > int(before.headers["x-mcps-serial"])


async def test_no_cache_asks_the_database(cached: httpx.AsyncClient) -> None:
    await cached.get("/servers")
    asked = metrics.QUERY_SECONDS.labels("server_page_popular")._count
    before = asked.get()
    for _ in range(3):
        answer = await cached.get("/servers", headers={"Cache-Control": "no-cache"})
        assert said(answer) == "mcps; fwd=request"
    assert asked.get() == before + 3
    await cached.get("/servers", headers={"Cache-Control": "No-Cache"})
    assert asked.get() == before + 4


async def test_a_catalog_that_keeps_nothing_says_so(keeping: Open) -> None:
    client = keeping(cache_max_bytes=0)
    for headers in ({}, {"Cache-Control": "no-cache"}):
        assert said(await client.get("/servers", headers=headers)) == "mcps; fwd=bypass"


async def test_errors_are_not_kept(cached: httpx.AsyncClient) -> None:
    for path, status in {
        "/servers?limit=0": 400,
        "/servers/999": 404,
        "/servers/1/nothing": 404,
        "/v0.1/servers?limit=0": 422,
        "/v0.1/servers/no.such/one/versions/latest": 404,
    }.items():
        for _ in range(2):
            answer = await cached.get(path)
            assert answer.status_code == status
            assert "cache-status" not in answer.headers
            assert "etag" not in answer.headers


async def test_a_wrong_key_is_refused_although_the_answer_is_there(
    cached: httpx.AsyncClient,
) -> None:
    await cached.get("/servers")
    wrong = await cached.get("/servers", headers={"X-API-Key": "wrong"})
    assert wrong.status_code == 401


async def test_reads_that_need_a_key_are_kept_for_those_who_have_one(
    keeping: Open, admin: Headers
) -> None:
    client = keeping(require_api_key=True)
    await add_servers(client, admin, servers(2))
    for expected in ("mcps; fwd=uri-miss", "mcps; hit"):
        assert (await client.get("/servers")).status_code == 401
        answer = await client.get("/servers", headers=admin)
        assert said(answer) == expected
        assert answer.headers["cache-control"].startswith("private, ")
    tag = {"If-None-Match": answer.headers["etag"]}
    assert (await client.get("/servers", headers=tag)).status_code == 401
    registry = await client.get("/v0.1/servers")
    assert registry.headers["cache-control"].startswith("public, ")


async def test_identical_reads_at_once_share_their_query(
    cached: httpx.AsyncClient, admin: Headers
) -> None:
    asked = metrics.QUERY_SECONDS.labels("server_page_popular")._count
    await cached.patch("/servers/1", json={"stars": 1}, headers=admin)
    before = asked.get()
    answers = await asyncio.gather(*(cached.get("/servers") for _ in range(50)))
    assert len({answer.content for answer in answers}) == 1
    # One for the first of them, one for those who came while it was under way.
    assert asked.get() - before <= 2


async def test_who_goes_away_takes_no_answer_from_the_others(
    cached: httpx.AsyncClient, admin: Headers
) -> None:
    await cached.patch("/servers/1", json={"stars": 3}, headers=admin)
    first = asyncio.create_task(cached.get("/servers"))
    others = [asyncio.create_task(cached.get("/servers")) for _ in range(5)]
    await asyncio.sleep(0)
    first.cancel()
    answers = await asyncio.gather(*others)
    assert {answer.status_code for answer in answers} == {200}


async def test_memory_is_bounded_and_the_longest_unused_go_first(
    keeping: Open, admin: Headers
) -> None:
    client = keeping()
    await add_servers(client, admin, servers(8))
    used = metrics.CACHE_BYTES
    await client.get("/servers?limit=1")
    for number in range(2, 900):
        await client.get(f"/search?q=nothing{number}")
        await client.get("/servers?limit=1")
    assert used._value.get() <= 1 << 20
    assert said(await client.get("/servers?limit=1")) == "mcps; hit"
    assert said(await client.get("/search?q=nothing2")) == "mcps; fwd=uri-miss"


async def test_every_covered_read_is_open_or_needs_what_reads_need(
    client: httpx.AsyncClient,
) -> None:
    document = (await client.get("/openapi.json")).json()
    open_ones = ("/v0.1/", "/v0/", "/exports/")
    for path, operations in document["paths"].items():
        read = operations.get("get")
        if read and path.startswith((*open_ones, "/servers", "/tools", "/search")):
            security = read.get("security", [])
            assert (not security) == path.startswith(open_ones), path
            assert not security or security[0] == {}, path


async def test_a_body_is_the_same_from_memory_and_from_the_database(
    cached: httpx.AsyncClient, client: httpx.AsyncClient
) -> None:
    await cached.get("/servers")
    kept, asked = [await each.get("/servers") for each in (cached, client)]
    assert json.loads(kept.content) == json.loads(asked.content)
    assert kept.content == asked.content
