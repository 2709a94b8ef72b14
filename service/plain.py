"""Text and JSON from afar, made fit to be stored: bounded, and without odd characters.

A NUL character is removed and half a surrogate pair becomes U+FFFD, because PostgreSQL
refuses both.
"""

import re

DEEPEST = 64

_ODD = re.compile("[\0\ud800-\udfff]")


def plain_text(text: str, longest: int) -> str:
    """A text of at most so many characters, without blanks around it."""
    return _fit(text.strip())[:longest]


def plain_json(value: object, depth: int = 0) -> object:
    """Decoded JSON; what is nested more than 64 levels deep becomes null."""
    if isinstance(value, str):
        return _fit(value)
    if depth > DEEPEST:
        return None if isinstance(value, list | dict) else value
    if isinstance(value, list):
        return [plain_json(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {
            _fit(str(key)): plain_json(item, depth + 1) for key, item in value.items()
        }
    return value


def _fit(text: str) -> str:
    if not _ODD.search(text):
        return text
    return _ODD.sub("\ufffd", text.replace("\0", ""))
