"""Query parameters that are no numbers, no booleans, twice there, or unknown (D5)."""

import pytest

from tests.hostile.conftest import Ask, Some, failures
from tests.hostile.targets import Target, escaped, holds

NO_INTEGERS = [
    "",
    "+1",
    " 1",
    "1 ",
    "1.0",
    "1.5",
    "1e3",
    "0x10",
    "1_000",
    "1,000",
    "--1",
    "-",
    "NaN",
    "Infinity",
    "null",
    "true",
    "٣",
    "１",
    "²",
    "1;",
    "1\t",
    "1\n",
    "[1]",
    "9" * 30,
    "-" + "9" * 30,
    "9" * 4000,
    "9223372036854775808",
    "-9223372036854775809",
]
NO_LIMITS = ["0", "-1", "-0", "1001", "2147483648", "9223372036854775807"]
NO_BOOLEANS = ["", "2", "-1", "yes", "on", "TRUE ", "tru", "null", "t", "[]", "１"]

LENIENT = {200, 400, 404, 422}

pytestmark = pytest.mark.usefixtures("unchanged", "sound")


@pytest.fixture
def strict(every: list[Target]) -> list[Target]:
    """The routes of the catalog's own API."""
    return [target for target in every if target.is_strict]


def query(name: str, *values: str) -> bytes:
    pairs = (name.encode() + b"=" + escaped(value.encode()) for value in values)
    return b"?" + b"&".join(pairs)


async def test_numbers_are_whole_decimal_and_in_range(
    ask: Ask, strict: list[Target]
) -> None:
    attacks = [
        target.attack(query=query(name, value))
        for target in strict
        for name, hint in target.queries.items()
        if holds(hint, int)
        for value in NO_INTEGERS
    ]
    assert await failures(ask, attacks, {400}) == []


async def test_limits_are_from_one_to_their_end(ask: Ask, strict: list[Target]) -> None:
    attacks = [
        target.attack(query=query("limit", value))
        for target in strict
        if "limit" in target.queries
        for value in NO_LIMITS
    ]
    assert await failures(ask, attacks, {400}) == []


async def test_booleans_are_true_or_false(ask: Ask, strict: list[Target]) -> None:
    attacks = [
        target.attack(query=query(name, value))
        for target in strict
        for name, hint in target.queries.items()
        if holds(hint, bool)
        for value in NO_BOOLEANS
    ]
    assert await failures(ask, attacks, {400}) == []


async def test_no_parameter_comes_twice(ask: Ask, strict: list[Target]) -> None:
    attacks = [
        target.attack(query=query(name, value, value))
        for target in strict
        for name in target.queries
        for value in ("1", "true", "")
    ]
    assert await failures(ask, attacks, {400}) == []


async def test_an_unknown_parameter_is_named(ask: Ask, strict: list[Target]) -> None:
    names = ["x", "Limit", "limit ", "limit[]", "limit%00", "__proto__", "n" * 5000]
    for target in strict:
        for name in names:
            reply = await ask(target.attack(query=b"?" + name.encode() + b"=1"))
            assert reply.faults() == []
            assert reply.status == 400, (target.name, name)
    reply = await ask(strict[0].attack(query=b"?lim=1"))
    assert reply.json["errors"][0]["location"] == "query.lim"


async def test_a_query_without_end_is_refused(ask: Ask, every: list[Target]) -> None:
    attacks = [
        target.attack(query=b"?" + part * 10_000)
        for target in every
        for part in (b"a=1&", b"&", b"=", b"limit=1&", b"%41", b"a", b"?", b"[", b";")
    ]
    assert await failures(ask, attacks, {200, 400, 404, 501}) == []


async def test_ids_in_a_path_are_plain_or_not_found(
    ask: Ask, every: list[Target]
) -> None:
    texts = [*NO_INTEGERS[1:], "0", "-1", "00000000-0000-0000-0000-00000000000g", "*"]
    attacks = [
        target.attack(target.path(text.encode(), name=name))
        for target in every
        for name in target.parameters
        for text in texts
    ]
    allowed = {400, 404}
    assert await failures(ask, attacks, allowed) == []


async def test_the_registry_api_takes_the_same_without_harm(
    ask: Ask, every: list[Target], some: Some
) -> None:
    attacks = [
        target.attack(query=query(name, *values))
        for target in every
        # Publishing would do what the request asks for.
        if not target.is_strict and target.spec.role != "publish"
        for name in [*target.queries, "x", "limit[]", "n" * 5000]
        for text in [*NO_INTEGERS, *NO_LIMITS, *NO_BOOLEANS]
        for values in ((text,), (text, text))
    ]
    assert await failures(ask, some(attacks), LENIENT) == []
