"""Archives of packages from their registry: fetched, checked, read, in one pass."""

import base64
import binascii
import hashlib
from collections.abc import AsyncIterator
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec

from service.sources import archives
from service.sources.archives import Contents, Wants, read_archive
from service.sources.fetch import Fetcher
from service.sources.requests import Call, failure

# Bundles hold whole servers in one file.
LIMITS = archives.Limits(file_bytes=3 << 20, kept_bytes=6 << 20)
_ALGORITHMS = frozenset({"sha256", "sha384", "sha512"})


class Digest(NamedTuple):
    """What the bytes of an archive have to come to."""

    algorithm: str
    hexadecimal: str


async def fetch_files(
    fetcher: Fetcher, url: str, wants: Wants, digest: Digest | None
) -> Contents:
    """The wanted files of an archive, by the name in its URL.

    Raises SourceFailed when it cannot be had, breaks a limit, or is not the one that
    the registry speaks of.
    """
    options = fetcher.options
    limits = msgspec.structs.replace(options.limits, body_bytes=options.archive_bytes)
    bounds = msgspec.structs.replace(LIMITS, archive_bytes=options.archive_bytes)
    name = urlsplit(url).path.rpartition("/")[2]
    found = hashlib.new(digest.algorithm if digest else "sha256")
    async with fetcher.opened(Call(url=url, limits=limits, is_encoded=True)) as reply:
        chunks = _counted(reply.chunks(), found)
        contents = await read_archive(name, chunks, wants, bounds)
        async for _ in chunks:
            pass
    if digest is not None and found.hexdigest() != digest.hexadecimal:
        message = f"the {digest.algorithm} of the archive is not that of its registry"
        raise failure(url, message, "bad_answer")
    return contents


def read_integrity(text: object) -> Digest | None:
    """The first digest of a `sha512-<base64>` list, as npm writes it; None without."""
    for word in text.split() if isinstance(text, str) else []:
        algorithm, _, encoded = word.partition("-")
        if algorithm in _ALGORITHMS:
            try:
                digest = base64.b64decode(encoded.partition("?")[0], validate=True)
            except (binascii.Error, ValueError):
                continue
            return Digest(algorithm, digest.hex())
    return None


async def _counted(
    chunks: AsyncIterator[bytes], found: "hashlib._Hash"
) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        found.update(chunk)
        yield chunk
