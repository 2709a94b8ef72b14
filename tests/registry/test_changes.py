"""The change feed, and the mirrors that live on it."""

import gzip
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.entries import read_entry
from service.loading import load_entries
from service.models_registry import OFFICIAL
from service.reading import pieces
from service.store.base import Store
from tests.registry.conftest import Item, item, load, serial_of, whole

FEED = "/v0.1/x/io.mcps/changes"
DATES = ("2025-11-12", "2025-12-04", "2025-12-18")
Key = tuple[str, str]


def key(entry: Item) -> Key:
    return entry["server"]["name"], entry["server"]["version"]


class Mirror:
    """A copy of the catalog that reads only the change feed."""

    def __init__(self) -> None:
        self.entries: dict[Key, Item] = {}
        self.place = "0"
        self.serials: list[int] = []

    async def follow(self, client: httpx.AsyncClient, limit: int = 100) -> None:
        """Read to the end of the feed."""
        while True:
            answer = await client.get(
                FEED, params={"since": self.place, "limit": limit}
            )
            assert answer.status_code == 200, answer.text
            body = answer.json()
            self.place = body["next"]
            self.serials += [change["serial"] for change in body["changes"]]
            for change in body["changes"]:
                self._take(change)
            if len(body["changes"]) < limit:
                return

    def _take(self, change: dict[str, Any]) -> None:
        if change["kind"] != "version":
            return
        if change["deleted"]:
            self.entries.pop((change["name"], change["version"]), None)
        else:
            self.entries[change["name"], change["version"]] = change["item"]


async def everything(client: httpx.AsyncClient) -> dict[Key, Item]:
    """A full read, with what is marked as deleted."""
    found = await whole(client, limit=100, include_deleted="true")
    return {key(entry): entry for entry in found}


async def load_file(store: Store, path: Path) -> None:
    text = gzip.decompress(path.read_bytes())
    await load_entries(store, [read_entry(piece) for piece in pieces([text])])


async def test_a_mirror_by_changes_sees_entries_come_change_and_go(
    client: httpx.AsyncClient, store: Store, admin: dict[str, str]
) -> None:
    mirror = Mirror()
    await load(store, *(item(f"io.a/n{at}") for at in range(12)))
    await mirror.follow(client, limit=5)
    assert mirror.entries == await everything(client)
    await load(
        store,
        item("io.a/n1", "2.0.0"),
        item("io.a/n2", status="deleted", updatedAt="2026-01-01T00:00:00Z"),
    )
    listed = (await client.get("/servers?sort=name")).json()
    await client.delete(f"/servers/{listed[3]['id']}", headers=admin)
    await mirror.follow(client, limit=5)
    assert mirror.entries == await everything(client)
    assert len(mirror.entries) == 12
    assert mirror.serials == sorted(mirror.serials)


async def test_the_end_of_the_feed_stays_where_it_is(
    client: httpx.AsyncClient, store: Store
) -> None:
    await load(store, item("io.a/one"))
    mirror = Mirror()
    await mirror.follow(client)
    place = mirror.place
    await mirror.follow(client)
    assert mirror.place == place
    serial = await serial_of(client)
    answer = (await client.get(f"{FEED}?since={serial}")).json()
    assert answer == {"changes": [], "next": str(serial), "serial": serial}
    before = (await client.get(f"{FEED}?since={serial - 1}")).json()
    assert {change["kind"] for change in before["changes"]} == {"server", "version"}


@pytest.mark.parametrize("since", ["x", "-1", "1.", ".1", "1.1.1", "01", "1e3"])
async def test_a_place_that_is_none_is_refused(
    client: httpx.AsyncClient, since: str
) -> None:
    assert (await client.get(f"{FEED}?since={since}")).status_code == 422


async def test_a_change_by_hand_is_in_the_feed(
    client: httpx.AsyncClient, store: Store, database: Any
) -> None:
    await load(store, item("io.a/one"), item("io.a/two"))
    mirror = Mirror()
    await mirror.follow(client)
    await database.execute(
        "update server_version set version = '3' where registry_name = 'io.a/one'"
    )
    await mirror.follow(client)
    stored = {version for _, version in mirror.entries}
    assert stored == {"1.0.0", "3"}
    assert len(mirror.entries) == 2
    await database.execute("delete from server")
    await mirror.follow(client)
    assert mirror.entries == {} == await everything(client)


async def test_a_batch_gives_what_is_there_and_names_what_is_not(
    client: httpx.AsyncClient, store: Store
) -> None:
    await load(store, item("io.a/one"), item("io.a/two"), item("io.a/one", "2.0.0"))
    names = ["io.a/two", "io.x/no", "io.a/one", "io.a/two"]
    path = "/v0.1/x/io.mcps/batch"
    answer = await client.post(path, json={"names": names})
    assert answer.status_code == 200
    body = answer.json()
    assert [key(entry) for entry in body["servers"]] == [
        ("io.a/two", "1.0.0"),
        ("io.a/one", "2.0.0"),
    ]
    assert body["missing"] == ["io.x/no"]
    assert answer.headers["x-mcps-serial"] == str(await serial_of(client))
    for wrong in ([], ["x"] * 101, [""], ["a\0b"]):
        refused = await client.post(path, json={"names": wrong})
        assert refused.status_code == 400


async def test_facets_count_the_latest_versions(
    client: httpx.AsyncClient, store: Store
) -> None:
    path = "/v0/x/io.mcps/facets"
    assert (await client.get(path)).json() == {"labels": {}}
    remote: dict[str, Any] = {"remotes": [{"type": "sse", "url": "https://a.example"}]}
    await load(store, item("io.a/one", **remote), item("io.a/two"))
    assert (await client.get(path)).json() == {
        "labels": {"remote": 1, "status:active": 2, "transport:sse": 1}
    }


async def test_mirrors_of_the_dated_files_end_equal_to_a_full_read(
    client: httpx.AsyncClient, store: Store, shared_data: Path
) -> None:
    """One follows only `changes`, the other only `updated_since` with an overlap."""
    by_changes = Mirror()
    by_time: dict[Key, Item] = {}
    since = "2000-01-01T00:00:00Z"
    for date in DATES:
        await load_file(store, shared_data / "registry" / f"official-{date}.json.gz")
        await by_changes.follow(client)
        found = await whole(client, limit=100, updated_since=since)
        by_time |= {key(entry): entry for entry in found}
        times = (e["_meta"][OFFICIAL]["updatedAt"] for e in by_time.values())
        since = max(times).replace("Z", "+00:00")
        full = await everything(client)
        assert len(full) > 1000
        assert by_changes.entries == full
        assert by_time == full
