"""Bytes that are no text, and text that cannot be stored (D1, D2, D8)."""

import json
from collections.abc import Iterator

import pytest

from tests.hostile.conftest import Ask, Some, failures
from tests.hostile.targets import (
    Header,
    Target,
    escaped,
    nested,
    with_everywhere,
    with_name_everywhere,
)

NOT_UTF8 = [
    b"\xff",
    b"\xfe\xff",
    b"\xc3",
    b"\xc3(",
    b"\xc0\xaf",
    b"\xe0\x80\xaf",
    b"\xf0\x80\x80\xaf",
    b"\xed\xa0\x80",
    b"\xed\xa0\x80\xed\xb0\x80",
    b"\xf4\x90\x80\x80",
    b"\xf8\x88\x80\x80\x80",
    b"a\x80b",
    "漢".encode()[:2],
    "é".encode("latin-1"),
]
BOM = b"\xef\xbb\xbf"
NULS = [b"\0", b"a\0b", b"\0" * 99]
SURROGATES = ["\\ud800", "\\udfff", "\\udbff\\ud800", "a\\uDC00z", "\\uD83D"]
WILD = [
    b"\r\nX-Evil: 1",
    b"\n",
    b"\r",
    b"\0",
    b"a\r\n\r\nbody",
    b"\xe5\x98\x8a\xe5\x98\x8d",
]
ECHOED = (b"x-request-id", b"if-none-match", b"if-match", b"origin", b"accept")

pytestmark = pytest.mark.usefixtures("unchanged", "sound")


async def test_bytes_that_are_no_text_are_refused_in_the_path(
    ask: Ask, every: list[Target]
) -> None:
    attacks = [
        target.attack(path)
        for target in every
        for value in [*NOT_UTF8, *NULS]
        for path in (target.path(value), target.path() + b"/" + escaped(value))
        if path != target.path()
    ]
    assert await failures(ask, attacks, {400}) == []


async def test_bytes_that_are_no_text_are_refused_in_the_query(
    ask: Ask, every: list[Target]
) -> None:
    attacks = [
        target.attack(query=query)
        for target in every
        for name in [*target.queries, "x"]
        for value in [*NOT_UTF8, *NULS]
        for query in (
            b"?" + name.encode() + b"=" + escaped(value),
            b"?" + escaped(value) + b"=1",
        )
    ]
    assert await failures(ask, attacks, {400}) == []


async def test_raw_bytes_in_the_query_are_refused_too(
    ask: Ask, every: list[Target]
) -> None:
    attacks = [
        target.attack(query=b"?" + value + b"=" + value)
        for target in every
        for value in [*NOT_UTF8, *NULS, b"%", b"%z", b"%1", b"%%", b"%u0000"]
    ]
    assert await failures(ask, attacks, {400}) == []


async def test_bytes_that_are_no_text_in_a_header_do_no_harm(
    ask: Ask, every: list[Target], some: Some
) -> None:
    names = (*ECHOED, b"accept-encoding", b"cache-control", b"x-\xff")
    attacks = [
        target.attack(headers=[(name, value)])
        for target in every
        if target.method == "GET"
        for name in names
        for value in [*NOT_UTF8, BOM, *NULS]
    ]
    assert await failures(ask, some(attacks), {200, 304, 307, 400, 404, 501}) == []


async def test_a_key_that_is_no_text_is_a_wrong_key(
    ask: Ask, every: list[Target]
) -> None:
    attacks = [
        target.attack(key=key)
        for target in every
        if target.spec.role != "open"
        for value in [*NOT_UTF8, BOM, *NULS, b"mcps_\xff_\xff", b"mcps_a\0_b"]
        for key in ((b"x-api-key", value), (b"authorization", b"Bearer " + value))
    ]
    assert await failures(ask, attacks, {401}) == []


async def test_bytes_that_are_no_text_are_refused_in_the_body(
    ask: Ask, every: list[Target]
) -> None:
    takers = [target for target in every if target.spec.body]
    attacks = [
        target.attack(body=body) for target in takers for body in spoilt(target.body)
    ]
    assert await failures(ask, attacks, {400}) == []


def spoilt(good: bytes) -> Iterator[bytes]:
    for value in NOT_UTF8:
        for place in (0, len(good) // 2, len(good)):
            yield good[:place] + value + good[place:]
    yield from (BOM + good, good.decode().encode("utf-16"), BOM)


async def test_text_that_cannot_be_stored_is_refused_wherever_it_hides(
    ask: Ask, every: list[Target]
) -> None:
    takers = [target for target in every if target.spec.body]
    attacks = [
        target.attack(body=body.replace(b"MARK", escape.encode()))
        for target in takers
        for body in marked(json.loads(target.body))
        for escape in ["a\\u0000b", "\\u0000", *SURROGATES]
    ]
    assert await failures(ask, attacks, {400}) == []


def marked(good: object) -> Iterator[bytes]:
    """The document with MARK in the place of each value, and as a name."""
    for value in ("MARK", nested("MARK", 50)):
        for changed in with_everywhere(good, value):
            yield json.dumps(changed).encode()
    for changed in with_name_everywhere(good, "MARK"):
        yield json.dumps(changed).encode()


async def test_nothing_that_is_echoed_breaks_out_of_its_header(
    ask: Ask, every: list[Target], some: Some
) -> None:
    found = []
    wild: list[Header] = [(name, value) for name in ECHOED for value in WILD]
    for target in (target for target in every if target.method == "GET"):
        plain = await ask(target.attack())
        for header in some(wild):
            reply = await ask(target.attack(headers=[header]))
            found += [f"{target.name} {header}: {f}" for f in reply.faults()]
            if len(reply.headers) != len(plain.headers):
                found.append(f"{target.name} {header}: other headers than without")
            if reply.header(b"x-request-id") == header[1]:
                found.append(f"{target.name} {header}: comes back")
    assert found == []
