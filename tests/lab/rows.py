"""The catalog of the lab: what a row holds follows from its URL and its version.

`static` rows never change, `moving` ones get higher versions, `added` ones appear. A
version is the number of stars; the description carries a checksum of both.
"""

from typing import Any
from zlib import crc32

STATIC = 120
MOVING = 60
WORDS = ("static", "moving", "added")


def url(kind: str, number: int) -> str:
    """What identifies a row."""
    return f"https://{kind}.lab.test/{number:06}"


def row(kind: str, number: int, version: int = 0) -> dict[str, Any]:
    """A row as the JSON API takes it."""
    address = url(kind, number)
    return {
        "name": f"{kind} {number:06}",
        "primary_url": address,
        "description": described(address, version),
        "keywords": [kind],
        "stars": version,
    }


def change(kind: str, number: int, version: int) -> dict[str, Any]:
    """The fields that a new version changes."""
    return {"description": described(url(kind, number), version), "stars": version}


def described(address: str, version: int) -> str:
    """The text that fits an address and a version."""
    return f"version {version}, sum {crc32(f'{address} {version}'.encode()):08x}"


def is_whole(found: dict[str, Any]) -> bool:
    """Whether a row is one that somebody wrote as a whole."""
    expected = described(found["primary_url"], found["stars"])
    return bool(found["description"] == expected)


def first_rows() -> list[dict[str, Any]]:
    """What the catalog holds when a test begins."""
    static = [row("static", number) for number in range(STATIC)]
    return static + [row("moving", number) for number in range(MOVING)]
