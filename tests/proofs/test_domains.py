"""Logins by a domain, against a name server and a web server on loopback."""

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from service import logins
from service.sources import txt
from tests.harvest.places import place
from tests.proofs.conftest import Open, permissions, publishes
from tests.proofs.names import name_server
from tests.proofs.signing import ed25519_record, p384_record, sign


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
