"""Any server of the standard registry API, read whole once and then by what changed.

Another MCPS has a feed of its changes, which is exact: it is followed from where it was
left. Of all others the list is read with `updated_since`, from ten minutes before the
last reading began, because rows become visible later than their time says. Time and
order of a list say nothing certain, so now and then everything is read again: only that
finds documents that were rewritten in silence, and versions that vanished.
"""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode

import msgspec
from msgspec import UNSET, UnsetType

from service.errors import SourceFailed
from service.models_harvest import Checkpoint, Gone, Order, Page, SourceName
from service.models_registry import Position
from service.sources.fetch import Fetcher
from service.sources.requests import Answer, failure

PAGE_ENTRIES = 100
OVERLAP = timedelta(minutes=10)
MOST_ENTRIES = 2_000_000
MOST_STALE_PAGES = 3
PREFIXES = ("v0.1", "v0")
BEGINNING = "0"
FEED = "v0.1/x/io.mcps/changes"
_ENDINGS = tuple(f"/{prefix}{end}" for prefix in PREFIXES for end in ("/servers", ""))


class _List(msgspec.Struct):
    """A page of the list."""

    servers: list[msgspec.Raw] | None
    metadata: Any = None

    @property
    def items(self) -> list[bytes]:
        """The entries; some servers write null for none."""
        return [bytes(raw) for raw in self.servers or ()]

    @property
    def next_cursor(self) -> str:
        """Where the next page begins; empty at the end."""
        said = self.metadata if isinstance(self.metadata, dict) else {}
        cursor = said.get("nextCursor") or said.get("next_cursor")
        return cursor if isinstance(cursor, str) else ""


class _Change(msgspec.Struct):
    """A line of the feed."""

    kind: str
    name: str | None = None
    version: str | UnsetType = UNSET
    deleted: bool = False
    item: msgspec.Raw | UnsetType = UNSET


class _Feed(msgspec.Struct):
    """A page of the feed."""

    changes: list[_Change]
    next: Position
    serial: int


class _Place(msgspec.Struct, omit_defaults=True):
    """Where a reading of a registry stands, as its checkpoint."""

    prefix: str = ""
    feed: str = ""
    """Where to read on in the feed; empty for a registry without one."""
    cursor: str = ""
    """The next page of a list that is being read."""
    since: str = ""
    """The `updated_since` of that list; empty while everything is read."""
    began_at: str = ""
    """When the reading began that is not at its end yet."""
    read_at: str = ""
    """When the last reading of everything began that came to its end."""

    def checkpoint(self) -> Checkpoint:
        """This place as it is stored."""
        checkpoint: Checkpoint = msgspec.to_builtins(self)
        return checkpoint


class RegistrySource:
    """Registries; `base_url` is the one that is meant without a target."""

    name: SourceName = "registry"

    def __init__(
        self,
        fetcher: Fetcher,
        *,
        base_url: str,
        api_key: str = "",
        full_every_s: float = 86_400.0,
    ) -> None:
        self._fetcher = fetcher
        self._full_every_s = full_every_s
        self._keys = {_base(base_url): {"X-API-Key": api_key}} if api_key else {}

    def target_of(self, text: str) -> str | None:
        """The base of a registry's URLs, without `/v0.1/servers`."""
        base = _base(text)
        return base if base.startswith(("https://", "http://")) else None

    async def harvest(self, order: Order) -> AsyncIterator[Page]:
        """Pages of entries. Raises SourceFailed."""
        if order.since is not UNSET:
            async for page in self._read_since(order.target, order.since):
                yield page
            return
        place = _place_of(order.checkpoint)
        if not place.began_at and _is_older(place.read_at, self._full_every_s):
            place = _Place(
                prefix=place.prefix, feed=await self._find_feed(order.target)
            )
        pages = self._follow if place.feed else self._read
        async for page in pages(order.target, place):
            yield page

    async def _find_feed(self, base: str) -> str:
        """Where the feed of another MCPS begins; empty where there is none."""
        answer = await self._get(base, FEED, {"limit": "1"})
        try:
            answer.json(_Feed)
        except SourceFailed:
            # A 404, or a server that answers every path with something else.
            return ""
        return BEGINNING

    async def _follow(self, base: str, place: _Place) -> AsyncIterator[Page]:
        """The feed from a place on, to its present end."""
        is_whole = place.feed == BEGINNING
        while True:
            query = {"since": place.feed, "limit": str(PAGE_ENTRIES)}
            answer = await self._get(base, FEED, query)
            feed = answer.json(_Feed)
            if feed.serial < _serial(place.feed):
                # That catalog was put back to an older state.
                place, is_whole = _Place(feed=BEGINNING), True
                continue
            is_last = len(feed.changes) < PAGE_ENTRIES
            if not is_last and feed.next == place.feed:
                raise failure(base, "its change feed does not go on", "bad_answer")
            if place.feed == BEGINNING:
                place.began_at = _sent_at(answer)
            place.feed = feed.next
            if is_last and place.began_at:
                place.read_at, place.began_at = place.began_at, ""
            yield Page(
                entries=[bytes(c.item) for c in feed.changes if c.item is not UNSET],
                gone=[gone for gone in map(_gone, feed.changes) if gone],
                checkpoint=place.checkpoint(),
                is_complete=is_last and is_whole,
            )
            if is_last:
                return

    async def _read(self, base: str, place: _Place) -> AsyncIterator[Page]:
        """The list, from its beginning or from where a reading was cut short."""
        is_whole = not place.cursor and not place.since
        circle = _Circle(base)
        while True:
            answer = await self._get_page(base, place)
            found = answer.json(_List)
            circle.check(found)
            place.began_at = place.began_at or _sent_at(answer)
            place.cursor = found.next_cursor
            is_last = not place.cursor
            if is_last:
                place.read_at = place.read_at if place.since else place.began_at
                place.since = _minus(place.began_at, OVERLAP)
                place.began_at = ""
            yield Page(
                entries=found.items,
                checkpoint=place.checkpoint(),
                is_complete=is_last and is_whole,
            )
            if is_last:
                return

    async def _read_since(self, base: str, since: str) -> AsyncIterator[Page]:
        """What changed since a time that was asked for by hand."""
        async for page in self._read(base, _Place(since=since)):
            yield msgspec.structs.replace(page, checkpoint=UNSET)

    async def _get_page(self, base: str, place: _Place) -> Answer:
        query = {"limit": str(PAGE_ENTRIES), "include_deleted": "true"}
        if place.since:
            query["updated_since"] = place.since
        if place.cursor:
            query["cursor"] = place.cursor
        for prefix in [place.prefix] if place.prefix else PREFIXES:
            answer = await self._get(base, f"{prefix}/servers", query)
            if answer.status == 200:
                place.prefix = prefix
                return answer
        raise failure(base, "there is no registry: no /v0.1/servers", "not_found")

    async def _get(self, base: str, path: str, query: Mapping[str, str]) -> Answer:
        url = f"{base}/{path}?{urlencode(query)}"
        headers = {"Accept": "application/json", **self._keys.get(base, {})}
        return await self._fetcher.get(url, headers=headers, may_be=(404,))


class _Circle:
    """Sees when a list goes on for ever with what it gave before."""

    def __init__(self, base: str) -> None:
        self._base = base
        self._seen: set[int] = set()
        self._stale_pages = 0

    def check(self, found: _List) -> None:
        """Raise SourceFailed when nothing new came for some pages, or too much."""
        before = len(self._seen)
        self._seen.update(map(hash, found.items))
        is_stale = len(self._seen) == before and bool(found.next_cursor)
        self._stale_pages = self._stale_pages + 1 if is_stale else 0
        if self._stale_pages >= MOST_STALE_PAGES:
            raise failure(self._base, "its list goes round in a circle", "bad_answer")
        if len(self._seen) > MOST_ENTRIES:
            message = f"more than {MOST_ENTRIES} entries"
            raise failure(self._base, message, "too_large")


def _base(text: str) -> str:
    """The URL that `/v0.1/servers` is appended to."""
    base = text.strip().partition("?")[0].rstrip("/")
    for ending in _ENDINGS:
        base = base.removesuffix(ending)
    return base.rstrip("/")


def _place_of(checkpoint: Checkpoint) -> _Place:
    """The place of a checkpoint; the beginning for one of another release."""
    try:
        return msgspec.convert(checkpoint, _Place)
    except msgspec.ValidationError:
        return _Place()


def _gone(change: _Change) -> Gone | None:
    """The version that is gone; what goes with a whole server is told one by one."""
    if not change.deleted or change.name is None or change.version is UNSET:
        return None
    return Gone(registry_name=change.name, version=change.version)


def _serial(position: str) -> int:
    return int(position.partition(".")[0])


def _is_older(text: str, seconds: float) -> bool:
    """Whether a time is none, or longer ago."""
    return not text or text <= _minus(_now(), timedelta(seconds=seconds))


def _now() -> str:
    return _written(datetime.now(UTC))


def _sent_at(answer: Answer) -> str:
    """The time of an answer by the clock of its server, or by ours."""
    try:
        return _written(parsedate_to_datetime(answer.headers.get("Date", "")))
    except ValueError:
        return _now()


def _minus(text: str, step: timedelta) -> str:
    return _written(datetime.fromisoformat(text) - step)


def _written(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
