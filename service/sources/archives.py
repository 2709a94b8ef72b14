"""Archives of packages, read in memory: nothing is written to disk, nothing is run.

A tar is read while it arrives, a zip after it arrived, because its list is at its end.
Both keep only the files asked for. What breaks a limit is refused as a whole.

The tar is read here instead of by `tarfile`: that one needs a thread, and in versions
still in use it takes quadratic time for a hostile extended header (CVE-2024-6232).
"""

import asyncio
import stat
import struct
import zlib
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable
from contextlib import aclosing
from io import BytesIO
from typing import NamedTuple, NoReturn
from unicodedata import category
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import msgspec

from service.errors import SourceFailed

BLOCK = 512
PIECE_BYTES = 65_536
# Small archives may compress as well as they like.
RATIO_FROM_BYTES = 1 << 20
LONGEST_PATH = 1024
_FILE_TYPES = frozenset(b"0\0" + b"7")
_WITHOUT_DATA = frozenset(b"123456")
_PAX, _PAX_OF_ALL, _LONG_NAME, _LONG_LINK = b"xgLK"
_EXTENDED = frozenset({_PAX, _PAX_OF_ALL, _LONG_NAME, _LONG_LINK})
# What zipfile raises for broken files and for what it cannot read.
_BROKEN_ZIP = (
    *(BadZipFile, EOFError, NotImplementedError, OSError, RuntimeError, ValueError),
    *(OverflowError, struct.error, zlib.error),
)

Wants = Callable[[str], bool]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What an archive may be at most."""

    archive_bytes: int = 64 << 20
    unpacked_bytes: int = 256 << 20
    members: int = 20_000
    ratio: int = 200
    """Bytes unpacked for each byte packed."""
    file_bytes: int = 1 << 20
    """A longer file is left out."""
    kept_bytes: int = 16 << 20
    """Files beyond that, all together, are left out."""


class Contents(msgspec.Struct):
    """What was kept of an archive: files by path, without the folder around them."""

    files: dict[str, bytes] = {}
    members: int = 0
    unpacked_bytes: int = 0
    left_out: int = 0
    """How many files that were asked for were too long to keep."""

    def text(self, path: str) -> str:
        """A file as text; what is no UTF-8 becomes U+FFFD. Empty without that file."""
        return self.files.get(path, b"").decode("utf-8-sig", "replace")


class _Kept:
    """Files as they are kept, with the limits on all of them together."""

    def __init__(self, wants: Wants, limits: Limits) -> None:
        self.contents = Contents()
        self._wants = wants
        self._limits = limits
        self._kept_bytes = 0

    def count(self, path: str, size: int) -> None:
        """Count a member. Raises SourceFailed beyond a limit or for an odd path."""
        self.contents.members += 1
        self.contents.unpacked_bytes += size
        if self.contents.members > self._limits.members:
            _refuse(f"more than {self._limits.members} members")
        if size < 0 or self.contents.unpacked_bytes > self._limits.unpacked_bytes:
            _refuse(f"unpacks to more than {self._limits.unpacked_bytes} bytes")
        if _is_odd(path):
            _refuse(f"a member leaves its folder or hides its name: {path[:100]!r}")

    def check_ratio(self, packed: int) -> None:
        """Raise SourceFailed when so few bytes promise to become what was counted."""
        _check_ratio(self.contents.unpacked_bytes, packed, self._limits)

    def takes(self, path: str, size: int) -> bool:
        """Whether to read this file."""
        if not path or not self._wants(path):
            return False
        is_short = size <= self._limits.file_bytes
        if is_short and self._kept_bytes + size <= self._limits.kept_bytes:
            return True
        self.contents.left_out += 1
        return False

    def keep(self, path: str, data: bytes) -> None:
        """Keep a file; of two with one path the later counts, as in unpacking."""
        self._kept_bytes += len(data)
        self.contents.files[path] = data


async def read_archive(
    name: str, chunks: AsyncIterable[bytes], wants: Wants, limits: Limits | None = None
) -> Contents:
    """The wanted files of `.tgz`, `.tar.gz`, `.zip` or `.whl`, by the name.

    Raises SourceFailed for another kind, a broken one, or one beyond the limits.
    """
    bounds = limits or Limits()
    if name.endswith((".tgz", ".tar.gz")):
        return await read_tar(chunks, wants, bounds)
    if name.endswith((".zip", ".whl")):
        data = await _whole(chunks, bounds)
        has_folder = name.endswith(".zip")
        return await asyncio.to_thread(
            read_zip, data, wants, bounds, has_folder=has_folder
        )
    return _refuse("neither .tgz, .tar.gz, .zip nor .whl")


async def read_tar(
    chunks: AsyncIterable[bytes], wants: Wants, limits: Limits
) -> Contents:
    """The wanted files of a gzipped tar while it arrives, without their first folder.

    Links are left out: what they lead to is another member or none of ours. Raises
    SourceFailed.
    """
    kept = _Kept(wants, limits)
    said: dict[str, str] = {}
    async with aclosing(_inflated(chunks, limits)) as pieces:
        stream = _Unpacked(pieces)
        while (block := await stream.read(BLOCK)).strip(b"\0"):
            header = _header(block)
            if header.type in _EXTENDED:
                said |= await _extension(stream, kept, header)
            else:
                await _member(stream, kept, _told(header, said))
                said = {}
    return kept.contents


def read_zip(
    data: bytes, wants: Wants, limits: Limits, *, has_folder: bool = False
) -> Contents:
    """The wanted files of a zip, without their first folder where it `has_folder`.

    Raises SourceFailed, also for a file that is encrypted or packed in a rare way.
    """
    if data.count(b"PK\1\2") > limits.members:
        _refuse(f"more than {limits.members} members")
    kept = _Kept(wants, limits)
    try:
        with ZipFile(BytesIO(data)) as archive:
            _read_members(archive, kept, has_folder=has_folder)
    except _BROKEN_ZIP as error:
        _refuse(f"broken zip: {error}", error)
    return kept.contents


def _read_members(archive: ZipFile, kept: _Kept, *, has_folder: bool) -> None:
    infos = archive.infolist()
    packed = sum(info.compress_size for info in infos)
    for info in infos:
        kept.count(info.filename, info.file_size)
    kept.check_ratio(packed)
    for info in infos:
        path = _inner(info.filename) if has_folder else _plain(info.filename)
        if _is_readable(info) and kept.takes(path, info.file_size):
            kept.keep(path, archive.read(info))


class _Unpacked:
    """The bytes of a gzip stream, piece by piece."""

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces = pieces
        self._ready = bytearray()

    async def read(self, size: int) -> bytes:
        """Exactly so many bytes; at the end of the stream only zeros are made up."""
        while len(self._ready) < size:
            piece = await anext(self._pieces, b"")
            if not piece and (self._ready or size != BLOCK):
                _refuse("the archive ends in the middle of a file")
            if not piece:
                return bytes(BLOCK)
            self._ready += piece
        data = bytes(self._ready[:size])
        del self._ready[:size]
        return data

    async def skip(self, size: int) -> None:
        """Let so many bytes pass."""
        while size > 0:
            step = min(size, PIECE_BYTES)
            await self.read(step)
            size -= step


async def _inflated(
    chunks: AsyncIterable[bytes], limits: Limits
) -> AsyncGenerator[bytes, None]:
    """What the chunks of a gzip stream unpack to, never more than a piece at once."""
    packed = unpacked = 0
    is_whole = False
    inflater = zlib.decompressobj(wbits=31)
    async for chunk in chunks:
        packed += len(chunk)
        _check_length(packed, limits)
        waiting = chunk
        while waiting:
            try:
                piece = inflater.decompress(waiting, PIECE_BYTES)
            except zlib.error as error:
                _refuse(f"no gzip: {error}", error)
            unpacked += len(piece)
            _check_ratio(unpacked, packed, limits)
            if piece:
                yield piece
            # Unpacking takes the processor; others may have it between two pieces.
            await asyncio.sleep(0)
            waiting = inflater.unconsumed_tail or inflater.unused_data
            is_whole = inflater.eof
            if is_whole:
                inflater = zlib.decompressobj(wbits=31)
    if not is_whole:
        _refuse("it is cut off")


async def _whole(chunks: AsyncIterable[bytes], limits: Limits) -> bytes:
    data = bytearray()
    async for chunk in chunks:
        data += chunk
        _check_length(len(data), limits)
    return bytes(data)


def _check_length(packed: int, limits: Limits) -> None:
    if packed > limits.archive_bytes:
        _refuse(f"longer than {limits.archive_bytes} bytes")


def _check_ratio(unpacked: int, packed: int, limits: Limits) -> None:
    if unpacked > limits.unpacked_bytes:
        _refuse(f"unpacks to more than {limits.unpacked_bytes} bytes")
    if unpacked > max(RATIO_FROM_BYTES, packed * limits.ratio):
        _refuse(f"unpacks to more than {limits.ratio} times its size")


class _Header(NamedTuple):
    path: str
    size: int
    type: int


async def _member(stream: _Unpacked, kept: _Kept, header: _Header) -> None:
    """Keep one member or let it pass."""
    kept.count(header.path, header.size)
    if header.type in _WITHOUT_DATA:
        return
    path = _inner(header.path)
    if header.type in _FILE_TYPES and kept.takes(path, header.size):
        kept.keep(path, await stream.read(header.size))
    else:
        await stream.skip(header.size)
    await stream.skip(-header.size % BLOCK)


async def _extension(stream: _Unpacked, kept: _Kept, header: _Header) -> dict[str, str]:
    """What an extended header says of the next member. Raises SourceFailed."""
    kept.count("", header.size)
    if header.size > PIECE_BYTES:
        _refuse("a header is longer than any path")
    data = await stream.read(header.size)
    await stream.skip(-header.size % BLOCK)
    return _said(header.type, data)


def _header(block: bytes) -> _Header:
    """The fields of a tar header that matter. Raises SourceFailed for a wrong sum."""
    summed = sum(block[:148]) + 8 * ord(" ") + sum(block[156:])
    if summed != _number(block[148:156]):
        _refuse("no tar: the sum of a header is wrong")
    path = _text(block[:100])
    if block[257:262] == b"ustar" and block[345]:
        path = f"{_text(block[345:500])}/{path}"
    return _Header(path, _number(block[124:136]), block[156])


def _number(field: bytes) -> int:
    """An octal number, or a binary one whose first bit is set."""
    if field[0] & 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0")
    if not digits.isdigit() or b"8" in digits or b"9" in digits:
        return 0 if not digits else _refuse("no tar: a number is none")
    return int(digits, 8)


def _said(kind: int, data: bytes) -> dict[str, str]:
    """What an extended header says of the next member: `path` and `size`."""
    if kind == _LONG_NAME:
        return {"path": _text(data)}
    said = {}
    while kind == _PAX and data:
        length, _, _ = data[:20].partition(b" ")
        if not length.isdigit() or not len(length) < int(length) <= len(data):
            _refuse("no tar: an extended header is broken")
        line = data[len(length) + 1 : int(length) - 1]
        key, _, value = line.decode("utf-8", "replace").partition("=")
        if key in {"path", "size"}:
            said[key] = value
        data = data[int(length) :]
    return said


def _told(header: _Header, said: dict[str, str]) -> _Header:
    """The header with what was said of it before. Raises SourceFailed."""
    size = said.get("size", str(header.size))
    if not (size.isascii() and size.isdigit() and len(size) < 20):
        _refuse("no tar: an extended header is broken")
    return _Header(said.get("path", header.path), int(size), header.type)


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "replace")


def _is_readable(info: ZipInfo) -> bool:
    """Whether it is a plain file: no link, no folder, not encrypted, deflated."""
    mode = info.external_attr >> 16
    is_file = not info.is_dir() and stat.S_IFMT(mode) in {0, stat.S_IFREG}
    is_plain = info.compress_type in {ZIP_DEFLATED, ZIP_STORED}
    return is_file and is_plain and not info.flag_bits & 0x1


def _is_odd(path: str) -> bool:
    """Whether a path would leave its folder, or reads otherwise than it looks."""
    parts = path.split("/")
    is_hidden = "\\" in path or len(path) > LONGEST_PATH
    if not path.isprintable():
        is_hidden = is_hidden or any(category(sign)[0] == "C" for sign in path)
    return is_hidden or ".." in parts or path[:1] == "/" or ":" in parts[0]


def _plain(path: str) -> str:
    return "/".join(part for part in path.split("/") if part not in {"", "."})


def _inner(path: str) -> str:
    """The path below the first folder."""
    return _plain(path).partition("/")[2]


def _refuse(why: str, cause: BaseException | None = None) -> NoReturn:
    message = f"the archive is refused: {why}"
    raise SourceFailed(message, reason="bad_answer") from cause
