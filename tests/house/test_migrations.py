"""Migrations: numbered without gaps, each with the way back."""

import re
from collections.abc import Iterable

import pytest

from service.resources import resource

_NAME = re.compile(r"(\d{4})\.([a-z][a-z0-9-]*)(\.rollback)?\.sql")


def disorder(names: Iterable[str]) -> list[str]:
    """What is wrong with the files of one folder of migrations."""
    forward: dict[int, str] = {}
    back: set[str] = set()
    found = []
    for name in sorted(names):
        match = _NAME.fullmatch(name)
        if not match:
            found.append(f"{name}: not NNNN.noun.sql or NNNN.noun.rollback.sql")
        elif match[3]:
            back.add(name.replace(".rollback", ""))
        elif int(match[1]) in forward:
            found.append(f"{name}: the number of {forward[int(match[1])]}")
        else:
            forward[int(match[1])] = name
    numbers = sorted(forward)
    first = numbers[0] if numbers else 1
    if first > 1 or numbers != list(range(first, first + len(numbers))):
        found.append(f"the numbers have gaps: {numbers}")
    found += [f"{name}: no rollback" for name in sorted({*forward.values()} - back)]
    found += [f"{name}: nothing to roll back" for name in back - {*forward.values()}]
    return found


def _names(folder: str) -> list[str]:
    return [path.name for path in (resource("migrations") / folder).glob("*.sql")]


def test_migrations_are_numbered_without_gaps_and_have_rollbacks() -> None:
    names = _names("")
    assert names
    assert disorder(names) == []


def test_sqlite_has_the_same_migrations() -> None:
    theirs = _names("sqlite")
    if not theirs:
        pytest.skip("there is no migrations/sqlite in this release")
    assert disorder(theirs) == []
    assert {name[:4] for name in theirs} == {name[:4] for name in _names("")}


def test_every_migration_says_what_it_is_for() -> None:
    silent = [
        path.name
        for path in resource("migrations").rglob("*.sql")
        if not path.name.endswith(".rollback.sql")
        and not path.read_text(encoding="utf-8").startswith("-- ")
    ]
    assert silent == []


@pytest.mark.parametrize(
    "names",
    [
        ["0001.a.sql"],
        ["0001.a.sql", "0001.a.rollback.sql", "0003.b.sql", "0003.b.rollback.sql"],
        ["0002.a.sql", "0002.a.rollback.sql"],
        ["0001.a.sql", "0001.a.rollback.sql", "0001.b.sql", "0001.b.rollback.sql"],
        ["0001.a.sql", "0001.a.rollback.sql", "0002.b.rollback.sql"],
        ["1.a.sql", "1.a.rollback.sql"],
        ["0001.a.sql", "0001.a.rollback.sql", "notes.sql"],
    ],
)
def test_the_rule_sees_disorder(names: list[str]) -> None:
    assert disorder(names)
