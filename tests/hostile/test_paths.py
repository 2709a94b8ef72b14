"""No way of writing a path leads around the key check (D10)."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from service.keys import create_key
from service.store.base import Store
from tests.hostile.conftest import Ask, state
from tests.hostile.targets import Attack, Target

VARIANTS = 2000
DOTS = ["/./", "//", "/;/", "/..;/", "/%2e/", "/%2f/", "/%5c/", "\\", "/%09/", "/*/"]
STARTS = [
    "/health/..",
    "/health/%2e%2e",
    "/v0.1/..",
    "/v0.1/servers/..",
    "/v0.1/servers/%2e%2e/%2e%2e",
    "/docs/..;",
    "//catalog.test",
    "/",
    "/.",
    "/;a=b",
    "/%2e",
    "/%00",
    "\\",
    "/v0",
    "/api",
    "http://catalog.test",
    "http://other.test",
]
ENDS = [
    "/",
    "//",
    "/.",
    "/..",
    "/../",
    ".",
    "..",
    "%20",
    "%09",
    "%0a",
    "%0d%0a",
    "%00",
    "%2f",
    "%3f",
    "%23",
    ";",
    ";a=b",
    ";.css",
    ".json",
    ".css",
    "/style.css",
    "%2e",
    "?",
    "??",
    "#",
    "&",
    "=",
    "%ff",
    "%c0%af",
    "\u3002",
    "/health",
    "/../health",
    "/../../health",
    "/..%2fhealth",
    "/%2e%2e/health",
]


def variants(path: str) -> Iterator[str]:
    """The path written in other ways."""
    for start in STARTS:
        yield start + path
    for end in ENDS:
        yield path + end
    for between in DOTS:
        for place in (i for i, letter in enumerate(path) if letter == "/"):
            yield path[:place] + between + path[place + 1 :]
    for place, letter in enumerate(path):
        code = f"{ord(letter):02x}"
        for other in (
            f"%{code}",
            f"%{code.upper()}",
            f"%25{code}",
            f"%u00{code}",
            f"%c0%{code}",
            letter.swapcase(),
            chr(ord(letter) + 0xFEE0) if letter != "/" else "\uff0f",
            letter + "\u0301",
            letter + "%00",
            letter + "%e2%80%8b",
            "",
            letter * 2,
        ):
            yield path[:place] + other + path[place + 1 :]
    yield from (path.upper(), path.title(), quote(path, safe=""), path.strip("/"))
    yield "".join(f"%{ord(letter):02x}" for letter in path)


def protected(every: list[Target]) -> list[Target]:
    return [target for target in every if target.spec.role in {"editor", "admin"}]


def attacks(every: list[Target], key: Any) -> list[Attack]:
    """Every variant of every protected path, with another method now and then."""
    made = []
    for target in protected(every):
        for place, path in enumerate(variants(target.path().decode())):
            raw = path.encode("utf-8", "surrogateescape")
            plain = target.attack(raw, key=key)
            made.append(plain)
            if place % 7 == 0:
                headers = [
                    *plain.headers,
                    (b"x-http-method-override", target.method.encode()),
                    (b"x-original-url", target.path()),
                    (b"x-rewrite-url", target.path()),
                    (b"x-forwarded-prefix", b"/health"),
                ]
                made.append(
                    Attack(
                        name=target.name,
                        method="POST" if target.method == "GET" else target.method,
                        target=raw if place % 2 else b"/health",
                        headers=headers,
                        body=plain.body,
                    )
                )
    return made


def is_bypass(attack: Attack, status: int, body: bytes) -> bool:
    """Whether somebody without the role got what only the role may have."""
    if status >= 400:
        return False
    return attack.method != "GET" or b"average_health_score" in body


@pytest.mark.parametrize("role", ["", "reader"])
async def test_no_variant_of_a_path_leads_around_the_check(
    ask: Ask,
    every: list[Target],
    store: Store,
    database_url: str,
    role: str,
) -> None:
    key = None
    if role == "reader":
        made = await create_key(store, name="reader", role="reader")
        key = (b"x-api-key", made.key.encode())
    sent = attacks(every, key)
    assert len(sent) >= VARIANTS
    before = await state(database_url)
    found = []
    for attack in sent:
        reply = await ask(attack)
        if is_bypass(attack, reply.status, reply.body) or reply.faults():
            found.append(f"{attack.method} {attack.target!r}: {reply.status}")
    assert found == []
    assert await state(database_url) == before


async def test_the_plain_path_is_what_the_variants_go_around(
    ask: Ask, every: list[Target]
) -> None:
    for target in protected(every):
        assert (await ask(target.attack(key=None))).status == 401, target.name


async def test_a_trailing_or_double_slash_decides_as_the_plain_path(
    ask: Ask, every: list[Target]
) -> None:
    for target in protected(every):
        path = target.path()
        for written in (path + b"/", b"/" + path, path.replace(b"/", b"//")):
            reply = await ask(target.attack(written, key=None))
            assert reply.status in {401, 404}, (target.name, written)


def test_a_bypass_would_be_seen() -> None:
    attack = Attack(name="-", method="POST", target=b"/", headers=[], body=b"")
    assert is_bypass(attack, 200, b"{}")
    assert not is_bypass(attack, 401, b"{}")
