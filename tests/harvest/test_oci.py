"""Images of an OCI registry, from a local one that speaks its protocol."""

import json
import time
from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Any

import msgspec
import pytest
from aiohttp import web

from service.errors import InvalidSettings
from service.settings import Settings
from service.sources.fetch import Fetcher
from service.sources.image_config import entry_of, variables_of
from service.sources.oci import OciSource, read_image
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
TARGET = "acme/files:1.0"
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DIGEST = "sha256:" + "0" * 64
CONFIG: Json = {
    "created": "2026-01-02T03:04:05Z",
    "config": {
        "Labels": {
            "io.modelcontextprotocol.server.name": "io.github.acme/files",
            "org.opencontainers.image.title": "Files",
            "org.opencontainers.image.description": "Files for agents",
            "org.opencontainers.image.source": "https://github.com/acme/files",
            "org.opencontainers.image.url": "https://acme.example/",
            "org.opencontainers.image.licenses": "MIT",
            "org.opencontainers.image.vendor": "Acme",
            "org.opencontainers.image.version": "v1.2.3",
            "odd": 5,
        },
        "Env": ["PATH=/bin", "ROOT=/data", "API_TOKEN=baked-in", "EMPTY=", 7],
    },
}


def encoded(document: Json) -> bytes:
    return json.dumps(document).encode()


def digest_of(data: bytes) -> str:
    return f"sha256:{sha256(data).hexdigest()}"


class Registry:
    """What the local registry answers; every part may be changed or be broken."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        config = self.put(CONFIG)
        other = self.put({"config": {"Labels": {}}})
        self.layer = "sha256:" + "1" * 64
        layers = [{"digest": self.layer, "size": 10**9}]
        amd = self.put({"config": {"digest": config}, "layers": layers})
        arm = self.put({"config": {"digest": other}, "layers": layers})
        self.manifest: Json = {"config": {"digest": config}, "layers": layers}
        self.index = {
            "manifests": [
                self.listed(arm, "linux", "arm64"),
                self.listed(arm, "unknown", "unknown"),
                self.listed(amd, "linux", "amd64"),
            ]
        }
        self.tags: Json = {"1.0": self.index, "single": self.manifest}
        self.needs_token = False
        self.broken: dict[str, Handler] = {}

    def put(self, document: Json) -> str:
        data = encoded(document)
        self.blobs[digest_of(data)] = data
        return digest_of(data)

    @staticmethod
    def listed(digest: str, system: str, architecture: str) -> Json:
        platform = {"os": system, "architecture": architecture}
        return {"digest": digest, "platform": platform}

    async def answer(self, request: web.Request) -> web.StreamResponse:
        for part, handler in self.broken.items():
            if part in request.path:
                return await handler(request)
        if request.path == "/token":
            wanted = {"service": "registry", "scope": "repository:acme/files:pull"}
            assert dict(request.query) == wanted
            assert "Authorization" not in request.headers
            return web.json_response({"token": "anybody"})
        if (
            self.needs_token
            and request.headers.get("Authorization") != "Bearer anybody"
        ):
            challenge = (
                f'Bearer realm="http://{request.host}/token",service="registry",'
                'scope="repository:acme/files:pull"'
            )
            return web.Response(status=401, headers={"WWW-Authenticate": challenge})
        return self._found(request)

    def _found(self, request: web.Request) -> web.Response:
        start, _, reference = request.path.rpartition("/")
        if start == "/v2/acme/files/manifests":
            assert INDEX in request.headers["Accept"]
            if reference in self.tags:
                return web.Response(body=encoded(self.tags[reference]))
        elif start != "/v2/acme/files/blobs":
            return web.Response(status=404)
        data = self.blobs.get(reference)
        return web.Response(body=data) if data else web.Response(status=404)


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
async def there(registry: Registry) -> AsyncIterator[Place]:
    async with place(registry.answer) as running:
        yield running


@pytest.fixture
async def oci(there: Place) -> AsyncIterator[OciSource]:
    limits = Limits(total_s=2.0, tries=2)
    async with Fetcher(options(limits=limits), "oci") as fetcher:
        yield OciSource(fetcher, Settings(oci_registry_url=there.url))


@pytest.mark.parametrize("tag", ["1.0", "single"])
async def test_an_image_is_read_without_a_layer(
    oci: OciSource, registry: Registry, there: Place, tag: str
) -> None:
    harvest = await harvested(oci, f"acme/files:{tag}")
    assert harvest.registry_name == "io.github.acme/files"
    assert harvest.primary_url == "https://github.com/acme/files#oci:/acme/files"
    assert msgspec.to_builtins(harvest.fields) == {
        "name": "files",
        "title": "Files",
        "host_type": "github",
        "description": "Files for agents",
        "author_name": "Acme",
        "homepage": "https://acme.example/",
        "license": "MIT",
    }
    assert not any(registry.layer in path for path in there.paths)
    assert len(there.paths) == (3 if tag == "1.0" else 2)


async def test_a_name_with_its_host_needs_no_setting(there: Place) -> None:
    host = f"127.0.0.1:{there.port}"
    async with Fetcher(options(), "oci") as fetcher:
        source = OciSource(fetcher, Settings(oci_registry_url=there.url))
        harvest = await harvested(source, f"{host}/acme/files:1.0")
    assert harvest.primary_url.endswith(f"#oci:{host}/acme/files")


async def test_a_token_is_had_where_the_registry_says(
    oci: OciSource, registry: Registry, there: Place
) -> None:
    registry.needs_token = True
    await harvested(oci, TARGET)
    assert [path.partition("?")[0] for path in there.paths].count("/token") == 1
    assert len(there.paths) == 5


async def test_the_same_image_gives_no_page_and_no_second_call(
    oci: OciSource, there: Place
) -> None:
    (page,) = await pages(oci, TARGET)
    asked = len(there.asked)
    assert isinstance(page.checkpoint, dict)
    assert await pages(oci, TARGET, checkpoint=page.checkpoint) == []
    assert len(there.asked) == asked + 1


@pytest.mark.parametrize("kind", ["manifest", "config"])
async def test_what_is_not_what_its_digest_says_is_refused(
    oci: OciSource, registry: Registry, kind: str
) -> None:
    digest = registry.index["manifests"][2]["digest"]
    if kind == "config":
        digest = registry.manifest["config"]["digest"]
    registry.blobs[digest] += b" "
    assert "digest" in (await failed(oci, TARGET)).message


@pytest.mark.parametrize(
    "manifest",
    [
        {},
        {"config": {}},
        {"config": {"digest": "../../etc"}},
        {"manifests": []},
        {"manifests": [{"digest": DIGEST, "platform": {"os": "unknown"}}, 5]},
        {"schemaVersion": 1, "fsLayers": []},
    ],
)
async def test_a_manifest_that_is_none_fails(
    oci: OciSource, registry: Registry, manifest: Json
) -> None:
    registry.tags["1.0"] = manifest
    assert (await failed(oci, TARGET)).reason == "bad_answer"


@pytest.mark.parametrize(
    ("challenge", "reason"),
    [
        ("Basic realm=x", "unauthorized"),
        ("", "unauthorized"),
        ('Bearer realm="file:///etc/passwd"', "unauthorized"),
        ('Bearer service="x"', "unauthorized"),
        ('Bearer realm="http://127.0.0.2:1/token"', "refused_address"),
    ],
)
async def test_a_challenge_leads_nowhere_else(
    oci: OciSource, registry: Registry, challenge: str, reason: str
) -> None:
    async def wants_more(_request: web.Request) -> web.Response:
        return web.Response(status=401, headers={"WWW-Authenticate": challenge})

    registry.broken["/v2/"] = wants_more
    assert (await failed(oci, TARGET)).reason == reason


async def test_a_token_that_does_not_help_is_asked_for_once(
    oci: OciSource, registry: Registry, there: Place
) -> None:
    registry.needs_token = True

    async def wrong(_request: web.Request) -> web.Response:
        return web.json_response({"access_token": "wrong"})

    registry.broken["/token"] = wrong
    assert (await failed(oci, TARGET)).reason == "unauthorized"
    assert len(there.asked) == 3


def replies(status: int = 200, **given: Any) -> Handler:
    async def handler(_request: web.Request) -> web.Response:
        return web.Response(status=status, **given)

    return handler


@pytest.mark.parametrize(
    ("path", "handler", "reason"),
    [
        ("/manifests", replies(429, headers={"Retry-After": "60"}), "rate_limited"),
        ("/manifests", replies(500), "unavailable"),
        ("/manifests", replies(404), "not_found"),
        ("/manifests", replies(text="<html>"), "bad_answer"),
        ("/manifests", replies(body=b" " * (10 << 20)), "too_large"),
        ("/blobs", replies(404), "not_found"),
        ("/blobs", replies(body=b" " * (10 << 20)), "too_large"),
    ],
)
async def test_a_broken_registry_fails_its_image_in_time(
    oci: OciSource, registry: Registry, path: str, handler: Handler, reason: str
) -> None:
    registry.broken[path] = handler
    began_at = time.monotonic()
    assert (await failed(oci, TARGET)).reason == reason
    assert time.monotonic() - began_at < 30


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("acme/files", "acme/files:latest"),
        ("files:1.0", "files:1.0"),
        ("oci:acme/files:1.0", "acme/files:1.0"),
        (
            "docker://Images.Example:5000/acme/files",
            "images.example:5000/acme/files:latest",
        ),
        ("localhost/files", "localhost/files:latest"),
        (f"images.example/a/b:1@{DIGEST}", f"images.example/a/b@{DIGEST}"),
        ("Acme/Files", None),
        ("https://images.example/acme/files", None),
        ("images.example/../files", None),
        ("acme/files:bad tag", None),
        ("acme/files@sha256:1", None),
        ("a" * 50_000 + "!", None),
        ("", None),
    ],
)
def test_a_text_names_an_image_or_none(text: str, target: str | None) -> None:
    image = read_image(text)
    assert (image.target if image else None) == target


async def test_without_a_registry_it_says_which_variable_to_set() -> None:
    async with Fetcher(options(), "oci") as fetcher:
        with pytest.raises(InvalidSettings, match="OCI_REGISTRY_URL"):
            await pages(OciSource(fetcher, Settings()), TARGET)


def test_an_image_in_the_namespace_of_its_owner_says_how_to_run_it() -> None:
    entry = entry_of(CONFIG, "ghcr.example/acme/files:1.2.3")
    assert entry is not None
    server = json.loads(entry)["server"]
    assert (server["name"], server["version"]) == ("io.github.acme/files", "1.2.3")
    assert server["packages"] == [
        {
            "registryType": "oci",
            "identifier": "ghcr.example/acme/files:1.2.3",
            "transport": {"type": "stdio"},
            "environmentVariables": [
                {"name": "ROOT", "default": "/data"},
                {"name": "API_TOKEN", "isSecret": True},
                {"name": "EMPTY", "default": ""},
                {"name": "7", "default": ""},
            ],
        }
    ]
    assert "baked-in" not in entry.decode()


@pytest.mark.parametrize(
    "target",
    [
        "ghcr.example/evil/files:1.2.3",
        "images.example/acme/files:1.2.3",
        "acme/files:1.2.3",
        f"ghcr.example/acme/files@{DIGEST}",
    ],
)
def test_an_image_of_somebody_else_is_no_entry(target: str) -> None:
    assert entry_of(CONFIG, target) is None


@pytest.mark.parametrize(
    "config", [{}, {"config": 5}, {"config": {"Env": "A=1", "Labels": []}}]
)
def test_an_odd_configuration_says_nothing(config: Json) -> None:
    assert variables_of(config) == {}
    assert entry_of(config, "ghcr.example/acme/files:1") is None
