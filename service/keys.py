"""API keys: made, listed, revoked, and checked at every request that brings one.

A key is `mcps_<prefix>_<secret>`. The prefix finds it and may be shown; of the secret
only the SHA-256 is stored, which is enough because it is random and long.
"""

import asyncio
import hmac
import math
import re
import secrets
import time
from base64 import b32encode
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import msgspec
import structlog

from service.errors import InvalidInput, McpsError, NotFound, Unauthorized
from service.models import Role
from service.models_admin import KeyEntry, NewKey
from service.settings import DEVELOPMENT_KEY, Settings
from service.store.base import Row, Store
from service.times import utc_text

log = structlog.get_logger("keys")

CACHE_S = 4.0
CACHED = 4096
USE_NOTED_EVERY_S = 60.0
# Longer than a look-up takes: how much the database had to do then does not show.
REFUSAL_S = 0.002
LONGEST_KEY = 512
WRONG_KEY = "this API key is unknown, revoked or expired"
_PREFIX_BYTES = 6
_SECRET_BYTES = 32
_FORM = re.compile(rb"mcps_([a-z2-7]{8,32})_([A-Za-z0-9-]{32,128})\Z")
_PREFIX = re.compile(r"(?:mcps_)?([a-z2-7]{8,32})\Z")
_DURATION = re.compile(r"([1-9][0-9]{0,4})([hdw])\Z")
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}
_NO_HASH = bytes(32)
_RANKS: dict[Role, int] = {"reader": 1, "editor": 2, "admin": 3}


def allows(role: Role, wanted: Role) -> bool:
    """Whether a role may do what another one may."""
    return _RANKS[role] >= _RANKS[wanted]


async def create_key(
    store: Store, *, name: str, role: Role, expires: str = ""
) -> NewKey:
    """Make a key; `expires` is a time or how long it lasts (90d, 12h), or nothing.

    Raises InvalidInput for a name or an end that cannot be.
    """
    if not 1 <= len(name) <= 256 or not name.isprintable():
        place, message = "name", "expected 1 to 256 printable characters"
        raise InvalidInput.at(place, message)
    expires_at = end_of(expires, datetime.now(UTC)) if expires else None
    prefix, secret = _random(_PREFIX_BYTES), _random(_SECRET_BYTES)
    row = await store.row(
        "key_put",
        prefix=prefix,
        secret_hash=sha256(secret.encode()).digest(),
        role=role,
        name=name,
        expires_at=expires_at,
    )
    created_at = row["created_at"] if row else ""
    return NewKey(
        key=f"mcps_{prefix}_{secret}",
        prefix=prefix,
        role=role,
        name=name,
        created_at=created_at,
        expires_at=expires_at,
    )


async def list_keys(store: Store) -> Sequence[KeyEntry]:
    """Every key without its secret, the newest first."""
    rows = await store.rows("key_list")
    fields = KeyEntry.__struct_fields__
    return [KeyEntry(**{field: row[field] for field in fields}) for row in rows]


async def revoke_key(store: Store, prefix: str) -> str:
    """Take a key out of use, by its prefix or as a whole; gives its name.

    Raises NotFound.
    """
    match = _PREFIX.match("_".join(prefix.strip().split("_")[:2]))
    row = await store.row("key_revoke", prefix=match.group(1)) if match else None
    if row is None:
        message = "there is no key with this prefix; `mcps keys list` shows them all"
        raise NotFound(message)
    found: str = row["name"]
    return found


def prefix_of(key: bytes) -> str:
    """What of a key may be shown; nothing of one that is none of ours."""
    match = _FORM.match(key)
    return match.group(1).decode() if match else "of the settings"


def end_of(text: str, now: datetime) -> str:
    """The end of a key as UTC text. Raises InvalidInput unless it lies ahead."""
    place = "expires"
    try:
        if match := _DURATION.match(text.strip()):
            lasts = timedelta(**{_UNITS[match.group(2)]: int(match.group(1))})
            end = utc_text((now + lasts).isoformat())
        else:
            end = utc_text(text)
    except OverflowError:
        end = None
    if end is None:
        message = "expected 90d, 12h, 4w, or a date such as 2031-01-31"
        raise InvalidInput.at(place, message)
    if datetime.fromisoformat(end) <= now:
        message = "lies in the past"
        raise InvalidInput.at(place, message)
    return end


class Found(msgspec.Struct, frozen=True):
    """What the database said about a key; without a role it is not valid."""

    id: int
    role: Role | None
    until: float


class KeyRing:
    """The keys of one process: each is looked up once in `CACHE_S`, valid or not."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        fixed = [settings.admin_api_key]
        if settings.environment == "development":
            fixed.append(DEVELOPMENT_KEY)
        self._fixed = [sha256(key.encode()).digest() for key in fixed if key]
        self._valid: dict[bytes, Found] = {}
        self._invalid: dict[bytes, Found] = {}
        self._asking: dict[bytes, asyncio.Task[Found]] = {}
        self._noted: dict[int, float] = {}
        self._notes: set[asyncio.Task[None]] = set()

    async def role(self, key: bytes) -> Role:
        """The role of a key.

        Raises Unauthorized for one that is not valid, Unavailable when the database
        would have to say and cannot.
        """
        digest = sha256(key).digest()
        if self._is_fixed(digest):
            return "admin"
        found = self._valid.get(digest) or self._invalid.get(digest)
        if found is None or found.until <= time.monotonic():
            found = await self._ask(digest, key)
        if found.role is None:
            raise Unauthorized(WRONG_KEY)
        self._note_use(found.id)
        return found.role

    async def close(self) -> None:
        """Let the notes that are on their way arrive."""
        if self._notes:
            await asyncio.wait(self._notes, timeout=1)

    def _is_fixed(self, digest: bytes) -> bool:
        same = [hmac.compare_digest(known, digest) for known in self._fixed]
        return any(same)

    async def _ask(self, digest: bytes, key: bytes) -> Found:
        match = _FORM.match(key) if len(key) <= LONGEST_KEY else None
        if match is None:
            raise Unauthorized(WRONG_KEY)
        task = self._asking.get(digest)
        if task is None:
            task = asyncio.create_task(self._look_up(digest, *match.groups()))
            self._asking[digest] = task
            task.add_done_callback(lambda done: self._answered(digest, done))
        # Shielded: who goes away must not take the answer from the others who wait.
        return await asyncio.shield(task)

    def _answered(self, digest: bytes, task: "asyncio.Task[Found]") -> None:
        del self._asking[digest]
        if not task.cancelled():
            # Taken note of, in case that everybody who waited has gone away.
            task.exception()

    async def _look_up(self, digest: bytes, prefix: bytes, secret: bytes) -> Found:
        asked_at = time.monotonic()
        row = await self._store.row("key_get", prefix=prefix.decode())
        found = _judged(row, sha256(secret).digest(), asked_at)
        self._valid.pop(digest, None)
        self._invalid.pop(digest, None)
        keep = self._invalid if found.role is None else self._valid
        if len(keep) >= CACHED:
            del keep[next(iter(keep))]
        keep[digest] = found
        if found.role is None:
            await asyncio.sleep(asked_at + REFUSAL_S - time.monotonic())
        return found

    def _note_use(self, key_id: int) -> None:
        now = time.monotonic()
        if now - self._noted.get(key_id, -math.inf) < USE_NOTED_EVERY_S:
            return
        self._noted[key_id] = now
        note = asyncio.create_task(self._write_use(key_id))
        self._notes.add(note)
        note.add_done_callback(self._notes.discard)

    async def _write_use(self, key_id: int) -> None:
        try:
            await self._store.run("key_use", id=key_id)
        except McpsError as error:
            log.warning("use of a key not noted", key_id=key_id, code=error.code)


def _judged(row: Row | None, hashed: bytes, asked_at: float) -> Found:
    """The verdict; an unknown prefix is compared too, so that it takes as long."""
    stored = row["secret_hash"] if row else None
    is_same = hmac.compare_digest(stored or _NO_HASH, hashed)
    remaining_s = row["remaining_s"] if row else None
    lasts_s = math.inf if remaining_s is None else remaining_s
    until = asked_at + min(CACHE_S, max(0.0, lasts_s))
    if row is None or stored is None or not is_same or row["is_revoked"]:
        return Found(0, None, asked_at + CACHE_S)
    if lasts_s <= 0:
        return Found(0, None, asked_at + CACHE_S)
    return Found(row["id"], row["role"], until)


def _random(size: int) -> str:
    return b32encode(secrets.token_bytes(size)).decode().rstrip("=").lower()
