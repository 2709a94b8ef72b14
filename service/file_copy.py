"""The catalog as an SQLite file that MCPS serves, there as a whole or not at all."""

import asyncio
from pathlib import Path

from service.copying import Listener, TableCopy, copy_catalog
from service.errors import RefusedFile
from service.output import placed
from service.settings import Settings
from service.store.base import Store
from service.store.locate import make_store
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


async def _filled(
    source: Store, settings: Settings, draft: Path, listener: Listener
) -> list[TableCopy]:
    url = sqlite_url(draft)
    await asyncio.to_thread(apply, url)
    target = make_store(settings, url)
    await target.open()
    try:
        return await copy_catalog(source, target, listener)
    finally:
        await target.close()


def _refuse_used(source: Store, path: Path) -> None:
    """A log beside a file belongs to it: with another file it would spoil that one."""
    log = path.with_name(f"{path.name}-wal")
    if source.url in {sqlite_url(path), sqlite_url(path.resolve())} or log.exists():
        message = f"{path} is in use: stop what serves it, or name another file"
        raise RefusedFile(message)
