"""Asking a PostgreSQL server whether it takes connections, without a driver."""

import socket
import struct
from collections.abc import Iterator
from pathlib import Path

READY = ""
STARTING = "57P03"
NO_DATABASE = "3D000"
_PROTOCOL = 3 << 16
_HEADER = struct.Struct("!cI")


def probe(
    address: Path | tuple[str, int], user: str, database: str, limit_s: float = 1.0
) -> str | None:
    """READY, the SQLSTATE of the refusal, or None when nothing answers in time."""
    family = socket.AF_UNIX if isinstance(address, Path) else socket.AF_INET
    target = str(address) if isinstance(address, Path) else address
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.settimeout(limit_s)
        try:
            connection.connect(target)
            connection.sendall(_startup(user, database))
            return _verdict(connection)
        except OSError:
            return None


def _startup(user: str, database: str) -> bytes:
    words = ("user", user, "database", database, "application_name", "mcps probe")
    body = b"".join(word.encode() + b"\0" for word in words) + b"\0"
    return struct.pack("!II", len(body) + 8, _PROTOCOL) + body


def _verdict(connection: socket.socket) -> str | None:
    for kind, body in _messages(connection):
        if kind == b"E":
            fields = {part[:1]: part[1:] for part in body.split(b"\0")}
            return fields.get(b"C", b"XX000").decode()
        # A server that wants a password is up as well.
        if kind == b"Z" or (kind == b"R" and body[:4] != b"\0\0\0\0"):
            connection.sendall(_HEADER.pack(b"X", 4))
            return READY
    return None


def _messages(connection: socket.socket) -> Iterator[tuple[bytes, bytes]]:
    with connection.makefile("rb") as stream:
        while len(header := stream.read(_HEADER.size)) == _HEADER.size:
            kind, length = _HEADER.unpack(header)
            yield kind, stream.read(length - 4)
