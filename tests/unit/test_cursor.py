"""Cursors come back as they went out, and nothing else is taken for one."""

import random
from base64 import urlsafe_b64decode, urlsafe_b64encode

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from service.cursor import Mark, find_mark, read_cursor, write_cursor
from service.errors import InvalidCursor, InvalidInput
from service.models import Cursor, ServerFilters, ServerQuery

LIST = "/servers"
FLIPS = 10_000

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200)
numbers = st.integers(-(2**63), 2**63 - 1)
filters = st.builds(
    ServerFilters,
    sort=st.sampled_from(["name", "-stars", "-updated_at"]),
    host_type=st.sampled_from([UNSET, "npm", "github"]),
    verified_only=st.booleans(),
    keyword=st.one_of(st.just(UNSET), texts),
    category=st.one_of(st.just(UNSET), texts),
    min_stars=st.one_of(st.just(UNSET), st.integers(0, 2**63 - 1)),
)
marks = st.builds(Mark[ServerFilters], filters, texts, numbers)
MARK = Mark(ServerFilters(sort="-stars", verified_only=False), "41", 7)
CURSOR = write_cursor(LIST, MARK)


@given(marks)
def test_a_cursor_comes_back_as_it_went_out(mark: Mark[ServerFilters]) -> None:
    text = write_cursor(LIST, mark)
    assert read_cursor(LIST, text, ServerFilters) == mark
    assert msgspec.convert(text, Cursor) == text


def test_the_longest_cursor_is_one_that_a_query_takes() -> None:
    word = "\x01" * 256
    mark = Mark(ServerFilters(keyword=word, category=word), "\x01" * 200, -(2**63))
    text = write_cursor(LIST, mark)
    assert msgspec.convert(text, Cursor) == text


def damaged(dice: random.Random, text: str) -> str:
    """The text with one bit flipped, cut off, or one letter changed."""
    place = dice.randrange(len(text))
    match dice.randrange(4):
        case 0:
            raw = bytearray(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            raw[dice.randrange(len(raw))] ^= 1 << dice.randrange(8)
            return urlsafe_b64encode(raw).rstrip(b"=").decode()
        case 1:
            return text[:place]
        case 2:
            return text[:place] + dice.choice("AZaz09-_=.+/ é") + text[place + 1 :]
        case _:
            return text[:place] + chr(ord(text[place]) ^ 1) + text[place + 1 :]


def test_every_damaged_cursor_is_refused() -> None:
    dice = random.Random(14)
    passed = 0
    for _ in range(FLIPS):
        text = damaged(dice, CURSOR)
        if text == CURSOR:
            passed += 1
            continue
        with pytest.raises(InvalidCursor):
            read_cursor(LIST, text, ServerFilters)
    assert passed < FLIPS / 100


@given(st.text(max_size=300))
@settings(max_examples=300)
def test_any_text_is_a_cursor_or_refused(text: str) -> None:
    with pytest.raises(InvalidCursor):
        read_cursor(LIST, text, ServerFilters)


@pytest.mark.parametrize("other", ["/tools", "/servers/1/tools", "/serverss", ""])
def test_a_cursor_of_another_list_is_refused(other: str) -> None:
    with pytest.raises(InvalidCursor):
        read_cursor(other, CURSOR, ServerFilters)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"{}",
        b"[]",
        b'[{},"1"]',
        b'[{},1,"1"]',
        b'[{"sort":"none"},"1",1]',
        b'[{"min_stars":-1},"1",1]',
        b'[{"keyword":""},"1",1]',
        b'[{},"1",9223372036854775808]',
        b'[{},"\xff",1]',
        b'[{},"\\ud800",1]',
        b'[{},"' + b"1" * 257 + b'",1]',
        b"[" * 100_000,
    ],
)
def test_a_made_up_cursor_with_a_right_checksum_still_needs_the_right_form(
    body: bytes,
) -> None:
    text = write_cursor(LIST, msgspec.Raw(body))  # type: ignore[arg-type]
    with pytest.raises(InvalidCursor):
        read_cursor(LIST, text, ServerFilters)


def test_a_cursor_of_another_version_is_refused() -> None:
    raw = bytearray(urlsafe_b64decode(CURSOR + "=" * (-len(CURSOR) % 4)))
    raw[0] += 1
    with pytest.raises(InvalidCursor):
        read_cursor(LIST, urlsafe_b64encode(raw).decode().rstrip("="), ServerFilters)


def test_without_a_cursor_there_is_no_mark() -> None:
    assert find_mark(LIST, ServerQuery(), ServerFilters) is None


def test_parameters_beside_a_cursor_may_only_repeat_it() -> None:
    query = ServerQuery(cursor=CURSOR, limit=3, sort="-stars", verified_only=False)
    assert find_mark(LIST, query, ServerFilters) == MARK
    for other in (
        ServerQuery(cursor=CURSOR, sort="stars"),
        ServerQuery(cursor=CURSOR, verified_only=True),
        ServerQuery(cursor=CURSOR, keyword="x"),
        ServerQuery(cursor=CURSOR, skip=0),
    ):
        with pytest.raises(InvalidInput, match=r"query\.\w+"):
            find_mark(LIST, other, ServerFilters)
