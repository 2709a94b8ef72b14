"""Rows in the text form of COPY, made column by column.

Where nothing in a column has to be escaped, its lines are made of the very texts that
its checksum is taken from.
"""

from collections.abc import Sequence
from typing import Any

from service.importer.values import NULL, Rule, texts

_ESCAPES = {
    "\\": r"\\",
    "\t": r"\t",
    "\n": r"\n",
    "\r": r"\r",
    NULL: f"\\{NULL}",
}


def lines(columns: Sequence[Sequence[str]]) -> bytes:
    """One line for each row, from columns as `written` gives them."""
    rows = map("\t".join, zip(*columns, strict=True))
    return "".join([f"{row}\n" for row in rows]).encode()


def written(rule: Rule, values: Sequence[Any], shown: list[str]) -> list[str]:
    """A column as COPY reads it; `shown` are the texts that its checksum sees."""
    if rule.written is not None:
        return [NULL if value is None else rule.written(value) for value in values]
    if rule.shown is not None:
        return texts(rule, values)
    return shown if rule.type != "text" else _escaped(values, shown)


def _escaped(values: Sequence[str | None], shown: list[str]) -> list[str]:
    joined = "".join(filter(None, values))
    found = [mark for mark in _ESCAPES if mark in joined]
    if not found:
        return shown
    # The backslash is the first: it is in what the others become.
    escaped = list(values)
    for mark in found:
        other = _ESCAPES[mark]
        escaped = [value and value.replace(mark, other) for value in escaped]
    return [NULL if value is None else value for value in escaped]
