"""Every command line in a document can be typed."""

import re
from collections.abc import Iterator

import pytest

from tests.house.tree import ROOT
from tests.ops.operations import wrong_command

DOCUMENTS = ["CONTRIBUTING.md", "README.md", "ops/RUNBOOK.md", "env.sample"]
_COMMAND = re.compile(r"(?<![\w/.-])mcps (?:[a-z][a-z-]*)(?: (?:--?\w[\w-]*|\w+))*")
_SCRIPT = re.compile(r"(?<![\w/.-])ops/[a-z]+(?![\w/.])")


def command_lines(text: str) -> Iterator[list[str]]:
    """The command lines of mcps between backticks, in code blocks and in comments."""
    for part in re.findall(r"```[^`]*```|`[^`\n]+`", text):
        for match in _COMMAND.finditer(part):
            yield match[0].split()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_command_in_a_document_exists(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    found = [wrong_command(words) for words in command_lines(text)]
    assert [problem for problem in found if problem] == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_script_in_a_document_is_there(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    missing = [s for s in _SCRIPT.findall(text) if not (ROOT / s).exists()]
    assert missing == []


def test_the_rule_sees_a_command_that_does_not_exist() -> None:
    text = "`mcps serve --workers 4`, `mcps frobnicate`\n```\nmcps dev --nothing\n```"
    found = [wrong_command(words) for words in command_lines(text)]
    assert [bool(problem) for problem in found] == [False, True, True]
