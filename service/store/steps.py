"""Migrations as steps: how the files and a database compare, whichever it is."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
from yoyo.migrations import Migration

from service import errors

Say = Callable[[str], None]
State = Literal["applied", "pending", "edited", "unknown"]


class Step(msgspec.Struct, frozen=True):
    """One migration: `edited` was changed since, `unknown` has no file here."""

    name: str
    state: State
    applied_at: str = ""


def compare(
    files: Mapping[str, Migration],
    applied: Mapping[str, str],
    recorded: Mapping[str, Any],
) -> list[Step]:
    """How files and database compare, in the order of their names."""
    return [
        Step(name, _state(files, applied, recorded, name), applied.get(name, ""))
        for name in sorted({*files, *applied})
    ]


def checksum(migration: Migration) -> str:
    """Of the text: a checkout may have changed the line ends."""
    return hashlib.sha256(Path(migration.path).read_text("utf-8").encode()).hexdigest()


def refuse_edited(steps: list[Step]) -> None:
    """Raise MigrationFailed when an applied migration is not what it was."""
    for step in steps:
        if step.state == "edited":
            message = (
                f"{step.name}.sql was changed after it was applied here at "
                f"{step.applied_at}: restore the file as it was, and put the change "
                "into a new migration"
            )
            raise errors.MigrationFailed(message)


def newest(applied: list[Step], count: int) -> list[str]:
    """The names of the newest steps. Raises MigrationFailed when there are fewer."""
    if count > len(applied):
        message = f"only {len(applied)} migrations are applied, {count} were asked for"
        raise errors.MigrationFailed(message)
    chosen = applied[::-1][:count]
    for step in chosen:
        if step.state == "unknown":
            message = f"{step.name} has no file here: roll it back with its own release"
            raise errors.MigrationFailed(message)
    return [step.name for step in chosen]


def _state(
    files: Mapping[str, Migration],
    applied: Mapping[str, str],
    recorded: Mapping[str, Any],
    name: str,
) -> State:
    if name not in applied:
        return "pending"
    if name not in files:
        return "unknown"
    is_same = recorded.get(name) in {None, checksum(files[name])}
    return "applied" if is_same else "edited"
