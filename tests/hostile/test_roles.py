"""Every route with every kind of key: the whole table, written out (D11)."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from service.app import create_app
from service.keys import create_key, revoke_key
from service.models import Role
from service.permissions import all_names
from service.settings import Settings
from service.store.base import Store
from service.tokens import Tokens
from tests.hostile.conftest import Ask, send
from tests.hostile.targets import Header, Target
from tests.waiting import until

# A new route has to be entered here by hand: that is the point of the table.
ACCESS: dict[str, str] = {
    "GET /health": "open",
    "GET /health/db": "open",
    "GET /metrics": "open",
    "GET /openapi.json": "open",
    "GET /openapi.yaml": "open",
    "GET /": "open",
    "GET /docs": "open",
    "GET /docs/style.css": "open",
    "GET /servers": "read",
    "POST /servers": "editor",
    "GET /servers/{server}": "read",
    "PATCH /servers/{server}": "editor",
    "PUT /servers/{server}": "editor",
    "DELETE /servers/{server}": "admin",
    "GET /servers/{server}/tools": "read",
    "GET /servers/{server}/resources": "read",
    "GET /servers/{server}/prompts": "read",
    "GET /servers/{server}/dependencies": "read",
    "GET /servers/{server}/releases": "read",
    "GET /servers/{server}/contributors": "read",
    "GET /servers/{server}/versions": "read",
    "GET /servers/{server}/risk": "read",
    "GET /tools": "read",
    "GET /tools/{tool}": "read",
    "GET /tools/{tool}/similar": "read",
    "GET /search": "read",
    "POST /search/vector": "read",
    "GET /admin/stats": "admin",
    "POST /admin/update-health-scores": "admin",
    "POST /admin/update-risk-levels": "admin",
    "POST /admin/prune-stale": "admin",
    "POST /admin/bulk-update": "admin",
    "POST /servers/refresh": "editor",
    "GET /exports/kiro.json": "open",
    "GET /exports/managed-settings.json": "open",
    "GET /exports/mcp.json": "open",
    **{
        f"{method} {prefix}{path}": "open"
        for prefix in ("/v0.1", "/v0")
        for method, path in [
            ("GET", "/servers"),
            ("GET", "/servers/{server}/versions"),
            ("GET", "/servers/{server}/versions/{version}"),
            ("GET", "/x/io.mcps/changes"),
            ("GET", "/x/io.mcps/facets"),
            ("POST", "/x/io.mcps/batch"),
            ("GET", "/health"),
            ("GET", "/ping"),
            ("GET", "/version"),
            ("POST", "/validate"),
            *(
                ("POST", f"/auth/{login}")
                for login in ("none", "oidc", "github-oidc", "github-at", "dns", "http")
            ),
        ]
    },
    **{
        f"{method} {prefix}{path}": "publish"
        for prefix in ("/v0.1", "/v0")
        for method, path in [
            ("POST", "/publish"),
            ("PUT", "/servers/{server}/versions/{version}"),
            ("DELETE", "/servers/{server}/versions/{version}"),
            ("PATCH", "/servers/{server}/versions/{version}/status"),
            ("PATCH", "/servers/{server}/status"),
        ]
    },
}
# What a key of each role may; 401 and 403 are the answers to all others.
MAY = {
    "open": {"none", "wrong", "reader", "editor", "admin"},
    "read": {"none", "reader", "editor", "admin"},
    "editor": {"editor", "admin"},
    "publish": {"editor", "admin", "token"},
    "admin": {"admin"},
}
KEYLESS = {"token", "none", "wrong", "revoked", "expired", "empty", "twice", "basic"}
ROLES: tuple[Role, ...] = ("reader", "editor", "admin")


def test_every_route_is_in_the_table(every: list[Target]) -> None:
    assert sorted({target.name for target in every} - ACCESS.keys()) == []


def test_the_table_agrees_with_the_routes(every: list[Target]) -> None:
    declared = {target.name: target.spec.role or "read" for target in every}
    assert declared == {name: ACCESS[name] for name in declared}


async def keys(store: Store, settings: Settings) -> dict[str, list[Header]]:
    """Headers of each kind of caller."""
    made = {role: (await create_key(store, name=role, role=role)).key for role in ROLES}
    sent: dict[str, list[Header]] = {
        role: [(b"x-api-key", key.encode())] for role, key in made.items()
    }
    admin = made["admin"].encode()
    token = Tokens(settings).issue("test", "-", all_names("publish", "edit"))
    revoked = await create_key(store, name="revoked", role="admin")
    await revoke_key(store, revoked.prefix)
    end = datetime.now(UTC) + timedelta(milliseconds=200)
    expired = await create_key(
        store, name="expired", role="admin", expires=end.isoformat()
    )
    await until(lambda: datetime.now(UTC) > end)
    return {
        **sent,
        "token": [(b"authorization", f"Bearer {token.registry_token}".encode())],
        "none": [],
        "wrong": [(b"x-api-key", admin[:-1] + b"_")],
        "revoked": [(b"x-api-key", revoked.key.encode())],
        "expired": [(b"x-api-key", expired.key.encode())],
        "empty": [(b"x-api-key", b"")],
        "twice": [(b"x-api-key", admin), (b"authorization", b"Bearer " + admin)],
        "basic": [(b"authorization", b"Basic " + admin)],
    }


async def test_every_route_lets_in_whom_the_table_names(
    ask: Ask, every: list[Target], store: Store, settings: Settings
) -> None:
    callers = await keys(store, settings)
    found = []
    for target in every:
        access = ACCESS[target.name]
        for caller, headers in callers.items():
            attack = target.attack(target.path(b"999"), key=None, headers=headers)
            reply = await ask(attack)
            wanted = expected(access, caller)
            is_right = reply.status == wanted or (
                wanted == 0 and reply.status not in {401, 403}
            )
            if not is_right or reply.faults():
                found.append(f"{target.name} as {caller}: {reply.status}, not {wanted}")
    assert found == []


def expected(access: str, caller: str) -> int:
    """401, 403, or 0 for whatever the route answers to those it lets in."""
    if access == "open" or caller in MAY[access]:
        return 0
    return 401 if caller in KEYLESS else 403


async def test_reads_need_a_key_where_the_settings_say_so(
    every: list[Target], settings: Settings, store: Store
) -> None:
    closed = create_app(msgspec.structs.replace(settings, require_api_key=True), store)
    callers = await keys(store, settings)
    found = []
    for target in every:
        for caller in ("none", "reader"):
            attack = target.attack(
                target.path(b"999"), key=None, headers=callers[caller]
            )
            reply = await send(closed, attack)
            is_refused = reply.status == 401
            if ACCESS[target.name] == "read" and is_refused != (caller == "none"):
                found.append(f"{target.name} as {caller}: {reply.status}")
            if ACCESS[target.name] == "open" and is_refused:
                found.append(f"{target.name} as {caller}: {reply.status}")
    assert found == []


async def test_a_key_revoked_while_in_use_ends_on_every_route(
    ask: Ask,
    every: list[Target],
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("service.keys.CACHE_S", 0.0)
    made = await create_key(store, name="ci", role="admin")
    guarded = [target for target in every if target.spec.role != "open"]
    attacks = [
        target.attack(target.path(b"999"), key=(b"x-api-key", made.key.encode()))
        for target in guarded
    ]
    assert all([(await ask(attack)).status != 401 for attack in attacks])
    await revoke_key(store, made.prefix)
    assert {(await ask(attack)).status for attack in attacks} == {401}
