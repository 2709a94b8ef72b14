"""Which registry the machine's own clients name, and what is read from a real one."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from service.errors import SourceFailed
from service.models_harvest import Harvest, Order
from service.settings import Settings
from service.sources import clients
from service.sources.addresses import read_allowed
from service.sources.base import Source
from service.sources.clients import with_registries
from service.sources.fetch import Fetcher
from service.sources.npm import NpmSource
from service.sources.options import Options
from service.sources.pypi import PypiSource

REASON = "no {} on this machine names a registry that can be reached"


Program = Callable[[str, str], str]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Makes a program of this name the first one on the path."""

    def make(name: str, script: str) -> str:
        file = tmp_path / name
        file.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        return str(file)

    return make


async def test_npm_says_its_registry(program: Program) -> None:
    script = '[ "$1 $2 $3" = "config get registry" ] && echo http://npm.example/x/'
    program("npm", script)
    found = await with_registries(Settings(), ["npm"])
    assert (found.npm_registry_url, found.pypi_url) == ("http://npm.example/x/", "")


async def test_pip_says_its_index(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = '[ "$3" = "global.index-url" ] && echo http://pip.example/root/simple/'
    monkeypatch.setattr(clients, "_PIP", (program("pip", script),))
    found = await with_registries(Settings(), ["pypi"])
    assert (found.npm_registry_url, found.pypi_url) == ("", "http://pip.example/root")


async def test_what_pip_does_by_itself_stands_in_its_help(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "Base URL (default\\n  http://a.example/simple). x"
    script = f"""[ "$1" = help ] && printf '{text}'"""
    monkeypatch.setattr(clients, "_PIP", (program("pip", script),))
    assert (await with_registries(Settings(), ["pypi"])).pypi_url == "http://a.example"


async def test_a_setting_wins_and_other_sources_ask_nobody(program: Program) -> None:
    program("npm", "echo http://npm.example/")
    given = Settings(npm_registry_url="http://set.example")
    assert await with_registries(given, ["npm", "github"]) == given
    assert await with_registries(Settings(), ["github", "oci"]) == Settings()


@pytest.mark.parametrize(
    "script", ["exit 1", "echo undefined", "echo http://", "sleep 60", "kill -9 $$"]
)
async def test_a_client_that_says_nothing_leaves_the_setting_empty(
    program: Program, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    monkeypatch.setattr(clients, "LIMIT_S", 1.0)
    program("npm", f"exec {script}" if script.startswith("sleep") else script)
    assert (await with_registries(Settings(), ["npm"])).npm_registry_url == ""


async def test_a_machine_without_the_clients_leaves_the_settings_empty(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(clients, "_PIP", ("pip-that-is-not-there",))
    assert await with_registries(Settings(), ["npm", "pypi"]) == Settings()


async def of_real_registry(source: str, target: str) -> Harvest:
    """A package from the registry that this machine is set up with, or a skip."""
    names = ["npm", "pypi"]
    settings = await with_registries(Settings(), names)  # type: ignore[arg-type]
    base = settings.npm_registry_url if source == "npm" else settings.pypi_url
    if not base:
        pytest.skip(REASON.format(source))
    # The machine's own mirror may have a private address.
    everywhere = read_allowed(["0.0.0.0/0", "::/0"], setting="TEST")
    async with Fetcher(Options(allowed=everywhere), "test") as fetcher:
        kind = NpmSource if source == "npm" else PypiSource
        made: Source = kind(fetcher, settings)
        try:
            (page,) = [page async for page in made.harvest(Order(target=target))]
        except SourceFailed as error:
            if error.reason in {"bad_answer", "too_large", "redirect"}:
                raise
            pytest.skip(f"{REASON.format(source)}: {error.reason}")
    (harvest,) = page.harvests
    return harvest


async def test_a_real_package_of_npm_is_read() -> None:
    name = "@modelcontextprotocol/server-filesystem"
    harvest = await of_real_registry("npm", name)
    assert harvest.registry_name in {
        None,
        "io.github.modelcontextprotocol/server-filesystem",
    }
    tools = harvest.tools if isinstance(harvest.tools, list) else []
    assert {"read_text_file", "write_file", "edit_file"} <= {t.name for t in tools}
    assert all(tool.description for tool in tools)
    risks = harvest.risks if isinstance(harvest.risks, list) else []
    assert {"file_system", "dependencies"} <= {risk.kind for risk in risks}
    assert isinstance(harvest.releases, list)
    assert len(harvest.releases) > 10


async def test_a_real_package_of_pypi_is_read() -> None:
    harvest = await of_real_registry("pypi", "mcp-server-time")
    tools = harvest.tools if isinstance(harvest.tools, list) else []
    assert {"get_current_time", "convert_time"} <= {tool.name for tool in tools}
    assert all(tool.input_schema["properties"] for tool in tools)
    found = harvest.dependencies if isinstance(harvest.dependencies, list) else []
    assert "mcp" in {item.library_name for item in found}
    assert isinstance(harvest.releases, list)
    assert len(harvest.releases) > 5
