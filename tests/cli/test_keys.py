"""`mcps keys` as a person and a script use it."""

import json
from datetime import UTC, datetime, timedelta

import httpx
import msgspec
import pytest

from service.errors import InvalidInput
from service.keys import create_key, end_of, list_keys
from service.models_admin import KeyEntry, NewKey
from service.store.postgres import PostgresStore
from tests.conftest import RunMcps
from tests.waiting import until

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_create_prints_the_key_and_nothing_else_on_stdout(run_mcps: RunMcps) -> None:
    done = run_mcps("keys", "create", "--name", "ci bot", "--role", "editor")
    assert done.returncode == 0, done.stderr
    key = done.stdout.removesuffix("\n")
    prefix = key.split("_")[1]
    assert key.count("_") == 2
    assert key.isascii()
    assert key.startswith("mcps_")
    assert "ci bot" in done.stderr
    assert prefix in done.stderr
    assert key not in done.stderr


def test_a_key_is_made_listed_and_revoked(run_mcps: RunMcps) -> None:
    options = ("--role", "reader", "--expires", "90d", "--json")
    done = run_mcps("keys", "create", "--name", "ci", *options)
    made = msgspec.json.decode(done.stdout, type=NewKey)
    assert made.role == "reader"
    assert made.expires_at is not None
    assert datetime.fromisoformat(made.expires_at) > datetime.now(UTC) + timedelta(89)
    (listed,) = keys(run_mcps)
    assert (listed.prefix, listed.state) == (made.prefix, "active")
    assert listed.last_used_at is None
    assert run_mcps("keys", "revoke", made.prefix).returncode == 0
    (listed,) = keys(run_mcps)
    assert listed.state == "revoked"
    assert run_mcps("keys", "revoke", made.prefix).returncode == 0


async def test_keys_made_by_the_command_open_the_service(
    run_mcps: RunMcps, client: httpx.AsyncClient
) -> None:
    done = run_mcps("keys", "create", "--name", "ops", "--role", "admin")
    headers = {"Authorization": f"Bearer {done.stdout.strip()}"}
    assert (await client.get("/admin/stats", headers=headers)).status_code == 200


async def test_the_list_for_people_names_every_key_and_no_secret(
    run_mcps: RunMcps, store: PostgresStore
) -> None:
    names = ["plain", "[bold red]x[/]", "漢字", "a" * 256]
    made = [await create_key(store, name=name, role="reader") for name in names]
    done = run_mcps("keys", "list")
    assert done.returncode == 0, done.stderr
    for key in made:
        assert key.prefix in done.stdout
        assert key.name in done.stdout
        assert key.key.rsplit("_", 1)[1] not in done.stdout


def test_revoke_of_an_unknown_prefix_says_so(run_mcps: RunMcps) -> None:
    for prefix in ("abcdefghij", "x", "'; drop table api_key; --"):
        done = run_mcps("keys", "revoke", prefix)
        assert done.returncode == 1
        assert "no key with this prefix" in done.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--name", "x"), "--role"),
        (("--role", "reader"), "--name"),
        (("--name", "x", "--role", "root"), "admin"),
        (("--name", "", "--role", "reader"), "name"),
        (("--name", "a\nb", "--role", "reader"), "name"),
        (("--name", "x", "--role", "reader", "--expires", "soon"), "expires"),
        (("--name", "x", "--role", "reader", "--expires", "2001-01-01"), "past"),
    ],
)
def test_a_wrong_call_names_what_is_wrong(
    run_mcps: RunMcps, options: tuple[str, ...], words: str
) -> None:
    done = run_mcps("keys", "create", *options)
    assert done.returncode == 2
    assert done.stderr.count(words) == 1
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("90d", "2026-05-01T12:00:00.000000Z"),
        ("12h", "2026-02-01T00:00:00.000000Z"),
        ("4w", "2026-02-28T12:00:00.000000Z"),
        ("2027-01-01", "2027-01-01T00:00:00.000000Z"),
        ("2027-01-01T02:00:00+02:00", "2027-01-01T00:00:00.000000Z"),
    ],
)
def test_an_end_is_a_time_or_how_long_it_takes(text: str, end: str) -> None:
    assert end_of(text, NOW) == end


@pytest.mark.parametrize(
    "text",
    [
        "0d",
        "-1d",
        "1m",
        "d",
        "1.5d",
        "٣d",
        "999999d",
        "2026-01-31",
        "2026-13-01",
        "1d1h",
    ],
)
def test_any_other_end_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="expires"):
        end_of(text, NOW)


async def test_a_key_that_was_used_shows_when(
    run_mcps: RunMcps, store: PostgresStore, client: httpx.AsyncClient
) -> None:
    made = await create_key(store, name="ci", role="admin")
    answer = await client.get("/admin/stats", headers={"X-API-Key": made.key})
    assert answer.status_code == 200

    async def is_noted() -> bool:
        return (await list_keys(store))[0].last_used_at is not None

    await until(is_noted)
    (listed,) = keys(run_mcps)
    assert listed.last_used_at is not None


def keys(run_mcps: RunMcps) -> list[KeyEntry]:
    done = run_mcps("keys", "list", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) is not None
    return msgspec.json.decode(done.stdout, type=list[KeyEntry])
