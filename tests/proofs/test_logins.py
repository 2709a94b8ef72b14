"""Which logins are on, and the one by an account of GitHub."""

from typing import Any

import httpx
import msgspec
import pytest
from aiohttp import web

from service import logins
from service.errors import InvalidSettings
from service.settings import Settings
from tests.harvest.places import place
from tests.proofs.conftest import AUDIENCE, Open, permissions, publishes


@pytest.mark.parametrize("prefix", ["/v0", "/v0.1"])
async def test_every_login_is_off_unless_the_settings_list_it(
    client: httpx.AsyncClient, prefix: str
) -> None:
    for login in ("none", "oidc", "github-oidc", "github-at", "dns", "http"):
        body = {
            "oidc_token": "x",
            "github_token": "x",
            "domain": "example.com",
            "timestamp": "x",
            "signed_timestamp": "x",
        }
        answer = await client.post(f"{prefix}/auth/{login}", json=body)
        assert answer.status_code == 501
        assert f"REGISTRY_LOGINS does not list {login}" in answer.json()["detail"]


async def test_anybody_publishes_anonymously_where_that_is_on(opened: Open) -> None:
    async with opened(registry_logins="none") as client:
        answer = await client.post("/v0/auth/none")
        assert permissions(answer) == [
            ("publish", "io.modelcontextprotocol.anonymous/*")
        ]
        name = "io.modelcontextprotocol.anonymous/trial"
        assert await publishes(client, answer, name) == 200
        assert await publishes(client, answer, "io.example/trial") == 403


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"registry_logins": "oidc,bogus"}, "REGISTRY_LOGINS"),
        ({"registry_logins": "oidc"}, "OIDC_ISSUER"),
        ({"registry_logins": "oidc", "oidc_issuer": "https://i"}, "OIDC_CLIENT_ID"),
        ({"registry_logins": "github-oidc"}, "GITHUB_OIDC_ISSUER"),
        ({"registry_logins": "none", "oidc_claims": "[1]"}, "OIDC_CLAIMS"),
    ],
)
def test_a_login_that_lacks_a_setting_stops_the_start(
    settings: Settings, changes: dict[str, str], named: str
) -> None:
    with pytest.raises(InvalidSettings, match=named):
        logins.check_logins(msgspec.structs.replace(settings, **changes))


@pytest.mark.parametrize("login", ["oidc", "github-oidc", "github-at", "dns", "http"])
async def test_a_body_that_does_not_fit_is_refused(opened: Open, login: str) -> None:
    configured = {
        "oidc_issuer": "http://127.0.0.1:9",
        "oidc_client_id": AUDIENCE,
        "oidc_publish": "a/*",
        "github_oidc_issuer": "http://127.0.0.1:9",
        "github_api_url": "http://127.0.0.1:9",
    }
    async with opened(registry_logins=login, **configured) as client:
        bodies: list[Any] = [{}, [], {"oidc_token": 5, "github_token": [], "domain": 5}]
        for body in bodies:
            answer = await client.post(f"/v0/auth/{login}", json=body)
            assert answer.status_code == 422
        broken = await client.post(
            f"/v0/auth/{login}",
            content=b"{",
            headers={"Content-Type": "application/json"},
        )
        assert broken.status_code == 400


async def test_a_user_of_github_publishes_for_themselves_and_their_organisations(
    opened: Open,
) -> None:
    async def github(request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != "Bearer good":
            return web.json_response({"message": "Bad credentials"}, status=401)
        if request.path == "/user":
            return web.json_response({"login": "octo"})
        assert request.path_qs == "/users/octo/orgs?per_page=100"
        return web.json_response([{"login": "Org-1"}, {"login": "org-2"}])

    async with place(github) as server:
        configured = {"registry_logins": "github-at", "github_api_url": server.url}
        async with opened(**configured, harvest_host_rate=1000.0) as client:
            url = "/v0/auth/github-at"
            answer = await client.post(url, json={"github_token": "good"})
            assert permissions(answer) == [
                ("publish", "io.github.octo/*"),
                ("publish", "io.github.Org-1/*"),
                ("publish", "io.github.org-2/*"),
            ]
            refused = await client.post(url, json={"github_token": "bad"})
            assert refused.status_code == 401
