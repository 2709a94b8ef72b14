"""GET /search: what is found, in which order, and what a mistyped word finds."""

from typing import Any

import httpx
import msgspec
import pytest

from service.models_search import SearchAnswer
from service.store.base import Store

Json = dict[str, Any]
Headers = dict[str, str]

SERVERS: list[Json] = [
    {"name": "kubernetes-mcp", "description": "Manage clusters", "stars": 50},
    {"name": "helm", "description": "Charts for Kubernetes clusters", "stars": 900},
    {"name": "GoogleCalendar", "description": "Events of your day", "stars": 5},
    {"name": "calendar-sync", "title": "Calendar", "description": "Keeps two in step"},
    {"name": "postgres", "description": "A relational database", "stars": 7},
    {"name": "postgres-database", "description": "Queries"},
    {"name": "issue-tracker", "description": "Issues of GitHub", "stars": 70},
    {"name": "github-actions", "description": "Runs of a workflow", "stars": 1},
    {"name": "slack", "description": "Messages", "keywords": ["chat", "node.js"]},
    {"name": "weather-server", "description": "Forecast, 100% sure", "stars": 3},
    {"name": "météo", "description": "日本語 שלום prévisions"},
]
TOOLS: list[Json] = [
    {"server": "helm", "name": "getRainfall", "description": "How wet it was"},
    {"server": "slack", "name": "post_note", "description": "Rainfall of notes"},
    {"server": "slack", "name": "rainfall", "description": None},
]


@pytest.fixture
async def catalog(client: httpx.AsyncClient, admin: Headers, store: Store) -> None:
    """A small catalog whose registry names all begin with io.github."""
    for server in SERVERS:
        plain = "".join(c for c in server["name"] if c.isascii())
        body = {
            **server,
            "registry_name": f"io.github.{plain.lower()[:4]}/{plain}",
            "primary_url": f"https://www.example.org/{plain}",
        }
        response = await client.post("/servers", json=body, headers=admin)
        assert response.status_code == 201, response.text
    items = [
        tool | {"server": f"io.github.{tool['server'][:4]}/{tool['server']}"}
        for tool in TOOLS
    ]
    await store.run("load_tools", items=msgspec.json.encode(items).decode())


async def search(client: httpx.AsyncClient, text: str, **query: Any) -> SearchAnswer:
    response = await client.get("/search", params={"q": text, **query})
    assert response.status_code == 200, response.text
    return msgspec.json.decode(response.content, type=SearchAnswer)


async def names(client: httpx.AsyncClient, text: str) -> list[str]:
    return [server.name for server in (await search(client, text)).servers]


FOUND: list[tuple[str, list[str]]] = [
    ("kubernetes", ["kubernetes-mcp", "helm"]),
    ("calendar", ["calendar-sync", "GoogleCalendar"]),
    ("google calendar", ["GoogleCalendar"]),
    ("GoogleCalendar", ["GoogleCalendar"]),
    ("googlecalendar", ["GoogleCalendar"]),
    ("GitHub", ["github-actions", "issue-tracker"]),
    ("postgres database", ["postgres-database", "postgres"]),
    ("postgres database mcp server", ["postgres-database", "postgres"]),
    ("chat", ["slack"]),
    ("node js", ["slack"]),
    ("node.js", ["slack"]),
    ("weather", ["weather-server"]),
    ("METEO", []),
    ("météo", ["météo"]),
    ("日本語", ["météo"]),
    ("שלום", ["météo"]),
    ("kubernetes calendar", []),
    ("io", []),
    ("the", []),
    ("...", []),
    ("\U0001f389", []),
]


@pytest.mark.usefixtures("catalog")
async def test_every_word_must_match_and_those_of_the_name_count_most(
    client: httpx.AsyncClient,
) -> None:
    for text, found in FOUND:
        answer = await search(client, text)
        servers = [server.name for server in answer.servers]
        assert sorted(servers) == sorted(found), text
        assert servers[:1] == found[:1], text
        assert answer.total == len(found), text
        assert answer.corrected is msgspec.UNSET, text


@pytest.mark.usefixtures("catalog")
async def test_words_may_match_in_different_places_in_any_order(
    client: httpx.AsyncClient,
) -> None:
    both = ["helm", "kubernetes-mcp"]
    assert sorted(await names(client, "clusters kubernetes")) == both
    assert sorted(await names(client, "kubernetes clusters")) == both


@pytest.mark.usefixtures("catalog")
async def test_idle_words_alone_give_the_most_popular(
    client: httpx.AsyncClient,
) -> None:
    assert await names(client, "mcp") == ["kubernetes-mcp"]
    assert await names(client, "the servers") == ["weather-server"]
    assert sorted(await names(client, "clusters mcp")) == ["helm", "kubernetes-mcp"]


PATHS: list[tuple[str, list[str]]] = [
    ("io.github.slac/", ["slack"]),
    ("io.github.cale/calendar-sync", ["calendar-sync"]),
    ("IO.GitHub.post/ database", ["postgres", "postgres-database"]),
    ("io.github.post/ queries", ["postgres-database"]),
    ("io.github.post/ weather", []),
    ("https://example.org/slack", ["slack"]),
    ("https://www.example.org/slack.git", ["slack"]),
    ("io.github._lac/", []),
    ("io.github.%/", []),
    ("io.github.\\/", []),
    ("example.org/", [body["name"] for body in SERVERS]),
]


@pytest.mark.usefixtures("catalog")
async def test_a_word_with_a_slash_is_a_part_of_registry_names_and_urls(
    client: httpx.AsyncClient,
) -> None:
    for text, found in PATHS:
        answer = await search(client, text, limit=100)
        servers = [server.name for server in answer.servers]
        assert sorted(servers) == sorted(found), text
        assert answer.tools == [], text
        assert answer.total == len(found), text


@pytest.mark.usefixtures("catalog")
async def test_a_path_that_is_none_is_taken_as_words(client: httpx.AsyncClient) -> None:
    assert await names(client, "charts/clusters") == ["helm"]


MISTYPED = [
    ("kuberentes", "kubernetes"),
    ("postgers", "postgres"),
    ("githbu", "github"),
    ("calender", "calendar"),
    ("wether", "weather"),
    ("databse", "database"),
    ("slcak", "slack"),
    ("postg", "postgres"),
    ("Wether Forcast", "weather forecast"),
    ("slcak mcp", "slack"),
    ("kuberentes clusters", "kubernetes clusters"),
    ("clusters kuberentes", "clusters kubernetes"),
]


@pytest.mark.usefixtures("catalog")
async def test_a_mistyped_word_finds_what_was_meant_and_says_so(
    client: httpx.AsyncClient,
) -> None:
    for typed, meant in MISTYPED:
        answer = await search(client, typed)
        assert answer.corrected == meant
        assert answer.servers == (await search(client, meant)).servers, typed
        assert answer.servers, typed


WITH_TOOLS: list[tuple[str, list[str], list[str]]] = [
    ("rainfall", ["rainfall", "getRainfall", "post_note"], ["helm", "slack"]),
    ("get rainfall", ["getRainfall"], ["helm"]),
    ("wet", ["getRainfall"], []),
    ("charts rainfall", [], ["helm"]),
    ("io.github.helm/ rainfall", [], ["helm"]),
]


@pytest.mark.usefixtures("catalog")
async def test_tools_are_found_and_lead_to_their_servers(
    client: httpx.AsyncClient,
) -> None:
    for text, tools, servers in WITH_TOOLS:
        answer = await search(client, text)
        assert [tool.name for tool in answer.tools] == tools, text
        assert sorted(server.name for server in answer.servers) == servers, text
        assert answer.total == len(tools) + len(servers), text


NOT_TO_MEND = [
    "slcak weather",
    "qqqqqqqq",
    "slack weather",
    "io.github.nobody/wether",
    "wether qqqqqqqq",
    "wetha weathr wather weater weathe",
]


@pytest.mark.usefixtures("catalog")
async def test_a_correction_that_finds_nothing_is_not_offered(
    client: httpx.AsyncClient,
) -> None:
    for text in NOT_TO_MEND:
        response = await client.get("/search", params={"q": text})
        assert response.json() == {"servers": [], "tools": [], "total": 0}, text


@pytest.mark.usefixtures("catalog")
async def test_the_limit_goes_for_each_kind_and_the_total_for_all(
    client: httpx.AsyncClient,
) -> None:
    answer = await search(client, "calendar", limit=1)
    assert [server.name for server in answer.servers] == ["calendar-sync"]
    assert answer.total == 2


async def test_equal_ranks_go_by_stars_then_by_id(
    client: httpx.AsyncClient, admin: Headers
) -> None:
    for number, stars in enumerate([5, 9, 5, 9, 0]):
        body = {"name": "twin", "primary_url": f"https://a.example/{number}"}
        response = await client.post(
            "/servers", json=body | {"stars": stars}, headers=admin
        )
        assert response.status_code == 201
    answer = await search(client, "twin")
    found = [(server.stars, server.id) for server in answer.servers]
    assert found == sorted(found, key=lambda pair: (-pair[0], pair[1]))
    assert len(found) == 5


async def test_a_name_goes_before_any_number_of_mentions(
    client: httpx.AsyncClient, admin: Headers
) -> None:
    for name, text in [("other", "weather " * 1000), ("my-weather-of-the-day", "x")]:
        body = {"name": name, "description": text, "primary_url": f"a:{name}"}
        assert (await client.post("/servers", json=body, headers=admin)).is_success
    assert await names(client, "weather") == ["my-weather-of-the-day", "other"]


@pytest.mark.usefixtures("catalog")
async def test_a_change_is_found_at_once_and_what_is_gone_is_not(
    client: httpx.AsyncClient, admin: Headers
) -> None:
    (server,) = (await search(client, "slack")).servers
    change = {"description": "Zebra crossings"}
    patched = await client.patch(f"/servers/{server.id}", json=change, headers=admin)
    assert patched.status_code == 200
    assert await names(client, "zebra") == ["slack"]
    assert await names(client, "messages") == []
    await client.delete(f"/servers/{server.id}", headers=admin)
    assert await names(client, "zebra") == []


OUT_OF_BOUNDS = [
    "",
    "q=",
    "q=%20%20",
    "q=a&q=b",
    "q=a&limit=0",
    "q=a&limit=101",
    "q=a&limit=1e1",
    "q=a&skip=1",
    "q=%00",
    "q=%ff",
    "q=" + "x" * 257,
    "q=" + "%F0%9F%8E%89" * 257,
    "q=" + "x" * 60_000,
]


async def test_a_query_out_of_bounds_is_refused(client: httpx.AsyncClient) -> None:
    for query in OUT_OF_BOUNDS:
        response = await client.get(f"/search?{query}")
        assert response.status_code == 400, query[:99]
        assert response.json()["errors"], query[:99]


async def test_surrounding_blanks_do_not_count(client: httpx.AsyncClient) -> None:
    for text in (" x ", "x" * 256, "  " + "x " * 128, "\u3000é\u3000"):
        assert (await search(client, text)).total == 0


HOSTILE = [
    "foo & | ! ( ) :* <-> '",
    "':*",
    "slack' or 1=1 --",
    '"slack" OR "weather"',
    "NEAR(slack weather)",
    "name:slack",
    "slack*",
    "^slack",
    "-slack",
    "{name} : slack",
    "\\' ; drop table server; --",
    "[[]]",
    "\u202e\u200dslack\u200b",
    "a" * 256,
    "a " * 128,
    "\U0001f469\u200d\U0001f4bb " * 60,
    "%" * 256,
    "/" * 256,
    "\\/" * 128,
    "٣ ½ ﷽ ﬁ İ ß",
    "and or not",
]


@pytest.mark.usefixtures("catalog")
async def test_no_text_is_an_error(client: httpx.AsyncClient) -> None:
    for text in HOSTILE:
        answer = await search(client, text, limit=100)
        assert answer.total == len(answer.servers) + len(answer.tools), text
    assert len(await names(client, "example.org/")) == len(SERVERS)
