"""Packages that say whose they are, on registries of every kind on loopback."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest
from aiohttp import web

from service.app import create_app
from service.errors import InvalidSettings
from service.ownership import LABEL, MOST_PACKAGES, Ownership
from service.settings import Settings
from service.sources.image_labels import read_image
from service.sources.package_claims import has_name
from service.store.base import Store
from tests.harvest.places import Place, place
from tests.publish.conftest import NAME, document, places
from tests.registry.conftest import serial_of

DIGESTS = {
    kind: "sha256:" + str(at) * 64 for at, kind in enumerate(("image", "config"))
}
STDIO = {"type": "stdio"}


class Registries:
    """All of them in one server; `says` is what every package says it belongs to."""

    def __init__(self) -> None:
        self.says = NAME
        self.status = 200
        self.wants_token = False

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if self.status != 200:
            return web.Response(status=self.status)
        if request.path.startswith("/v2/"):
            return self.image(request)
        answers: dict[str, Any] = {
            "/@example%2Fforecast/1.0.0": {"mcpName": self.says},
            "/pypi/forecast/1.0.0/json": {
                "info": {"description": f"# Forecast\n\nmcp-name: {self.says}\n"}
            },
            "/v3/index.json": {
                "resources": [
                    {"@type": "Other", "@id": "x"},
                    {"@type": "PackageBaseAddress/3.0.0", "@id": self.base + "/flat/"},
                ]
            },
        }
        if request.raw_path == "/flat/example.forecast/1.0.0-rc/readme":
            return web.Response(text=f"<!-- mcp-name: {self.says} -->")
        if request.path == "/token":
            assert request.query["scope"] == "repository:example/forecast:pull"
            return web.json_response({"token": "anybody"})
        if request.raw_path not in answers:
            raise web.HTTPNotFound
        return web.json_response(answers[request.raw_path])

    def image(self, request: web.Request) -> web.StreamResponse:
        """A registry of images, with a token for everybody where it wants one."""
        if (
            self.wants_token
            and request.headers.get("Authorization") != "Bearer anybody"
        ):
            realm = (
                f'Bearer realm="{self.base}/token",service="images",'
                'scope="repository:example/forecast:pull"'
            )
            return web.Response(status=401, headers={"WWW-Authenticate": realm})
        answers: dict[str, Any] = {
            "manifests/1.0": {
                "manifests": [
                    {"digest": "x", "platform": {"os": "unknown"}},
                    {"digest": DIGESTS["image"], "platform": {"os": "linux"}},
                ]
            },
            f"manifests/{DIGESTS['image']}": {"config": {"digest": DIGESTS["config"]}},
            f"blobs/{DIGESTS['config']}": {"config": {"Labels": {LABEL: self.says}}},
        }
        path = request.path.removeprefix("/v2/example/forecast/")
        if path not in answers:
            raise web.HTTPNotFound
        return web.json_response(answers[path])

    base = ""


@pytest.fixture
async def registries() -> AsyncIterator[tuple[Registries, Place]]:
    found = Registries()
    async with place(found.answer) as server:
        found.base = server.url
        yield found, server


@pytest.fixture
def settings(settings: Settings, registries: tuple[Registries, Place]) -> Settings:
    """All checks on, at the server of the test."""
    base = registries[0].base
    return msgspec.structs.replace(
        settings,
        ownership_checks="npm pypi, nuget oci",
        ownership_npm_urls=f"https://other.example, {base}/",
        ownership_pypi_urls=base,
        ownership_nuget_urls=f"{base}/v3/index.json",
        ownership_oci_urls=base,
        harvest_host_rate=1000.0,
    )


@pytest.fixture
async def client(settings: Settings, store: Store) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(settings, store)
    await app.app.state.ownership.open()
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as opened:
        yield opened
    await app.app.state.ownership.close()


def packages(base: str) -> dict[str, dict[str, Any]]:
    """A package of each kind that is looked up."""
    return {
        "npm": {
            "registryType": "npm",
            "registryBaseUrl": base,
            "identifier": "@example/forecast",
            "version": "1.0.0",
            "transport": STDIO,
        },
        "pypi": {
            "registryType": "pypi",
            "identifier": "forecast",
            "version": "1.0.0",
            "transport": STDIO,
        },
        "nuget": {
            "registryType": "nuget",
            "identifier": "Example.Forecast",
            "version": "1.0.0-RC",
            "transport": STDIO,
        },
        "oci": {
            "registryType": "oci",
            "identifier": f"{base.partition('//')[2]}/example/forecast:1.0",
            "transport": STDIO,
        },
    }


async def publish(
    client: httpx.AsyncClient, admin: dict[str, str], *listed: Any, **changes: Any
) -> httpx.Response:
    body = document(packages=list(listed), **changes)
    return await client.post("/v0/publish", json=body, headers=admin)


async def test_packages_that_name_the_server_are_published(
    client: httpx.AsyncClient,
    admin: dict[str, str],
    registries: tuple[Registries, Place],
) -> None:
    found, _ = registries
    listed = packages(found.base).values()
    assert (await publish(client, admin, *listed)).status_code == 200
    found.wants_token = True
    answer = await publish(client, admin, *listed, version="2.0.0")
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "says", ["", "io.example.weather/other", f"{NAME}-2", f"{NAME}/x", NAME[:-1]]
)
async def test_a_package_that_names_another_server_is_refused(
    client: httpx.AsyncClient,
    admin: dict[str, str],
    registries: tuple[Registries, Place],
    says: str,
) -> None:
    found, _ = registries
    found.says = says
    before = await serial_of(client)
    for kind, package in packages(found.base).items():
        answer = await publish(client, admin, package)
        assert answer.status_code == 400, kind
        assert places(answer) == ["body.packages[0]"]
        assert NAME in answer.json()["detail"], "it says how to mend that"
    assert await serial_of(client) == before


async def test_an_edit_is_checked_too(
    client: httpx.AsyncClient,
    admin: dict[str, str],
    registries: tuple[Registries, Place],
) -> None:
    found, _ = registries
    package = packages(found.base)["npm"]
    await publish(client, admin)
    url = "/v0/servers/io.example.weather%2Fforecast/versions/1.0.0"
    for says, status in (("io.example/other", 400), (NAME, 200)):
        found.says = says
        body = document(packages=[package])
        answer = await client.put(url, json=body, headers=admin)
        assert answer.status_code == status


@pytest.mark.parametrize("kind", ["npm", "pypi", "nuget", "oci"])
async def test_what_a_registry_answers_decides(
    client: httpx.AsyncClient,
    admin: dict[str, str],
    registries: tuple[Registries, Place],
    kind: str,
) -> None:
    found, _ = registries
    package = packages(found.base)[kind]
    for at, (status, wanted) in enumerate(
        ((404, 400), (401, 400), (500, 503), (429, 200))
    ):
        found.status = status
        answer = await publish(client, admin, package, version=f"1.{at}.0")
        assert answer.status_code == wanted, (status, answer.text)


async def test_only_configured_places_are_asked(
    client: httpx.AsyncClient,
    admin: dict[str, str],
    registries: tuple[Registries, Place],
) -> None:
    found, server = registries
    good = packages(found.base)
    elsewhere = "http://127.0.0.1:1"
    for package, where in (
        ({**good["npm"], "registryBaseUrl": elsewhere}, "registryBaseUrl"),
        ({**good["pypi"], "registryBaseUrl": elsewhere}, "registryBaseUrl"),
        ({**good["oci"], "identifier": "127.0.0.1:1/example/a:1"}, "identifier"),
        ({**good["oci"], "identifier": "example/a:1"}, "identifier"),
        ({**good["npm"], "identifier": ".."}, "identifier"),
        ({**good["pypi"], "version": "..."}, "identifier"),
    ):
        answer = await publish(client, admin, package)
        assert answer.status_code == 400
        assert places(answer) == [f"body.packages[0].{where}"]
    assert server.asked == []


async def test_a_bounded_number_of_packages_is_looked_up(
    client: httpx.AsyncClient,
    admin: dict[str, str],
    registries: tuple[Registries, Place],
) -> None:
    found, server = registries
    many = [packages(found.base)["pypi"]] * (MOST_PACKAGES + 1)
    answer = await publish(client, admin, *many)
    assert (answer.status_code, places(answer)) == (400, ["body.packages"])
    assert server.asked == []


async def test_other_kinds_need_no_proof(
    client: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    bundle = {
        "registryType": "mcpb",
        "identifier": "https://github.com/example/mcp/releases/download/1/a.mcpb",
        "fileSha256": "0" * 64,
        "transport": STDIO,
    }
    cargo = {"registryType": "cargo", "identifier": "forecast", "transport": STDIO}
    assert (await publish(client, admin, bundle, cargo)).status_code == 200


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"ownership_npm_urls": ""}, "OWNERSHIP_NPM_URLS"),
        ({"ownership_oci_urls": " , "}, "OWNERSHIP_OCI_URLS"),
        ({"ownership_checks": "npm mcpb"}, "OWNERSHIP_CHECKS"),
    ],
)
def test_a_check_without_its_place_stops_the_start(
    settings: Settings, changes: dict[str, str], named: str
) -> None:
    with pytest.raises(InvalidSettings, match=named):
        Ownership(msgspec.structs.replace(settings, **changes))


def test_no_place_is_built_in() -> None:
    fields = (
        "ownership_npm_urls",
        "ownership_pypi_urls",
        "ownership_nuget_urls",
        "ownership_oci_urls",
        "ownership_checks",
    )
    assert {getattr(Settings(), field) for field in fields} == {""}


@pytest.mark.parametrize(
    ("text", "is_named"),
    [
        (f"mcp-name: {NAME}", True),
        (f"x\nmcp-name:{NAME}.", False),
        (f"`mcp-name: {NAME}`", True),
        (f"mcp-name: {NAME}s", False),
        (f"name: {NAME}", False),
        (f"MCP-NAME: {NAME}", False),
        (f"mcp-name: {NAME.replace('.', 'x')}", False),
    ],
)
def test_a_readme_names_exactly_one_server(text: str, *, is_named: bool) -> None:
    assert has_name(text, NAME) is is_named


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        ("images.example/a/b:1.0", ("images.example", "a/b", "1.0")),
        ("IMAGES.example:5000/a:1", ("images.example:5000", "a", "1")),
        (
            f"images.example/a:1@{DIGESTS['image']}",
            ("images.example", "a", DIGESTS["image"]),
        ),
        ("images.example/a", None),
        ("images.example/A:1", None),
        ("images.example/../a:1", None),
        ("images.example/a/../../b:1", None),
        ("images.example/a:1?x=1", None),
        ("user@images.example/a:1", None),
    ],
)
def test_a_reference_of_an_image_is_read(
    reference: str, parts: tuple[str, str, str] | None
) -> None:
    found = read_image(reference)
    assert (found and (found.host, found.name, found.version)) == parts
