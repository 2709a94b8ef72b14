"""Whole answers kept in memory: bounded in bytes, the longest unused go first."""

import time
from collections import OrderedDict
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from service import metrics
from service.web.answers import Header
from service.web.packing import IDENTITY
from service.web.probes import VERSION

Key = tuple[bytes, bytes]
"""Path and query string, as they were sent."""

# What an answer takes beside its bytes: headers, objects, its place in the order.
OVERHEAD_BYTES = 2000
_VARY = (b"vary", b"Accept-Encoding")
# Another release may answer something else at the same serial.
_RELEASE = VERSION.encode()
# Headers that are another for every encoding, or made anew.
_OF_FORM = frozenset({b"etag", b"content-length", b"x-mcps-serial"})
# Headers that belong to a body.
OF_BODY = frozenset({b"content-type", b"content-length", b"content-encoding"})


class Form(NamedTuple):
    """An answer in one content encoding."""

    body: bytes
    tag: bytes
    """The strong validator; that of another encoding is another one."""
    headers: list[Header]


class Kept:
    """One answer with all it takes to send it again."""

    __slots__ = ("forms", "headers", "key", "route", "serial", "sure_at", "tag")

    def __init__(
        self, key: Key, serial: int, route: str, headers: list[Header], body: bytes
    ) -> None:
        """`headers` are those of the handler; a validator among them stays."""
        self.key = key
        self.serial = serial
        """The catalog changed this often before it was made, or more often."""
        self.route = route
        self.sure_at = time.perf_counter()
        """When it was last known to be what the database would answer."""
        self.headers = [header for header in headers if header[0] not in _OF_FORM]
        self.headers += ((b"x-mcps-serial", b"%d" % serial), _VARY)
        given = next((value for name, value in headers if name == b"etag"), b"")
        self.tag = given or tag_of(key, serial)
        self.forms = {IDENTITY: self._form(IDENTITY, body)}

    @property
    def size_bytes(self) -> int:
        """What it takes of the bound."""
        bodies = sum(len(form.body) for form in self.forms.values())
        return bodies + OVERHEAD_BYTES

    def put(self, encoding: bytes, body: bytes) -> Form:
        """Keep the body in one more encoding."""
        form = self.forms[encoding] = self._form(encoding, body)
        return form

    def _form(self, encoding: bytes, body: bytes) -> Form:
        tag = tag_in(self.tag, encoding)
        length = b"%d" % len(body)
        headers = [*self.headers, (b"etag", tag), (b"content-length", length)]
        if encoding:
            headers.append((b"content-encoding", encoding))
        return Form(body, tag, headers)


class Cache:
    """The answers of one process."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._kept: OrderedDict[Key, Kept] = OrderedDict()
        self._size_bytes = 0

    def get(self, key: Key) -> Kept | None:
        """The answer to a request, if it is there."""
        kept = self._kept.get(key)
        if kept is not None:
            self._kept.move_to_end(key)
        return kept

    def put(self, kept: Kept) -> None:
        """Keep an answer unless it would push out most others."""
        self.drop(kept.key)
        if kept.size_bytes > self._max_bytes // 8:
            return
        self._kept[kept.key] = kept
        self._grow(kept.size_bytes)

    def pack(self, kept: Kept, encoding: bytes, body: bytes) -> Form:
        """Keep one more encoding of an answer."""
        before = kept.size_bytes
        form = kept.put(encoding, body)
        if self._kept.get(kept.key) is kept:
            self._grow(kept.size_bytes - before)
        return form

    def drop(self, key: Key) -> None:
        """Forget one answer."""
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._grow(-kept.size_bytes)

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()
        self._grow(-self._size_bytes)

    def _grow(self, size_bytes: int) -> None:
        self._size_bytes += size_bytes
        while self._size_bytes > self._max_bytes:
            _, oldest = self._kept.popitem(last=False)
            self._size_bytes -= oldest.size_bytes
        metrics.CACHE_BYTES.set(self._size_bytes)


def tag_of(key: Key, serial: int) -> bytes:
    """The validator of what a request gets at a serial from this release."""
    return b'"%d-%b"' % (serial, _digest(_RELEASE, *key))


def tag_in(tag: bytes, encoding: bytes) -> bytes:
    """The validator of the same answer in another content encoding."""
    return b'%b-%b"' % (tag[:-1], encoding) if encoding else tag


@lru_cache(maxsize=4096)
def _digest(release: bytes, path: bytes, query: bytes) -> bytes:
    whole = b"%b %b?%b" % (release, path, query)
    return blake2b(whole, digest_size=8).hexdigest().encode()
