"""Content encodings: which one a client takes, and bodies packed in it."""

import asyncio
import re
import zlib
from functools import lru_cache

import zstandard

IDENTITY = b""
GZIP = b"gzip"
ZSTD = b"zstd"
ENCODINGS = (IDENTITY, GZIP, ZSTD)
# Less does not shrink by what the header costs.
SMALLEST_BYTES = 1024
# More would hold up every other request.
THREADED_BYTES = 1 << 17
_WEIGHT = re.compile(rb"\bq\s*=\s*([01](?:\.[0-9]{0,3})?)")
GZIP_LEVEL = 5
ZSTD_LEVEL = 3


@lru_cache(maxsize=256)
def encoding_for(accepted: bytes) -> bytes:
    """The best encoding for an Accept-Encoding header (RFC 9110, 12.5.3).

    No encoding at all is the best one only for who says that they like it better.
    """
    weights: dict[bytes, float] = {}
    for part in accepted.lower().split(b","):
        name, _, parameters = part.partition(b";")
        weights[name.strip()] = _weight(parameters)
    others = weights.get(b"*", 0.0)
    best = max((ZSTD, GZIP), key=lambda name: weights.get(name, others))
    weight = weights.get(best, others)
    is_liked = weight > 0 and weight >= weights.get(b"identity", 0.0)
    return best if is_liked else IDENTITY


def _weight(parameters: bytes) -> float:
    """How much an encoding is liked, 0 to 1; 1 where that is not said."""
    match = _WEIGHT.search(parameters)
    return float(match[1]) if match else 1.0


async def packed(body: bytes, encoding: bytes) -> bytes:
    """The body in an encoding; a large one is packed in another thread."""
    if len(body) > THREADED_BYTES:
        return await asyncio.to_thread(_pack, body, encoding)
    return _pack(body, encoding)


def _pack(body: bytes, encoding: bytes) -> bytes:
    if encoding == ZSTD:
        return zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(body)
    pack = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    return pack.compress(body) + pack.flush()
