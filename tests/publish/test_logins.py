"""Logins: against an issuer, a name server, a web server and GitHub on loopback."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import jwt
import msgspec
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from service import logins, oidc
from service.app import create_app
from service.errors import InvalidSettings
from service.settings import Settings
from service.sources import txt
from service.store.base import Store
from tests.harvest.places import Place, place
from tests.publish.conftest import document
from tests.publish.names import name_server
from tests.publish.signing import SigningKey, ed25519_record, p384_record, sign

Open = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]
AUDIENCE = "mcps-catalog"


@pytest.fixture
def opened(settings: Settings, store: Store) -> Open:
    """A client of an application with these settings, ready to ask others."""

    @asynccontextmanager
    async def start(**changes: Any) -> AsyncIterator[httpx.AsyncClient]:
        app = create_app(msgspec.structs.replace(settings, **changes), store)
        found = app.app.state.logins
        await found.open()
        transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
        try:
            async with httpx.AsyncClient(
                transport=transport, base_url="http://catalog.test"
            ) as client:
                yield client
        finally:
            await found.close()

    return start


def permissions(answer: httpx.Response) -> list[tuple[str, str]]:
    """What a token allows, which has to be there."""
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert set(body) == {"registry_token", "expires_at"}
    assert 290 < body["expires_at"] - time.time() <= 300
    claims = jwt.decode(body["registry_token"], options={"verify_signature": False})
    return [(p["action"], p["resource"]) for p in claims["permissions"]]


async def publishes(
    client: httpx.AsyncClient, answer: httpx.Response, name: str
) -> int:
    """The status of publishing that name with the token."""
    headers = {"Authorization": f"Bearer {answer.json()['registry_token']}"}
    body = document(name=name)
    return (await client.post("/v0/publish", json=body, headers=headers)).status_code


# -- off and on


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
        ({"registry_logins": "github-at"}, "GITHUB_API_URL"),
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


# -- OpenID Connect


class Idp:
    """An issuer whose keys can be changed."""

    def __init__(self) -> None:
        self.keys = [SigningKey("first")]
        self.url = ""
        self.named = ""
        self.is_up = True

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Its description, or its keys."""
        if not self.is_up:
            return web.Response(status=400)
        if request.path == "/.well-known/openid-configuration":
            issuer = self.named or self.url
            return web.json_response({"issuer": issuer, "jwks_uri": f"{self.url}/jwks"})
        return web.json_response({"keys": [key.jwk for key in self.keys]})

    def token(self, key: SigningKey | None = None, **claims: Any) -> str:
        """An ID token of its first key, with the claims that are wanted here."""
        said = {"iss": self.url, "aud": AUDIENCE, **claims}
        return (key or self.keys[0]).token(**said)


@pytest.fixture
async def idp() -> AsyncIterator[tuple[Idp, Place]]:
    found = Idp()
    async with place(found.answer) as server:
        found.url = server.url
        yield found, server


def by_oidc(found: Idp, **changes: Any) -> dict[str, Any]:
    """Settings of a login by this issuer."""
    return {
        "registry_logins": "oidc",
        "oidc_issuer": found.url,
        "oidc_client_id": AUDIENCE,
        "oidc_publish": "com.example/*, io.example.*",
        "harvest_host_rate": 1000.0,
        **changes,
    }


async def log_in(client: httpx.AsyncClient, token: str) -> httpx.Response:
    return await client.post("/v0/auth/oidc", json={"oidc_token": token})


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
async def test_an_id_token_gives_what_the_settings_say(
    opened: Open, idp: tuple[Idp, Place], algorithm: str
) -> None:
    found, _ = idp
    found.keys = [SigningKey("first", algorithm)]
    async with opened(**by_oidc(found, oidc_edit="com.example/*")) as client:
        answer = await log_in(client, found.token())
        assert permissions(answer) == [
            ("publish", "com.example/*"),
            ("publish", "io.example.*"),
            ("edit", "com.example/*"),
        ]
        assert await publishes(client, answer, "com.example/one") == 200
        assert await publishes(client, answer, "com.other/one") == 403


async def test_id_tokens_that_are_not_meant_or_made_here_are_refused(
    opened: Open, idp: tuple[Idp, Place]
) -> None:
    found, _ = idp
    now = int(time.time())
    stranger = SigningKey("first")
    claims = {"iss": found.url, "aud": AUDIENCE, "iat": now, "exp": now + 60}
    head = {"kid": "first"}
    public = found.keys[0].jwk["n"]
    wrong = {
        "expired": found.token(exp=now - 60),
        "without an end": found.token(exp=None),
        "for others": found.token(aud="others"),
        "for nobody": found.token(aud=None),
        "of another issuer": found.token(iss="https://other.example"),
        "forged": found.token(stranger),
        "of an unknown key": found.token(SigningKey("second")),
        "unsigned": jwt.encode(claims, "", algorithm="none", headers=head),
        "of the public key as a secret": jwt.encode(
            claims, public, algorithm="HS256", headers=head
        ),
        "no token": "x",
        "half a token": found.token().rpartition(".")[0],
    }
    async with opened(**by_oidc(found)) as client:
        for kind, token in wrong.items():
            answer = await log_in(client, token)
            assert answer.status_code == 401, kind
            assert token == "x" or token not in answer.text
        assert (await log_in(client, found.token())).status_code == 200


async def test_wanted_claims_have_to_be_there(
    opened: Open, idp: tuple[Idp, Place]
) -> None:
    found, _ = idp
    wanted = json.dumps({"hd": "example.com", "email_verified": True})
    async with opened(**by_oidc(found, oidc_claims=wanted)) as client:
        for claims, status in (
            ({}, 401),
            ({"hd": "example.com"}, 401),
            ({"hd": "example.com", "email_verified": "true"}, 401),
            ({"hd": "other.example", "email_verified": True}, 401),
            ({"hd": "example.com", "email_verified": True}, 200),
        ):
            answer = await log_in(client, found.token(**claims))
            assert answer.status_code == status, claims


async def test_keys_are_fetched_once_and_again_when_they_change(
    opened: Open, idp: tuple[Idp, Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    found, server = idp
    async with opened(**by_oidc(found)) as client:
        answers = await asyncio.gather(
            *(log_in(client, found.token()) for _ in range(10))
        )
        assert {answer.status_code for answer in answers} == {200}
        assert server.paths == ["/.well-known/openid-configuration", "/jwks"]
        old, found.keys = found.keys[0], [SigningKey("second")]
        for _ in range(5):
            assert (await log_in(client, found.token())).status_code == 401
        assert len(server.paths) == 2, "not again within a minute"
        assert (await log_in(client, found.token(old))).status_code == 200
        monkeypatch.setattr(oidc, "AGAIN_S", 0.0)
        assert (await log_in(client, found.token())).status_code == 200
        assert (await log_in(client, found.token(old))).status_code == 401


async def test_known_keys_stay_while_the_issuer_is_away(
    opened: Open, idp: tuple[Idp, Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    found, _ = idp
    monkeypatch.setattr(oidc, "AGAIN_S", 0.0)
    monkeypatch.setattr(oidc, "KEPT_S", 0.0)
    async with opened(**by_oidc(found)) as client:
        assert (await log_in(client, found.token())).status_code == 200
        found.is_up = False
        assert (await log_in(client, found.token())).status_code == 200


async def test_an_issuer_that_is_away_is_not_the_publishers_fault(
    opened: Open, idp: tuple[Idp, Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    found, server = idp
    found.is_up = False
    async with opened(**by_oidc(found)) as client:
        for _ in range(3):
            answer = await log_in(client, found.token())
            assert answer.status_code == 503
            assert answer.headers["retry-after"] == "5"
        assert len(server.paths) == 1, "it is not asked at every try"
        found.is_up = True
        found.named = "https://other.example"
        monkeypatch.setattr(oidc, "SOON_S", 0.0)
        assert (await log_in(client, found.token())).status_code == 503
        found.named = ""
        assert (await log_in(client, found.token())).status_code == 200


async def test_a_workflow_publishes_for_the_owner_of_its_repository(
    opened: Open, idp: tuple[Idp, Place]
) -> None:
    found, _ = idp
    configured = {
        "registry_logins": "github-oidc",
        "github_oidc_issuer": found.url,
        "harvest_host_rate": 1000.0,
    }

    async def log_in_from(**claims: Any) -> httpx.Response:
        token = found.token(**{"aud": "mcp-registry", **claims})
        url = "/v0/auth/github-oidc"
        return await client.post(url, json={"oidc_token": token})

    async with opened(**configured) as client:
        answer = await log_in_from(repository_owner="Example-Org")
        assert permissions(answer) == [("publish", "io.github.Example-Org/*")]
        for owner in (None, "", "*", "a/b", "ä", 5, "a.*"):
            refused = await log_in_from(repository_owner=owner)
            assert refused.status_code == 401, owner
        other = await log_in_from(repository_owner="x", aud="others")
        assert other.status_code == 401


# -- GitHub


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


# -- domains


def proof(key: Any, domain: str = "example.com", **changes: str) -> dict[str, str]:
    """What publishing tools send for a domain."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    body = {"domain": domain, "timestamp": now, "signed_timestamp": sign(key, now)}
    return {**body, **changes}


@pytest.mark.parametrize("kind", ["ed25519", "p384"])
async def test_a_key_in_dns_proves_a_domain_and_those_below(
    opened: Open, kind: str
) -> None:
    if kind == "ed25519":
        key: Any = Ed25519PrivateKey.generate()
        record = ed25519_record(key)
    else:
        key = ec.generate_private_key(ec.SECP384R1())
        record = p384_record(key)
    records = {"example.com": ["v=spf1 -all", record], "empty.example": []}
    async with (
        name_server(records) as address,
        opened(registry_logins="dns", dns_resolver=address) as client,
    ):
        answer = await client.post("/v0/auth/dns", json=proof(key, "Example.com"))
        assert permissions(answer) == [
            ("publish", "com.example/*"),
            ("publish", "com.example.*"),
        ]
        assert await publishes(client, answer, "com.example/one") == 200
        assert await publishes(client, answer, "com.example.sub/one") == 200
        assert await publishes(client, answer, "com.examples/one") == 403
        old = "2026-01-01T00:00:00Z"
        for body in (
            proof(Ed25519PrivateKey.generate()),
            proof(key, "empty.example"),
            proof(key, "nowhere.example"),
            proof(key, "127.0.0.1"),
            proof(key, timestamp=old, signed_timestamp=sign(key, old)),
            proof(key, signed_timestamp="00" * 64),
        ):
            refused = await client.post("/v0/auth/dns", json=body)
            assert refused.status_code == 401, body


async def test_name_servers_that_fail_are_not_the_publishers_fault(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(txt, "LIFETIME_S", 0.3)
    key = Ed25519PrivateKey.generate()
    records = {"broken.example": ["broken"], "silent.example": ["silent"]}
    async with (
        name_server(records) as address,
        opened(registry_logins="dns", dns_resolver=address) as client,
    ):
        for domain in records:
            answer = await client.post("/v0/auth/dns", json=proof(key, domain))
            assert answer.status_code == 503
            assert domain in answer.json()["detail"]


async def test_a_key_on_a_web_server_proves_the_domain_alone(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = Ed25519PrivateKey.generate()
    pages = {
        "example.example": ed25519_record(key),
        "example.com": f"# our key\n{ed25519_record(key)}\n",
        "long.example": "x" * 5000 + ed25519_record(key),
        "other.example": "hello",
    }

    async def serve(request: web.Request) -> web.StreamResponse:
        domain = request.path.removeprefix("/").partition("/")[0]
        if domain == "moved.example":
            raise web.HTTPFound(request.path.replace("moved", "example"))
        if domain not in pages:
            raise web.HTTPNotFound
        return web.Response(text=pages[domain])

    async with place(serve) as server:
        url = f"{server.url}/{{domain}}/.well-known/mcp-registry-auth"
        monkeypatch.setattr(logins, "PROOF_URL", url)
        configured = {"registry_logins": "http", "harvest_host_rate": 1000.0}
        async with opened(**configured) as client:
            private = await client.post("/v0/auth/http", json=proof(key))
            assert private.status_code == 401
            assert "not public" in private.json()["detail"]
            assert server.paths == []
        configured["harvest_allow_hosts"] = "127.0.0.1"
        async with opened(**configured) as client:
            answer = await client.post("/v0/auth/http", json=proof(key))
            assert permissions(answer) == [("publish", "com.example/*")]
            for domain in (
                "long.example",
                "other.example",
                "moved.example",
                "nowhere.example",
            ):
                refused = await client.post("/v0/auth/http", json=proof(key, domain))
                assert refused.status_code == 401, domain
            forged = proof(Ed25519PrivateKey.generate())
            answer = await client.post("/v0/auth/http", json=forged)
            assert answer.status_code == 401


def test_a_domain_is_asked_by_https() -> None:
    assert logins.PROOF_URL.startswith("https://{domain}/")


async def test_many_proofs_at_once_do_not_pile_up(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(txt, "LIFETIME_S", 0.5)
    key = Ed25519PrivateKey.generate()
    async with (
        name_server({"silent.example": ["silent"]}) as address,
        opened(registry_logins="dns", dns_resolver=address) as client,
    ):
        bodies = [proof(key, "silent.example") for _ in range(40)]
        answers: list[Awaitable[httpx.Response]] = [
            client.post("/v0/auth/dns", json=body) for body in bodies
        ]
        codes = [answer.json()["code"] for answer in await asyncio.gather(*answers)]
        assert sorted(set(codes)) == ["overloaded", "unavailable"]
        assert codes.count("unavailable") == logins.MOST_AT_ONCE
