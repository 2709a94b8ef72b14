"""env.sample lists every setting, with its default and what it means."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import pytest

from service.settings import Settings, read_settings
from tests.house.tree import ROOT

COMPOSE_ONLY = {"PGADMIN_EMAIL", "PGADMIN_PASSWORD"}
# Set to nothing, it still turns on the multiprocess mode of prometheus-client.
NEVER_EMPTY = {"PROMETHEUS_MULTIPROC_DIR"}
_LINE = re.compile(r"(# )?([A-Z][A-Z0-9_]*)=(.*)")


@dataclass(frozen=True)
class Line:
    """One variable of a sample."""

    name: str
    value: str
    is_active: bool
    meaning: str


def read(text: str) -> Iterator[Line]:
    """The variables of a sample, each with the comment above it."""
    before = ""
    for line in text.splitlines():
        if match := _LINE.fullmatch(line):
            meaning = before.removeprefix("# ") if before.startswith("# ") else ""
            yield Line(match[2], match[3], not match[1], meaning)
        before = line


def differences(text: str) -> list[str]:
    """Where a sample and the settings say different things."""
    lines = [line for line in read(text) if line.name not in COMPOSE_ONLY]
    defaults = msgspec.structs.asdict(Settings())
    names = [line.name for line in lines]
    wanted = {name.upper() for name in defaults}
    found = [f"{name}: missing in env.sample" for name in wanted - set(names)]
    found += [f"{name}: twice" for name in set(names) if names.count(name) > 1]
    for line in lines:
        if line.name not in wanted:
            found.append(f"{line.name}: no such setting")
            continue
        default = defaults[line.name.lower()]
        if line.value != _written(default):
            found.append(f"{line.name}: the default is {_written(default)!r}")
        if not line.meaning or line.meaning.startswith("--"):
            found.append(f"{line.name}: no line above says what it means")
        if line.is_active is (line.name in NEVER_EMPTY):
            found.append(f"{line.name}: commented out only if it must not be empty")
    return found


def _written(default: object) -> str:
    return str(default).lower() if isinstance(default, bool) else str(default)


def sample() -> str:
    """The text of env.sample."""
    return (ROOT / "env.sample").read_text(encoding="utf-8")


def test_env_sample_lists_every_setting_with_its_default() -> None:
    assert differences(sample()) == []


def test_env_sample_marks_what_only_compose_reads() -> None:
    _, marked = sample().split("-- For compose.yaml alone")
    assert {line.name for line in read(marked)} == COMPOSE_ONLY


def test_env_sample_is_itself_a_valid_configuration() -> None:
    environ = {line.name: line.value for line in read(sample()) if line.is_active}
    assert read_settings(environ) == Settings()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("DB_POOL_SIZE=20", "DB_POOL_SIZE=21"),
        ("DB_POOL_SIZE=20", "DB_POOL_SIZES=20"),
        ("DB_POOL_SIZE=20\n", ""),
        ("DB_POOL_SIZE=20", "DB_POOL_SIZE=20\nDB_POOL_SIZE=20"),
        ("DB_POOL_SIZE=20", "# DB_POOL_SIZE=20"),
        ("# connections that are kept\n", "\n"),
        ("# PROMETHEUS_MULTIPROC_DIR=", "PROMETHEUS_MULTIPROC_DIR="),
        ("DB_ECHO=false", "DB_ECHO=False"),
    ],
)
def test_the_rule_sees_a_difference(old: str, new: str) -> None:
    changed = sample().replace(old, new)
    assert changed != sample()
    assert differences(changed)
