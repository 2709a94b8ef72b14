"""One entry of a registry list: a server.json with what the registry says about it.

An entry is `{"server": {…}, "_meta": {…}}` or a bare server.json. It is stored whatever
the schema finds; what is found stays beside it. It cannot be stored when it is no JSON
object, or has no name or no version of 1 to 1024 bytes of plain text. Anywhere else a
NUL character is removed and half a surrogate pair becomes U+FFFD, because PostgreSQL
refuses both in text; that is noted among the findings.
"""

import json
import re
from hashlib import sha256
from typing import Any, cast

import msgspec

from service.models_publish import Finding
from service.reading import Piece
from service.serverjson import check_schemas
from service.shape import path_text
from service.times import now_text, utc_text
from service.versions import precedence

OFFICIAL = "io.modelcontextprotocol.registry/official"
STATUSES = ("active", "deprecated", "deleted")
LONGEST_KEY_BYTES = 1024

_ODD_ESCAPE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_ODD_TEXT = re.compile("[\0\ud800-\udfff]")
_NOTHING = re.compile(r"[\s\0-\x1f\x7f]*")

Object = dict[str, Any]
Path = tuple[str | int, ...]


class Rejected(msgspec.Struct, frozen=True):
    """An entry that cannot be stored, and why."""

    number: int
    reason: str
    raw: bytes


class Entry(msgspec.Struct, frozen=True):
    """One version of a server, ready to be stored. Times are in the catalog's form."""

    number: int
    name: str
    version: str
    document: Object
    meta: Object
    text: str
    """The server.json as it was sent, without the blanks between its tokens."""
    status: str
    status_message: str | None
    published_at: str
    updated_at: str | None
    """When the source says it was changed; None when it does not say."""
    status_changed_at: str
    problems: tuple[Finding, ...]

    @property
    def precedence(self) -> str:
        """Sorts the versions of one server; the latest is last."""
        return precedence(self.version, self.published_at)

    @property
    def content_hash(self) -> bytes:
        """SHA-256 of the text."""
        return sha256(self.text.encode()).digest()


class _Item(msgspec.Struct):
    server: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    meta: msgspec.Raw = msgspec.field(default=msgspec.Raw(b"{}"), name="_meta")


class _Unfit(Exception):
    """The entry cannot be stored."""


_ITEM = msgspec.json.Decoder(_Item)


def read_entry(piece: Piece) -> Entry | Rejected:
    """The entry of a JSON text, or why it cannot be stored."""
    if piece.fault:
        return Rejected(piece.number, piece.fault, piece.text)
    try:
        return _entry(piece)
    except _Unfit as error:
        reason = str(error)
    except RecursionError:
        reason = "nested too deeply"
    except UnicodeError:
        reason = "not valid UTF-8"
    except (msgspec.DecodeError, ValueError) as error:
        reason = f"not valid JSON: {error}"
    return Rejected(piece.number, reason, piece.text)


def _entry(piece: Piece) -> Entry:
    text, mended = _mended(piece.text)
    item = _item(text)
    is_bare = isinstance(item.server, msgspec.UnsetType)
    server = text if is_bare else bytes(cast("msgspec.Raw", item.server))
    document = _object(server, "server")
    if not is_bare:
        mended = [path[1:] for path in mended if path[0] == "server"]
    name = _key(document, "name", mended)
    version = _key(document, "version", mended)
    meta = msgspec.json.decode(item.meta)
    meta = meta if isinstance(meta, dict) else {}
    official, notes = _official(meta.get(OFFICIAL))
    return Entry(
        number=piece.number,
        name=name,
        version=version,
        document=document,
        meta=meta,
        text=msgspec.json.format(server, indent=-1).decode(),
        problems=(*check_schemas(document), *map(_mended_note, mended), *notes),
        **official,
    )


def _item(text: bytes) -> _Item:
    try:
        return _ITEM.decode(text)
    except msgspec.ValidationError as error:
        message = "no JSON object"
        raise _Unfit(message) from error


def _object(text: bytes, what: str) -> Object:
    value = msgspec.json.decode(text)
    if not isinstance(value, dict):
        message = f"`{what}` is no JSON object"
        raise _Unfit(message)
    return value


def _key(document: Object, key: str, mended: list[Path]) -> str:
    """The name or the version, which are what an entry is stored under."""
    value = document.get(key)
    if not isinstance(value, str):
        message = f"`{key}` is missing" if value is None else f"`{key}` is no text"
        raise _Unfit(message)
    if (key,) in mended:
        message = f"`{key}` holds a NUL character or half a surrogate pair"
        raise _Unfit(message)
    if _NOTHING.fullmatch(value):
        message = f"`{key}` is blank"
        raise _Unfit(message)
    if len(value.encode()) > LONGEST_KEY_BYTES:
        message = f"`{key}` is longer than {LONGEST_KEY_BYTES} bytes"
        raise _Unfit(message)
    return value


def _official(block: object) -> tuple[Object, list[Finding]]:
    """What the registry says of the entry; what cannot be understood is left out."""
    said = block if isinstance(block, dict) else {}
    notes = []
    times = {}
    for key in ("publishedAt", "updatedAt", "statusChangedAt"):
        times[key] = utc_text(said.get(key))
        if times[key] is None and said.get(key) is not None:
            notes.append(_note(key, "is no time; left out"))
    status = said.get("status", "active")
    if status not in STATUSES:
        notes.append(_note("status", f"must be one of {', '.join(STATUSES)}"))
        status = "active"
    message = said.get("statusMessage")
    updated_at = times["updatedAt"] or times["publishedAt"]
    published_at = times["publishedAt"] or updated_at or now_text()
    official = {
        "status": status,
        "status_message": message if isinstance(message, str) else None,
        "published_at": published_at,
        "updated_at": updated_at,
        "status_changed_at": max(times["statusChangedAt"] or "", published_at),
    }
    return official, notes


def _note(key: str, message: str) -> Finding:
    path = f"_meta.{OFFICIAL}.{key}"
    return Finding("semantic", path, message, "warning", "official-meta")


def _mended_note(path: Path) -> Finding:
    message = "held a NUL character or half a surrogate pair; mended"
    return Finding("json", path_text(path), message, "warning", "plain-text")


def _mended(text: bytes) -> tuple[bytes, list[Path]]:
    """The text without characters that PostgreSQL refuses, and where they were."""
    if not _ODD_ESCAPE.search(text):
        return text, []
    paths: list[Path] = []
    value = _plain(json.loads(text), (), paths)
    if not paths:
        return text, []
    return json.dumps(value, ensure_ascii=False).encode(), paths


def _plain(value: object, path: Path, paths: list[Path]) -> object:
    if isinstance(value, list):
        return [_plain(item, (*path, at), paths) for at, item in enumerate(value)]
    if isinstance(value, dict):
        return {
            _plain(key, path, paths): _plain(item, (*path, _shown(key)), paths)
            for key, item in value.items()
        }
    if not isinstance(value, str) or not _ODD_TEXT.search(value):
        return value
    paths.append(path)
    return _shown(value)


def _shown(text: str) -> str:
    return _ODD_TEXT.sub("\ufffd", text.replace("\0", ""))
