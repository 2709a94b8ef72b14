"""Logins by OpenID Connect, against an issuer on loopback."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import jwt
import pytest
from aiohttp import web

from service import oidc
from tests.harvest.places import Place, place
from tests.proofs.conftest import AUDIENCE, Open, permissions, publishes
from tests.proofs.signing import SigningKey


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
