"""The catalog into an SQLite file that MCPS serves, and back into a database."""

from pathlib import Path

from service.copying import Listener, TableCopy, copy_catalog
from service.errors import RefusedFile
from service.output import placed
from service.settings import Settings
from service.store.base import Store
from service.store.locate import make_store, opened
from service.store.migrate import apply
from service.store.sqlite_file import sqlite_url

# The file holds hashes of keys, and what is not public.
MODE = 0o600
_BESIDE = ("-migrate", "-wal", "-shm")


async def copy_to_file(
    source: Store, settings: Settings, path: Path, *, replaces: bool, listener: Listener
) -> list[TableCopy]:
    """Copy the catalog into a new file; gives what was copied, by table.

    Raises RefusedFile when the file is there, unless `replaces`, or in use.
    """
    _refuse_used(source, path)
    with placed(path, replaces=replaces, mode=MODE) as draft:
        try:
            return await _filled(source, settings, draft, listener)
        finally:
            for ending in _BESIDE:
                draft.with_name(draft.name + ending).unlink(missing_ok=True)


async def copy_from_file(
    target: Store, settings: Settings, path: Path, *, listener: Listener
) -> list[TableCopy]:
    """Copy a file that MCPS serves into an empty catalog; gives what was copied.

    Raises RefusedFile for a file that is no catalog, Conflict for a target that holds
    anything.
    """
    async with opened(make_store(settings, sqlite_url(path))) as source:
        return await copy_catalog(source, target, listener)


async def _filled(
    source: Store, settings: Settings, draft: Path, listener: Listener
) -> list[TableCopy]:
    # Not on a thread: stopped in the middle, that would go on and leave files.
    apply(sqlite_url(draft))
    async with opened(make_store(settings, sqlite_url(draft))) as target:
        return await copy_catalog(source, target, listener)


def _refuse_used(source: Store, path: Path) -> None:
    """A log beside a file belongs to it: with another file it would spoil that one."""
    log = path.with_name(f"{path.name}-wal")
    if source.url in {sqlite_url(path), sqlite_url(path.resolve())} or log.exists():
        message = f"{path} is in use: stop what serves it, or name another file"
        raise RefusedFile(message)
