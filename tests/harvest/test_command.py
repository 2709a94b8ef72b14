"""`mcps harvest` as a process: summaries, exit codes, Ctrl-C, dry runs, watching."""

import asyncio
import json
import signal

import httpx
import pytest
from aiohttp import web

from service.store.base import Store
from tests.cluster import free_port
from tests.conftest import RunMcps
from tests.harvest.commands import Command
from tests.harvest.conftest import item
from tests.harvest.endpoints import Endpoint
from tests.harvest.places import place
from tests.harvest.registries import Registry, text
from tests.waiting import until


async def names(client: httpx.AsyncClient) -> set[str]:
    servers = (await client.get("/servers", params={"limit": 1000})).json()
    return {server["registry_name"] for server in servers}


async def test_a_registry_is_read_and_summed_up(
    command: Command, client: httpx.AsyncClient
) -> None:
    async with place(Registry(*(item(f"a/s{n}") for n in range(5)))) as there:
        code, out, err = await command.run("registry", REGISTRY_URL=there.url)
        assert (code, err) == (0, "")
        figures = [line for line in out.splitlines() if "registry" in line]
        assert figures[0].replace("│", " ").split()[:4] == ["registry", "1", "5", "5"]
        code, out, _ = await command.run("registry", there.url, "--json")
    (report,) = json.loads(out)["sources"]
    assert code == 0
    assert (report["counts"]["new"], report["counts"]["changed"]) == (0, 0)
    assert await names(client) == {f"a/s{n}" for n in range(5)}


@pytest.mark.postgresql
async def test_targets_that_failed_are_named_and_end_it_with_3(
    command: Command, client: httpx.AsyncClient
) -> None:
    good, bad = Registry(item("a/good")), text("<html>")
    async with place(good) as one, place(bad) as other:
        code, _, err = await command.run("registry", one.url, other.url)
    assert code == 3
    assert other.url in err
    assert await names(client) == {"a/good"}


async def test_a_dry_run_writes_nothing(
    command: Command, client: httpx.AsyncClient, store: Store
) -> None:
    async with place(Registry(item("a/b"))) as there:
        code, out, _ = await command.run("registry", there.url, "--dry-run", "--json")
    assert code == 0
    assert json.loads(out)["sources"][0]["counts"]["new"] == 1
    assert await names(client) == set()
    assert await store.row("harvest_job", url=f"registry:{there.url}") is None


async def test_ctrl_c_keeps_what_is_stored_and_the_next_run_goes_on(
    command: Command, client: httpx.AsyncClient
) -> None:
    registry = Registry(*(item(f"a/s{n}") for n in range(6)))
    held = asyncio.Event()

    async def hold(request: web.Request) -> web.StreamResponse:
        await held.wait()
        return await registry.serve(request)

    registry.faults = [registry.serve, registry.serve, registry.serve, hold]
    async with place(registry) as there:
        async with command.started("registry", there.url) as process:
            await until(lambda: len(there.asked) == 4, limit_s=30)
            process.send_signal(signal.SIGINT)
            _, err = await asyncio.wait_for(process.communicate(), 20)
        held.set()
        assert process.returncode == 75
        assert "go on" in err.decode()
        assert await names(client) == {"a/s0", "a/s1", "a/s2", "a/s3"}
        asked = len(there.asked)
        code, out, _ = await command.run("registry", there.url, "--json")
        assert there.asked[asked].query["cursor"] == "a/s3:1.0.0"
    assert code == 0
    assert json.loads(out)["sources"][0]["counts"]["seen"] == 2
    assert len(await names(client)) == 6


async def test_all_follows_the_entries_to_their_endpoints(
    command: Command, client: httpx.AsyncClient
) -> None:
    async with place(Endpoint(3)) as live:
        remote = {"type": "streamable-http", "url": f"{live.url}/mcp"}
        entry = item("acme/live", title="By the entry", remotes=[remote])
        async with place(Registry(entry)) as there:
            code, out, err = await command.run("all", "--json", REGISTRY_URL=there.url)
    assert code == 0, err
    assert [it["source"] for it in json.loads(out)["sources"]] == ["registry", "http"]
    (server,) = (await client.get("/servers")).json()
    assert server["title"] == "By the entry"
    tools = (await client.get(f"/servers/{server['id']}/tools")).json()
    assert [tool["name"] for tool in tools] == ["t0", "t1", "t2"]


@pytest.mark.slow
@pytest.mark.postgresql
async def test_watching_takes_what_is_put_in_line_and_tells_prometheus(
    command: Command, client: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    port = free_port()
    variables = {"HARVEST_METRICS_PORT": str(port), "LOG_LEVEL": "warning"}

    async def is_there(name: str) -> bool:
        servers = (await client.get("/servers")).json()
        return name in {server["name"] for server in servers}

    async with place(Registry(item("a/b"))) as there, place(Endpoint()) as live:
        variables["REGISTRY_URL"] = there.url
        async with command.started("all", "--watch", "1h", **variables) as process:
            await until(lambda: is_there("b"), limit_s=30)
            body = {"url": f"{live.url}/mcp"}
            answer = await client.post("/servers/refresh", json=body, headers=admin)
            assert answer.status_code == 202
            await until(lambda: is_there("acme"), limit_s=30)
            async with httpx.AsyncClient() as other:
                metrics = (await other.get(f"http://127.0.0.1:{port}/metrics")).text
            process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 143
    done = 'mcps_harvest_runs_total{outcome="done",source="http"} 1.0'
    assert done in metrics.splitlines()


@pytest.mark.postgresql
@pytest.mark.parametrize(
    "words",
    [
        ["nothing"],
        ["registry", "no-url"],
        ["http"],
        ["all", "https://example.org/"],
        ["registry", "--since", "yesterday"],
        ["registry", "--watch", "soon"],
        ["registry", "--watch", "1h", "--dry-run"],
    ],
)
def test_what_makes_no_sense_is_refused(run_mcps: RunMcps, words: list[str]) -> None:
    done = run_mcps("harvest", *words, env={"REGISTRY_URL": "http://127.0.0.1:9"})
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
