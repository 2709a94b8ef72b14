"""Who gets in: keys, roles, and what happens to keys that end."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import asyncpg
import httpx
import msgspec
import pytest
from litestar import Litestar, Request, get, post
from litestar.datastructures import State

from service import keys
from service.errors import McpsError, Unauthorized
from service.keys import KeyRing, create_key, list_keys, revoke_key
from service.models import Role
from service.settings import DEVELOPMENT_KEY, Settings
from service.store.postgres import PostgresStore
from service.tokens import Tokens
from service.web.answers import Answer
from service.web.auth import KeyCheck, require_checks
from service.web.dispatch import Dispatch
from service.web.edge import Edge
from service.web.problems import handle_error
from service.web.reads import Reads
from service.web.spec import spec
from tests.waiting import until
from tests.web.tokens import opens, unknown_key

SLOWEST_END_S = 5.0


async def let_in() -> Answer:
    """Say that the check let the request pass."""
    return Answer(b"{}")


def routes() -> list[Any]:
    return [
        get("/open", opt=spec(summary="-", role="open"), name="open")(let_in),
        get("/read", opt=spec(summary="-"), name="read")(let_in),
        post("/edit", opt=spec(summary="-", role="editor"), name="edit")(let_in),
        post("/admin", opt=spec(summary="-", role="admin"), name="admin")(let_in),
    ]


def guarded(settings: Settings, ring: KeyRing) -> httpx.AsyncClient:
    check = KeyCheck(ring, Tokens(settings), settings)
    app = Litestar(
        routes(),
        before_request=check,
        exception_handlers={Exception: cast("Any", handle_error)},
        state=State({"settings": settings, "draining": False}),
        openapi_config=None,
        logging_config=None,
    )
    require_checks(app)
    reads = Reads(Dispatch(app, check), ring._store, check, settings)
    transport = httpx.ASGITransport(app=cast("Any", Edge(app, reads, settings)))
    return httpx.AsyncClient(transport=transport, base_url="http://catalog.test")


@pytest.fixture
async def ring(store: PostgresStore, settings: Settings) -> AsyncIterator[KeyRing]:
    made = KeyRing(store, settings)
    yield made
    await made.close()


@pytest.fixture
async def door(settings: Settings, ring: KeyRing) -> AsyncIterator[httpx.AsyncClient]:
    async with guarded(settings, ring) as client:
        yield client


class CountingStore:
    """A store that counts how often keys are asked for."""

    def __init__(self, store: PostgresStore) -> None:
        self._store = store
        self.asked = 0
        self.noted = 0

    async def row(self, query: str, /, **values: Any) -> Any:
        self.asked += 1
        return await self._store.row(query, **values)

    async def run(self, query: str, /, **values: Any) -> int:
        self.noted += 1
        return await self._store.run(query, **values)


def counting(store: PostgresStore, settings: Settings) -> tuple[CountingStore, KeyRing]:
    counted = CountingStore(store)
    return counted, KeyRing(cast("Any", counted), settings)


async def execute(database_url: str, statement: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def test_reads_need_no_key_and_writes_do(door: httpx.AsyncClient) -> None:
    assert (await door.get("/read")).status_code == 200
    refused = await door.post("/edit")
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"].startswith("Bearer")
    assert refused.json()["code"] == "unauthorized"


MAY: dict[Role, tuple[int, int]] = {
    "reader": (403, 403),
    "editor": (200, 403),
    "admin": (200, 200),
}


async def test_a_role_may_do_what_lower_roles_may(
    door: httpx.AsyncClient, store: PostgresStore
) -> None:
    for role, expected in MAY.items():
        made = await create_key(store, name="ci", role=role)
        headers = {"X-API-Key": made.key}
        assert (await door.get("/read", headers=headers)).status_code == 200
        answers = [
            await door.post(path, headers=headers) for path in ("/edit", "/admin")
        ]
        assert tuple(answer.status_code for answer in answers) == expected


async def test_a_bearer_token_is_a_key_too(
    door: httpx.AsyncClient, store: PostgresStore
) -> None:
    made = await create_key(store, name="ci", role="editor")
    for scheme in ("Bearer", "bearer", "BEARER"):
        headers = {"Authorization": f"{scheme} {made.key}"}
        assert (await door.post("/edit", headers=headers)).status_code == 200


async def test_a_wrong_key_is_refused_on_reads_and_ignored_on_open_routes(
    door: httpx.AsyncClient,
) -> None:
    headers = {"X-API-Key": unknown_key()}
    assert (await door.get("/read", headers=headers)).status_code == 401
    assert (await door.get("/open", headers=headers)).status_code == 200


ILL_SENT = [
    [("X-API-Key", "")],
    [("X-API-Key", " ")],
    [("Authorization", "")],
    [("Authorization", "Bearer")],
    [("Authorization", "Bearer ")],
    [("Authorization", "Basic {key}")],
    [("Authorization", "{key}")],
    [("Authorization", "Bearer{key}")],
    [("Authorization", "Bearer {key} {key}")],
    [("X-API-Key", "{key}, {key}")],
    [("X-API-Key", "{key}"), ("X-API-Key", "{key}")],
    [("X-API-Key", "{key}"), ("X-API-Key", "")],
    [("X-API-Key", "{key}"), ("Authorization", "Bearer {key}")],
    [("X-API-Key", "{key}x")],
    [("X-API-Key", "x{key}")],
    [("X-API-Key", "'{key}'")],
    [("X-API-Key", "K" * 5000)],
    [("X-API-Key", "'{key}'")],
    [("X-API-Key", "K" * 5000)],
]


async def test_a_key_comes_once_and_whole(
    door: httpx.AsyncClient, store: PostgresStore
) -> None:
    made = await create_key(store, name="ci", role="admin")
    for headers in ILL_SENT:
        sent = [(name, value.format(key=made.key)) for name, value in headers]
        for method, path in (("GET", "/read"), ("POST", "/admin")):
            answer = await door.request(method, path, headers=sent)
            assert answer.status_code == 401, headers
            assert made.key not in answer.text


async def test_secret_and_prefix_of_two_keys_do_not_make_a_third(
    door: httpx.AsyncClient, store: PostgresStore
) -> None:
    one = await create_key(store, name="one", role="admin")
    two = await create_key(store, name="two", role="admin")
    mixed = f"mcps_{one.prefix}_{two.key.rsplit('_', 1)[1]}"
    answer = await door.post("/admin", headers={"X-API-Key": mixed})
    assert answer.status_code == 401


async def test_require_api_key_closes_reads_but_not_the_probes(
    store: PostgresStore, settings: Settings
) -> None:
    closed = msgspec.structs.replace(settings, require_api_key=True)
    made = await create_key(store, name="reader", role="reader")
    async with guarded(closed, KeyRing(store, closed)) as door:
        assert (await door.get("/read")).status_code == 401
        assert (await door.get("/open")).status_code == 200
        answer = await door.get("/read", headers={"X-API-Key": made.key})
        assert answer.status_code == 200


async def test_the_admin_key_of_the_settings_is_an_admin_key(
    door: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    assert (await door.post("/admin", headers=admin)).status_code == 200


async def test_the_development_key_opens_only_a_development_service(
    store: PostgresStore, settings: Settings
) -> None:
    headers = {"X-API-Key": DEVELOPMENT_KEY}
    statuses = {}
    for environment in ("development", "production"):
        there = msgspec.structs.replace(settings, environment=environment)
        async with guarded(there, KeyRing(store, there)) as door:
            answer = await door.post("/admin", headers=headers)
            statuses[environment] = answer.status_code
    assert statuses == {"development": 200, "production": 401}


async def test_without_an_admin_key_in_the_settings_an_empty_key_opens_nothing(
    store: PostgresStore, settings: Settings
) -> None:
    bare = msgspec.structs.replace(settings, admin_api_key="", environment="production")
    with pytest.raises(Unauthorized):
        await KeyRing(store, bare).role(b"")


@pytest.mark.slow
async def test_a_revoked_key_ends_within_five_seconds_in_every_process(
    store: PostgresStore, settings: Settings
) -> None:
    made = await create_key(store, name="ci", role="reader")
    rings = [KeyRing(store, settings) for _ in range(3)]
    for ring in rings:
        assert await ring.role(made.key.encode()) == "reader"
    await revoke_key(store, made.prefix)
    began_at = time.monotonic()
    waiting = set(rings)
    while waiting:
        for ring in tuple(waiting):
            if not await opens(ring, made.key):
                waiting.discard(ring)
        assert time.monotonic() - began_at < SLOWEST_END_S
        await asyncio.sleep(0.05)


async def test_a_deleted_key_ends_like_a_revoked_one(
    store: PostgresStore,
    settings: Settings,
    database: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keys, "CACHE_S", 0.0)
    made = await create_key(store, name="ci", role="reader")
    ring = KeyRing(store, settings)
    assert await opens(ring, made.key)
    await ring.close()
    await database.execute("delete from api_key")
    assert not await opens(ring, made.key)


async def test_a_key_ends_at_its_time_although_it_is_remembered(
    store: PostgresStore, ring: KeyRing
) -> None:
    end = datetime.now(UTC) + timedelta(seconds=0.5)
    made = await create_key(store, name="ci", role="reader", expires=end.isoformat())
    assert await opens(ring, made.key)
    await until(lambda: datetime.now(UTC) > end + timedelta(seconds=0.1))
    assert not await opens(ring, made.key)


async def test_a_new_key_works_at_once(
    door: httpx.AsyncClient, store: PostgresStore
) -> None:
    assert (await door.post("/edit")).status_code == 401
    made = await create_key(store, name="ci", role="editor")
    headers = {"X-API-Key": made.key}
    assert (await door.post("/edit", headers=headers)).status_code == 200


async def test_a_key_is_looked_up_once_however_many_requests_bring_it(
    store: PostgresStore, settings: Settings
) -> None:
    made = await create_key(store, name="ci", role="reader")
    counted, ring = counting(store, settings)
    roles = await asyncio.gather(*(ring.role(made.key.encode()) for _ in range(50)))
    assert set(roles) == {"reader"}
    assert await ring.role(made.key.encode()) == "reader"
    assert counted.asked == 1
    await ring.close()


async def test_a_wrong_key_is_looked_up_once_too(
    store: PostgresStore, settings: Settings
) -> None:
    counted, ring = counting(store, settings)
    key = unknown_key()
    for _ in range(5):
        assert not await opens(ring, key)
    assert counted.asked == 1


async def test_what_cannot_be_a_key_is_not_looked_up(
    store: PostgresStore, settings: Settings
) -> None:
    counted, ring = counting(store, settings)
    for key in ("", "x", "mcps_", "mcps_a_b", "K" * 9000, "mcps__", "\u00e9"):
        assert not await opens(ring, key)
    assert counted.asked == 0


async def test_made_up_keys_push_no_real_key_out(
    store: PostgresStore, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "CACHED", 8)
    made = await create_key(store, name="ci", role="reader")
    counted, ring = counting(store, settings)
    assert await opens(ring, made.key)
    for _ in range(50):
        await opens(ring, unknown_key())
    assert len(ring._invalid) == 8
    assert counted.asked == 51
    assert await opens(ring, made.key)
    assert counted.asked == 51
    await ring.close()


async def test_who_gives_up_waiting_does_not_take_the_answer_from_others(
    store: PostgresStore, settings: Settings
) -> None:
    made = await create_key(store, name="ci", role="reader")
    counted, ring = counting(store, settings)
    impatient = asyncio.create_task(ring.role(made.key.encode()))
    patient = asyncio.create_task(ring.role(made.key.encode()))
    await asyncio.sleep(0)
    impatient.cancel()
    assert await patient == "reader"
    assert counted.asked == 1
    await ring.close()


@pytest.mark.postgresql
async def test_without_the_database_a_remembered_key_works_and_others_get_503(
    store: PostgresStore, settings: Settings, database_url: str
) -> None:
    made = await create_key(store, name="ci", role="editor")
    other = await create_key(store, name="other", role="editor")
    ring = KeyRing(store, settings)
    async with guarded(settings, ring) as door:
        headers = {"X-API-Key": made.key}
        assert (await door.post("/edit", headers=headers)).status_code == 200
        await ring.close()
        name = database_url.rsplit("/", 1)[1]
        maintenance = database_url.rsplit("/", 1)[0] + "/postgres"
        await execute(maintenance, f"drop database {name} with (force)")
        assert (await door.post("/edit", headers=headers)).status_code == 200
        refused = await door.post("/edit", headers={"X-API-Key": other.key})
        assert refused.status_code == 503
        assert "retry-after" in refused.headers
        assert (await door.get("/read")).status_code == 200
        admin = {"X-API-Key": settings.admin_api_key}
        assert (await door.post("/admin", headers=admin)).status_code == 200


async def test_the_use_of_a_key_is_noted_once_a_minute(
    store: PostgresStore, settings: Settings
) -> None:
    made = await create_key(store, name="ci", role="reader")
    counted, ring = counting(store, settings)
    for _ in range(5):
        await ring.role(made.key.encode())
    await ring.close()
    assert counted.noted == 1
    (entry,) = await list_keys(store)
    first = entry.last_used_at
    assert first is not None
    again = KeyRing(store, settings)
    await again.role(made.key.encode())
    await again.close()
    (entry,) = await list_keys(store)
    assert entry.last_used_at == first


@pytest.mark.postgresql
async def test_a_use_that_cannot_be_noted_fails_no_request(
    store: PostgresStore, settings: Settings, database_url: str
) -> None:
    made = await create_key(store, name="ci", role="editor")
    await execute(
        database_url,
        "create function refuse() returns trigger language plpgsql as "
        "$$ begin raise exception using errcode = '53100'; end $$; "
        "create trigger refuse before update on api_key "
        "for each row execute function refuse()",
    )
    ring = KeyRing(store, settings)
    async with guarded(settings, ring) as door:
        answer = await door.post("/edit", headers={"X-API-Key": made.key})
        assert answer.status_code == 200
    await ring.close()
    assert [entry.last_used_at for entry in await list_keys(store)] == [None]


async def test_the_database_holds_no_secret(
    store: PostgresStore, database: Any
) -> None:
    made = await create_key(store, name="ci", role="admin")
    stored = str([*await database.fetchrow("select * from api_key")])
    assert len(secret := made.key.rsplit("_", 1)[1]) * 5 >= 256
    assert secret not in stored


def test_a_route_without_a_spec_stops_the_start(settings: Settings) -> None:
    bare = Litestar([get("/bare")(let_in)], openapi_config=None, logging_config=None)
    with pytest.raises(McpsError, match="/bare"):
        require_checks(bare)


def test_a_route_that_skips_the_check_stops_the_start(
    store: PostgresStore, settings: Settings
) -> None:
    async def skip(request: Request[Any, Any, Any]) -> None:
        """Let everything pass."""

    own = get("/own", opt=spec(summary="-", role="admin"), before_request=skip)(let_in)
    check = KeyCheck(KeyRing(store, settings), Tokens(settings), settings)
    app = Litestar(
        [own], before_request=check, openapi_config=None, logging_config=None
    )
    with pytest.raises(McpsError, match="/own"):
        require_checks(app)
