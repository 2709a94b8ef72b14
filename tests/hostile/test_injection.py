"""A text is a text, in parameters, paths, headers, keys and bodies (D7)."""

import json
from typing import Any, get_args

import pytest

from service.models import Sort
from tests.hostile.conftest import Ask, Some, failures
from tests.hostile.injections import injections
from tests.hostile.targets import Target, escaped, holds

LENIENT = {200, 304, 400, 404, 422, 501}
SLOWEST_S = 2.0
STORED = ("name", "title", "description", "author_name", "license")


def find(every: list[Target], name: str) -> Target:
    return next(target for target in every if target.name == name)


def test_there_are_five_hundred_of_them() -> None:
    assert len(injections()) >= 500


@pytest.mark.usefixtures("unchanged", "sound")
async def test_texts_in_parameters_stay_texts(
    ask: Ask, every: list[Target], some: Some
) -> None:
    attacks = [
        target.attack(query=b"?" + name.encode() + b"=" + escaped(text.encode()))
        for target in every
        for name, hint in target.queries.items()
        if holds(hint, str) or name in {"cursor", "sort"}
        for text in some(injections())
    ]
    assert await failures(ask, attacks, LENIENT) == []


@pytest.mark.usefixtures("unchanged", "sound")
async def test_texts_in_paths_lead_nowhere(
    ask: Ask, every: list[Target], some: Some
) -> None:
    attacks = [
        target.attack(target.path(text.encode(), name=name))
        for target in every
        for name in target.parameters
        for text in some(injections())
        if text not in {".", "..", "1"}
    ]
    assert await failures(ask, attacks, {400, 404}) == []


@pytest.mark.usefixtures("unchanged", "sound")
async def test_texts_in_headers_change_nothing(
    ask: Ask, every: list[Target], some: Some
) -> None:
    names = (b"x-request-id", b"if-none-match", b"if-match", b"accept", b"user-agent")
    reads = [
        find(every, "GET /servers"),
        find(every, "GET /servers/{server}"),
        find(every, "GET /v0.1/servers"),
    ]
    for target in reads:
        plain = await ask(target.attack())
        for text in some(injections()):
            headers = [(name, text.encode()) for name in names]
            reply = await ask(target.attack(headers=headers))
            assert reply.faults() == []
            is_any = text == "*" and reply.status == 304
            assert is_any or reply.body == plain.body, (target.name, text)


@pytest.mark.usefixtures("unchanged", "sound")
async def test_texts_as_keys_open_nothing(
    ask: Ask, every: list[Target], some: Some
) -> None:
    target = find(every, "GET /admin/stats")
    attacks = [
        target.attack(key=(name, start + text.encode()))
        for text in some(injections())
        for name, start in (
            (b"x-api-key", b""),
            (b"x-api-key", b"mcps_aaaaaaaaaa_"),
            (b"authorization", b"Bearer "),
        )
    ]
    assert await failures(ask, attacks, {401}) == []


@pytest.mark.usefixtures("sound")
async def test_a_stored_text_is_found_as_it_is_and_alone(
    ask: Ask, every: list[Target], some: Some
) -> None:
    add = find(every, "POST /servers")
    page = find(every, "GET /servers")
    # No name is made of blanks alone.
    texts = [text for text in some(injections()) if text.strip()]
    for place, text in enumerate(texts):
        body = {
            **dict.fromkeys(STORED, text),
            "primary_url": f"https://example.org/injected/{place}",
            "keywords": [text],
            "categories": [text, "injected"],
        }
        reply = await ask(add.attack(body=json.dumps(body).encode()))
        assert reply.status == 201, (text, reply.body)
        assert {reply.json[name] for name in STORED} == {text}
    for text in texts:
        for name, field in (("keyword", "keywords"), ("category", "categories")):
            query = f"?{name}=".encode() + escaped(text.encode())
            (found,) = (await ask(page.attack(query=query))).json
            assert found[field][0] == text
            assert found["name"] == text
    query = b"?limit=1000&category=injected"
    assert len((await ask(page.attack(query=query))).json) == len(texts)


@pytest.mark.usefixtures("sound")
async def test_a_bulk_change_takes_texts_as_they_are(
    ask: Ask, every: list[Target], some: Some
) -> None:
    change = find(every, "POST /admin/bulk-update")
    one = find(every, "GET /servers/{server}")
    for text in some(injections()):
        wanted: dict[str, Any] = {"license": text, "keywords": [text]}
        body = {"filters": {"ids": [1]}, "updates": wanted}
        reply = await ask(change.attack(body=json.dumps(body).encode()))
        assert reply.json["matched"] == 1, (text, reply.body)
        found = (await ask(one.attack())).json
        assert {name: found[name] for name in wanted} == wanted
        body = {
            "filters": {"license": text, "keyword": text},
            "updates": {"license": None},
        }
        reply = await ask(change.attack(body=json.dumps(body).encode()))
        assert reply.json == {"matched": 1, "updated": 1, "dry_run": False}
    others = [(await ask(one.attack(one.path(b"%d" % n)))).json for n in (2, 3)]
    assert [other["license"] for other in others] == [None, None]


@pytest.mark.usefixtures("unchanged", "sound")
async def test_only_the_orders_that_exist_are_orders(
    ask: Ask, every: list[Target], some: Some
) -> None:
    page = find(every, "GET /servers")
    attacks = [
        page.attack(query=b"?sort=" + escaped(text.encode()))
        for text in some(injections())
        if text not in get_args(Sort)
    ]
    assert await failures(ask, attacks, {400}) == []


@pytest.mark.usefixtures("unchanged", "sound")
async def test_no_text_makes_a_search_slow(
    ask: Ask, every: list[Target], some: Some
) -> None:
    searches = [
        (target, name)
        for target in every
        for name in ("q", "search", "name")
        if name in target.queries
    ]
    slow = []
    for target, name in searches:
        for text in some(injections()):
            query = f"?{name}=".encode() + escaped(text.encode())
            reply = await ask(target.attack(query=query))
            if reply.took_s > SLOWEST_S:
                slow.append(f"{target.name} {name}={text!r}: {reply.took_s:.2f} s")
    assert searches
    assert slow == []
