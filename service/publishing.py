"""Publishing through the registry API: new versions, edits, and their rules.

A document is checked before the database is asked. What depends on other entries is
checked while the name is held, in the transaction that writes: of two publishers of one
version only the first succeeds. URLs of remotes belong to one name.
"""

from collections.abc import Iterable
from hashlib import sha256
from typing import Any

import msgspec
import structlog

from service import registry
from service.errors import InvalidInput, NotFound, Problem, Unprocessable
from service.idempotency import Kept, Repeatable, once
from service.models_publish import Finding
from service.permissions import Caller
from service.profile import base_url, read_profile
from service.rules import META_SIZE
from service.serverjson import check
from service.staging import first_fields, mark_latest
from service.store.base import Queries, Store
from service.versions import precedence

log = structlog.get_logger("publish")

MOST_VERSIONS = 10_000
LONGEST_SHOWN = 300
_TRIES = 2

Object = dict[str, Any]


class Publication(msgspec.Struct, frozen=True):
    """A server.json that breaks no rule of its own."""

    name: str
    version: str
    document: Object

    @property
    def text(self) -> str:
        """The document as it is stored: each key once, no blanks between tokens."""
        return msgspec.json.encode(self.document).decode()

    @property
    def urls(self) -> str:
        """Where its remotes are reached, as a JSON array."""
        remotes = self.document.get("remotes") or []
        urls = dict.fromkeys(remote["url"] for remote in remotes)
        return msgspec.json.encode(list(urls)).decode()


def read_publication(document: object) -> Publication:
    """What is to be published.

    Raises Unprocessable with the place of everything that is wrong, InvalidInput for
    too much of `_meta`.
    """
    faults = [finding for finding in check(document) if finding.severity == "error"]
    problems = problems_of(faults)
    if any(fault.reference != META_SIZE for fault in faults):
        raise Unprocessable(_summary(problems), problems=problems)
    if faults or not isinstance(document, dict):
        raise InvalidInput(_summary(problems), problems=problems)
    return Publication(document["name"], document["version"], document)


def problems_of(findings: Iterable[Finding]) -> tuple[Problem, ...]:
    """Findings as the problems of a request's body."""
    return tuple(
        Problem(found.message, f"body.{found.path}" if found.path else "body")
        for found in findings
    )


def _summary(problems: tuple[Problem, ...]) -> str:
    """The first problem, and how many more there are."""
    first = f"{problems[0].location}: {problems[0].message}"
    return f"{first} (and {len(problems) - 1} more)" if len(problems) > 1 else first


async def publish(
    store: Store,
    caller: Caller,
    publication: Publication,
    repeatable: Repeatable | None = None,
) -> Kept:
    """Put a new version in; gives its item, again when it is the same request again.

    Raises InvalidInput when the version is there, the name has too many, or a URL of
    its remotes belongs to another name.
    """
    is_new = False

    async def write(work: Queries) -> Kept:
        nonlocal is_new
        is_new = True
        return Kept(200, {}, await _published(work, caller, publication))

    kept = await once(store, repeatable, write)
    if is_new:
        _note("version published", caller, publication)
    return kept


async def _published(work: Queries, caller: Caller, publication: Publication) -> str:
    at = await hold(work, publication.name)
    await _require_room(work, publication)
    server_id = await _server(work, caller, publication)
    rows = await work.rows(
        "publish_put_version",
        server_id=server_id,
        name=publication.name,
        version=publication.version,
        document=publication.text,
        at=at,
        precedence=precedence(publication.version, at),
        content_hash=_hash(publication),
    )
    await mark_latest(work, rows)
    item = await _item(work, publication)
    await require_urls(work, publication.name, publication.urls)
    return item.decode()


async def edit(store: Store, caller: Caller, publication: Publication) -> bytes:
    """Put another document in the place of a version's; gives its item.

    Raises NotFound for a version that is not there or deleted, InvalidInput when a URL
    of its remotes belongs to another name.
    """
    async with store.transaction() as work:
        await hold(work, publication.name)
        await _require_editable(work, publication)
        rows = await work.rows(
            "publish_replace_version",
            name=publication.name,
            version=publication.version,
            document=publication.text,
            content_hash=_hash(publication),
        )
        await mark_latest(work, rows, rows)
        item = await _item(work, publication)
        await require_urls(work, publication.name, publication.urls)
    _note("version edited", caller, publication)
    return item


async def hold(work: Queries, name: str) -> str:
    """Keep others from writing versions of this name; gives the time of this write."""
    (row,) = await work.rows("publish_hold", name=name)
    at: str = row["at"]
    return at


async def require_urls(work: Queries, name: str, urls: str) -> None:
    """Raise InvalidInput when another name is reached at one of these URLs.

    Comes last in a transaction: everybody who publishes a URL waits for its end.
    """
    if urls == "[]":
        return
    await work.row("publish_hold_remotes")
    rival = await work.row("publish_rival", name=name, urls=urls)
    if rival is not None:
        place = "body.remotes"
        url = rival["url"][:LONGEST_SHOWN]
        message = f"{url} belongs to the server {rival['registry_name']}"
        raise InvalidInput.at(place, message)


async def _require_room(work: Queries, publication: Publication) -> None:
    (found,) = await work.rows(
        "publish_count", name=publication.name, version=publication.version
    )
    if found["is_taken"]:
        place = "body.version"
        message = f"{publication.version} exists already, and versions do not change"
        raise InvalidInput.at(place, message)
    if found["number"] >= MOST_VERSIONS:
        place = "body.name"
        raise InvalidInput.at(place, f"has {MOST_VERSIONS} versions, which is the most")


async def _require_editable(work: Queries, publication: Publication) -> None:
    found = await work.row(
        "publish_get", name=publication.name, version=publication.version
    )
    if found is None or found["status"] == "deleted":
        message = "there is no such version, or it is deleted: restore it first"
        raise NotFound(message)


async def _server(work: Queries, caller: Caller, publication: Publication) -> int:
    """The server of a name, which is put in when it is not there."""
    base = base_url(publication.name, publication.document)
    if caller.has_every_name:
        # Whose repository it is nobody proves: others get a server of their own.
        await work.run("publish_adopt", name=publication.name, base_url=base)
    profile = read_profile(publication.name, publication.document, {})
    for _ in range(_TRIES):
        found: int | None = await work.value("publish_server", name=publication.name)
        if found is not None:
            return found
        # Does nothing when somebody else takes the URL just now; then it is known.
        await work.run(
            "publish_put_server",
            name=publication.name,
            base_url=base,
            version=publication.version,
            profile=first_fields(profile),
        )
    server_id: int = await work.value("publish_server", name=publication.name)
    return server_id


async def _item(work: Queries, publication: Publication) -> bytes:
    found = await registry.get_version(
        work, publication.name, publication.version, include_deleted=True
    )
    return found.body


def _hash(publication: Publication) -> bytes:
    return sha256(publication.text.encode()).digest()


def _note(event: str, caller: Caller, publication: Publication) -> None:
    log.info(
        event,
        name=publication.name,
        version=publication.version,
        by=caller.subject,
    )
