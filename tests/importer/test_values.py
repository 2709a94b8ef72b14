"""The rules by which values of the earlier MCPS become ours."""

import struct
from typing import Any

import pytest

from service.importer import documents, values
from service.importer.jsonb import jsonb_text
from service.importer.values import Mended, Rule, Unfit
from tests.importer.conftest import VECTOR

TEXT, TIME, SINCE = values.text(), values.time(), values.time(needed=True)
COUNT, KEY = values.integer(), values.integer(default=None, least=1)
HOST = values.word("github", "npm", default="unknown")
URL = values.text(filled=True, most_bytes=20)


@pytest.mark.parametrize(
    ("rule", "raw", "value"),
    [
        (TEXT, "plain", "plain"),
        (TEXT, None, None),
        (TEXT, "日本 🦀", "日本 🦀"),
        (COUNT, 2**40, 2**40),
        (values.BOOLEAN, 1, True),
        (values.BOOLEAN, 0, False),
        (TIME, "2025-01-02 03:04:05.678900", "2025-01-02 03:04:05.6789+00"),
        (TIME, "2025-01-02 03:04:05.000000", "2025-01-02 03:04:05+00"),
        (TIME, "2025-01-02 03:04:05", "2025-01-02 03:04:05+00"),
        (TIME, "2025-01-02T03:04:05", "2025-01-02 03:04:05+00"),
        (TIME, "2025-01-02T03:04:05Z", "2025-01-02 03:04:05+00"),
        (TIME, "2025-01-02 03:04:05+02:00", "2025-01-02 01:04:05+00"),
        (TIME, "2025-01-02", "2025-01-02 00:00:00+00"),
        (TIME, "2025-01-02 10:00:00.000010", "2025-01-02 10:00:00.00001+00"),
        (TIME, "2025-W01-1 10:00:00.000010", "2024-12-30 10:00:00.00001+00"),
        (TIME, "2025-W01-1 10:00:00.678901", "2024-12-30 10:00:00.678901+00"),
        (TIME, "2025W011", "2024-12-30 00:00:00+00"),
        (TIME, "20250102T030405", "2025-01-02 03:04:05+00"),
        (TIME, "2025-01-02 03:04:05,678901", "2025-01-02 03:04:05.678901+00"),
        (HOST, "GITHUB", "github"),
        (HOST, "npm", "npm"),
        (values.UUID, "0" * 31 + "a", "00000000-0000-0000-0000-00000000000a"),
        (
            values.UUID,
            "819E206B-DE18-4C3B-ACA9-83283BD41E48",
            "819e206b-de18-4c3b-aca9-83283bd41e48",
        ),
        (documents.JSON, '{"a":1, "a":2}', '{"a":1, "a":2}'),
        (documents.JSON, "null", None),
        (documents.JSON, None, None),
        (documents.LIST, None, "[]"),
        (documents.LIST, "null", "[]"),
        (documents.LIST, '["\\u00e9","b"]', '["é", "b"]'),
        (documents.LIST, '[{"bb": 1.50, "a": [null]}]', '[{"a": [null], "bb": 1.5}]'),
    ],
)
def test_a_value_is_mapped(rule: Rule, raw: Any, value: Any) -> None:
    assert rule.one(raw) == value
    if rule.usual is not None:
        assert rule.usual([raw, raw]) in ([value, value], None)


@pytest.mark.parametrize(
    ("rule", "raw", "value"),
    [
        (TEXT, "a\0b", "ab"),
        (TEXT, "\udcc3(", "\ufffd("),
        (TEXT, b"\xff\xfe binary", "\ufffd\ufffd binary"),
        (TEXT, b"fine", "fine"),
        (TEXT, 12, "12"),
        (values.text(filled=True), "", "unnamed"),
        (COUNT, "12", 12),
        (COUNT, 3.7, 3),
        (COUNT, None, 0),
        (values.BOOLEAN, 2, True),
        (values.BOOLEAN, "yes", True),
        (values.BOOLEAN, "maybe", False),
        (values.BOOLEAN, None, False),
        (TIME, "", None),
        (TIME, "soon", None),
        (TIME, 17, None),
        (SINCE, "", values.EPOCH),
        (SINCE, None, values.EPOCH),
        (HOST, "BITBUCKET", "unknown"),
        (HOST, None, "unknown"),
        (documents.JSON, "[NaN, -Infinity, 1e999]", "[null, null, null]"),
        (documents.JSON, '{"a\\u0000": "\\ud800"}', '{"a": "\ufffd"}'),
        (documents.JSON, "", None),
        (documents.LIST, '"one"', '["one"]'),
        (documents.LIST, '{"a": 1}', '[{"a": 1}]'),
        (documents.LIST, "[NaN]", "[null]"),
        (documents.LIST, '["a\\u0000b"]', '["ab"]'),
        (documents.LIST, "", "[]"),
    ],
)
def test_a_value_that_can_be_kept_is_repaired(rule: Rule, raw: Any, value: Any) -> None:
    mended = rule.one(raw)
    assert isinstance(mended, Mended)
    assert (mended.value, bool(mended.rule)) == (value, True)
    if rule.usual is not None:
        assert rule.usual([raw, raw]) is None


@pytest.mark.parametrize(
    ("rule", "raw", "reason"),
    [
        (values.text(needed=True), None, "missing"),
        (URL, "x" * 21, "at most 20"),
        (URL, "é" * 11, "22 bytes"),
        (URL, "", "empty"),
        (COUNT, "n/a", "no whole number"),
        (COUNT, float("nan"), "no whole number"),
        (COUNT, b"1", "no whole number"),
        (COUNT, str(2**63), "not between"),
        (KEY, None, "missing"),
        (KEY, 0, "not between"),
        (values.UUID, "no uuid", "no UUID"),
        (values.UUID, None, "no UUID"),
        (documents.JSON, "[1, 2", "no valid JSON"),
        (documents.JSON, "[" * 100_000, "nested too deeply"),
        (documents.LIST, "[1, 2", "no valid JSON"),
        (documents.LIST, f"[{'9' * 5000}]", "holds a number of more than 4,300 digits"),
        (documents.EMBEDDING, None, "no JSON list of numbers"),
        (documents.EMBEDDING, "null", "no JSON list of numbers"),
        (documents.EMBEDDING, "[]", "0 dimensions"),
        (documents.EMBEDDING, '["a"]', "no JSON list of numbers"),
        (documents.EMBEDDING, VECTOR.replace("0.5", "NaN"), "not finite"),
        (documents.EMBEDDING, VECTOR.replace("0.5", "1e39"), "not finite"),
    ],
)
def test_a_value_that_cannot_be_kept_is_refused(
    rule: Rule, raw: Any, reason: str
) -> None:
    with pytest.raises(Unfit, match=reason):
        rule.one(raw)
    if rule.usual is not None:
        assert rule.usual([raw, raw]) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "aa": 2, "a": 3}, '{"a": 3, "b": 1, "aa": 2}'),
        ([1e21, 1.5, -0.0, 1e-7], "[1000000000000000000000, 1.5, 0.0, 0.0000001]"),
        (["\t\x01é🦀\x7f"], '["\\t\\u0001é🦀\x7f"]'),
        ([None, True, []], "[null, true, []]"),
    ],
)
async def test_json_is_written_as_the_database_does(
    database: Any, value: Any, text: str
) -> None:
    assert jsonb_text(value) == text
    assert await database.fetchval("select $1::text::jsonb::text", text) == text


async def test_an_embedding_has_the_digest_that_the_database_finds(
    database: Any,
) -> None:
    raw = f"[{', '.join(repr(1 / (n + 3)) for n in range(1536))}]"
    sent = documents.EMBEDDING.one(raw)
    assert documents.EMBEDDING.shown
    assert documents.EMBEDDING.shown(sent) == await database.fetchval(
        "select md5(array_send($1::text::double precision[]::real[]))",
        f"{{{raw[1:-1]}}}",
    )
    assert struct.calcsize("f") == 4
