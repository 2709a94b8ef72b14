"""Repositories on GitHub, from a local server that answers as its API."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from aiohttp import web

from service.settings import Settings
from service.sources.fetch import Fetcher
from service.sources.github import GithubSource
from service.sources.requests import Limits
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
TARGET = "acme/files"
TOKEN = "gh_secret"
FILES = {
    "README.md": "# Files\n",
    "server.json": json.dumps({"name": "io.github.acme/files", "version": "1.0.0"}),
    "package.json": json.dumps(
        {"scripts": {"install": "node x"}, "dependencies": {"zod": "^4"}}
    ),
}
FIELDS = {
    "name": "files",
    "host_type": "github",
    "description": "Files for agents",
    "author_name": "Acme",
    "homepage": "https://acme.example/",
    "license": "MIT",
    "readme_content": "# Files",
    "keywords": ["mcp", "files"],
    "stars": 42,
    "forks": 7,
    "open_issues": 5,
}


class Github:
    """What the local API answers; every part may be changed or be broken."""

    def __init__(self) -> None:
        self.files = dict(FILES)
        self.repository: Json = {
            "full_name": "Acme/files",
            "name": "files",
            "html_url": "https://github.com/Acme/files",
            "owner": {"login": "Acme"},
            "description": "Files for agents",
            "homepage": "https://acme.example/",
            "stargazers_count": 42,
            "forks_count": 7,
            "open_issues_count": 5,
            "license": {"spdx_id": "MIT", "name": "MIT License"},
            "topics": ["mcp", "files"],
        }
        self.releases: list[Json] = [
            {
                "tag_name": "v1.0.0",
                "body": "First.",
                "published_at": "2026-01-02T03:04:05Z",
                "draft": False,
            },
            {"tag_name": "v2", "draft": True, "published_at": None},
        ]
        self.contributors: list[Json] = [
            {"login": "ada", "contributions": 12, "type": "User"},
            {"login": "bot[bot]", "contributions": 3},
            {"contributions": 1, "type": "Anonymous"},
        ]
        self.broken: dict[str, Handler] = {}

    async def answer(self, request: web.Request) -> web.StreamResponse:
        for start, handler in self.broken.items():
            if request.path.startswith(start):
                return await handler(request)
        path = request.path.lower()
        if path == "/graphql":
            return web.json_response(self._graphql(await request.json()))
        if path.startswith("/raw/"):
            return web.Response(text=self.files[request.path.removeprefix("/raw/")])
        found = self._rest(path.removeprefix("/repos/acme/files"), request.host)
        if found is None:
            return web.json_response({"message": "Not Found"}, status=404)
        tag = f'"{abs(hash(json.dumps(found)))}"'
        if request.headers.get("If-None-Match") == tag:
            return web.Response(status=304)
        return web.json_response(found, headers={"ETag": tag})

    def _rest(self, path: str, host: str) -> Any:
        listed = [
            {
                "name": name,
                "size": len(text),
                "download_url": f"http://{host}/raw/{name}",
            }
            for name, text in self.files.items()
        ]
        listed += [{"name": "src", "size": 0, "download_url": None}]
        return {
            "": self.repository,
            "/contents/": listed,
            "/releases": self.releases,
            "/contributors": self.contributors,
        }.get(path)

    def _graphql(self, body: Json) -> Json:
        if body["variables"] != {"owner": "acme", "name": "files"}:
            error = {"type": "NOT_FOUND", "message": "Could not resolve"}
            return {"data": {"repository": None}, "errors": [error]}
        assert body["query"].count("{") == body["query"].count("}")

        def blob(name: str) -> Json | None:
            text = self.files.get(name)
            return {"text": text, "isTruncated": False} if text else None

        rest = self.repository
        nodes = [
            {
                "tagName": release["tag_name"],
                "description": release.get("body"),
                "publishedAt": release["published_at"],
                "isDraft": release["draft"],
            }
            for release in self.releases
        ]
        repository = {
            "nameWithOwner": rest["full_name"],
            "url": rest["html_url"],
            "name": rest["name"],
            "owner": rest["owner"],
            "description": rest["description"],
            "homepageUrl": rest["homepage"],
            "stargazerCount": 42,
            "forkCount": 7,
            "issues": {"totalCount": 3},
            "pullRequests": {"totalCount": 2},
            "licenseInfo": {"spdxId": "MIT", "name": "MIT License"},
            "repositoryTopics": {
                "nodes": [{"topic": {"name": topic}} for topic in rest["topics"]]
            },
            "releases": {"nodes": nodes},
            "readmeMd": blob("README.md"),
            "readmeLower": None,
            "readmeRst": blob("README.rst"),
            "serverJson": blob("server.json"),
            "packageJson": blob("package.json"),
            "pyproject": blob("pyproject.toml"),
        }
        return {"data": {"repository": repository}}


@pytest.fixture
def github() -> Github:
    return Github()


@pytest.fixture
async def there(github: Github) -> AsyncIterator[Place]:
    async with place(github.answer) as running:
        yield running


@asynccontextmanager
async def source_of(there: Place, token: str = "") -> AsyncIterator[GithubSource]:
    limits = Limits(total_s=2.0, tries=2)
    settings = Settings(github_api_url=there.url, github_token=token)
    async with Fetcher(options(limits=limits), "github") as fetcher:
        yield GithubSource(fetcher, settings)


@pytest.fixture(params=["", TOKEN], ids=["anonymous", "token"])
async def source(
    request: pytest.FixtureRequest, there: Place
) -> AsyncIterator[GithubSource]:
    async with source_of(there, request.param) as opened:
        yield opened


async def test_a_repository_is_read_alike_with_and_without_a_token(
    source: GithubSource,
) -> None:
    harvest = await harvested(source, TARGET)
    assert harvest.primary_url == "https://github.com/Acme/files"
    assert harvest.registry_name == "io.github.acme/files"
    assert msgspec.to_builtins(harvest.fields) == FIELDS
    assert isinstance(harvest.releases, list)
    assert [(r.version, r.changelog, r.published_at) for r in harvest.releases] == [
        ("v1.0.0", "First.", "2026-01-02T03:04:05.000000Z")
    ]
    assert isinstance(harvest.contributors, list)
    assert [(c.username, c.platform, c.commits) for c in harvest.contributors] == [
        ("ada", "github", 12),
        ("bot[bot]", "github", 3),
    ]
    assert isinstance(harvest.dependencies, list)
    assert [d.library_name for d in harvest.dependencies] == ["zod"]
    assert isinstance(harvest.risks, list)
    assert [r.kind for r in harvest.risks] == ["install_script", "dependencies"]


async def test_few_calls_count_for_the_limit(there: Place) -> None:
    async with source_of(there) as source:
        await pages(source, TARGET)
    assert [path for path in there.paths if not path.startswith("/raw/")] == [
        "/repos/acme/files",
        "/repos/acme/files/contents/",
        "/repos/acme/files/releases?per_page=100",
        "/repos/Acme/files/contributors?per_page=100",
    ]
    assert all("Authorization" not in request.headers for request in there.asked)


async def test_with_a_token_there_are_two_calls(there: Place) -> None:
    async with source_of(there, TOKEN) as source:
        await pages(source, TARGET)
    assert there.paths == [
        "/graphql",
        "/repos/Acme/files/contributors?per_page=100",
    ]
    sent = {request.headers["Authorization"] for request in there.asked}
    assert sent == {f"Bearer {TOKEN}"}


async def test_an_unchanged_repository_costs_one_call_that_does_not_count(
    there: Place,
) -> None:
    async with source_of(there) as source:
        (page,) = await pages(source, TARGET)
        asked = len(there.asked)
        assert isinstance(page.checkpoint, dict)
        assert await pages(source, TARGET, checkpoint=page.checkpoint) == []
    assert len(there.asked) == asked + 1


async def test_its_own_server_json_is_an_entry(source: GithubSource) -> None:
    (page,) = await pages(source, TARGET)
    assert [json.loads(entry) for entry in page.entries] == [
        json.loads(FILES["server.json"])
    ]


@pytest.mark.parametrize(
    "document",
    [
        '{"name": "io.github.victim/files", "version": "9.9.9"}',
        '{"name": "io.github.acmes/files", "version": "9.9.9"}',
        '{"name": "com.example/files", "version": "9.9.9"}',
        '{"name": "io.github.acme/files"}',
        '{"name": ["io.github.acme/files"], "version": "1"}',
        "{",
        "",
    ],
)
async def test_a_name_of_somebody_else_is_not_taken(
    source: GithubSource, github: Github, document: str
) -> None:
    github.files["server.json"] = document
    (page,) = await pages(source, TARGET)
    assert page.entries == []
    name = page.harvests[0].registry_name
    assert name in {None, "io.github.acme/files"}
    assert name is None or "version" not in document


async def test_a_python_project_gives_its_dependencies(
    source: GithubSource, github: Github
) -> None:
    del github.files["package.json"], github.files["README.md"]
    github.files["pyproject.toml"] = '[project]\ndependencies = ["mcp>=1"]'
    github.files["README.rst"] = "Title"
    harvest = await harvested(source, TARGET)
    assert isinstance(harvest.dependencies, list)
    assert [d.ecosystem for d in harvest.dependencies] == ["pypi"]
    assert harvest.fields.readme_content == "Title"


async def test_a_history_too_large_to_count_leaves_contributors_unknown(
    source: GithubSource, github: Github
) -> None:
    async def refused(_request: web.Request) -> web.Response:
        return web.json_response({"message": "too large"}, status=403)

    github.broken["/repos/Acme/files/contributors"] = refused
    assert (await harvested(source, TARGET)).contributors is msgspec.UNSET


async def test_a_repository_that_is_not_there_is_not_found(
    source: GithubSource,
) -> None:
    assert (await failed(source, "acme/none")).reason == "not_found"


async def test_the_end_of_the_limit_is_told_with_its_time(
    source: GithubSource, github: Github
) -> None:
    async def limited(_request: web.Request) -> web.Response:
        headers = {
            "X-RateLimit-Remaining": "0",
            "X-RateLimit-Reset": str(int(time.time()) + 900),
        }
        return web.json_response({"message": "limit"}, status=403, headers=headers)

    github.broken["/"] = limited
    error = await failed(source, TARGET)
    assert error.reason == "rate_limited"
    assert 800 < (error.retry_after_s or 0) <= 900
    assert TOKEN not in str(error)


@pytest.mark.parametrize(
    "body",
    [
        "<html>",
        "[]",
        "{}",
        '{"data": null, "errors": [{"message": "?"}]}',
        '{"errors": 5}',
    ],
)
async def test_an_answer_that_is_none_fails(
    source: GithubSource, github: Github, body: str
) -> None:
    async def odd(_request: web.Request) -> web.Response:
        return web.Response(text=body)

    github.broken["/"] = odd
    assert (await failed(source, TARGET)).reason == "bad_answer"


async def test_graphql_tells_of_its_limit_in_an_answer(
    there: Place, github: Github
) -> None:
    async def limited(_request: web.Request) -> web.Response:
        errors = [{"type": "RATE_LIMITED", "message": "API rate limit exceeded"}]
        return web.json_response({"errors": errors})

    github.broken["/graphql"] = limited
    async with source_of(there, TOKEN) as source:
        error = await failed(source, TARGET)
    assert (error.reason, error.retry_after_s) == ("rate_limited", 600)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("Acme/Files", "acme/files"),
        ("github:acme/files", "acme/files"),
        ("https://github.com/Acme/files", "acme/files"),
        ("https://github.com/acme/files/tree/HEAD/src", "acme/files"),
        ("git@github.com:acme/files.git", "acme/files"),
        ("git+https://github.com/acme/files.git", "acme/files"),
        ("https://gitlab.com/acme/files", None),
        ("https://github.com/acme", None),
        ("acme/files/more", None),
        ("acme/..", None),
        ("-x/files", None),
        ("", None),
    ],
)
async def test_a_text_names_a_repository_or_none(
    there: Place, text: str, target: str | None
) -> None:
    async with source_of(there) as source:
        assert source.target_of(text) == target
