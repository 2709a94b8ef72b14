"""Opens what a command reads: a file or standard input, plain or gzip, as a stream."""

import io
import os
import select
import stat
import zlib
from collections.abc import Callable, Iterator

from service.errors import RefusedFile
from service.output import shown_path

CHUNK_BYTES = 1 << 18
STANDARD_INPUT = "-"
_GZIP = b"\x1f\x8b"
_WAIT_S = 0.2


class Broken(Exception):
    """The data is damaged from here on; who reads it says where."""


class Source:
    """One file that is read once, from its beginning to its end."""

    def __init__(self, path: str, *, check: Callable[[], None]) -> None:
        """`check` is called while a pipe has nothing to read; it may raise."""
        self.is_standard_input = path == STANDARD_INPUT
        self.name = "standard input" if self.is_standard_input else shown_path(path)
        self.size_bytes: int | None = None
        self.read_bytes = 0
        self._place: str | int = 0 if self.is_standard_input else path
        self._check = check

    def chunks(self) -> Iterator[bytes]:
        """The content, unpacked. Raises RefusedFile, and Broken for a damaged rest."""
        return _inflated(self._chunks())

    def _chunks(self) -> Iterator[bytes]:
        try:
            yield from self._read()
        except OSError as error:
            message = f"cannot be read: {error.strerror or error}"
            raise RefusedFile(message) from error

    def _read(self) -> Iterator[bytes]:
        # Unbuffered, so that a pipe gives what it has and is never waited for inside.
        with io.FileIO(self._place, closefd=self._place != 0) as file:
            status = os.fstat(file.fileno())
            is_regular = stat.S_ISREG(status.st_mode)
            self.size_bytes = status.st_size if is_regular else None
            while chunk := self._next(file, is_regular=is_regular):
                self.read_bytes += len(chunk)
                yield chunk

    def _next(self, file: io.FileIO, *, is_regular: bool) -> bytes:
        while not is_regular and not select.select([file], [], [], _WAIT_S)[0]:
            self._check()
        return file.read(CHUNK_BYTES) or b""


def _inflated(chunks: Iterator[bytes]) -> Iterator[bytes]:
    first = next(chunks, b"")
    while len(first) < len(_GZIP) and (more := next(chunks, b"")):
        first += more
    if not first.startswith(_GZIP):
        yield first
        yield from chunks
        return
    try:
        yield from _unpacked(first, chunks)
    except zlib.error as error:
        message = f"the gzip data is damaged: {error}"
        raise Broken(message) from error


def _unpacked(packed: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The members of a gzip file one after another, a bounded piece at a time."""
    inflater = None
    while packed or (packed := next(chunks, b"")):
        if inflater is None:
            # Some writers pad with zeros.
            packed = packed.lstrip(b"\0")
            if not packed:
                continue
            inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
        if text := inflater.decompress(packed, CHUNK_BYTES):
            yield text
        packed = inflater.unconsumed_tail
        if inflater.eof:
            packed, inflater = inflater.unused_data, None
    if inflater is not None:
        message = "the gzip data ends early"
        raise Broken(message)
