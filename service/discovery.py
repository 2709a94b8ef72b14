"""What the entries of the catalog point to: packages, repositories, images, endpoints.

Each becomes a job of the source that knows it, for the server that names it; one target
that several servers name is taken for the first of them.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from service.jobs import JobName, queue_jobs
from service.models_harvest import SourceName
from service.store.base import Queries, Row
from service.targets import Sources

PAGE_SERVERS = 1000
_PACKAGES: dict[str, SourceName] = {"npm": "npm", "pypi": "pypi", "oci": "oci"}


async def discover(store: Queries, sources: Sources) -> int:
    """Put in a job for every target that is not known yet; gives how many there are."""
    after = 0
    count = 0
    while True:
        rows = await store.rows("harvest_published", after=after, wanted=PAGE_SERVERS)
        names = {
            name.url: name for row in reversed(rows) for name in _named(sources, row)
        }
        await queue_jobs(store, names.values(), is_due=False)
        count += len(names)
        if len(rows) < PAGE_SERVERS:
            return count
        after = rows[-1]["server_id"]


def _named(sources: Sources, row: Row) -> Iterator[JobName]:
    """The targets that one entry names, of sources that there are."""
    for source, text in _texts(row):
        target = sources[source].target_of(text) if source in sources else None
        if target is not None:
            name = JobName(source, target, row["registry_name"])
            yield from [name] if name.fits else []


def _texts(row: Row) -> Iterator[tuple[SourceName, str]]:
    if row["repository"]:
        yield "github", row["repository"]
    for package in _list(row["packages"]):
        if not isinstance(package, dict):
            continue
        source = _PACKAGES.get(str(package.get("registryType")))
        identifier = package.get("identifier")
        if source is not None and isinstance(identifier, str):
            yield source, identifier
    for url in _list(row["remotes"]):
        if isinstance(url, str):
            yield "http", url


def _list(text: str | None) -> list[Any]:
    value = msgspec.json.decode(text or "[]")
    return value if isinstance(value, list) else []
