"""Idempotency-Key: a write may be sent again until its answer arrives."""

import asyncio
from typing import Any

import asyncpg
import httpx
import pytest

from tests.conftest import execute
from tests.web.rows import Headers

BODY = {"name": "one", "primary_url": "https://one.test/1"}


def keyed(admin: Headers, key: str = "k-1") -> Headers:
    return {**admin, "Idempotency-Key": key}


async def post(client: httpx.AsyncClient, headers: Headers, **more: Any) -> Any:
    return await client.post("/servers", json={**BODY, **more}, headers=headers)


async def count(client: httpx.AsyncClient) -> int:
    answer = await client.get("/servers?count=true&limit=1")
    return int(answer.headers["x-total-count"])


async def test_a_repeated_write_is_answered_as_the_first_time(
    client: httpx.AsyncClient, admin: Headers
) -> None:
    first = await post(client, keyed(admin))
    again = await post(client, keyed(admin))
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    for name in ("location", "etag", "content-type"):
        assert again.headers[name] == first.headers[name]
    assert await count(client) == 1


async def test_the_answer_stays_the_first_one_when_the_server_changes(
    client: httpx.AsyncClient, admin: Headers
) -> None:
    first = await post(client, keyed(admin))
    path = first.headers["location"]
    await client.patch(path, json={"name": "two"}, headers=admin)
    assert (await post(client, keyed(admin))).content == first.content
    await client.delete(path, headers=admin)
    assert (await post(client, keyed(admin))).content == first.content
    assert await count(client) == 0


async def test_a_key_with_another_body_is_refused(
    client: httpx.AsyncClient, admin: Headers
) -> None:
    await post(client, keyed(admin))
    other = await post(client, keyed(admin), primary_url="https://two.test/2")
    assert other.status_code == 422
    assert other.json()["errors"][0]["location"] == "header.idempotency-key"
    assert await count(client) == 1


async def test_without_a_key_the_second_is_a_conflict(
    client: httpx.AsyncClient, admin: Headers
) -> None:
    await post(client, admin)
    assert (await post(client, admin)).status_code == 409
    assert (await post(client, keyed(admin, "new"))).status_code == 409


async def test_what_failed_may_be_mended_and_sent_with_the_same_key(
    client: httpx.AsyncClient, admin: Headers
) -> None:
    made = await post(client, admin)
    assert (await post(client, keyed(admin))).status_code == 409
    await client.delete(made.headers["location"], headers=admin)
    assert (await post(client, keyed(admin))).status_code == 201


async def test_of_many_at_once_one_writes_and_all_get_its_answer(
    client: httpx.AsyncClient, admin: Headers
) -> None:
    answers = await asyncio.gather(*(post(client, keyed(admin)) for _ in range(5)))
    assert {a.status_code for a in answers} == {201}
    assert len({a.content for a in answers}) == 1
    assert await count(client) == 1


async def test_the_keys_of_another_caller_are_others(
    client: httpx.AsyncClient, admin: Headers
) -> None:
    await post(client, keyed(admin))
    other = {"X-API-Key": "dev_key_12345", "Idempotency-Key": "k-1"}
    assert (await post(client, other)).status_code == 409


@pytest.mark.parametrize("key", ["", "a" * 256, "two words", "tab\there"])
async def test_a_key_that_is_none_is_refused(
    client: httpx.AsyncClient, admin: Headers, key: str
) -> None:
    answer = await post(client, keyed(admin, key))
    assert answer.status_code == 400
    assert await count(client) == 0


async def test_two_keys_are_refused(client: httpx.AsyncClient, admin: Headers) -> None:
    headers = [*admin.items(), ("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    answer = await client.post("/servers", json=BODY, headers=headers)
    assert answer.status_code == 400


@pytest.mark.postgresql
async def test_a_key_is_free_again_after_a_day_and_the_old_answers_go(
    client: httpx.AsyncClient, admin: Headers, database_url: str
) -> None:
    name = database_url.rsplit("/", 1)[1]
    first = await post(client, keyed(admin))
    age = "update kept_answer set created_at = now() - interval '26 hours'"
    await execute(name, age)
    await client.delete(first.headers["location"], headers=admin)
    again = await post(client, keyed(admin), name="anew")
    assert again.status_code == 201
    await execute(name, age)
    more = await post(client, keyed(admin, "k-2"), primary_url="https://two.test/2")
    assert more.status_code == 201
    connection = await asyncpg.connect(database_url)
    assert await connection.fetchval("select count(*) from kept_answer") == 1
    await connection.close()
