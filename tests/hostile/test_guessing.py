"""Guessing keys costs the guesser, not those who have one (D13)."""

import asyncio
import random
import time

import pytest

from service import metrics
from service.keys import create_key
from service.store.base import Store
from tests.hostile.conftest import Ask, Some
from tests.hostile.targets import Attack, Target

GUESSES = 1000
LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
ROOM_S = 0.02


def guess(letters: random.Random) -> bytes:
    prefix, secret = ("".join(letters.choices(LETTERS, k=size)) for size in (10, 52))
    return f"mcps_{prefix}_{secret}".encode()


def lookups() -> float:
    """How often PostgreSQL was asked for a key."""
    counts = (
        sample.value
        for metric in metrics.QUERY_SECONDS.collect()
        for sample in metric.samples
        if sample.name.endswith("_count") and sample.labels["query"] == "key_get"
    )
    return next(counts, 0.0)


@pytest.fixture
def stats(every: list[Target]) -> Target:
    return next(target for target in every if target.name == "GET /admin/stats")


@pytest.fixture
def reads(every: list[Target]) -> Target:
    return next(target for target in every if target.name == "GET /servers")


async def test_every_guess_is_401_and_at_most_one_lookup(
    ask: Ask, stats: Target, some: Some
) -> None:
    letters = random.Random(13)
    guesses = some([guess(letters) for _ in range(GUESSES)])
    before = lookups()
    for key in [*guesses, *guesses]:
        reply = await ask(stats.attack(key=(b"x-api-key", key)))
        assert (reply.status, reply.code) == (401, "unauthorized")
    assert lookups() - before <= len(guesses)


async def test_guesses_that_are_no_keys_are_not_looked_up(
    ask: Ask, stats: Target
) -> None:
    before = lookups()
    for key in (b"admin", b"test_admin_kez", b"mcps_x_y", b"A" * 4000, b"mcps_" * 99):
        reply = await ask(stats.attack(key=(b"x-api-key", key)))
        assert reply.status == 401
    assert lookups() == before


async def test_who_has_a_key_does_not_wait_for_the_guessers(
    ask: Ask, reads: Target, store: Store, some: Some
) -> None:
    made = await create_key(store, name="ci", role="reader")
    letters = random.Random(17)
    attack = reads.attack(key=(b"x-api-key", made.key.encode()))
    calm = await slowest(ask, attack)
    guesses = some([guess(letters) for _ in range(GUESSES)])
    stop = asyncio.Event()

    async def go_on_guessing() -> None:
        for key in guesses * 1000:
            if stop.is_set():
                return
            await ask(reads.attack(key=(b"x-api-key", key)))
            await asyncio.sleep(0.001)

    guessing = asyncio.create_task(go_on_guessing())
    under_attack = await slowest(ask, attack)
    stop.set()
    await guessing
    assert under_attack <= 2 * calm + ROOM_S


async def slowest(ask: Ask, attack: Attack) -> float:
    """What 95 of 100 requests do not take longer than."""
    took = []
    for _ in range(100):
        began_at = time.perf_counter()
        reply = await ask(attack)
        took.append(time.perf_counter() - began_at)
        assert reply.status == 200
        await asyncio.sleep(0.001)
    return sorted(took)[94]
