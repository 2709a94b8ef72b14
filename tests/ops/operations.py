"""Reads what an operator holds in hands: compose.yaml, the image, the manifests."""

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import click
import yaml

from service.cli import commands
from service.settings import Settings
from tests.house.test_settings import read, sample
from tests.house.tree import ROOT

SETTINGS = {name.upper() for name in Settings.__struct_fields__}
# Read by Python and pip themselves, or by the shell.
NOT_OURS = re.compile(r"PATH|PIP_\w+|PYTHON\w+")
_VARIABLE = re.compile(r"\$\$|\$\{(\w+)(?:(:?[-?])([^}]*))?\}")
_DOCKER_INSTRUCTION = re.compile(r"([A-Z]+)\s+(.*)", re.DOTALL)


class Unset(Exception):
    """A variable that compose.yaml asks for is not set."""


def compose(environ: Mapping[str, str]) -> Any:
    """compose.yaml as it is with these variables. Raises Unset with its message."""
    text = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    return yaml.safe_load(interpolated("\n".join(lines), environ))


def interpolated(text: str, environ: Mapping[str, str]) -> str:
    """A text with its variables put in, as Compose does it."""

    def value(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        name, operator, rest = match[1], match[2] or "-", match[3] or ""
        found = environ.get(name)
        if found or (found is not None and not operator.startswith(":")):
            return found
        if operator.endswith("?"):
            message = f"{name}: {rest}"
            raise Unset(message)
        return rest

    return _VARIABLE.sub(value, text)


def variables(text: str) -> set[str]:
    """The names of the variables that a text refers to."""
    return {match[1] for match in _VARIABLE.finditer(text) if match[1]}


def dot_env(**changed: str) -> dict[str, str]:
    """A .env made from env.sample with some values set."""
    values = {line.name: line.value for line in read(sample()) if line.is_active}
    return {**values, **changed}


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """The instructions of a Containerfile with their arguments, on one line each."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if match := _DOCKER_INSTRUCTION.fullmatch(line.strip()):
            yield match[1], " ".join(match[2].split())


def containerfile() -> list[tuple[str, str]]:
    """The instructions of the image."""
    return list(instructions((ROOT / "ops/Containerfile").read_text(encoding="utf-8")))


def manifests(name: str) -> list[Any]:
    """The Kubernetes objects of one file."""
    text = (ROOT / "ops/kubernetes" / name).read_text(encoding="utf-8")
    return list(yaml.safe_load_all(text))


def environment_of(words: str) -> dict[str, str]:
    """The variables of one ENV instruction."""
    pairs = (word.partition("=") for word in shlex.split(words))
    return {name: value for name, _, value in pairs}


def wrong_command(words: list[str]) -> str:
    """What is wrong with a command line of mcps; empty if nothing is."""
    line = " ".join(words)
    if words[:1] != ["mcps"] or len(words) < 2:
        return f"{line!r} names no command of mcps"
    command = commands.commands.get(words[1])
    rest = words[2:]
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        command = command.commands.get(rest.pop(0))
    if command is None:
        return f"{line!r}: mcps has no such command"
    known = {option for parameter in command.params for option in parameter.opts}
    unknown = [word for word in rest if word.startswith("--") and word not in known]
    return f"{line!r}: {command.name} has no {unknown}" if unknown else ""
