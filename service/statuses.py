"""The status of versions: active, deprecated, deleted, and back again.

After every change the latest version is chosen anew: the highest that is not deleted.
A deleted version that comes back must still be alone at the URLs of its remotes.
"""

import msgspec
import structlog

from service import registry
from service.errors import InvalidInput, NotFound
from service.models_publish import StatusChange
from service.permissions import Caller
from service.publishing import hold, require_urls
from service.staging import mark_latest
from service.store.base import Row, Store, Transaction

log = structlog.get_logger("publish")

ALL_S = 30.0
"""How long a change of all versions may take: there may be ten thousand."""


async def set_status(
    store: Store, caller: Caller, name: str, version: str, change: StatusChange
) -> bytes:
    """Change the status of one version; gives its item.

    Raises NotFound, and InvalidInput for what would change nothing.
    """
    _require_sense(change)
    async with store.transaction() as work:
        await hold(work, name)
        if await work.row("publish_get", name=name, version=version) is None:
            raise _missing(version)
        urls = await _returning(work, name, version, change)
        await _put(work, name, version, change)
        found = await registry.get_version(work, name, version, include_deleted=True)
        await require_urls(work, name, urls)
    _note(caller, change, name, version)
    return found.body


async def set_all_statuses(
    store: Store, caller: Caller, name: str, change: StatusChange
) -> bytes:
    """Change the status of all versions; gives those that changed as StatusChanged.

    Raises NotFound, and InvalidInput when no version would change.
    """
    _require_sense(change)
    async with store.transaction(timeout_s=ALL_S) as work:
        await hold(work, name)
        if await work.value("publish_server", name=name) is None:
            raise _missing()
        (count,) = await work.rows("publish_count", name=name, version="")
        if not count["number"]:
            raise _missing()
        urls = await _returning(work, name, None, change)
        rows = await _put(work, name, None, change)
        versions = msgspec.json.encode([row["version"] for row in rows]).decode()
        (found,) = await work.rows("publish_items", name=name, versions=versions)
        await require_urls(work, name, urls)
    _note(caller, change, name, "*")
    body = f'{{"updatedCount":{found["number"]},"servers":[{found["items"]}]}}'
    return body.encode()


async def _returning(
    work: Transaction, name: str, version: str | None, change: StatusChange
) -> str:
    """The URLs at which deleted versions will be reached again, as a JSON array."""
    if change.status == "deleted":
        return "[]"
    urls: str = await work.value("publish_deleted_urls", name=name, version=version)
    return urls


async def _put(
    work: Transaction, name: str, version: str | None, change: StatusChange
) -> list[Row]:
    """Change what differs; the rows that did. Raises InvalidInput when none does."""
    rows = await work.rows(
        "publish_put_status",
        name=name,
        version=version,
        status=change.status,
        message=change.status_message or None,
    )
    if not rows:
        place = "body.status"
        message = f"is {change.status} already, with the same message"
        raise InvalidInput.at(place, message)
    await mark_latest(work, rows)
    return list(rows)


def _require_sense(change: StatusChange) -> None:
    if change.status == "active" and change.status_message:
        place = "body.statusMessage"
        raise InvalidInput.at(place, "has to be left out for active")


def _missing(version: str = "") -> NotFound:
    if version == registry.LATEST:
        message = "a status is that of one version: name it, latest stands for several"
        return NotFound(message)
    return NotFound("there is no such server, or not in that version")


def _note(caller: Caller, change: StatusChange, name: str, version: str) -> None:
    log.info(
        "status changed",
        name=name,
        version=version,
        status=change.status,
        by=caller.subject,
    )
