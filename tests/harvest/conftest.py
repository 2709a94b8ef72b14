"""A harvester on the test's database, and entries for it to find."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from service.harvest import Harvester, Plan, Report
from service.jobs import Choice, JobName, queue_jobs
from service.models_harvest import Order, Page, SourceName
from service.models_registry import OFFICIAL
from service.settings import Settings
from service.sources.fetch import Fetcher
from service.store.base import Store
from service.targets import Sources, make_sources
from tests.harvest.commands import Command
from tests.harvest.places import options

Item = dict[str, Any]
Harvest = Callable[..., Any]


def item(
    name: str, version: str = "1.0.0", at: str = "2025-01-01", **more: Any
) -> Item:
    """One item of a registry's list; `status` goes to the registry's block."""
    official = {"publishedAt": "2025-01-01T00:00:00Z", "updatedAt": f"{at}T00:00:00Z"}
    for key in ("status", "statusMessage"):
        if key in more:
            official[key] = more.pop(key)
    document = {"name": name, "version": version, "description": "d", **more}
    return {"server": document, "_meta": {OFFICIAL: official}}


class Scripted:
    """A source that gives what a test wrote down."""

    def __init__(self, name: SourceName, *pages: Page | Exception) -> None:
        self.name = name
        self.pages = list(pages)
        self.orders: list[Order] = []

    def target_of(self, text: str) -> str | None:
        return text

    async def harvest(self, order: Order) -> AsyncIterator[Page]:
        self.orders.append(order)
        for page in self.pages:
            if isinstance(page, Exception):
                raise page
            yield page


@pytest.fixture
def command(database_url: str, tmp_path: Path) -> Command:
    """`mcps harvest` on the test's database."""
    return Command(database_url, tmp_path)


@pytest.fixture
def harvest_settings(settings: Settings) -> Settings:
    """Settings under which nobody waits long."""
    return msgspec.structs.replace(settings, harvest_lease=1.0, harvest_jobs=2)


@pytest.fixture
async def sources(harvest_settings: Settings) -> AsyncIterator[Sources]:
    """The real sources, which may ask loopback."""
    async with Fetcher(options(), "test") as fetcher:
        yield make_sources(harvest_settings, fetcher)


async def run(
    store: Store,
    sources: Sources,
    settings: Settings,
    *names: JobName,
    is_due: bool = True,
) -> list[Report]:
    """Harvest these targets once, or what is due without names."""
    await queue_jobs(store, names, is_due=is_due)
    harvester = Harvester(store, sources, settings, Plan(), lambda _: None)
    await harvester.run(Choice(tuple(sources), names or None))
    return harvester.reports
