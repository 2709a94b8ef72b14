"""What becomes of one entry: stored, maybe with findings, or rejected for a reason."""

import json
from typing import Any

import pytest

from service.entries import Entry, Rejected, read_entry
from service.reading import Piece

OFFICIAL = "io.modelcontextprotocol.registry/official"
AT = "2025-11-12T10:00:00.000000Z"
BARE = {"name": "ab/cd", "description": "d", "version": "1.0.0"}


def read(value: object) -> Entry | Rejected:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return read_entry(Piece(7, text))


def entry(value: object) -> Entry:
    found = read(value)
    assert isinstance(found, Entry)
    return found


def item(official: object, **changes: object) -> dict[str, Any]:
    return {"server": BARE | changes, "_meta": {OFFICIAL: official}}


def notes(found: Entry) -> list[tuple[str, str]]:
    return [(problem.path, problem.message) for problem in found.problems]


def test_an_item_carries_what_the_registry_says() -> None:
    found = entry(
        item(
            {
                "status": "deprecated",
                "statusMessage": "use another one",
                "publishedAt": "2025-11-12T11:00:00+01:00",
                "updatedAt": "2025-11-13T10:00:00Z",
                "statusChangedAt": "2025-11-14T10:00:00.5Z",
                "isLatest": True,
            }
        )
    )
    assert (found.number, found.name, found.version) == (7, "ab/cd", "1.0.0")
    assert (found.status, found.status_message) == ("deprecated", "use another one")
    assert found.published_at == AT
    assert found.updated_at == "2025-11-13T10:00:00.000000Z"
    assert found.status_changed_at == "2025-11-14T10:00:00.500000Z"
    assert found.problems == ()


def test_a_bare_document_is_an_entry_too() -> None:
    found = entry(BARE)
    assert (found.status, found.updated_at, found.problems) == ("active", None, ())
    assert found.published_at == found.status_changed_at > AT


@pytest.mark.parametrize(
    ("official", "published_at", "updated_at"),
    [
        ({"publishedAt": AT}, AT, AT),
        ({"updatedAt": AT}, AT, AT),
        (
            {"publishedAt": "2020-01-01", "updatedAt": AT},
            "2020-01-01T00:00:00.000000Z",
            AT,
        ),
    ],
)
def test_one_time_stands_in_for_the_other(
    official: object, published_at: str, updated_at: str
) -> None:
    found = entry(item(official))
    assert (found.published_at, found.updated_at) == (published_at, updated_at)


def test_the_status_never_changed_before_the_publication() -> None:
    found = entry(item({"publishedAt": AT, "statusChangedAt": "2020-01-01T00:00:00Z"}))
    assert found.status_changed_at == AT


@pytest.mark.parametrize("official", [None, 5, [], "x", {"status": None}])
def test_nothing_said_is_active(official: object) -> None:
    assert entry(item(official)).updated_at is None


def test_what_is_said_wrongly_is_left_out_and_noted() -> None:
    found = entry(item({"status": "gone", "updatedAt": "soon", "publishedAt": AT}))
    assert (found.status, found.updated_at) == ("active", AT)
    assert notes(found) == [
        (f"_meta.{OFFICIAL}.updatedAt", "is no time; left out"),
        (
            f"_meta.{OFFICIAL}.status",
            "must be one of active, deprecated, deleted",
        ),
    ]


def test_a_document_against_the_schema_is_an_entry_with_findings() -> None:
    found = entry(item({}, repository={}, description=None))
    assert ("repository.url", "is required") in notes(found)
    assert ("description", "must be of type string") in notes(found)


def test_the_text_is_as_sent_but_for_blanks_between_tokens() -> None:
    sent = b'{ "version" : "1",\n "name":"ab/cd", "n" : 1.50e3, "t": "a  b\\u00e9" }'
    found = entry(b'{"server":' + sent + b"}")
    assert found.text == ('{"version":"1","name":"ab/cd","n":1.50e3,"t":"a  b\\u00e9"}')
    assert found.content_hash == entry(sent).content_hash


def test_text_that_the_database_refuses_is_mended_and_noted() -> None:
    odd = {"a": ["x\0y", "\ud800z"], "k\0": "\U0001f600"}
    found = entry(item({}, x=odd, title="a\0b"))
    assert found.document["x"] == {"a": ["xy", "\ufffdz"], "k": "\U0001f600"}
    assert json.loads(found.text) == found.document
    assert [path for path, _ in notes(found)] == ["x.a[0]", "x.a[1]", "x", "title"]


def test_an_escaped_backslash_is_no_escape() -> None:
    found = entry(item({}, title="\\u0000"))
    assert (found.document["title"], found.problems) == ("\\u0000", ())


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"5", "no JSON object"),
        (b"[]", "no JSON object"),
        (b"null", "no JSON object"),
        (b'{"server": 5}', "`server` is no JSON object"),
        ({}, "`name` is missing"),
        (BARE | {"name": None}, "`name` is missing"),
        (BARE | {"name": 5}, "`name` is no text"),
        (BARE | {"name": " \t"}, "`name` is blank"),
        (BARE | {"version": ""}, "`version` is blank"),
        (BARE | {"version": ["1"]}, "`version` is no text"),
        (BARE | {"name": "é" * 513}, "`name` is longer than 1024 bytes"),
        (BARE | {"version": "1" * 1025}, "`version` is longer than 1024 bytes"),
        (
            BARE | {"name": "a\0b"},
            "`name` holds a NUL character or half a surrogate pair",
        ),
        (
            item({}, version="\ud800"),
            "`version` holds a NUL character or half a surrogate pair",
        ),
        (b'{"name": "\xff", "version": "1"}', "not valid UTF-8"),
        (b'{"name": tru}', "not valid JSON: JSON is malformed"),
        (b'{"name": "a\nb"}', "not valid JSON: JSON is malformed"),
        (b'{"name": NaN, "x": "\\u0000"}', "not valid JSON: JSON is malformed"),
        (b'{"name": "a", "version": "1", "x": 1e999}', "not valid JSON: Number out"),
        (b'{"x": ' + b"[" * 9999 + b"]" * 9999 + b"}", "nested too deeply"),
    ],
)
def test_what_cannot_be_stored_is_rejected_with_a_reason(
    value: object, reason: str
) -> None:
    found = read(value)
    assert isinstance(found, Rejected)
    assert found.reason.startswith(reason)
    assert found.number == 7


@pytest.mark.parametrize("name", ["x" * 1024, "ab", "a/b/c", "é/ü", "A B/c"])
def test_any_other_name_can_be_stored(name: str) -> None:
    assert entry(BARE | {"name": name}).name == name


def test_a_fault_of_the_file_is_a_reason() -> None:
    assert read_entry(Piece(3, b"...", "broken")) == Rejected(3, "broken", b"...")
