"""JSON that is deep, long, or hardly JSON (D3)."""

import json
from collections.abc import Iterator

import pytest

from tests.hostile.conftest import Ask, Some, failures
from tests.hostile.targets import JSON, Attack, Target, with_everywhere

MAX_BODY = 1_048_576
# Five times the 20 ms of the budget: other processes share the machine.
SLOWEST_S = 0.1

NUMBERS = [
    b"NaN",
    b"-NaN",
    b"Infinity",
    b"-Infinity",
    b"1e400",
    b"-1e400",
    b"1e131071",
    b"1" * 5000,
    b"-" + b"9" * 900_000,
    b"01",
    b"+1",
    b".5",
    b"0x10",
    b"1_000",
    b"1e",
]
BROKEN = [
    b"",
    b" ",
    b"{",
    b"[",
    b"{}}",
    b"{}{}",
    b"null",
    b"true",
    b"[]",
    b'"x"',
    b"{'a': 1}",
    b"{a: 1}",
    b'{"a": 1,}',
    b'{"a" 1}',
    b'{"a": "\n"}',
    b'{"a": "\x01"}',
    b'{"a": "\\x41"}',
    b'{"a": "\\u12"}',
    b"// {}",
    b"{} //",
    b"<?xml version='1.0'?><a/>",
    b"a=1&b=2",
    b"\x1f\x8b\x08\x00",
]

pytestmark = pytest.mark.usefixtures("unchanged", "sound")


@pytest.fixture
def takers(every: list[Target]) -> list[Target]:
    """The routes that take a body."""
    return [target for target in every if target.spec.body]


async def test_deep_documents_are_refused(ask: Ask, takers: list[Target]) -> None:
    attacks = [
        target.attack(body=body)
        for target in takers
        for depth in (65, 100, 1000, 100_000)
        for start, end in ((b"[", b"]"), (b'{"a":', b"}"))
        for body in everywhere(target, start * depth + b"1" + end * depth)
    ]
    assert await failures(ask, attacks, {400}) == []


async def test_unclosed_documents_are_refused(ask: Ask, takers: list[Target]) -> None:
    attacks = [
        target.attack(body=part * (1_000_000 // len(part)))
        for target in takers
        for part in (b"[", b'{"a":', b'"', b"{", b"[[],", b"\\", b" ", b"\n")
    ]
    assert await failures(ask, attacks, {400}) == []


async def test_what_is_no_json_is_refused(ask: Ask, takers: list[Target]) -> None:
    attacks = [target.attack(body=body) for target in takers for body in BROKEN]
    assert await failures(ask, attacks, {400}) == []


async def test_wild_numbers_are_refused(ask: Ask, takers: list[Target]) -> None:
    attacks = [
        target.attack(body=body)
        for target in takers
        for number in NUMBERS
        for body in everywhere(target, number)
    ]
    assert await failures(ask, attacks, {400}) == []


async def test_numbers_of_many_digits_are_numbers_or_refused(
    ask: Ask, takers: list[Target]
) -> None:
    attacks = [
        target.attack(body=body)
        for target in takers
        for number in (b"1e-131071", b"0." + b"9" * 900_000, b"-0.0", b"1E+2")
        for body in everywhere(target, number)
    ]
    assert await failures(ask, attacks, {200, 400, 501}) == []


async def test_long_bodies_are_refused_before_they_hold_others_up(
    ask: Ask, takers: list[Target], some: Some
) -> None:
    attacks = some([made for target in takers for made in long_ones(target)])
    assert await failures(ask, attacks, {400}) == []
    slow = []
    for attack in attacks:
        took_s = (await ask(attack)).took_s
        if took_s > SLOWEST_S:
            took_s = (await ask(attack)).took_s
        if took_s > SLOWEST_S:
            slow.append(f"{attack.name}: {took_s:.3f} s for {attack.body[:60]!r}")
    assert slow == []


def long_ones(target: Target) -> Iterator[Attack]:
    """Nearly a mebibyte in each shape that takes long to read."""
    keys = ",".join(f'"{number}":1' for number in range(80_000))
    same = ",".join(['"a":1'] * 160_000)
    small = ",".join(["1"] * 500_000)
    shapes = [
        f"{{{keys}}}",
        f"{{{same}}}",
        f"[{small}]",
        json.dumps("x" * 1_000_000),
        json.dumps("漢" * 170_000),
        '"' + "\\u00e9" * 170_000 + '"',
        '"' + "\\\\" * 500_000 + '"',
        "9" * 1_000_000,
        "1e" + "9" * 1_000_000,
    ]
    for shape in shapes:
        made = [shape.encode(), *everywhere(target, shape.encode())]
        for body in made:
            if len(body) <= MAX_BODY:
                yield target.attack(body=body)


async def test_a_body_beyond_the_limit_is_too_large(
    ask: Ask, takers: list[Target]
) -> None:
    good = [target.body for target in takers]
    attacks = [
        target.attack(body=body, headers=headers)
        for target, plain in zip(takers, good, strict=True)
        for body in (plain + b" " * MAX_BODY, b"9" * 10_000_000)
        for headers in ([], [(b"content-length", str(len(body)).encode())])
    ]
    assert await failures(ask, attacks, {413}) == []


async def test_a_body_of_another_kind_is_refused(
    ask: Ask, takers: list[Target]
) -> None:
    kinds = [
        b"",
        b"text/plain",
        b"application/x-www-form-urlencoded",
        b"multipart/form-data; boundary=x",
        b"application/xml",
        b"application/json-seq",
        b"application/jsonx",
        b"json",
        b"*/*",
        b"\xff",
        b"text/html; application/json",
    ]
    attacks = [
        msg
        for target in takers
        for kind in kinds
        for msg in [with_type(target, [(b"content-type", kind)])]
    ]
    attacks += [with_type(target, []) for target in takers]
    attacks += [
        target.attack(headers=[(b"content-encoding", coding)])
        for target in takers
        for coding in (b"gzip", b"br", b"deflate", b"gzip, identity", b"x", b"")
    ]
    assert await failures(ask, attacks, {415}) == []


def with_type(target: Target, headers: list[tuple[bytes, bytes]]) -> Attack:
    """The proper request with other headers in the place of its content type."""
    plain = target.attack()
    kept = [header for header in plain.headers if header != JSON]
    return Attack(
        name=plain.name,
        method=plain.method,
        target=plain.target,
        headers=[*kept, *headers],
        body=plain.body,
    )


def everywhere(target: Target, raw: bytes) -> Iterator[bytes]:
    """The proper body with raw bytes in the place of each value."""
    for changed in with_everywhere(json.loads(target.body), "MARK"):
        yield json.dumps(changed).encode().replace(b'"MARK"', raw)
