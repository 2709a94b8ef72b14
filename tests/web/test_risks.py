"""The risk of a server: its level, and beside it what harvests have shown."""

import httpx
import msgspec
import pytest

from service.catalog import Reference
from service.errors import NotFound
from service.merging import merge
from service.models_harvest import Harvest, Risk, SourceName
from service.models_risk import ServerRisk
from service.risks import get_risk
from service.store.base import Store
from tests.web.rows import Headers, Json, add_servers

ODD = 'a "quoted" \\ back\tslash 日本 </script>'
SHELL = Risk(kind="shell", file="src/run.py", line=12, detail="subprocess.run")
INSTALL = Risk(kind="install_script", file="package.json", line=3, detail=ODD)
WHOLE = Risk(kind="dependencies", detail="5 runtime; 80 kB unpacked")


@pytest.fixture
async def two(client: httpx.AsyncClient, admin: Headers) -> list[Json]:
    base = "https://example.org/"
    bodies: list[Json] = [
        {"name": f"s{n}", "primary_url": f"{base}{n}", "risk_level": "high"}
        for n in range(2)
    ]
    return await add_servers(client, admin, bodies)


async def put(store: Store, server: Json, source: SourceName, *risks: Risk) -> bool:
    """Store what a source shows, as a harvest does; gives whether it changed."""
    harvest = Harvest(primary_url=server["primary_url"], risks=list(risks))
    async with store.transaction() as work:
        return await merge(work, source, harvest) == "changed"


async def shown(client: httpx.AsyncClient, path: str) -> ServerRisk:
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    return msgspec.json.decode(answer.content, type=ServerRisk)


async def test_a_server_without_facts_shows_its_level_alone(
    client: httpx.AsyncClient, two: list[Json]
) -> None:
    answer = await client.get(f"/servers/{two[0]['id']}/risk")
    assert answer.json() == {
        "server_id": two[0]["id"],
        "risk_level": "high",
        "facts": [],
    }


async def test_facts_are_shown_with_their_places_in_order(
    client: httpx.AsyncClient, store: Store, two: list[Json]
) -> None:
    assert await put(store, two[0], "npm", SHELL, INSTALL, WHOLE, SHELL)
    by_id = await shown(client, f"/servers/{two[0]['id']}/risk")
    by_uuid = await shown(client, f"/servers/{two[0]['uuid']}/risk")
    assert by_id == by_uuid
    facts = [(f.source, f.kind, f.file, f.line, f.detail) for f in by_id.facts]
    assert facts == [
        ("npm", "dependencies", "", 0, WHOLE.detail),
        ("npm", "install_script", "package.json", 3, ODD),
        ("npm", "shell", "src/run.py", 12, "subprocess.run"),
    ]
    other = await shown(client, f"/servers/{two[1]['id']}/risk")
    assert other.facts == []


async def test_the_same_facts_again_touch_nothing(
    store: Store, two: list[Json]
) -> None:
    await put(store, two[0], "npm", SHELL, INSTALL)
    assert not await put(store, two[0], "npm", INSTALL, SHELL)


async def test_new_facts_replace_those_of_their_source_alone(
    client: httpx.AsyncClient, store: Store, two: list[Json]
) -> None:
    await put(store, two[0], "npm", SHELL, INSTALL)
    await put(store, two[0], "github", WHOLE)
    await put(store, two[1], "npm", SHELL)
    assert await put(store, two[0], "npm", SHELL, WHOLE)
    facts = (await shown(client, f"/servers/{two[0]['id']}/risk")).facts
    assert [(f.source, f.kind) for f in facts] == [
        ("github", "dependencies"),
        ("npm", "dependencies"),
        ("npm", "shell"),
    ]
    assert await put(store, two[0], "npm")
    assert len((await shown(client, f"/servers/{two[0]['id']}/risk")).facts) == 1
    assert len((await shown(client, f"/servers/{two[1]['id']}/risk")).facts) == 1


async def test_facts_go_with_their_server(
    client: httpx.AsyncClient, store: Store, two: list[Json], admin: Headers
) -> None:
    await put(store, two[0], "npm", SHELL)
    path = f"/servers/{two[0]['id']}"
    assert (await client.delete(path, headers=admin)).status_code == 204
    assert (await client.get(f"{path}/risk")).status_code == 404
    with pytest.raises(NotFound):
        await get_risk(store, Reference(id=two[0]["id"]))


@pytest.mark.parametrize("path", ["/servers/999/risk", "/servers/x/risk"])
async def test_what_is_no_server_has_no_risk(
    client: httpx.AsyncClient, path: str
) -> None:
    answer = await client.get(path)
    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"


async def test_parameters_are_refused(
    client: httpx.AsyncClient, two: list[Json]
) -> None:
    answer = await client.get(f"/servers/{two[0]['id']}/risk?limit=1")
    assert answer.status_code == 400
