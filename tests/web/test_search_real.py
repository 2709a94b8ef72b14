"""Search on the real registry: sensible servers first, errors mended, always fast."""

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from service.models_search import SearchAnswer

pytestmark = [pytest.mark.postgresql, pytest.mark.slow]

SEED = 3
TYPED = {
    "kuberentes": "kubernetes",
    "finnancial": "financial",
    "postgers": "postgres",
    "githbu": "github",
    "calender": "calendar",
    "wether": "weather",
    "databse": "database",
    "slcak": "slack",
    "dokcer": "docker",
}
LETTERS = "abcdefghijklmnopqrstuvwxyz"
HOSTILE = [
    "foo & | ! ( ) :* <-> '",
    "the and of for",
    "a " * 128,
    "x" * 256,
    " ".join(f"w{n:02}" for n in range(64)),
    "mcp server " * 21,
    "search data api tools agent " * 9,
    "\U0001f389" * 256,
    "\u202e\u05e9\u05dc\u05d5\u05dd " * 40,
    "%" * 255 + "/",
    "github.com/",
    "io.github. /" * 21,
    "/a" * 128,
    "wetherr datbase finnancial calender",
]
LIMIT_S = 0.05


@pytest.fixture
def real(run_mcps: Callable[..., Any], shared_data: Path) -> None:
    """The real registry as it was in December 2025."""
    file = shared_data / "registry" / "official-2025-12-18.json.gz"
    done = run_mcps("load", str(file))
    assert done.returncode == 0, done.stderr


async def search(client: httpx.AsyncClient, text: str) -> SearchAnswer:
    response = await client.get("/search", params={"q": text})
    assert response.status_code == 200, response.text
    return msgspec.json.decode(response.content, type=SearchAnswer)


def mistyped(word: str, dice: random.Random) -> Iterator[str]:
    """The word with two letters swapped, one less, one more, another one."""
    i = dice.randrange(1, len(word) - 1)
    yield word[:i] + word[i + 1] + word[i] + word[i + 2 :]
    yield word[:i] + word[i + 1 :]
    yield word[:i] + dice.choice(LETTERS) + word[i:]
    yield word[:i] + dice.choice(LETTERS) + word[i + 1 :]


@pytest.mark.usefixtures("real")
async def test_sensible_servers_come_first(client: httpx.AsyncClient) -> None:
    answer = await search(client, "postgres database")
    assert "postgres" in answer.servers[0].name
    assert "kubernetes" in (await search(client, "kuberentes")).servers[0].name
    about = await search(client, "github")
    for server in about.servers[:3]:
        assert "github" in server.name.lower()
    assert about.total < 100, "the namespace io.github counts"
    spaced = await search(client, "io.github.containers/")
    assert [server.name for server in spaced.servers] == ["kubernetes-mcp-server"]
    assert (await search(client, "google calendar")).servers[0].name == "google-cal-mcp"
    popular = await search(client, "mcp server")
    assert popular.total > 500


@pytest.mark.usefixtures("real")
async def test_typing_errors_are_mended(
    client: httpx.AsyncClient, database: Any, record_property: Callable[..., None]
) -> None:
    for typed, meant in TYPED.items():
        assert (await search(client, typed)).corrected == meant
    rows = await database.fetch(
        "select word, to_tsvector('english', word)::text as stem from search_word"
        " where char_length(word) between 5 and 20 order by uses desc, word"
    )
    stems = {row["word"]: row["stem"] for row in rows}
    dice = random.Random(SEED)
    tried, missed = 0, []
    for word in list(stems)[:40]:
        for typed in mistyped(word, dice):
            answer = await search(client, typed)
            if answer.corrected is msgspec.UNSET and answer.total:
                continue
            tried += 1
            if stems.get(str(answer.corrected)) != stems[word]:
                missed.append((word, typed, answer.corrected))
    record_property("mended", f"{tried - len(missed)} of {tried}")
    assert tried > 100
    assert len(missed) <= tried / 20, missed


@pytest.mark.faults  # it measures time, so it runs alone
@pytest.mark.usefixtures("real")
async def test_no_text_makes_a_search_slow(client: httpx.AsyncClient) -> None:
    for text in HOSTILE:
        assert await fastest_s(client, text) <= LIMIT_S, text


async def fastest_s(client: httpx.AsyncClient, text: str) -> float:
    """The best of some tries: a busy machine is no fault of the text."""
    took_s: list[float] = []
    while len(took_s) < 10 and (not took_s or min(took_s) > LIMIT_S):
        began_at = time.perf_counter()
        await search(client, text)
        took_s.append(time.perf_counter() - began_at)
    return min(took_s)
