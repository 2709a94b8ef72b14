"""Who may say what of a server, and that what is unchanged writes nothing."""

import json
from typing import Any

import httpx
import pytest

from service.harvest import Report
from service.jobs import JobName
from service.models_harvest import (
    Fields,
    FoundContributor,
    FoundDependency,
    FoundPrompt,
    FoundRelease,
    FoundResource,
    FoundTool,
    Harvest,
    Page,
    Risk,
    SourceName,
)
from service.settings import Settings
from service.store.base import Store
from tests.harvest.conftest import Scripted, item, run

URL = "https://github.com/acme/tools"
Json = dict[str, Any]
EVERYTHING: dict[str, Any] = {
    "tools": [
        FoundTool(name="one", description="does", input_schema={"type": "object"}),
        FoundTool(name="two"),
    ],
    "resources": [FoundResource(uri_template="file:///{path}", name="files")],
    "prompts": [FoundPrompt(name="ask", arguments=[{"name": "topic"}])],
    "dependencies": [FoundDependency(library_name="httpx", ecosystem="pypi")],
    "releases": [FoundRelease(version="1", published_at="2025-01-01T00:00:00Z")],
    "contributors": [FoundContributor(username="a", platform="github", commits=3)],
    "risks": [Risk(kind="shell", file="a.py", line=7, detail="subprocess.run")],
}


class Catalog:
    """Harvests into the catalog, and what clients then see of one server."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        client: httpx.AsyncClient,
        admin: dict[str, str],
    ) -> None:
        self.store = store
        self.client = client
        self._settings = settings
        self._admin = admin

    async def harvest(
        self, source: SourceName, *harvests: Harvest, entries: Any = ()
    ) -> Report:
        """Let a source find this."""
        texts = [json.dumps(entry).encode() for entry in entries]
        scripted = Scripted(source, Page(harvests=list(harvests), entries=texts))
        name = JobName(source, "x")
        (report,) = await run(self.store, {source: scripted}, self._settings, name)
        assert report.failures == []
        return report

    async def find(self, source: SourceName, **fields: Any) -> Report:
        """Let a source find these fields of the one server."""
        return await self.harvest(
            source, Harvest(primary_url=URL, fields=Fields(**fields))
        )

    async def server(self) -> Json:
        """The only server."""
        (server,) = (await self.client.get("/servers")).json()
        body: Json = (await self.client.get(f"/servers/{server['id']}")).json()
        return body

    async def edit(self, **fields: Any) -> None:
        """Change the only server by the API."""
        path = f"/servers/{(await self.server())['id']}"
        answer = await self.client.patch(path, json=fields, headers=self._admin)
        assert answer.status_code == 200, answer.text

    async def children(self, kind: str) -> list[Json]:
        """What belongs to the only server."""
        path = f"/servers/{(await self.server())['id']}/{kind}"
        body: list[Json] = (await self.client.get(path)).json()
        return body

    async def serial(self) -> str:
        """The serial of the catalog."""
        return (await self.client.get("/v0.1/servers")).headers["x-mcps-serial"]


@pytest.fixture
def catalog(
    store: Store,
    harvest_settings: Settings,
    client: httpx.AsyncClient,
    admin: dict[str, str],
) -> Catalog:
    return Catalog(store, harvest_settings, client, admin)


async def test_a_server_that_nobody_knew_is_put_in(catalog: Catalog) -> None:
    report = await catalog.find("github", title="Tools", stars=7)
    server = await catalog.server()
    assert report.counts.new == 1
    assert (server["name"], server["title"], server["stars"]) == ("tools", "Tools", 7)
    assert server["last_indexed_at"]


async def test_what_was_edited_by_the_api_is_not_overwritten(catalog: Catalog) -> None:
    await catalog.find("github", title="old", license="MIT", stars=1)
    await catalog.edit(title="by hand", stars=5)
    await catalog.find("github", title="new", license="Apache-2.0", stars=9)
    server = await catalog.server()
    assert (server["title"], server["stars"]) == ("by hand", 5)
    assert server["license"] == "Apache-2.0"


async def test_what_was_cleared_by_the_api_stays_clear(catalog: Catalog) -> None:
    await catalog.find("github", title="old")
    await catalog.edit(title=None)
    await catalog.find("github", title="new")
    assert (await catalog.server())["title"] is None


async def test_a_bulk_change_is_an_edit_too(
    catalog: Catalog, admin: dict[str, str]
) -> None:
    await catalog.find("github", license="MIT")
    body = {"filters": {"license": "MIT"}, "updates": {"license": "BSD"}}
    answer = await catalog.client.post("/admin/bulk-update", json=body, headers=admin)
    assert answer.status_code == 200, answer.text
    await catalog.find("github", license="MIT")
    assert (await catalog.server())["license"] == "BSD"


async def test_a_new_version_does_not_overwrite_an_edit(catalog: Catalog) -> None:
    first = item("acme/tools", "1.0.0", title="Tools", repository={"url": URL})
    await catalog.harvest("registry", entries=[first])
    await catalog.edit(title="by hand")
    second = {**first["server"], "version": "2.0.0", "title": "New tools"}
    meta = item("acme/tools", "2.0.0", "2025-02-01")["_meta"]
    await catalog.harvest("registry", entries=[{"server": second, "_meta": meta}])
    server = await catalog.server()
    assert (server["title"], server["latest_version"]) == ("by hand", "2.0.0")


async def test_a_server_added_by_the_api_keeps_what_was_given(
    catalog: Catalog, admin: dict[str, str]
) -> None:
    body = {"name": "mine", "primary_url": URL, "description": "mine"}
    answer = await catalog.client.post("/servers", json=body, headers=admin)
    assert answer.status_code == 201
    await catalog.find("github", name="theirs", description="theirs", title="Theirs")
    server = await catalog.server()
    assert (server["name"], server["description"]) == ("mine", "mine")
    assert server["title"] == "Theirs"


async def test_the_stronger_source_wins_whoever_comes_last(catalog: Catalog) -> None:
    for order in (("github", "npm"), ("npm", "github")):
        for source in order:
            await catalog.find(source, description=source, downloads=len(source))
        server = await catalog.server()
        assert server["description"] == "github"
        assert server["downloads"] == len("npm")


async def test_the_entry_of_a_registry_is_stronger_than_what_is_found(
    catalog: Catalog,
) -> None:
    entry = item("acme/tools", title="Entry", repository={"url": URL})
    await catalog.find("github", title="Found", license="MIT", stars=3)
    await catalog.harvest("registry", entries=[entry])
    await catalog.find("github", title="Found again", stars=4)
    server = await catalog.server()
    assert (server["title"], server["license"]) == ("Entry", "MIT")
    assert (server["registry_name"], server["stars"]) == ("acme/tools", 4)


async def test_a_source_clears_only_what_it_said_itself(catalog: Catalog) -> None:
    await catalog.find("github", license="MIT", homepage="https://a.test/")
    await catalog.find("npm", license=None, homepage=None)
    assert (await catalog.server())["license"] == "MIT"
    await catalog.find("github", license=None)
    server = await catalog.server()
    assert (server["license"], server["homepage"]) == (None, "https://a.test/")


async def test_an_unchanged_harvest_writes_nothing_and_moves_no_serial(
    catalog: Catalog,
) -> None:
    harvest = Harvest(
        primary_url=URL,
        fields=Fields(title="Tools", keywords=["a", "b"], stars=3),
        **EVERYTHING,
    )
    first = await catalog.harvest("github", harvest)
    before, serial = await catalog.server(), await catalog.serial()
    again = await catalog.harvest("github", harvest)
    assert (first.counts.new, again.counts.changed) == (1, 0)
    assert await catalog.server() == before
    assert await catalog.serial() == serial


async def test_children_are_replaced_as_a_set_and_those_that_stay_keep_their_id(
    catalog: Catalog,
) -> None:
    await catalog.harvest("github", Harvest(primary_url=URL, **EVERYTHING))
    for kind, found in EVERYTHING.items():
        if kind != "risks":
            assert len(await catalog.children(kind)) == len(found)
    one, _ = await catalog.children("tools")
    assert one["input_schema"] == {"type": "object"}
    changed = [EVERYTHING["tools"][0], FoundTool(name="three")]
    report = await catalog.harvest(
        "github", Harvest(primary_url=URL, tools=changed, prompts=[])
    )
    assert report.counts.changed == 1
    tools = await catalog.children("tools")
    assert [tool["name"] for tool in tools] == ["one", "three"]
    assert tools[0] == one
    assert await catalog.children("prompts") == []
    assert len(await catalog.children("resources")) == 1


async def test_a_live_endpoint_knows_its_tools_best(catalog: Catalog) -> None:
    live = Harvest(primary_url=URL, tools=[FoundTool(name="live")])
    parsed = Harvest(primary_url=URL, tools=[FoundTool(name="parsed")])
    for source, harvest in (("http", live), ("pypi", parsed)):
        await catalog.harvest(source, harvest)  # type: ignore[arg-type]
    assert [tool["name"] for tool in await catalog.children("tools")] == ["live"]


async def test_risks_are_kept_for_each_source(catalog: Catalog) -> None:
    shell = Risk(kind="shell", file="a.py", line=3, detail="os.system")
    script = Risk(kind="install_script", file="package.json", detail="node x")
    await catalog.harvest("pypi", Harvest(primary_url=URL, risks=[shell]))
    await catalog.harvest("npm", Harvest(primary_url=URL, risks=[script, script]))
    server_id = (await catalog.server())["id"]
    rows = await catalog.store.rows("harvest_risks", server_id=server_id)
    assert sorted((row["source"], row["kind"], row["line"]) for row in rows) == [
        ("npm", "install_script", 0),
        ("pypi", "shell", 3),
    ]
    await catalog.harvest("npm", Harvest(primary_url=URL, risks=[]))
    rows = await catalog.store.rows("harvest_risks", server_id=server_id)
    assert [row["source"] for row in rows] == ["pypi"]


async def test_what_does_not_fit_costs_itself_alone(catalog: Catalog) -> None:
    odd = Harvest(
        primary_url=URL,
        fields=Fields(
            title="a\0b\ud800c",
            homepage="no url",
            stars=-5,
            description="x" * 50_000,
            keywords=["ok", "", "ok", "y" * 1000],
        ),
        tools=[
            FoundTool(name=""),
            FoundTool(name="n\0", input_schema={"k\0": "\ud800"}),
        ],
        releases=[FoundRelease(version="1", published_at="yesterday")],
    )
    await catalog.harvest("github", odd)
    server = await catalog.server()
    assert server["title"] == "ab\ufffdc"
    assert (server["homepage"], server["stars"]) == (None, 0)
    assert len(server["description"]) == 10_000
    assert server["keywords"] == ["ok", "y" * 256]
    (tool,) = await catalog.children("tools")
    assert (tool["name"], tool["input_schema"]) == ("n", {"k": "\ufffd"})
    assert await catalog.children("releases") == []


async def test_a_server_that_is_none_is_refused_and_the_next_one_stored(
    catalog: Catalog,
) -> None:
    report = await catalog.harvest(
        "github", Harvest(primary_url="no url"), Harvest(primary_url=URL)
    )
    assert (report.counts.failed, report.counts.new) == (1, 1)
    assert len(report.refused) == 1


async def test_a_url_that_another_name_has_makes_a_server_of_its_own(
    catalog: Catalog,
) -> None:
    for name in ("acme/one", "acme/two"):
        harvest = Harvest(primary_url=URL, registry_name=name, fields=Fields(stars=1))
        await catalog.harvest("github", harvest)
    servers = (await catalog.client.get("/servers", params={"sort": "name"})).json()
    assert [it["primary_url"] for it in servers] == [URL, f"{URL}#acme/two"]
    await catalog.harvest("github", Harvest(primary_url=URL, fields=Fields(stars=2)))


async def test_what_is_found_of_a_target_belongs_to_the_server_that_named_it(
    catalog: Catalog, harvest_settings: Settings
) -> None:
    entry = item("acme/tools", repository={"url": URL})
    await catalog.harvest("registry", entries=[entry])
    endpoint = Harvest(
        primary_url="https://mcp.acme.test/", tools=[FoundTool(name="t")]
    )
    scripted = Scripted("http", Page(harvests=[endpoint]))
    name = JobName("http", "https://mcp.acme.test/", "acme/tools")
    await run(catalog.store, {"http": scripted}, harvest_settings, name)
    assert [tool["name"] for tool in await catalog.children("tools")] == ["t"]
