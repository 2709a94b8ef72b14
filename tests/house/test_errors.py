"""Every error has a code of its own and says in one sentence what is wrong."""

from collections.abc import Iterable, Iterator

import pytest

from service import errors
from service.errors import McpsError


def tree(root: type[McpsError]) -> Iterator[type[McpsError]]:
    """A class of errors and all below it."""
    yield root
    for child in root.__subclasses__():
        yield from tree(child)


def ours() -> list[type[McpsError]]:
    """The errors of the project, without those that tests make up."""
    return [kind for kind in tree(McpsError) if kind.__module__ == errors.__name__]


def unclear(kinds: Iterable[type[McpsError]]) -> list[str]:
    """Errors without a code of their own, or without a sentence."""
    found = []
    codes: dict[str, str] = {}
    for kind in kinds:
        name = kind.__name__
        if "code" not in vars(kind):
            found.append(f"{name} has no code of its own")
        elif kind.code in codes:
            found.append(f"{name} has the code of {codes[kind.code]}")
        codes.setdefault(kind.code, name)
        text = vars(kind).get("__doc__") or ""
        if not text.rstrip().endswith((".", "`.")) or "\n" in text:
            found.append(f"{name} does not say in one sentence what is wrong")
        if kind.exit_code not in {1, 2, 75}:
            found.append(f"{name} ends the command with {kind.exit_code}")
    return found


def test_every_error_has_its_code_and_its_sentence() -> None:
    assert len(ours()) > 1
    assert unclear(ours()) == []


def test_the_tree_in_the_module_lists_every_error() -> None:
    text = errors.__doc__ or ""
    assert [k.__name__ for k in ours() if k.__name__ not in text.split()] == []


def test_an_error_without_a_message_says_its_sentence() -> None:
    assert errors.NotFound().message == errors.NotFound.__doc__


@pytest.mark.parametrize(
    "body",
    [
        {"__doc__": "Something is wrong."},
        {"__doc__": "Something is wrong.", "code": "not_found"},
        {"__doc__": "Something", "code": "new"},
        {"code": "new"},
        {"__doc__": "Something is wrong.", "code": "new", "exit_code": 3},
    ],
)
def test_the_rule_sees_an_unclear_error(body: dict[str, object]) -> None:
    kind = type("Made", (McpsError,), body)
    assert unclear([errors.NotFound, kind])
