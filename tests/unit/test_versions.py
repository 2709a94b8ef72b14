"""The precedence key against a direct reading of the semantic versioning rules."""

import re
from functools import cmp_to_key

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.versions import precedence

AT = "2025-12-01T00:00:00.000000Z"

numbers = st.one_of(st.integers(0, 12), st.integers(0, 10**40)).map(str)
texts = st.from_regex(r"[0-9A-Za-z-]{0,4}[A-Za-z-][0-9A-Za-z-]{0,4}", fullmatch=True)
fields = st.one_of(numbers, texts)
cores = st.tuples(numbers, numbers, numbers).map(".".join)
befores = st.lists(fields, max_size=4).map(lambda some: "-" + ".".join(some))
builds = st.from_regex(r"(\+[0-9A-Za-z-]{1,5}(\.[0-9]{1,3})?)?", fullmatch=True)
semantic = st.tuples(
    st.sampled_from(["", "v"]),
    cores,
    befores.map(lambda b: "" if b == "-" else b),
    builds,
).map("".join)
times = st.datetimes().map(lambda at: at.isoformat(timespec="microseconds") + "Z")


def compare(left: str, right: str) -> int:
    """Section 11 of semantic versioning, word by word."""
    a, b = (re.sub(r"\+.*", "", version.removeprefix("v")) for version in (left, right))
    core_a, _, before_a = a.partition("-")
    core_b, _, before_b = b.partition("-")
    by_core = compare_fields(core_a.split("."), core_b.split("."))
    if by_core or not (before_a or before_b):
        return by_core
    if not before_a or not before_b:
        return -1 if before_a else 1
    return compare_fields(before_a.split("."), before_b.split("."))


def compare_fields(left: list[str], right: list[str]) -> int:
    for a, b in zip(left, right, strict=False):
        if a.isdigit() != b.isdigit():
            return -1 if a.isdigit() else 1
        key_a, key_b = (int(a), int(b)) if a.isdigit() else (a, b)
        if key_a != key_b:
            return -1 if key_a < key_b else 1  # type: ignore[operator]
    return (len(left) > len(right)) - (len(left) < len(right))


def sign(left: str, right: str) -> int:
    a, b = left.encode(), right.encode()
    return (a > b) - (a < b)


@given(semantic, semantic, times, times)
def test_semantic_versions_sort_by_precedence_whatever_their_time(
    a: str, b: str, at_a: str, at_b: str
) -> None:
    assert sign(precedence(a, at_a), precedence(b, at_b)) == compare(a, b)


@given(st.lists(semantic, max_size=12))
def test_a_list_sorts_the_same_way(versions: list[str]) -> None:
    by_key = sorted(versions, key=lambda version: precedence(version, AT))
    direct = sorted(versions, key=cmp_to_key(compare))
    assert [compare(a, b) for a, b in zip(by_key, direct, strict=True)] == [0] * len(
        versions
    )


@given(times, times)
def test_other_versions_sort_by_their_time(at_a: str, at_b: str) -> None:
    assert sign(precedence("auto", at_a), precedence("2.1", at_b)) == sign(at_a, at_b)


@given(semantic, times)
def test_a_semantic_version_is_later_than_any_other(version: str, at: str) -> None:
    assert precedence("2025-01", at) < precedence(
        version, "0001-01-01T00:00:00.000000Z"
    )


@given(semantic)
def test_build_and_leading_v_do_not_count(version: str) -> None:
    plain = version.removeprefix("v").partition("+")[0]
    assert precedence(version, AT) == precedence(plain, AT)


@pytest.mark.parametrize(
    "version",
    [
        "auto",
        "{{VERSION}}",
        "mcp",
        "2.1",
        "1.0.1º",
        "0.7.10.dev1",
        "01.2.3",
        "1.2.3-01",
        "1.2.3-",
        "1.2.3+",
        "1.2.3-a..b",
        "V1.2.3",
        "vv1.2.3",
        "1.2.3\n",
        "\u0661.2.3",
        "",
    ],
)
def test_what_is_not_strictly_semantic_goes_by_time(version: str) -> None:
    assert precedence(version, AT) == "0" + AT


def test_the_example_of_semantic_versioning_is_in_order() -> None:
    order = [
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
        "1.0.9",
        "1.0.10",
        "2025.11.13+pr147-5d1f8b0",
    ]
    keys = [precedence(version, AT) for version in order]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)
