"""Packages of a Python index, from a local server that answers as one."""

import hashlib
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from aiohttp import web

from service.errors import InvalidSettings
from service.models_harvest import FoundTool
from service.settings import Settings
from service.sources.fetch import Fetcher
from service.sources.pypi import PypiSource
from service.sources.requests import Limits
from tests.harvest.packed import tarball, wheel
from tests.harvest.places import (
    Handler,
    Place,
    failed,
    harvested,
    options,
    pages,
    place,
)

Json = dict[str, Any]
TARGET = "notes"
CODE = b'''
import subprocess as sp
from mcp.server.fastmcp import FastMCP
mcp = FastMCP("notes")

@mcp.tool()
async def find(text: str) -> str:
    """Finds notes."""
    return sp.run(["grep", text])
'''
WHEEL = {
    "notes/__init__.py": b"",
    "notes/server.py": CODE,
    "notes-1.10.dist-info/METADATA": b"Name: notes\nRequires-Dist: a\n\nText",
    "start.pth": b"import notes\n",
}
SOURCE = {
    "src/notes/server.py": CODE,
    "tests/test_server.py": b"eval(x)",
    "setup.py": b"import setuptools; setuptools.setup()",
    "PKG-INFO": b"Name: notes\n\nmcp-name: io.github.acme/in-the-source\n",
    "pyproject.toml": b'[project]\ndependencies = ["from-pyproject>=1"]\n',
}
INFO: Json = {
    "name": "notes",
    "version": "1.10",
    "summary": "Notes for agents",
    "description": "# Notes\n\nmcp-name: io.github.acme/notes\n",
    "author": None,
    "author_email": "Ada L <ada@example.com>",
    "license": "All of the licence\nover many lines",
    "license_expression": "MIT",
    "keywords": "mcp, notes",
    "home_page": None,
    "project_urls": {
        "Homepage": "https://acme.example/notes",
        "Bug Tracker": "https://github.com/acme/notes/issues",
        "Source Code": "https://github.com/acme/notes.git",
    },
    "requires_dist": ["mcp>=1.2", "pytest; extra == 'dev'"],
}


class Index:
    """What the local index answers; every part may be changed or be broken."""

    def __init__(self) -> None:
        self.info: Json = dict(INFO)
        self.other_info: Json = {**INFO, "version": "2.0", "summary": "The next one"}
        self.archives = {
            "notes-1.10-py3-none-any.whl": wheel(WHEEL),
            "notes-1.10-cp311-linux.whl": b"none",
            "notes-1.10.tar.gz": tarball(SOURCE, "notes-1.10"),
            "mcp-1.whl": b"x" * 2000,
        }
        self.versions: Json = {
            "1.9": [self.file("notes-1.9.tar.gz", "2026-01-01T00:00:00Z")],
            "1.10": [
                self.file(name, "2026-02-01T00:00:00.5Z")
                for name in self.archives
                if name.startswith("notes")
            ],
            "2.0rc1": [self.file("notes-2.0rc1.tar.gz", "2026-03-01T00:00:00Z")],
            "1.11": [
                {**self.file("notes-1.11.tar.gz", "2026-02-02T00:00:00Z"), "yanked": 1}
            ],
            "0.1": [],
        }
        self.broken: dict[str, Handler] = {}

    def file(self, name: str, at: str) -> Json:
        data = self.archives.get(name, b"")
        return {
            "filename": name,
            "url": f"../../files/{name}",
            "size": len(data),
            "digests": {"sha256": hashlib.sha256(data).hexdigest()},
            "upload_time_iso_8601": at,
            "yanked": False,
        }

    async def answer(self, request: web.Request) -> web.StreamResponse:
        for start, handler in self.broken.items():
            if request.path.startswith(start):
                return await handler(request)
        if request.path == "/pypi/notes/json":
            body = json.dumps({"info": self.info, "releases": self.versions})
            tag = f'"{hashlib.sha256(body.encode()).hexdigest()}"'
            if request.headers.get("If-None-Match") == tag:
                return web.Response(status=304)
            return web.Response(text=body, headers={"ETag": tag})
        if request.path == "/pypi/mcp/json":
            return web.json_response({"urls": [self.file("mcp-1.whl", "")]})
        if request.path == "/pypi/notes/2.0/json":
            return web.json_response({"info": self.other_info})
        data = self.archives.get(request.path.removeprefix("/files/"))
        return web.Response(body=data) if data else web.Response(status=404)

    def without_wheels(self) -> None:
        """Leave the source archive alone."""
        files = self.versions["1.10"]
        self.versions["1.10"] = [f for f in files if f["filename"].endswith("gz")]


@pytest.fixture
def index() -> Index:
    return Index()


@pytest.fixture
async def there(index: Index) -> AsyncIterator[Place]:
    async with place(index.answer) as running:
        yield running


@pytest.fixture
async def pypi(there: Place) -> AsyncIterator[PypiSource]:
    limits = Limits(total_s=2.0, tries=2)
    async with Fetcher(options(limits=limits), "pypi") as fetcher:
        yield PypiSource(fetcher, Settings(pypi_url=f"{there.url}/simple/"))


async def test_a_package_is_read_with_all_that_it_says(pypi: PypiSource) -> None:
    harvest = await harvested(pypi, TARGET)
    assert harvest.primary_url == "https://github.com/acme/notes#pkg:pypi/notes"
    assert harvest.registry_name == "io.github.acme/notes"
    assert msgspec.to_builtins(harvest.fields) == {
        "name": "notes",
        "host_type": "github",
        "description": "Notes for agents",
        "author_name": "Ada L",
        "homepage": "https://acme.example/notes",
        "license": "MIT",
        "readme_content": INFO["description"].strip(),
        "keywords": ["mcp", "notes"],
    }


async def test_tools_and_risks_come_from_the_wheel_without_running_it(
    pypi: PypiSource, there: Place
) -> None:
    harvest = await harvested(pypi, TARGET)
    assert harvest.tools == [
        FoundTool(
            name="find",
            description="Finds notes.",
            input_schema={
                "type": "object",
                "properties": {"text": {"type": "string"}},
                "required": ["text"],
            },
        )
    ]
    assert isinstance(harvest.risks, list)
    assert harvest.risks[1].detail == "1 runtime, 1 dev; 2 kB"
    assert [(r.kind, r.file, r.line) for r in harvest.risks] == [
        ("install_script", "start.pth", 1),
        ("dependencies", "", 0),
        ("shell", "notes/server.py", 9),
    ]
    assert there.paths[1] == "/files/notes-1.10-py3-none-any.whl"


async def test_without_a_wheel_the_source_is_read(
    pypi: PypiSource, index: Index, there: Place
) -> None:
    index.without_wheels()
    index.info |= {"requires_dist": None, "description": ""}
    harvest = await harvested(pypi, TARGET)
    assert there.paths[1] == "/files/notes-1.10.tar.gz"
    assert harvest.registry_name == "io.github.acme/in-the-source"
    assert isinstance(harvest.tools, list)
    assert isinstance(harvest.risks, list)
    assert isinstance(harvest.dependencies, list)
    assert [tool.name for tool in harvest.tools] == ["find"]
    assert [d.library_name for d in harvest.dependencies] == ["from-pyproject"]
    assert [(r.kind, r.file) for r in harvest.risks] == [
        ("install_script", "setup.py"),
        ("dependencies", ""),
        ("shell", "src/notes/server.py"),
    ]


async def test_versions_are_sorted_as_versions_and_those_taken_back_left_out(
    pypi: PypiSource,
) -> None:
    releases = (await harvested(pypi, TARGET)).releases
    assert isinstance(releases, list)
    assert [(r.version, r.published_at) for r in releases] == [
        ("2.0rc1", "2026-03-01T00:00:00.000000Z"),
        ("1.10", "2026-02-01T00:00:00.500000Z"),
        ("1.9", "2026-01-01T00:00:00.000000Z"),
    ]


async def test_the_latest_version_is_found_by_its_number(
    pypi: PypiSource, index: Index
) -> None:
    index.versions["2.0"] = [
        {**index.versions["1.10"][0], "upload_time_iso_8601": "2026-05-01T00:00:00Z"}
    ]
    assert (await harvested(pypi, TARGET)).fields.description == "The next one"


async def test_dependencies_have_their_types(pypi: PypiSource) -> None:
    found = (await harvested(pypi, TARGET)).dependencies
    assert isinstance(found, list)
    assert [(d.library_name, d.version_constraint, d.type) for d in found] == [
        ("mcp", ">=1.2", "runtime"),
        ("pytest", None, "dev"),
    ]


async def test_a_package_without_archive_is_read_all_the_same(
    pypi: PypiSource, index: Index
) -> None:
    index.versions["1.10"] = [index.file("notes-1.10.exe", "2026-02-01T00:00:00Z")]
    index.info["project_urls"] = None
    harvest = await harvested(pypi, TARGET)
    assert harvest.primary_url == "pkg:pypi/notes"
    assert harvest.tools == []
    assert harvest.fields.host_type == "pypi"


async def test_an_index_with_the_simple_api_alone_is_read_by_that(
    pypi: PypiSource, index: Index, there: Place
) -> None:
    simple = [
        {
            **{key: file[key] for key in ("filename", "size", "yanked")},
            "url": f"../../files/{file['filename']}",
            "hashes": file["digests"],
            "upload-time": file["upload_time_iso_8601"],
        }
        for files in index.versions.values()
        for file in files
    ]
    simple += [{"filename": "notes-1.10.exe"}, {}]
    metadata = (
        "Name: notes\nSummary: Notes\nLicense: MIT\nRequires-Dist: from-metadata>=3\n"
        "Project-URL: Source, https://github.com/acme/notes\n\n# Read me\n"
    )
    files = {**WHEEL, "notes-1.10.dist-info/METADATA": metadata.encode()}
    name = "notes-1.10-py3-none-any.whl"
    index.archives[name] = wheel(files)
    for file in simple:
        if file.get("filename") == name:
            file["hashes"] = index.file(name, "")["digests"]

    async def answer(request: web.Request) -> web.Response:
        assert request.headers["Accept"] == "application/vnd.pypi.simple.v1+json"
        return web.json_response({"files": simple}, headers={"ETag": '"simple"'})

    index.broken = {"/pypi": replies(404), "/simple/notes/": answer}
    harvest = await harvested(pypi, TARGET)
    assert harvest.primary_url == "https://github.com/acme/notes#pkg:pypi/notes"
    assert harvest.fields.description == "Notes"
    assert harvest.fields.readme_content == "# Read me"
    assert isinstance(harvest.releases, list)
    assert [release.version for release in harvest.releases] == [
        *("2.0rc1", "1.10", "1.9"),
    ]
    assert isinstance(harvest.dependencies, list)
    assert [d.library_name for d in harvest.dependencies] == ["from-metadata"]
    assert isinstance(harvest.tools, list)
    assert [tool.name for tool in harvest.tools] == ["find"]


async def test_an_unchanged_package_gives_no_page(
    pypi: PypiSource, there: Place
) -> None:
    (page,) = await pages(pypi, TARGET)
    asked = len(there.asked)
    assert isinstance(page.checkpoint, dict)
    assert await pages(pypi, TARGET, checkpoint=page.checkpoint) == []
    assert len(there.asked) == asked + 1


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("Mcp_Server.Time", "mcp-server-time"),
        ("pypi:notes", "notes"),
        ("pkg:pypi/notes", "notes"),
        ("https://pypi.example/project/Notes/1.0/", "notes"),
        ("https://pypi.example/simple/notes/", "notes"),
        ("https://example.org/project/notes/", None),
        ("https://[bad", None),
        ("@acme/files", None),
        ("../x", None),
        ("", None),
    ],
)
async def test_a_text_names_a_package_or_none(
    pypi: PypiSource, text: str, target: str | None
) -> None:
    assert pypi.target_of(text) == target


async def test_a_url_of_the_index_names_its_package(
    pypi: PypiSource, there: Place
) -> None:
    assert pypi.target_of(f"{there.url}/simple/Notes/") == "notes"


async def test_without_an_index_it_says_which_variable_to_set() -> None:
    async with Fetcher(options(), "pypi") as fetcher:
        with pytest.raises(InvalidSettings, match="PYPI_URL"):
            await pages(PypiSource(fetcher, Settings()), TARGET)


async def test_an_archive_that_is_another_one_is_refused(
    pypi: PypiSource, index: Index
) -> None:
    index.archives["notes-1.10-py3-none-any.whl"] = wheel({"evil.py": b"eval(x)"})
    assert "sha256 of the archive" in (await failed(pypi, TARGET)).message


def replies(status: int = 200, **given: Any) -> Handler:
    async def handler(_request: web.Request) -> web.Response:
        return web.Response(status=status, **given)

    return handler


@pytest.mark.parametrize(
    ("path", "handler", "reason"),
    [
        ("/pypi", replies(429, headers={"Retry-After": "60"}), "rate_limited"),
        ("/pypi", replies(500), "unavailable"),
        ("/pypi", replies(404), "not_found"),
        ("/pypi", replies(text="<html>"), "bad_answer"),
        ("/pypi", replies(body=b" " * (10 << 20)), "too_large"),
        ("/pypi", replies(text="{}"), "not_found"),
        ("/pypi", replies(text='{"info": [], "releases": {"1": [1]}}'), "not_found"),
        ("/files", replies(body=wheel({"a.py": bytes(64 << 20)})), "bad_answer"),
        ("/files", replies(404), "not_found"),
    ],
)
async def test_a_broken_index_fails_its_package_in_time(
    pypi: PypiSource, index: Index, path: str, handler: Handler, reason: str
) -> None:
    index.broken[path] = handler
    began_at = time.monotonic()
    assert (await failed(pypi, TARGET)).reason == reason
    assert time.monotonic() - began_at < 30
