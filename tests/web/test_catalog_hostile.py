"""Hostile input to the catalog's JSON API: refused with a reason, never a 500."""

import random
import time

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from service.cursor import Mark, write_cursor
from service.models import ServerFilters
from tests.web.rows import Headers, Json, add_servers, servers

MINIMAL = {"name": "one", "primary_url": "https://example.org/one"}
NUMBERS = [
    "0",
    "-1",
    "1001",
    "2147483648",
    "9223372036854775808",
    "9" * 30,
    "1e3",
    "1.0",
    "0x10",
    "%D9%A3",
    "%2B5",
    "%205",
    "5%20",
    "",
    "none",
    "null",
    "true",
    "5&limit=5",
]
QUERIES = [
    "sort=nothing",
    "sort=--stars",
    "sort=stars%20desc",
    "sort=null",
    "host_type=GITHUB",
    "host_type=null",
    "risk_level=low",
    "verified_only=yes",
    "verified_only=null",
    "min_stars=-1",
    "min_stars=1e3",
    "min_stars=9223372036854775808",
    "skip=-1",
    "skip=10001",
    "count=2",
    "updated_since=yesterday",
    "updated_since=2026-01-31",
    "updated_since=2026-01-31T12:00:00",
    "updated_since=2026-01-31T12:00:00+02:00",
    "updated_since=1700000000",
    "updated_since=infinity",
    "updated_since=2026-02-30T00:00:00Z",
    "updated_since=" + "2" * 300,
    "keyword=",
    "keyword=" + "x" * 257,
    "category=" + "x" * 10_000,
    "keyword=%00",
    "keyword=%FF",
    "keyword=%C0%AF",
    "keyword=%ED%A0%80",
    "keyword=%zz",
    "stars=1",
    "Limit=1",
    "limit=1&LIMIT=2",
    "cursor=",
    "cursor=null",
    "cursor=a+b",
    "cursor=%0d%0aX-Evil:1",
    "cursor=" + "A" * 60_000,
]
BODIES: list[tuple[bytes, int]] = [
    (b"", 400),
    (b"null", 400),
    (b"[]", 400),
    (b"{", 400),
    (b'\xef\xbb\xbf{"name":"x","primary_url":"a:b"}', 400),
    (b'{"name":"\xff","primary_url":"a:b"}', 400),
    (b'{"name":"\xc0\xaf","primary_url":"a:b"}', 400),
    (b'{"name":"\x00","primary_url":"a:b"}', 400),
    (rb'{"name":"\u0000","primary_url":"a:b"}', 400),
    (rb'{"name":"x","primary_url":"a:b\u0000"}', 400),
    (rb'{"name":"\ud800","primary_url":"a:b"}', 400),
    (rb'{"name":"x","primary_url":"a:b","keywords":["\u0000"]}', 400),
    (rb'{"name":"x","primary_url":"a:b","readme_content":"\udfff"}', 400),
    (b'{"name":"x","primary_url":"a:b","stars":1e131071}', 400),
    (b'{"name":"x","primary_url":"a:b","stars":NaN}', 400),
    (b'{"name":"x","primary_url":"a:b","stars":' + b"9" * 100_000 + b"}", 400),
    (b'{"name":"x","primary_url":"a:b","keywords":' + b"[" * 100, 400),
    (b'{"name":"x","primary_url":"a:b","keywords":' + b"[" * 100_000, 400),
    (b'{"a":' * 100_000, 400),
    (b'{"name":"x","primary_url":"a:b","x":' + b"[" * 1000 + b"]" * 1000, 400),
    (b'{"name":"x",' + b'"k":1,' * 100_000 + b'"primary_url":"a:b"}', 400),
    (b'{"name":"x","primary_url":"a:b","title":"' + b"x" * 1_100_000, 413),
]
VALUES = [
    "'",
    "\"';--",
    "%%",
    "{}",
    "[]",
    "$1",
    ":key",
    "\\",
    "a\r\nX-Evil: 1",
    "ai\x7f",
]


async def test_wrong_limits_are_refused(client: httpx.AsyncClient) -> None:
    for path in ("/servers", "/tools", "/servers/1/tools", "/servers/1/releases"):
        for text in NUMBERS:
            response = await client.get(f"{path}?limit={text}")
            assert response.status_code == 400, (path, text)
            assert response.json()["errors"][0]["location"].startswith("query")


async def test_wrong_parameters_are_refused(client: httpx.AsyncClient) -> None:
    for query in QUERIES:
        response = await client.get(f"/servers?{query}")
        assert response.status_code == 400, query
        assert response.headers["content-type"].startswith("application/problem+json")
    for query in ("name=", "name=%00", "server_id=0", "server_id=1e3", "sort=name"):
        assert (await client.get(f"/tools?{query}")).status_code == 400, query
    for path in ("/servers/1?limit=5", "/tools/1?x=1"):
        assert (await client.get(path)).status_code == 400, path


async def test_odd_values_filter_literally(
    client: httpx.AsyncClient, admin: Headers
) -> None:
    for number, value in enumerate(VALUES):
        url = f"https://example.org/{number}"
        body = {"name": value, "primary_url": url, "keywords": [value]}
        response = await client.post("/servers", json=body, headers=admin)
        assert response.status_code == 201
        assert len(response.headers.get_list("location")) == 1
    for value in VALUES:
        for sort in ("name", "-stars"):
            asked = {"keyword": value, "sort": sort}
            response = await client.get("/servers", params=asked)
            assert [row["name"] for row in response.json()] == [value]
            assert "x-evil" not in response.headers
        assert (await client.get("/tools", params={"name": value})).json() == []


async def test_hostile_bodies_are_refused_quickly(
    client: httpx.AsyncClient, admin: Headers
) -> None:
    headers = {**admin, "content-type": "application/json"}
    for body, status in BODIES:
        for method, path in (("POST", "/servers"), ("PUT", "/servers/1")):
            began_at = time.process_time()
            response = await client.request(method, path, content=body, headers=headers)
            assert response.status_code == status, (body[:100], response.text)
            assert time.process_time() - began_at < 0.2
    assert (await client.get("/servers")).json() == []


async def test_a_body_that_is_no_plain_json_is_refused(
    client: httpx.AsyncClient, admin: Headers
) -> None:
    for extra in (
        {"content-type": "text/plain"},
        {"content-type": "application/json", "content-encoding": "gzip"},
    ):
        response = await client.post(
            "/servers", content=b'{"name":"x"}', headers={**admin, **extra}
        )
        assert response.status_code == 415


async def test_damaged_cursors_get_a_400_or_the_page_they_mean(
    client: httpx.AsyncClient, admin: Headers
) -> None:
    found = await add_servers(client, admin, servers(12))
    response = await client.get("/servers?limit=3&keyword=ai&sort=name")
    cursor = response.links["next"]["url"].split("cursor=")[1].split("&")[0]
    legal = {server["id"] for server in found if "ai" in server["keywords"]}
    dice = random.Random(1)
    for _ in range(300):
        place = dice.randrange(len(cursor))
        letter = dice.choice("ABCdef019-_")
        text = dice.choice(
            [cursor[:place], cursor[:place] + letter + cursor[place + 1 :]]
        )
        response = await client.get(f"/servers?cursor={text}")
        if response.status_code == 200:
            assert {server["id"] for server in response.json()} <= legal
        else:
            assert response.status_code == 400, text
            assert response.json()["code"] in {"invalid_cursor", "invalid"}


marks = st.builds(
    Mark[ServerFilters],
    st.builds(
        ServerFilters,
        sort=st.sampled_from(["name", "-stars", "updated_at", "-updated_at", UNSET]),
        verified_only=st.sampled_from([True, False, UNSET]),
        keyword=st.sampled_from(["ai", "\0", "'", UNSET, UNSET]),
        min_stars=st.sampled_from([0, 5, UNSET]),
        updated_since=st.sampled_from(["2020-01-01T00:00:00Z", "x", UNSET]),
    ),
    st.one_of(
        st.text(max_size=20),
        st.sampled_from(
            ["infinity", "-infinity", "5", "-1", "1e3", "9" * 30, "\ud800"]
        ),
        st.datetimes().map(lambda at: at.isoformat() + "Z"),
    ),
    st.integers(-(2**63), 2**63 - 1),
)


async def test_a_made_up_cursor_shows_no_row_that_its_filters_hide(
    client: httpx.AsyncClient, admin: Headers
) -> None:
    found = await add_servers(client, admin, servers(20))
    drawn: list[Mark[ServerFilters]] = []

    @given(marks)
    @settings(max_examples=150, suppress_health_check=list(HealthCheck), database=None)
    def draw(mark: Mark[ServerFilters]) -> None:
        drawn.append(mark)

    draw()
    for mark in drawn:
        try:
            cursor = write_cursor("/servers", mark)
        except UnicodeEncodeError:
            continue
        response = await client.get(f"/servers?cursor={cursor}")
        assert response.status_code in {200, 400}, (mark, response.text)
        if response.status_code == 200:
            wanted = {s["id"] for s in found if fits(s, mark.filters)}
            assert {server["id"] for server in response.json()} <= wanted


def fits(server: Json, filters: ServerFilters) -> bool:
    """Whether a server passes the filters of a made-up cursor."""
    return (
        (filters.verified_only is not True or server["verified_source"])
        and (filters.keyword is UNSET or filters.keyword in server["keywords"])
        and (filters.min_stars is UNSET or server["stars"] >= filters.min_stars)
    )
