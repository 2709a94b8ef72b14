"""Reads a registry list as a stream of JSON texts, one an entry.

Understood, with or without a byte order mark: a JSON array; an object with a list
`servers` (what stands beside it is skipped); any other object as one entry; several of
these one after another; JSON lines, where a broken line costs only itself. Where an
array breaks off, what came before is given. Only the current entry is in memory; one
that is longer than 16 MiB ends the reading.
"""

import re
from collections.abc import Iterable, Iterator

import msgspec

from service.errors import RefusedFile
from service.files import Broken

ENTRY_LIMIT_BYTES = 1 << 24
_HEAD_BYTES = 1 << 16
_KEY_BYTES = 200

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_BLANKS = re.compile(rb"[ \t\r\n]*+")
_STRING = rb'"(?:[^"\\]++|\\.)*+"'
# The next bracket outside of strings; no match while a string is still open.
_BRACKET = re.compile(rb'(?:[^"{}\[\]]++|' + _STRING + rb")*+[{}\[\]]", re.DOTALL)
_SCALAR = re.compile(_STRING + rb'|[^\s,"{}\[\]]++', re.DOTALL)
_SERVERS = re.compile(rb'(?<!\\)"servers"\s*+:\s*+\[$')
# Where an object of a list may end, if this is not inside a string.
_PERHAPS_END = re.compile(rb"\}[ \t\r\n]*+(?=,[ \t\r\n]*+\{|\])")
_VALUE = msgspec.json.Decoder(msgspec.Raw)


class Piece(msgspec.Struct, frozen=True):
    """The JSON text of one entry, or the reason why there is none."""

    number: int
    text: bytes
    fault: str = ""


def pieces(chunks: Iterable[bytes]) -> Iterator[Piece]:
    """The entries of a text, numbered from 1; the last one may be a fault.

    Raises RefusedFile for what is no JSON at all.
    """
    text = _Text(iter(chunks))
    head = text.head()
    if head and head[:1] not in (b"{", b"["):
        message = "neither JSON nor JSON lines: it begins with no { or ["
        raise RefusedFile(message)
    try:
        yield from _lines(text) if _has_lines(head) else _values(text)
    except Broken as error:
        text.fault = text.fault or str(error)
    if text.fault:
        fault = f"broken at byte {text.offset}: {text.fault}"
        yield Piece(text.count + 1, text.head(), fault)


class _Text:
    """A window on the text, from the current place on."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._before = 0
        self.window = b""
        self.at = 0
        self.count = 0
        self.fault = ""

    @property
    def offset(self) -> int:
        """The number of bytes before the current place."""
        return self._before + self.at

    def fill(self) -> bool:
        """Drop what was read and add a chunk; False at the end."""
        if len(self.window) - self.at > ENTRY_LIMIT_BYTES:
            message = f"entry {self.count + 1} is longer than {ENTRY_LIMIT_BYTES} bytes"
            raise Broken(message)
        chunk = self._next_chunk()
        self._before += self.at
        self.window = self.window[self.at :] + chunk
        self.at = 0
        return bool(chunk)

    def head(self) -> bytes:
        """The first bytes from here that are not blank."""
        if self._before == self.at == 0:
            self._skip_mark()
        self.next_byte()
        while len(self.window) - self.at < _HEAD_BYTES and self.fill():
            pass
        return self.window[self.at : self.at + _HEAD_BYTES]

    def next_byte(self) -> bytes:
        """Step over blanks; gives the byte behind them, empty at the end."""
        while True:
            match = _BLANKS.match(self.window, self.at)
            self.at = match.end() if match else self.at
            if self.at < len(self.window):
                return self.window[self.at : self.at + 1]
            if not self.fill():
                return b""

    def next_bracket(self, start: int) -> int:
        """The place behind the next bracket, seen from the current place."""
        while True:
            match = _BRACKET.match(self.window, self.at + start)
            if match:
                return match.end() - self.at
            if not self.fill():
                message = f"it ends inside entry {self.count + 1}"
                raise Broken(message)

    def take(self, length: int) -> Piece:
        """The next `length` bytes as an entry; steps over them."""
        piece = self.window[self.at : self.at + length]
        self.at += length
        self.count += 1
        return Piece(self.count, piece)

    def _next_chunk(self) -> bytes:
        try:
            return next(self._chunks, b"")
        except Broken as error:
            self.fault = str(error)
            return b""

    def _skip_mark(self) -> None:
        while len(self.window) < len(_BYTE_ORDER_MARK) and self.fill():
            pass
        if self.window.startswith(_BYTE_ORDER_MARK):
            self.at = len(_BYTE_ORDER_MARK)


def _has_lines(head: bytes) -> bool:
    """Whether each line is an entry: the first is whole, or the second begins one."""
    line, newline, rest = head.partition(b"\n")
    line = line.rstrip()
    if not head.startswith(b"{") or not newline:
        return False
    if line.endswith(b"}"):
        return _is_value(line) or rest.lstrip().startswith(b"{")
    return rest.lstrip().startswith(b"{") and not line.endswith(
        (b"[", b"{", b",", b":")
    )


def _is_value(text: bytes) -> bool:
    """Whether this is one whole JSON value."""
    try:
        _VALUE.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _lines(text: _Text) -> Iterator[Piece]:
    """One entry a line; a line may also be a page with a list `servers`."""
    while text.next_byte():
        length = _line_length(text)
        line = text.window[text.at : text.at + length]
        if b'"servers"' not in line or not line.startswith(b"{"):
            yield text.take(length)
            continue
        text.at += length
        for piece in pieces([line]):
            text.count += 1
            yield Piece(text.count, piece.text, piece.fault)


def _line_length(text: _Text) -> int:
    searched = 0
    while True:
        end = text.window.find(b"\n", text.at + searched)
        if end >= 0:
            return end - text.at
        searched = len(text.window) - text.at
        if not text.fill():
            return searched


def _values(text: _Text) -> Iterator[Piece]:
    """Arrays and objects one after another."""
    while first := text.next_byte():
        if first == b"[":
            text.at += 1
            yield from _items(text)
        elif first == b"{":
            yield from _object(text)
        else:
            message = f"expected {{ or [ after entry {text.count}"
            raise Broken(message)


def _object(text: _Text) -> Iterator[Piece]:
    """The items of the list `servers` of an object, or the object itself."""
    depth = end = 0
    is_page = False
    while True:
        end = text.next_bracket(end)
        bracket = text.window[text.at + end - 1]
        if depth == 1 and _opens_servers(text, end):
            is_page = True
            text.at += end
            end = 0
            yield from _items(text)
            continue
        depth += 1 if bracket in b"{[" else -1
        if depth == 0:
            break
        if is_page:
            text.at += end
            end = 0
    if is_page:
        text.at += end
    else:
        yield text.take(end)


def _opens_servers(text: _Text, end: int) -> bool:
    before = text.window[max(text.at, text.at + end - _KEY_BYTES) : text.at + end]
    return _SERVERS.search(before) is not None


def _items(text: _Text) -> Iterator[Piece]:
    """The items of an array, from behind its first bracket to behind its last."""
    separator = text.next_byte()
    if separator == b"]":
        text.at += 1
        return
    while True:
        yield text.take(_item_length(text))
        separator = text.next_byte()
        text.at += 1
        if separator == b"]":
            return
        if separator != b",":
            text.at -= len(separator) or 1
            message = f"expected , or ] after entry {text.count}"
            raise Broken(message)


def _item_length(text: _Text) -> int:
    first = text.next_byte()
    if first == b"{":
        return _likely_length(text) or _exact_length(text)
    if first == b"[":
        return _exact_length(text)
    return _scalar_length(text)


def _likely_length(text: _Text) -> int:
    """Four times as fast as the exact way, and checked; 0 when it does not work out.

    Counts braces without regard to strings. Whatever text is a whole value is the item,
    because no value begins with another one.
    """
    depth = searched = 0
    while True:
        match = _PERHAPS_END.search(text.window, text.at + searched)
        if match is None:
            if not text.fill():
                return 0
            depth = searched = 0
            continue
        start, end = text.at + searched, match.start() + 1
        depth += text.window.count(b"{", start, end)
        depth -= text.window.count(b"}", start, end)
        searched = end - text.at
        if depth <= 0:
            return searched if _is_value(text.window[text.at : end]) else 0


def _exact_length(text: _Text) -> int:
    depth = end = 0
    while True:
        end = text.next_bracket(end)
        depth += 1 if text.window[text.at + end - 1] in b"{[" else -1
        if depth == 0:
            return end


def _scalar_length(text: _Text) -> int:
    while True:
        match = _SCALAR.match(text.window, text.at)
        if match and match.end() < len(text.window):
            return match.end() - text.at
        if not text.fill():
            message = f"expected a value after entry {text.count}"
            raise Broken(message)
