"""Registry tokens: what one allows, and which ones are none."""

import time
from base64 import urlsafe_b64encode
from types import SimpleNamespace
from typing import Any

import httpx
import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from service.errors import Forbidden, InvalidSettings, Unauthorized
from service.keys import create_key
from service.models import Role
from service.permissions import Permission, all_names
from service.settings import Settings, read_settings
from service.store.base import Store
from service.tokens import Tokens
from tests.publish.conftest import NAME, TOKEN_KEY, bearer, document, path_of, remote
from tests.registry.conftest import serial_of

KEY = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(TOKEN_KEY))
CLAIMS: dict[str, Any] = {
    "iss": "mcp-registry",
    "auth_method": "test",
    "auth_method_sub": "someone",
    "permissions": [{"action": "publish", "resource": "*"}],
}


def made(key: Any = KEY, algorithm: str = "EdDSA", **changes: Any) -> str:
    """A token of our key, but for the changes; None leaves a claim out."""
    now = int(time.time())
    claims = {**CLAIMS, "iat": now, "nbf": now, "exp": now + 60, **changes}
    kept = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(kept, key, algorithm=algorithm)


def unsigned(token: str) -> str:
    """The token without a signature, and with a head that says so."""
    head = urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")
    return f"{head}.{token.split('.')[1]}."


async def publish(
    client: httpx.AsyncClient, headers: dict[str, str], **changes: Any
) -> httpx.Response:
    return await client.post("/v0/publish", json=document(**changes), headers=headers)


def test_a_token_is_what_other_tools_expect(settings: Settings) -> None:
    before = int(time.time())
    token = Tokens(settings).issue(
        "dns", "example.com", [Permission("publish", "com.example/*")]
    )
    assert jwt.get_unverified_header(token.registry_token)["alg"] == "EdDSA"
    claims = jwt.decode(
        token.registry_token,
        KEY.public_key(),
        algorithms=["EdDSA"],
        issuer="mcp-registry",
    )
    assert claims["exp"] == token.expires_at
    assert 300 <= claims["exp"] - before <= 305
    assert claims["auth_method"] == "dns"
    assert claims["auth_method_sub"] == "example.com"
    assert claims["permissions"] == [{"action": "publish", "resource": "com.example/*"}]


async def test_processes_with_one_key_take_each_others_tokens(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    other = msgspec.structs.replace(settings, registry_token_key="f" * 64)
    assert (
        await publish(client, bearer(settings, ("publish", "*")))
    ).status_code == 200
    refused = await publish(client, bearer(other, ("publish", "*")), version="2.0.0")
    assert refused.status_code == 401


async def test_the_clock_of_another_process_may_be_ahead(
    client: httpx.AsyncClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = SimpleNamespace(time=lambda: time.time() + 10)
    with monkeypatch.context() as patched:
        patched.setattr("service.tokens.time", ahead)
        headers = bearer(settings, ("publish", "*"))
    assert (await publish(client, headers)).status_code == 200


async def test_forged_and_expired_tokens_are_refused(
    client: httpx.AsyncClient,
) -> None:
    now = int(time.time())
    good = made()
    head, body, signature = good.split(".")
    wrong = {
        "expired": made(exp=now - 1),
        "of the future": made(nbf=now + 60),
        "without an end": made(exp=None),
        "without a beginning": made(iat=None),
        "of nobody": made(iss=None),
        "of another issuer": made(iss="mcp-registry-2"),
        "of another key": made(Ed25519PrivateKey.generate()),
        "of a shared secret": made("0" * 64, "HS512"),
        "of our public key as a secret": made(
            KEY.public_key().public_bytes_raw().hex(), "HS256"
        ),
        "unsigned": unsigned(good),
        "cut": f"{head}.{body}.",
        "changed": f"{head}.{body}.{signature[:-4]}AAAA",
        "with another body": f"{head}.{made(exp=now + 9999).split('.')[1]}.{signature}",
        "without permissions": made(permissions=None),
        "with odd permissions": made(permissions=[{"action": 5, "resource": "*"}]),
        "too long": made(padding="x" * 9000),
        "three dots": "eyJ...",
        "of a time in words": made(exp="soon"),
        "no JSON": f"eyJhbGciOiJFZERTQSJ9.{body[:-3]}.{signature}",
    }
    before = await serial_of(client)
    for kind, token in wrong.items():
        answer = await publish(client, {"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401, kind
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert token not in answer.text
    assert await serial_of(client) == before
    assert (
        await publish(client, {"Authorization": f"Bearer {good}"})
    ).status_code == 200


STRANGERS: list[dict[str, str]] = [
    {},
    {"Authorization": ""},
    {"Authorization": "Bearer"},
    {"Authorization": "Bearer "},
    {"Authorization": "Basic eyJhOmI="},
    {"Authorization": "Bearer mcps_aaaaaaaa_bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"},
    {"X-API-Key": "wrong"},
]


async def test_whoever_brings_no_token_is_asked_for_one(
    client: httpx.AsyncClient,
) -> None:
    one = path_of(version="1.0.0")
    for headers in STRANGERS:
        for method, url in (
            ("POST", "/publish"),
            ("PUT", one),
            ("DELETE", one),
            ("PATCH", f"{one}/status"),
            ("PATCH", path_of(end="/status")),
        ):
            for prefix in ("/v0", "/v0.1"):
                answer = await client.request(
                    method, prefix + url, json=document(), headers=headers
                )
                assert answer.status_code == 401, (headers, method)


PATTERNS = {
    "*": 200,
    "io.example.weather/*": 200,
    "io.example.*": 200,
    NAME: 200,
    "io.example/*": 403,
    "io.example.weather/fore": 403,
    "io.example.weather": 403,
    "IO.EXAMPLE.WEATHER/*": 403,
    "io.*.weather/*": 403,
    "*/forecast": 403,
    "": 403,
}


async def test_a_token_allows_the_names_of_its_patterns(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    for at, (pattern, status) in enumerate(PATTERNS.items()):
        headers = bearer(settings, ("publish", pattern))
        answer = await publish(client, headers, version=f"1.{at}.0")
        assert answer.status_code == status, pattern


async def test_a_refusal_lists_what_is_allowed_and_what_was_tried(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    headers = bearer(
        settings, ("publish", "com.b/*"), ("publish", "com.a.*"), ("edit", "com.c/*")
    )
    answer = await publish(client, headers)
    assert answer.status_code == 403
    said = answer.json()["detail"]
    assert "com.a.*, com.b/*;" in said
    assert NAME in said
    assert "com.c" not in said, "that is for edits"
    nothing = await publish(client, bearer(settings))
    assert "nothing" in nothing.json()["detail"]


async def test_the_permission_comes_before_the_rules(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    """Nobody learns by 422 what they may not publish."""
    headers = bearer(settings, ("publish", "com.other/*"))
    assert (await publish(client, headers, title=" ")).status_code == 403
    assert (await publish(client, headers, name=None)).status_code == 403
    own = await publish(client, headers, name="com.other/x", title=" ")
    assert own.status_code == 422


async def test_edits_need_the_permission_to_edit_and_statuses_one_of_both(
    client: httpx.AsyncClient, settings: Settings, admin: dict[str, str]
) -> None:
    await publish(client, admin)
    one = f"/v0{path_of(version='1.0.0')}"
    publisher = bearer(settings, ("publish", "io.example.weather/*"))
    editor = bearer(settings, ("edit", "io.example.weather/*"))
    stranger = bearer(settings, ("edit", "com.other/*"), ("publish", "com.other/*"))
    for headers, status in ((publisher, 403), (stranger, 403), (editor, 200)):
        answer = await client.put(one, json=document(title="T"), headers=headers)
        assert answer.status_code == status
    assert (await publish(client, editor, version="2.0.0")).status_code == 403
    for at, headers in enumerate((publisher, editor)):
        body = {"status": "deprecated", "statusMessage": f"turn {at}"}
        for url in (f"{one}/status", f"/v0{path_of(end='/status')}"):
            body["statusMessage"] += "."
            answer = await client.patch(url, json=body, headers=headers)
            assert answer.status_code == 200
            answer = await client.patch(url, json=body, headers=stranger)
            assert answer.status_code == 403


async def test_keys_of_editors_and_administrators_may_write_every_name(
    client: httpx.AsyncClient, store: Store
) -> None:
    roles: dict[Role, int] = {"reader": 403, "editor": 200, "admin": 200}
    for role, status in roles.items():
        key = (await create_key(store, name=role, role=role)).key
        for kind, header in (
            ("bearer", {"Authorization": f"Bearer {key}"}),
            ("plain", {"X-API-Key": key}),
        ):
            answer = await publish(client, header, name=f"io.example.{role}/{kind}")
            assert answer.status_code == status, (role, kind)


async def test_a_token_opens_nothing_but_publishing(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    headers = bearer(settings, *(("publish", "*"), ("edit", "*")))
    body = {"name": "a", "primary_url": "https://a.example"}
    assert (
        await client.post("/servers", json=body, headers=headers)
    ).status_code == 401
    assert (await client.get("/admin/stats", headers=headers)).status_code == 401


async def test_a_publisher_of_some_names_takes_over_no_server(
    client: httpx.AsyncClient, settings: Settings, admin: dict[str, str]
) -> None:
    """Whose repository it is nobody proved."""
    place = {"url": "https://github.com/example/tools", "source": "github"}
    body = {"name": "tools", "primary_url": place["url"]}
    await client.post("/servers", json=body, headers=admin)
    headers = bearer(settings, ("publish", "io.example.weather/*"))
    await publish(client, headers, repository=place, remotes=remote())
    found = (await client.get("/servers?sort=name")).json()
    names = {server["primary_url"]: server["registry_name"] for server in found}
    assert names == {place["url"]: None, f"{place['url']}#{NAME}": NAME}


def test_a_denied_namespace_gets_no_token(settings: Settings) -> None:
    denied = msgspec.structs.replace(
        settings, registry_denied_namespaces="com.bad, io.github.spam"
    )
    tokens = Tokens(denied)
    for pattern in ("com.bad/*", "com.bad*", "com.*", "io.github.spam/*"):
        with pytest.raises(Forbidden, match="nobody may publish"):
            tokens.issue("x", "y", [Permission("publish", pattern)])
    for pattern in ("com.bad.sub/*", "com.badger/*", "com.good/*"):
        tokens.issue("x", "y", [Permission("publish", pattern)])
    tokens.issue("x", "y", all_names("publish", "edit"))


@pytest.mark.parametrize("key", ["x" * 64, "ab" * 31, "ab" * 33, "ab" * 32 + "\n"])
def test_a_key_that_is_none_stops_the_start_without_being_shown(key: str) -> None:
    with pytest.raises(InvalidSettings, match="openssl rand -hex 32") as caught:
        Tokens(Settings(registry_token_key=key))
    assert key not in str(caught.value)


def test_production_wants_a_key_where_logins_are_on() -> None:
    source = {
        "ENVIRONMENT": "production",
        "DATABASE_URL": "postgresql://u:s3cret@h/d",
        "REGISTRY_LOGINS": "dns",
    }
    with pytest.raises(InvalidSettings, match="REGISTRY_TOKEN_KEY"):
        read_settings(source)
    read_settings({**source, "REGISTRY_TOKEN_KEY": TOKEN_KEY})


def test_without_a_key_a_process_takes_only_its_own_tokens() -> None:
    first, second = Tokens(Settings()), Tokens(Settings())
    token = first.issue("x", "y", []).registry_token.encode()
    assert first.read(token).subject == "x y"
    with pytest.raises(Unauthorized):
        second.read(token)
