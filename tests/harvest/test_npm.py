"""Packages of an npm registry, from a local server that answers as one."""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from aiohttp import web

from service.errors import InvalidSettings
from service.settings import Settings
from service.sources.fetch import Fetcher
from service.sources.npm import NpmSource
from service.sources.requests import Limits
from tests.harvest.npm_registry import FILES, MANIFEST, Registry
from tests.harvest.packed import tarball
from tests.harvest.places import (
    Handler,
    Place,
    failed,
    harvested,
    options,
    pages,
    place,
)

TARGET = "@acme/files"


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
async def there(registry: Registry) -> AsyncIterator[Place]:
    async with place(registry.answer) as running:
        yield running


@pytest.fixture
async def npm(there: Place) -> AsyncIterator[NpmSource]:
    limits = Limits(total_s=2.0, tries=2)
    async with Fetcher(options(limits=limits), "npm") as fetcher:
        yield NpmSource(fetcher, Settings(npm_registry_url=f"{there.url}/"))


async def test_a_package_is_read_with_all_that_it_says(npm: NpmSource) -> None:
    harvest = await harvested(npm, TARGET)
    place = "https://github.com/Acme/servers/tree/HEAD/src/files"
    assert harvest.primary_url == f"{place}#pkg:npm/%40acme/files"
    assert harvest.registry_name == "io.github.acme/files"
    assert msgspec.to_builtins(harvest.fields) == {
        "name": "@acme/files",
        "host_type": "github",
        "description": "Files for agents",
        "author_name": "Ada",
        "homepage": "https://acme.example/files",
        "license": "MIT",
        "readme_content": "# Files",
        "keywords": ["mcp", "files"],
    }


async def test_tools_come_from_the_code_and_then_from_the_manifest(
    npm: NpmSource,
) -> None:
    tools = (await harvested(npm, TARGET)).tools
    assert isinstance(tools, list)
    assert [(tool.name, tool.description) for tool in tools] == [
        ("read_file", "Reads."),
        ("listed", None),
    ]


async def test_every_version_is_a_release_newest_first(npm: NpmSource) -> None:
    releases = (await harvested(npm, TARGET)).releases
    assert isinstance(releases, list)
    assert [(r.version, r.published_at) for r in releases] == [
        ("2.0.0-beta.1", "2026-03-05T00:00:00.000000Z"),
        ("1.2.0", "2026-03-04T05:06:07.890000Z"),
        ("1.10.0", "2026-01-02T00:00:00.000000Z"),
    ]


async def test_dependencies_and_risks_have_their_places(npm: NpmSource) -> None:
    harvest = await harvested(npm, TARGET)
    assert isinstance(harvest.dependencies, list)
    assert isinstance(harvest.risks, list)
    kinds = {(d.library_name, d.ecosystem, d.type) for d in harvest.dependencies}
    assert kinds == {
        ("@modelcontextprotocol/sdk", "npm", "runtime"),
        ("typescript", "npm", "dev"),
    }
    risks = [(r.kind, r.file, r.detail) for r in harvest.risks]
    assert risks == [
        ("install_script", "package.json", "postinstall: node fetch.js"),
        ("dependencies", "package.json", "1 runtime, 1 dev; 1235 kB"),
        ("shell", "dist/index.js", "child_process"),
    ]
    assert all(risk.line > 0 for risk in harvest.risks)


async def test_code_that_was_not_read_is_told(
    npm: NpmSource, registry: Registry
) -> None:
    noise = random.Random(1).randbytes(2 << 20).replace(b"\n", b"")
    padding = {f"dist/{n}.js": b"//" + noise for n in range(4)}
    registry.archive = tarball({**FILES, **padding, "dist/old.py": b"print 'x'"})
    risks = (await harvested(npm, TARGET)).risks
    assert isinstance(risks, list)
    (told,) = [risk.detail for risk in risks if risk.kind == "dependencies"]
    assert told == "1 runtime, 1 dev; 1235 kB; 2 files of code not read"


async def test_an_unchanged_package_gives_no_page_and_no_archive(
    npm: NpmSource, there: Place
) -> None:
    (page,) = await pages(npm, TARGET)
    assert isinstance(page.checkpoint, dict)
    asked = len(there.asked)
    assert await pages(npm, TARGET, checkpoint=page.checkpoint) == []
    assert len(there.asked) == asked + 1


async def test_downloads_are_asked_for_where_somebody_counts_them(
    there: Place,
) -> None:
    async with Fetcher(options(), "npm") as fetcher:
        settings = Settings(npm_registry_url=there.url, npm_downloads_url=there.url)
        harvest = await harvested(NpmSource(fetcher, settings), TARGET)
    assert harvest.fields.downloads == 4321
    assert "/downloads/point/last-month/@acme/files" in there.paths


async def test_a_package_with_too_many_versions_is_read_by_its_latest(
    npm: NpmSource, registry: Registry, there: Place
) -> None:
    async def long(request: web.Request) -> web.StreamResponse:
        if request.raw_path.endswith("/latest"):
            del registry.broken["/@acme%2F"]
            return await registry.answer(request)
        return web.Response(body=b" " * (10 << 20))

    registry.broken["/@acme%2F"] = long
    harvest = await harvested(npm, TARGET)
    assert harvest.releases is msgspec.UNSET
    assert isinstance(harvest.tools, list)
    assert [tool.name for tool in harvest.tools] == ["read_file", "listed"]
    assert there.paths[:2] == ["/@acme%2Ffiles", "/@acme%2Ffiles/latest"]


async def test_a_package_without_repository_is_named_by_itself(
    npm: NpmSource, registry: Registry
) -> None:
    plain = {key: MANIFEST[key] for key in ("name", "version")}
    readme = b"<!-- mcp-name: io.github.acme/by-readme -->"
    registry.archive = tarball(
        {"package.json": json.dumps(plain).encode(), "readme.md": readme}
    )
    harvest = await harvested(npm, TARGET)
    assert harvest.primary_url == "pkg:npm/%40acme/files"
    assert harvest.registry_name == "io.github.acme/by-readme"
    assert harvest.fields.host_type == "npm"


async def test_a_search_gives_targets_page_by_page(
    npm: NpmSource, registry: Registry, there: Place
) -> None:
    registry.found = [{"name": f"mcp-{n}"} for n in range(250)]
    registry.found[3] = {"name": "../evil"}
    registry.found[4] = {"name": "search:x"}
    found = await pages(npm, "search:mcp server")
    assert [len(page.targets) for page in found] == [98, 100, 50]
    assert [page.checkpoint for page in found] == [
        {"from": 100},
        {"from": 200},
        {"from": 0},
    ]
    assert there.paths[0] == "/-/v1/search?text=mcp+server&size=100&from=0"
    again = await pages(npm, "search:mcp server", checkpoint={"from": 200})
    assert [page.targets for page in again] == [found[2].targets]


async def test_an_endless_search_comes_to_an_end(
    npm: NpmSource, registry: Registry
) -> None:
    async def endless(_request: web.Request) -> web.Response:
        objects = [{"package": {"name": f"p{n}"}} for n in range(100)]
        return web.json_response({"objects": objects, "total": 10**9})

    registry.broken["/-/v1/search"] = endless
    assert len(await pages(npm, "search:x")) == 10


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("@acme/files", "@acme/files"),
        ("npm:files", "files"),
        ("pkg:npm/%40acme/files", "@acme/files"),
        ("search: mcp ", "search: mcp "),
        ("https://www.npmjs.example/package/@acme/files/v/1.0.0", "@acme/files"),
        ("https://www.npmjs.example/package/files", "files"),
        ("https://example.org/package/files", None),
        ("https://github.com/a/b", None),
        ("https://[bad", None),
        ("../files", None),
        ("a b", None),
        ("", None),
        ("search: ", None),
        ("x" * 300, None),
    ],
)
async def test_a_text_names_a_package_or_none(
    npm: NpmSource, text: str, target: str | None
) -> None:
    assert npm.target_of(text) == target


async def test_a_url_of_the_registry_names_its_package(
    npm: NpmSource, there: Place
) -> None:
    assert npm.target_of(f"{there.url}/@acme%2Ffiles") == "@acme/files"


async def test_without_a_registry_it_says_which_variable_to_set() -> None:
    async with Fetcher(options(), "npm") as fetcher:
        with pytest.raises(InvalidSettings, match="NPM_REGISTRY_URL"):
            await pages(NpmSource(fetcher, Settings()), TARGET)


async def test_an_archive_that_is_another_one_is_refused(
    npm: NpmSource, registry: Registry
) -> None:
    other = tarball({**FILES, "dist/evil.js": b"eval(x)"})

    async def swapped(_request: web.Request) -> web.Response:
        return web.Response(body=other)

    registry.broken["/@acme/files/-/"] = swapped
    error = await failed(npm, TARGET)
    assert "sha512 of the archive" in error.message


async def drip(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    body = tarball(FILES) if request.path.endswith(".tgz") else b" " * 60
    for at in range(60):
        await response.write(body[at : at + 1])
        await asyncio.sleep(1)
    return response


def replies(status: int = 200, **given: Any) -> Handler:
    async def handler(_request: web.Request) -> web.Response:
        return web.Response(status=status, **given)

    return handler


BOMB = tarball({"package.json": bytes(64 << 20)})


@pytest.mark.parametrize(
    ("path", "handler", "reason"),
    [
        ("/@acme%2F", replies(429, headers={"Retry-After": "60"}), "rate_limited"),
        ("/@acme%2F", replies(500), "unavailable"),
        ("/@acme%2F", replies(404), "not_found"),
        ("/@acme%2F", replies(text="<html>", content_type="text/html"), "bad_answer"),
        ("/@acme%2F", replies(body=b" " * (10 << 20)), "too_large"),
        ("/@acme%2F", replies(text='{"versions": []}'), "not_found"),
        ("/@acme%2F", drip, "timeout"),
        ("/@acme/", replies(500), "unavailable"),
        ("/@acme/", replies(text="<html>"), "bad_answer"),
        ("/@acme/", replies(body=BOMB), "bad_answer"),
        ("/@acme/", drip, "timeout"),
    ],
)
async def test_a_broken_registry_fails_its_package_in_time(
    npm: NpmSource, registry: Registry, path: str, handler: Handler, reason: str
) -> None:
    registry.broken[path] = handler
    began_at = time.monotonic()
    assert (await failed(npm, TARGET)).reason == reason
    assert time.monotonic() - began_at < 30


@pytest.mark.parametrize(
    "dist", [{}, {"tarball": "file:///etc/passwd"}, {"tarball": 5}, [], None]
)
async def test_an_archive_is_only_fetched_from_the_web(
    npm: NpmSource, registry: Registry, dist: object
) -> None:
    registry.document["versions"]["1.2.0"]["dist"] = dist
    assert "no archive" in (await failed(npm, TARGET)).message


async def test_an_archive_on_a_private_address_is_refused(
    npm: NpmSource, registry: Registry
) -> None:
    archive = "http://127.0.0.2:1/x.tgz"
    registry.document["versions"]["1.2.0"]["dist"] = {"tarball": archive}
    assert (await failed(npm, TARGET)).reason == "refused_address"
