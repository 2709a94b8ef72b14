"""Which of two versions is the later one, as a text that sorts.

Both semantic: by the precedence of semantic versioning. Neither: by the time of
publication. One of them: the semantic one is later. A semantic version is a strict
`major.minor.patch[-pre][+build]`, with an optional leading `v`; numbers of any length;
what follows `+` does not count.
"""

import re

_NUMBER = r"(?:0|[1-9][0-9]*)"
_BEFORE = rf"(?:{_NUMBER}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_SEMANTIC = re.compile(
    rf"v?({_NUMBER})\.({_NUMBER})\.({_NUMBER})"
    rf"(?:-({_BEFORE}(?:\.{_BEFORE})*))?"
    r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)
_OTHER, _IS_SEMANTIC = "0", "1"
_PRERELEASE, _RELEASE = "1", "2"
# Below every character of an identifier, so that `beta` sorts before `beta1`.
_END_OF_TEXT = "!"
_END, _NUMERIC, _TEXT = "0", "1", "2"


def precedence(version: str, published_at: str) -> str:
    """A key that sorts by bytes as the versions of one server do; the latest is last.

    `published_at` is in UTC and of fixed width, as `service.times` writes it.
    """
    match = _SEMANTIC.fullmatch(version)
    if match is None:
        return _OTHER + published_at
    *numbers, before = match.groups()
    core = _IS_SEMANTIC + "".join(_number_key(number) for number in numbers)
    if before is None:
        return core + _RELEASE
    fields = "".join(_field_key(field) for field in before.split("."))
    return core + _PRERELEASE + fields + _END


def _field_key(field: str) -> str:
    if field.isdigit():
        return _NUMERIC + _number_key(field)
    return _TEXT + field + _END_OF_TEXT


def _number_key(digits: str) -> str:
    """The digits behind their count, and that behind the count of its own digits."""
    count = str(len(digits))
    return f"{len(count)}{count}{digits}"
