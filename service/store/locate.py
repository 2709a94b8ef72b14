"""Which database a process uses, found in the same way by every command.

A configured one wins. Without any it is the embedded PostgreSQL in
`$DATA_DIR/postgres`, shared with whoever runs it already and started for the length of
the command otherwise.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from service.settings import Settings, masked_url
from service.store.base import Store
from service.store.binaries import find_binaries
from service.store.embedded import embedded
from service.store.postgres import PostgresStore


class Located(msgspec.Struct, frozen=True):
    """A database and how it was found."""

    url: str
    source: str
    """DATABASE_URL, POSTGRES_HOST, or what runs the embedded server."""


@contextmanager
def located(settings: Settings, say: Callable[[str], None]) -> Iterator[Located]:
    """The database of these settings; the embedded one answers until the block ends.

    `say` hears of everything that takes a while.
    """
    if settings.is_configured:
        yield Located(settings.postgres_url, _configured_by(settings))
        return
    wanted = Path(settings.postgres_bindir) if settings.postgres_bindir else None
    binaries = find_binaries(wanted)
    folder = Path(settings.data_dir) / "postgres"
    with embedded(folder, binaries, say=say) as url:
        yield Located(url, binaries.source)


def make_store(settings: Settings, url: str = "") -> Store:
    """The store of a located database; without a URL that of the settings."""
    return PostgresStore(settings, url or settings.postgres_url)


def shown(found: Located) -> str:
    """A located database for people, without its password."""
    return f"{masked_url(found.url)} ({found.source})"


def _configured_by(settings: Settings) -> str:
    return "DATABASE_URL" if settings.database_url else "POSTGRES_HOST"
