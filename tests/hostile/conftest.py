"""The application with an entry or two, and a record of what the attacks changed."""

import contextlib
import functools
import random
import sqlite3
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterator,
    Sequence,
)
from typing import Protocol, TypeVar

import asyncpg
import msgspec
import pytest

from service import metrics
from service.settings import Settings
from service.store.base import Store
from service.web.edge import Edge
from tests.hostile import asgi
from tests.hostile.asgi import Reply
from tests.hostile.targets import ADMIN, JSON, Attack, Target, targets

Ask = Callable[[Attack], Awaitable[Reply]]
Item = TypeVar("Item")


class Some(Protocol):
    """Chooses from many attacks."""

    def __call__(self, attacks: Sequence[Item], /) -> list[Item]: ...


TABLES = """
select relname
  from pg_class
 where relkind in ('r', 'v') and relnamespace = 'public'::regnamespace
 order by relname
"""
FILE_TABLES = """
select name
  from sqlite_schema
 where type = 'table' and name not like 'sqlite%' and sql not like '%virtual%'
"""
COUNT = 'select count(*) from "{}"'
STATE = """
select (select md5(string_agg(doc, '' order by id)) from server)
       || (select string_agg(rolname, ' ' order by rolname) from pg_roles)
       || (select count(*) from pg_proc)
"""


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """With a key for registry tokens, so that a test can make one."""
    return msgspec.structs.replace(settings, registry_token_key="5" * 64)


@pytest.fixture
async def catalog(app: Edge, store: Store) -> None:
    """Three entries to ask for."""
    for number in range(1, 4):
        body = (
            f'{{"name": "server {number}", "keywords": ["k", "k{number}"],'
            f' "primary_url": "https://example.org/{number}", "stars": {number}}}'
        )
        reply = await asgi.call(
            app, "POST", b"/servers", headers=[ADMIN, JSON], body=body.encode()
        )
        assert reply.status == 201


async def send(app: Edge, attack: Attack) -> Reply:
    """The answer of an application to one attack."""
    return await asgi.call(
        app, attack.method, attack.target, headers=attack.headers, body=attack.body
    )


@pytest.fixture
def ask(app: Edge, catalog: None) -> Ask:
    """Sends one attack."""
    return functools.partial(send, app)


@pytest.fixture
def every(app: Edge) -> list[Target]:
    """Every route with each of its methods."""
    return targets(app)


@pytest.fixture
async def unchanged(catalog: None, database_url: str) -> AsyncIterator[None]:
    """Fails the test when it changed a row, a table or a role."""
    before = await state(database_url)
    yield
    assert await state(database_url) == before


async def state(database_url: str) -> dict[str, object]:
    """The tables with their sizes, the entries, the roles, the functions."""
    if database_url.startswith("sqlite"):
        return _state_of_file(database_url.split("://", 1)[1].removeprefix("/"))
    connection = await asyncpg.connect(database_url)
    names = [row["relname"] for row in await connection.fetch(TABLES)]
    found = {name: await connection.fetchval(COUNT.format(name)) for name in names}
    found["state"] = await connection.fetchval(STATE)
    await connection.close()
    return found


def _state_of_file(path: str) -> dict[str, object]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        names = [name for (name,) in connection.execute(FILE_TABLES)]
        counts = {
            name: connection.execute(COUNT.format(name)).fetchone() for name in names
        }
        docs = connection.execute("select id, doc from server order by id").fetchall()
    return {**counts, "state": docs}


@pytest.fixture
def sound(catalog: None) -> Iterator[None]:
    """Fails the test when the database found a fault in a statement or a value."""
    before = refused()
    yield
    assert refused() == before


def refused() -> dict[str, float]:
    """How many statements the database refused, by class of their SQLSTATE."""
    return {
        sample.labels["sqlstate_class"]: sample.value
        for metric in metrics.QUERY_ERRORS.collect()
        for sample in metric.samples
        if sample.name.endswith("_total")
    }


@pytest.fixture(params=["tenth", pytest.param("all", marks=pytest.mark.faults)])
def some(request: pytest.FixtureRequest) -> Some:
    """A tenth of many attacks, the same in every run; with -m faults all of them."""

    def choose(attacks: Sequence[Item]) -> list[Item]:
        if request.param == "all":
            return [*attacks]
        return random.Random(len(attacks)).sample(attacks, -(-len(attacks) // 10))

    return choose


def refuses(attack: Attack, reply: Reply, allowed: Collection[int]) -> bool:
    """Whether a document is refused as the standard says, where others answer 400."""
    if 400 not in allowed or "/v0" not in attack.name:
        return False
    if attack.name.endswith("/validate"):
        return reply.status == 200 and reply.json["valid"] is False
    return reply.status == 422


async def failures(
    ask: Ask, attacks: Sequence[Attack], allowed: Collection[int]
) -> list[str]:
    """What went wrong with each of the attacks; 501 is where a database has no such."""
    assert attacks
    found = []
    for attack in attacks:
        reply = await ask(attack)
        faults = reply.faults()
        if reply.status not in {*allowed, 501} and not refuses(attack, reply, allowed):
            faults.append(f"status {reply.status} {reply.body[:120]!r}")
        sent = f"{attack.name} {attack.target[:99]!r} {attack.headers} {attack.body!r}"
        found += [f"{fault} <- {sent[:300]}" for fault in faults]
    return found[:20]
