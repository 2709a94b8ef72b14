"""Content encodings: which one a client takes, and bodies packed in it."""

import asyncio
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
GZIP_LEVEL = 5
ZSTD_LEVEL = 3


@lru_cache(maxsize=256)
def encoding_for(accepted: bytes) -> bytes:
    """The best encoding that an Accept-Encoding header names (RFC 9110, 12.5.3)."""
    weights: dict[bytes, bool] = {}
    for part in accepted.lower().split(b","):
        name, _, rest = part.partition(b";")
        weight = rest.strip().removeprefix(b"q=").strip(b"0. ")
        weights[name.strip()] = bool(weight) or not rest
    others = weights.get(b"*", False)
    return next((name for name in (ZSTD, GZIP) if weights.get(name, others)), IDENTITY)


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
