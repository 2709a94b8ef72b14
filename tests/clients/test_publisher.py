"""What the official publishing tool sends, request by request, and what it needs."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from service.app import create_app
from service.models_registry import OFFICIAL
from service.settings import Settings
from service.store.base import Store
from service.web.edge import Edge
from tests.hostile.asgi import Reply, call
from tests.proofs.names import name_server
from tests.proofs.signing import ed25519_record, sign

Header = tuple[bytes, bytes]
KEY = Ed25519PrivateKey.generate()
NAME = "com.example.tools/forecast"
PLAIN: list[Header] = [
    (b"user-agent", b"Go-http-client/1.1"),
    (b"accept-encoding", b"gzip"),
]
# Indented and in this order, as `mcp-publisher init` writes the file.
SERVER_JSON = b"""{
  "$schema": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
  "name": "com.example.tools/forecast",
  "description": "An MCP server that provides <weather> & more",
  "repository": {
    "url": "https://github.com/example/forecast",
    "source": "github"
  },
  "version": "1.0.0+build.5",
  "packages": [
    {
      "registryType": "npm",
      "identifier": "@example/forecast",
      "version": "1.0.0",
      "transport": {
        "type": "stdio"
      },
      "environmentVariables": [
        {
          "description": "Your API key for the service",
          "isRequired": true,
          "format": "string",
          "isSecret": true,
          "name": "YOUR_API_KEY"
        }
      ]
    }
  ]
}
"""
# Go escapes a slash in a segment of a path and leaves a plus as it is.
VERSIONS = b"/v0/servers/com.example.tools%2Fforecast/versions"
VERSION = VERSIONS + b"/1.0.0+build.5"


@pytest.fixture
async def catalog(settings: Settings, store: Store) -> AsyncIterator[Edge]:
    """An application on which the domain example.com can log in."""
    records = {"example.com": [ed25519_record(KEY)]}
    async with name_server(records) as address:
        changes = {
            "registry_logins": "dns none",
            "dns_resolver": address,
            "github_client_id": "Iv1.0123456789abcdef",
        }
        app = create_app(msgspec.structs.replace(settings, **changes), store)
        await app.app.state.logins.open()
        yield app
        await app.app.state.logins.close()


def sent(body: bytes, token: str = "") -> list[Header]:
    """The headers of a request with a body, as Go's client makes them."""
    headers = [
        (b"user-agent", b"Go-http-client/1.1"),
        (b"content-length", str(len(body)).encode()),
        (b"content-type", b"application/json"),
        (b"accept-encoding", b"gzip"),
    ]
    bearer = [(b"authorization", b"Bearer " + token.encode())] if token else []
    return [*headers[:2], *bearer, *headers[2:]]


async def post(app: Edge, path: bytes, body: bytes, token: str = "") -> Reply:
    return await call(app, "POST", path, headers=sent(body, token), body=body)


async def patch(app: Edge, path: bytes, body: bytes, token: str) -> Reply:
    return await call(app, "PATCH", path, headers=sent(body, token), body=body)


async def log_in(app: Edge) -> str:
    """`mcp-publisher login dns --domain=example.com --private-key=…`."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    body = json.dumps(
        {"domain": "example.com", "timestamp": now, "signed_timestamp": sign(KEY, now)},
        separators=(",", ":"),
    )
    reply = await post(app, b"/v0/auth/dns", body.encode())
    assert reply.status == 200
    assert isinstance(reply.json["expires_at"], int)
    token: str = reply.json["registry_token"]
    return token


def official(reply: Reply) -> dict[str, Any]:
    assert reply.status == 200, reply.body
    found: dict[str, Any] = reply.json["_meta"][OFFICIAL]
    return found


async def test_login_publish_and_status_as_the_tool_does_it(catalog: Edge) -> None:
    health = await call(catalog, "GET", b"/v0/health", headers=PLAIN)
    assert health.json["github_client_id"] == "Iv1.0123456789abcdef"
    token = await log_in(catalog)

    checked = await post(catalog, b"/v0/validate", SERVER_JSON)
    assert (checked.status, checked.json) == (200, {"valid": True, "issues": []})

    published = await post(catalog, b"/v0/publish", SERVER_JSON, token)
    assert official(published)["isLatest"] is True
    assert published.json["server"] == json.loads(SERVER_JSON)

    again = await post(catalog, b"/v0/publish", SERVER_JSON, token)
    assert again.status == 400
    assert "exists already" in again.json["detail"]

    listed = await call(catalog, "GET", VERSIONS, headers=PLAIN)
    assert [entry["server"]["version"] for entry in listed.json["servers"]] == [
        "1.0.0+build.5"
    ]
    one = await call(catalog, "GET", VERSION, headers=PLAIN)
    assert one.json == published.json

    body = b'{"status":"deprecated","statusMessage":"Use 2.0.0"}'
    changed = await patch(catalog, VERSION + b"/status", body, token)
    assert official(changed)["statusMessage"] == "Use 2.0.0"

    body = b'{"status":"deleted"}'
    every = b"/v0/servers/com.example.tools%2Fforecast/status"
    gone = await patch(catalog, every, body, token)
    assert gone.status == 200
    assert gone.json["updatedCount"] == 1
    assert gone.json["servers"][0]["_meta"][OFFICIAL]["status"] == "deleted"


async def test_the_tool_shows_why_something_is_refused(catalog: Edge) -> None:
    """It prints the body of an answer that is neither 200 nor 201."""
    token = await log_in(catalog)
    foreign = SERVER_JSON.replace(b"com.example.tools", b"com.other")
    refused = await post(catalog, b"/v0/publish", foreign, token)
    assert refused.status == 403
    assert "com.example.*, com.example/*" in refused.json["detail"]
    assert "com.other/forecast" in refused.json["detail"]

    wrong = SERVER_JSON.replace(b'"1.0.0+build.5"', b'"^1.0.0"')
    refused = await post(catalog, b"/v0/publish", wrong, token)
    assert refused.status == 422
    assert refused.json["errors"] == [
        {
            "message": "must be one version, not a range",
            "location": "body.version",
        }
    ]
    checked = await post(catalog, b"/v0/validate", wrong)
    (issue,) = checked.json["issues"]
    assert (issue["path"], issue["reference"]) == ("version", "version-range")

    old = await post(catalog, b"/v0/publish", SERVER_JSON, token[:-6] + "AAAAAA")
    assert old.status == 401


async def test_the_tool_logs_in_anonymously_without_a_body(catalog: Edge) -> None:
    headers = [(b"content-length", b"0"), (b"content-type", b"application/json")]
    reply = await call(catalog, "POST", b"/v0/auth/none", headers=[*PLAIN, *headers])
    assert reply.status == 200
    name = b"io.modelcontextprotocol.anonymous/forecast"
    body = SERVER_JSON.replace(b"com.example.tools/forecast", name)
    token = reply.json["registry_token"]
    assert (await post(catalog, b"/v0/publish", body, token)).status == 200
