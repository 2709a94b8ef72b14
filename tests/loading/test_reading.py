"""Every form of a list gives the same entries, whole or in crumbs, damaged or not."""

import gzip
import json
import tracemalloc
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import RefusedFile
from service.files import Source
from service.reading import ENTRY_LIMIT_BYTES, Piece, pieces

MARK = b"\xef\xbb\xbf"
ENTRIES: list[object] = [
    {"server": {"name": "a/b", "version": "1"}, "_meta": {"x": ["]", "}"]}},
    {"name": 'quote " and \\ and {[', "d": {"e": [{}, [], '\\"']}},
    {"name": "ä\u2028\U0001f600"},
    {},
]
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=12,
)
objects = st.dictionaries(st.text(max_size=4), values, max_size=4).filter(
    lambda item: "servers" not in item
)


def crumbs(text: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(text), size):
        yield text[start : start + size]


def read(text: bytes, size: int = 1 << 18) -> list[Piece]:
    return list(pieces(crumbs(text, size)))


def decoded(found: Iterable[Piece]) -> list[object]:
    return [json.loads(piece.text) for piece in found]


def forms(items: list[object]) -> dict[str, bytes]:
    """One list in every form that is understood."""
    wrapped = {"metadata": {"servers": 1}, "servers": items, "after": [{}]}
    lines = "\n".join(json.dumps(item) for item in items)
    pages = [{"servers": [item], "metadata": {"count": 1}} for item in items]
    texts = {
        "array": json.dumps(items),
        "compact": json.dumps(items, separators=(",", ":"), ensure_ascii=False),
        "pretty": json.dumps(items, indent=2),
        "crlf": json.dumps(items, indent="\t").replace("\n", "\r\n"),
        "wrapped": json.dumps(wrapped),
        "wrapped pretty": json.dumps(wrapped, indent=1),
        "an item a line": "[\n" + ",\n".join(json.dumps(item) for item in items) + "]",
        "lines": lines,
        "lines with gaps": "\n\n" + lines.replace("\n", "\r\n \n") + "\n",
        "a page a line": "\n".join(map(json.dumps, pages)),
        "pages": "".join(json.dumps(page, indent=2) for page in pages),
    }
    return {name: text.encode("utf-8") for name, text in texts.items()}


@pytest.mark.parametrize("form", forms(ENTRIES))
@pytest.mark.parametrize("size", [1, 7, 1 << 18])
def test_every_form_gives_the_same_entries(form: str, size: int) -> None:
    text = forms(ENTRIES)[form]
    for packed in (text, MARK + text):
        found = read(packed, size)
        assert decoded(found) == ENTRIES
        assert [piece.number for piece in found] == [1, 2, 3, 4]


@given(st.lists(objects, min_size=1, max_size=5), st.integers(1, 60))
def test_any_objects_survive_any_form(items: list[object], size: int) -> None:
    for text in forms(items).values():
        assert decoded(read(text, size)) == items


@given(st.lists(values, max_size=5), st.integers(1, 9))
def test_any_values_of_an_array_are_entries(items: list[object], size: int) -> None:
    assert decoded(read(json.dumps(items).encode(), size)) == items


@given(st.binary(max_size=60), st.integers(1, 9))
def test_any_bytes_are_read_to_the_end_or_refused(noise: bytes, size: int) -> None:
    for text in (b"[" + noise, b'{"servers":[' + noise, noise):
        try:
            found = read(text, size)
        except RefusedFile:
            continue
        assert [piece.number for piece in found] == list(range(1, len(found) + 1))
        assert not any(piece.fault for piece in found[:-1]) or b"\n" in text


@pytest.mark.parametrize("text", [b"", b" \n", MARK, b"[]", b'{"servers": []}'])
def test_an_empty_list_has_no_entries(text: bytes) -> None:
    assert read(text) == []


@pytest.mark.parametrize("text", [b"name,version\n", b"\x89PNG\r\n", b"5", b"<html>"])
def test_what_is_no_json_is_refused(text: bytes) -> None:
    with pytest.raises(RefusedFile, match="neither JSON nor JSON lines"):
        read(text)


@pytest.mark.parametrize(
    ("text", "entries", "fault"),
    [
        (b'[{"a": 1}, {"b": ', 1, "broken at byte 11: it ends inside entry 2"),
        (b'[{"a": 1}', 1, "broken at byte 9: expected , or ] after entry 1"),
        (b'[{"a": 1} {"b": 2}]', 1, "broken at byte 10: expected , or ] after entry 1"),
        (b'[{"a": 1}, ]', 1, "broken at byte 11: expected a value after entry 1"),
        (b'[{"a": 1}] nonsense', 1, "broken at byte 11: expected { or [ after entry 1"),
        (b'[{"a": 1}, {"b": "}]', 1, "broken at byte 11: it ends inside entry 2"),
        (b'{"servers": [{}, {"a"', 1, "broken at byte 17: it ends inside entry 2"),
        (b"[1, 2", 1, "broken at byte 4: expected a value after entry 1"),
    ],
)
@pytest.mark.parametrize("size", [1, 1 << 18])
def test_a_broken_array_gives_what_came_before_and_the_place(
    text: bytes, entries: int, fault: str, size: int
) -> None:
    found = read(text, size)
    assert [piece.fault for piece in found] == [""] * entries + [fault]
    assert found[-1].number == entries + 1


def test_a_damaged_item_of_an_array_costs_only_itself() -> None:
    found = read(b'[{"a": tru}, {"b": 2}]')
    assert [piece.text for piece in found] == [b'{"a": tru}', b'{"b": 2}']


@pytest.mark.parametrize("at", [0, 1, 2])
@pytest.mark.parametrize("bad", [b'{"a": "x', b'{"a": }', b'{"a": 1'])
def test_a_broken_line_costs_only_itself(bad: bytes, at: int) -> None:
    lines = [b'{"n": 1}', b'{"n": 2}']
    lines.insert(at, bad)
    assert [piece.text for piece in read(b"\n".join(lines), 5)] == lines


@pytest.mark.parametrize("bad", [b"nonsense", b"}", b'"servers"', b"]"])
def test_a_line_of_something_else_is_an_entry_to_reject(bad: bytes) -> None:
    lines = [b'{"n": 1}', bad, b'{"n": 2}']
    assert [piece.text for piece in read(b"\n".join(lines), 5)] == lines


def test_gzip_is_known_by_its_bytes_also_in_parts() -> None:
    array, _, *_ = forms(ENTRIES).values()
    half = len(array) // 2
    parts = gzip.compress(array[:half]) + gzip.compress(array[half:]) + b"\0" * 9
    for size in (1, 11, 1 << 18):
        assert decoded(opened(crumbs(gzip.compress(array), size))) == ENTRIES
        assert decoded(opened(crumbs(parts, size))) == ENTRIES


@pytest.mark.parametrize("is_short", [True, False])
def test_gzip_that_ends_early_gives_what_was_there(*, is_short: bool) -> None:
    items: list[object] = [{"n": number, "text": "x" * 50} for number in range(9000)]
    packed = gzip.compress(json.dumps(items).encode())
    cut = packed[: 200 if is_short else len(packed) - 9]
    found = opened(crumbs(cut, 1 << 18))
    assert found[-1].fault.endswith("the gzip data ends early")
    assert decoded(found[:-1]) == items[: len(found) - 1]
    assert is_short or len(found) > 8000


def test_gzip_that_is_damaged_says_so() -> None:
    packed = bytearray(gzip.compress(json.dumps(ENTRIES * 500).encode()))
    packed[-4000 % len(packed)] ^= 0xFF
    packed[len(packed) // 2] ^= 0xFF
    assert "gzip data is damaged" in opened(crumbs(bytes(packed), 100))[-1].fault


def opened(chunks: Iterable[bytes]) -> list[Piece]:
    """What is read from packed bytes."""
    source = Source("-", check=lambda: None)
    source._chunks = lambda: iter(chunks)  # type: ignore[method-assign]
    return list(pieces(source.chunks()))


def test_an_entry_without_end_ends_the_reading() -> None:
    def endless() -> Iterator[bytes]:
        yield b'[{"a": 1}, {"b": "'
        while True:
            yield b"x" * (1 << 20)

    found = list(pieces(endless()))
    assert len(found) == 2
    assert f"entry 2 is longer than {ENTRY_LIMIT_BYTES} bytes" in found[1].fault


def test_memory_does_not_grow_with_the_list() -> None:
    item = json.dumps({"server": {"name": "a/b", "text": "x" * 1000}}).encode()

    def chunks() -> Iterator[bytes]:
        yield b"["
        for _ in range(40):
            yield (item + b",") * 1000
        yield b"{}]"

    tracemalloc.start()
    count = sum(1 for _ in pieces(chunks()))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 40_001
    assert peak < 8_000_000
