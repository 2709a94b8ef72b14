"""The real lists of three dates, in any order."""

import json
from pathlib import Path
from typing import Any

import pytest

from service.entries import read_entry
from service.files import Source
from service.loading import LoadReport, load_entries
from service.profile import base_url
from service.reading import pieces
from service.store.postgres import PostgresStore

DATES = ("2025-11-12", "2025-12-04", "2025-12-18")
ENTRIES = {"2025-11-12": 1724, "2025-12-04": 2399, "2025-12-18": 2794}

pytestmark = pytest.mark.slow


async def load(store: PostgresStore, folder: Path, date: str) -> LoadReport:
    file = folder / "registry" / f"official-{date}.json.gz"
    source = Source(str(file), check=lambda: None)
    return await load_entries(store, map(read_entry, pieces(source.chunks())))


async def state(database: Any) -> dict[str, dict[Any, Any]]:
    """Everything stored, but ids and times of this catalog."""
    versions = await database.fetch(
        "select registry_name, version, document::text, status, published_at,"
        " source_updated_at, is_latest, precedence, problems::text from server_version"
    )
    servers = await database.fetch(
        "select registry_name, name, title, description, homepage, host_type,"
        " latest_version, author_name, keywords, stars, primary_url from server"
    )
    words = await database.fetch("select word, uses from search_word")
    return {
        "versions": {tuple(row)[:2]: tuple(row)[2:] for row in versions},
        "servers": {row["registry_name"]: tuple(row)[:-1] for row in servers},
        "urls": {row["registry_name"]: row["primary_url"] for row in servers},
        "words": dict(map(tuple, words)),
    }


async def test_a_list_is_stored_whole_and_a_second_time_changes_nothing(
    store: PostgresStore, database: Any, shared_data: Path
) -> None:
    first = await load(store, shared_data, DATES[-1])
    assert (first.versions_new, first.servers_new) == (2794, 1108)
    assert (first.flagged, first.rejected, first.repeated) == (396, 0, 0)
    marks = "select registry_name, ctid::text, xmin::text from {} order by 1, 2"
    tables = ("server", "server_version")
    before = [await database.fetch(marks.format(table)) for table in tables]
    for date in reversed(DATES):
        again = await load(store, shared_data, date)
        assert again.versions_unchanged == again.entries == ENTRIES[date]
    assert [await database.fetch(marks.format(table)) for table in tables] == before
    latest = (
        "select count(*), count(distinct server_id) from server_version where is_latest"
    )
    assert tuple(await database.fetchrow(latest)) == (1108, 1108)


async def test_the_order_of_the_lists_does_not_matter(
    store: PostgresStore, database: Any, shared_data: Path
) -> None:
    states = []
    for order in (DATES, tuple(reversed(DATES))):
        await database.execute("truncate server cascade; truncate search_word")
        for date in order:
            await load(store, shared_data, date)
        states.append(await state(database))
    forward, backward = states
    # Where the source rewrote a body and left its updatedAt as it was, nobody can tell
    # which one is newer: the first one stays.
    rewritten = differing(forward["versions"], backward["versions"])
    assert len(rewritten) == 23
    names = {name for name, _ in rewritten}
    assert differing(forward["servers"], backward["servers"]) <= names
    # A server keeps the URL that it came with: one that moved, or shares its URL with
    # others, has the one of the list that was first.
    bases: dict[str, set[str]] = {}
    for (name, _), (document, *_) in forward["versions"].items():
        bases.setdefault(name, set()).add(base_url(name, json.loads(document)))
    both = [forward["urls"], backward["urls"]]
    moved = {name for name, urls in bases.items() if len(urls) > 1}
    shared = {name for urls in both for name, url in urls.items() if "#" in url}
    owners = {urls[name].partition("#")[0] for urls in both for name in shared}
    for name in differing(*both) - moved:
        assert {url.partition("#")[0] for url in bases[name]} <= owners


def differing(left: dict[Any, Any], right: dict[Any, Any]) -> set[Any]:
    assert left.keys() == right.keys()
    return {key for key in left if left[key] != right[key]}


async def test_the_marks_are_those_of_the_source(
    store: PostgresStore, database: Any, shared_data: Path
) -> None:
    await load(store, shared_data, DATES[-1])
    rows = await database.fetch(
        "select registry_name, version from server_version where is_latest"
    )
    ours = dict(map(tuple, rows))
    source = Source(
        str(shared_data / "registry" / f"official-{DATES[-1]}.json.gz"),
        check=lambda: None,
    )
    theirs = {}
    for piece in pieces(source.chunks()):
        value = json.loads(piece.text)
        official = value["_meta"]["io.modelcontextprotocol.registry/official"]
        if official["isLatest"]:
            theirs[value["server"]["name"]] = value["server"]["version"]
    different = {name for name, version in theirs.items() if ours[name] != version}
    assert len(theirs) == 1108
    assert different == set()
