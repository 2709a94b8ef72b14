"""Keys for the tests of keys."""

import random

from service.errors import Unauthorized
from service.keys import KeyRing


def unknown_key(letters: random.Random | None = None) -> str:
    """A key as mcps keys would make it, that nobody made."""
    source = letters or random.Random()
    alphabet = "abcdefghijklmnopqrstuvwxyz234567"
    return "mcps_" + "_".join(
        "".join(source.choices(alphabet, k=size)) for size in (10, 52)
    )


async def opens(ring: KeyRing, key: str) -> bool:
    """Whether a key lets anybody in."""
    try:
        await ring.role(key.encode())
    except Unauthorized:
        return False
    return True
