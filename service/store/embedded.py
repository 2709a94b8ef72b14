"""A PostgreSQL of our own, started for as long as somebody uses its folder.

The first process that locks the folder starts the server and owns it, every other
one shares it, and when the owner ends one of the others takes over. The server
inherits the lock, so the lock is free only when the last of its processes is gone.
"""

import fcntl
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from threading import Event, Thread
from urllib.parse import quote

from service.errors import DatabaseDown, InvalidSettings, McpsError
from service.store.account import readable_binaries, server_account
from service.store.binaries import Binaries
from service.store.postmaster import (
    PORT,
    USER,
    Postmaster,
    check_cluster,
    make_cluster,
)
from service.store.probe import NO_DATABASE, READY, STARTING, probe

WAIT_LIMIT_S = 30.0
_POLL_S = 0.2
_PROBE_S = 0.01
_PATIENCE_S = 0.5
_LONGEST_PAUSE_S = 5.0
_SOCKET = f".s.PGSQL.{PORT}"
_SOCKET_LIMIT_BYTES = 100
_PLAIN_PATH = re.compile(r"[A-Za-z0-9._/+-]+")
_SHORT_FOLDERS = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - the name is private
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_directories": ".",
    "unix_socket_permissions": "0700",
    "port": str(PORT),
    "max_connections": "200",
    "shared_buffers": "128MB",
    "deadlock_timeout": "100ms",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}
_STATEMENTS = "pg_stat_statements"


def _quiet(_message: str) -> None:
    """Say nothing."""


class Embedded:
    """The server of one folder, shared by all processes that use the folder."""

    def __init__(
        self,
        folder: Path,
        binaries: Binaries,
        *,
        database: str = "mcps",
        settings: Mapping[str, str] | None = None,
        say: Callable[[str], None] = _quiet,
    ) -> None:
        self._folder = folder.resolve()
        self._cluster = self._folder / "cluster"
        self._binaries = binaries
        self._database = database
        self._settings = dict(settings or {})
        self._say = say
        self._stopping = Event()
        self._failure: McpsError | None = None
        self._is_shared = False
        self._is_up = False
        # The server ends with the thread that started it: this one, not a pool's.
        self._keeper = Thread(target=self._keep, name="postgres-keeper", daemon=True)

    def start(self) -> str:
        """The URL of the database, once it takes connections.

        Raises InvalidSettings when the folder cannot be used, DatabaseDown when the
        server does not come up.
        """
        try:
            check_cluster(self._binaries, self._cluster)
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._unusable(error) from error
        self._keeper.start()
        try:
            url = self._wait_for_server()
        except BaseException:
            self.stop()
            raise
        self._is_up = True
        return url

    def stop(self) -> None:
        """End the server if this process owns it."""
        self._stopping.set()
        self._keeper.join()

    def _wait_for_server(self) -> str:
        begin_at = time.monotonic()
        is_told = False
        while (waited_s := time.monotonic() - begin_at) < WAIT_LIMIT_S:
            if self._failure:
                raise self._failure
            if url := self._try_url():
                return url
            if self._is_shared and not is_told and waited_s > _PATIENCE_S:
                self._say(f"Waiting for the PostgreSQL in {self._folder}")
                is_told = True
            time.sleep(_PROBE_S)
        message = (
            f"PostgreSQL in {self._folder} did not answer within {WAIT_LIMIT_S:.0f} s; "
            f"its log is {self._log}"
        )
        raise DatabaseDown(message)

    def _try_url(self) -> str | None:
        place = socket_folder(self._cluster)
        state = probe(place / _SOCKET, USER, self._database)
        if state == READY:
            return _url(place, self._database)
        if state == NO_DATABASE:
            self._create_database(place)
        elif state not in {None, STARTING}:
            message = f"PostgreSQL in {self._folder} refuses: SQLSTATE {state}"
            raise DatabaseDown(message)
        return None

    def _create_database(self, place: Path) -> None:
        program = self._binaries.program("createdb")
        login = [f"--host={place}", f"--port={PORT}", f"--username={USER}"]
        # Whoever shares the folder may be faster, so the next probe is the judge.
        subprocess.run(
            [program, *login, "--no-password", self._database],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=WAIT_LIMIT_S,
        )

    @property
    def _log(self) -> Path:
        return self._folder / "postgres.log"

    def _keep(self) -> None:
        """Own the server whenever nobody else does, until told to stop."""
        pause_s = _POLL_S
        while not self._stopping.wait(pause_s if self._is_shared else 0):
            try:
                self._serve_if_free()
                pause_s = _POLL_S
            except McpsError as error:
                self._fail(error)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            except OSError as error:
                self._fail(self._unusable(error))
                pause_s = _LONGEST_PAUSE_S
            self._is_shared = True

    def _fail(self, error: McpsError) -> None:
        """Let `start` raise it; later there is nobody to raise to, so say it."""
        if self._is_up and str(error) != str(self._failure):
            self._say(str(error))
        self._failure = error

    def _serve_if_free(self) -> None:
        with (self._folder / "lock").open("ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            self._serve(lock.fileno())

    def _serve(self, lock: int) -> None:
        check_cluster(self._binaries, self._cluster)
        account = server_account(self._cluster)
        binaries = readable_binaries(self._binaries, account)
        if not self._cluster.exists():
            self._say(f"Making a database in {self._folder} ({binaries.source})")
            make_cluster(binaries, account, self._cluster, (lock,))
        server = Postmaster.start(
            binaries,
            account,
            self._cluster,
            settings=self._server_settings(binaries),
            log=self._log,
            held=(lock,),
        )
        try:
            while server.is_running and not self._stopping.wait(_POLL_S):
                pass
        finally:
            was_running = server.is_running
            server.stop()
        if not was_running:
            message = f"PostgreSQL in {self._folder} ended: {server.complaint()}"
            raise DatabaseDown(message)

    def _server_settings(self, binaries: Binaries) -> dict[str, str]:
        preloaded = _STATEMENTS if binaries.has_library(_STATEMENTS) else ""
        return {
            **_SETTINGS,
            "shared_preload_libraries": preloaded,
            **self._settings,
        }

    def _unusable(self, error: OSError) -> InvalidSettings:
        message = (
            f"{self._folder} cannot be used for the database: {error.strerror}; "
            "give this account the folder, or set DATA_DIR to another one"
        )
        return InvalidSettings(message)


@contextmanager
def embedded(
    folder: Path,
    binaries: Binaries,
    *,
    database: str = "mcps",
    settings: Mapping[str, str] | None = None,
    say: Callable[[str], None] = _quiet,
) -> Iterator[str]:
    """The URL of a database in this folder, served at least until the block ends.

    `say` gets what a person would want to know, also from another thread.
    """
    server = Embedded(folder, binaries, database=database, settings=settings, say=say)
    url = server.start()
    try:
        yield url
    finally:
        server.stop()


def socket_folder(cluster: Path) -> Path:
    """A name for the folder of the socket that fits into an address and a URL.

    The server makes its socket in the data folder. Where that path is too long or
    holds odd characters, a link in a private folder of the temporary one stands for it.
    """
    if _fits(cluster):
        return cluster
    name = sha256(os.fsencode(cluster)).hexdigest()[:16]
    for top in (Path(tempfile.gettempdir()), *_SHORT_FOLDERS):
        private = top / f"mcps-{os.geteuid()}"
        link = private / name
        if _fits(link) and _is_ours(private):
            _point(link, cluster)
            return link
    message = (
        f"no short folder for the socket of {cluster}: set DATA_DIR to a shorter path"
    )
    raise InvalidSettings(message)


def _fits(folder: Path) -> bool:
    text = str(folder)
    return bool(_PLAIN_PATH.fullmatch(text)) and (
        len(text) + len(_SOCKET) < _SOCKET_LIMIT_BYTES
    )


def _is_ours(private: Path) -> bool:
    with suppress(OSError):
        private.mkdir(mode=0o700, exist_ok=True)
        status = private.lstat()
        return status.st_uid == os.geteuid() and status.st_mode & 0o777777 == 0o40700
    return False


def _point(link: Path, target: Path) -> None:
    with suppress(OSError):
        if link.readlink() == target:
            return
    fresh = link.with_name(f"{link.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(link)


def _url(place: Path, database: str) -> str:
    host = quote(str(place), safe="/")
    return f"postgresql://{USER}@/{quote(database, safe='')}?host={host}&port={PORT}"
