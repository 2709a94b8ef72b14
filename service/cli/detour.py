"""An earlier file into an SQLite catalog, by way of a PostgreSQL of its own.

Values are mapped, merged and compared there; what comes out is copied into the file
as `mcps export-sqlite` does it. The PostgreSQL lies beside the file and goes at the
end, so an import that was stopped goes on where it was.
"""

import shutil
from pathlib import Path
from typing import TypeVar

import msgspec

from service import logs
from service.cli.progress import RowProgress
from service.cli.run import Work, is_terminal, open_store, run_async, say
from service.copying import count_left
from service.errors import NotSupported, RefusedFile
from service.file_copy import copy_to_file
from service.settings import Settings, is_sqlite_url
from service.store.base import Store
from service.store.locate import Located, located
from service.store.migrate import apply
from service.store.sqlite_file import sqlite_url

Answer = TypeVar("Answer")


def by_postgres(work: Work[Answer], settings: Settings, path: Path) -> Answer:
    """What `work` gives on a PostgreSQL whose catalog is then copied into a new file.

    Raises RefusedFile when the file is there, NotSupported without a PostgreSQL.
    """
    if path.exists():
        message = (
            f"{path} is there already: set DATABASE_PATH to a file that is not there "
            "yet, or import into PostgreSQL, which merges"
        )
        raise RefusedFile(message)
    folder = path.with_name(f"{path.name}-import")
    way = msgspec.structs.replace(
        settings, use_sqlite=False, database_url="", data_dir=str(folder)
    )
    logs.configure_for_commands()
    say(f"Into {path}, by way of a PostgreSQL in {folder}")
    with located(way, say) as found:
        answer = _carried(work, way, found, path)
    shutil.rmtree(folder)
    say(f"Serve it with DATABASE_URL={sqlite_url(path)}")
    return answer


def _carried(work: Work[Answer], way: Settings, found: Located, path: Path) -> Answer:
    if is_sqlite_url(found.url):
        message = (
            "an import into an SQLite file goes by way of PostgreSQL: install its "
            "programs, or name them by POSTGRES_BINDIR"
        )
        raise NotSupported(message)
    apply(found.url)

    async def carry(store: Store) -> Answer:
        answer = await work(store)
        with RowProgress(say=say, is_terminal=is_terminal()) as progress:
            await copy_to_file(store, way, path, replaces=False, listener=progress.show)
        if left := await count_left(store):
            say(f"{left} tables belong to no catalog: only the earlier file has them")
        return answer

    return run_async(open_store(way, found, carry))
