"""A private PostgreSQL for tests: on TCP and on a socket, to be broken at will."""

import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Literal, Self
from urllib.parse import quote, urlencode

from service.store.account import readable_binaries, server_account
from service.store.binaries import Binaries, find_binaries
from service.store.embedded import socket_folder
from service.store.postmaster import USER, Postmaster, make_cluster
from service.store.probe import READY, probe

Mode = Literal["smart", "fast", "immediate"]
STOP_SIGNALS: dict[Mode, signal.Signals] = {
    "smart": signal.SIGTERM,
    "fast": signal.SIGINT,
    "immediate": signal.SIGQUIT,
}
START_LIMIT_S = 30.0
STOP_LIMIT_S = 10.0
SHARED = "TEST_CLUSTER_URL"
_PREFIX = "mcps-test-"
_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 6 << 30
_PORT_TRIES = 5
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": ".",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "1h",
    "autovacuum_naptime": "10min",
    "jit": "off",
    "timezone": "UTC",
}
_shared: list["Cluster"] = []


class Cluster:
    """One server of its own; its folder goes away with `close`."""

    def __init__(
        self,
        *,
        max_connections: int = 100,
        settings: Mapping[str, str] | None = None,
        binaries: Binaries | None = None,
        place: Path | None = None,
    ) -> None:
        """`place` is where its folder goes, if not among other temporary files."""
        self.binaries = binaries or chosen_binaries()
        self.settings = {
            **_SETTINGS,
            "max_connections": str(max_connections),
            **(settings or {}),
        }
        self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
        self.folder.chmod(0o755)
        self.data = self.folder / "cluster"
        self.log = self.folder / "postgres.log"
        self.port = 0
        self._account = server_account(self.data)
        self._lock = (self.folder / "lock").open("ab")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._server: Postmaster | None = None
        # The server ends with the thread that starts it, so that is always this one.
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="cluster")

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    @property
    def socket(self) -> Path:
        """The folder that holds the socket."""
        return socket_folder(self.data)

    def url(
        self, database: str = "postgres", *, over: str = "tcp", **options: str
    ) -> str:
        """A URL of one database, over `tcp` or over the `socket`."""
        if over == "socket":
            options = {"host": str(self.socket), "port": str(self.port), **options}
        place = "" if over == "socket" else f"127.0.0.1:{self.port}"
        query = f"?{urlencode(options, quote_via=quote, safe='/')}" if options else ""
        return f"postgresql://{USER}@{place}/{quote(database, safe='')}{query}"

    def start(self) -> None:
        """Start the server and wait until it takes connections."""
        if self._server is not None and self._server.is_running:
            return
        if not self.data.exists():
            self._starter.submit(self._make).result()
        fixed = self.port
        for _ in range(_PORT_TRIES):
            self.port = fixed or free_port()
            if self._try_start():
                return
            if "in use" not in self.complaint():
                break
        message = f"the test cluster did not start: {self.complaint()}"
        raise RuntimeError(message)

    def stop(self, mode: Mode = "fast") -> None:
        """Stop the server; by force when it does not end in time."""
        if self._server is None or not self._server.is_running:
            return
        children = self.pids()
        self._server.process.send_signal(STOP_SIGNALS[mode])
        try:
            self._server.process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._kill(children)

    def restart(self, mode: Mode = "fast") -> None:
        """Stop and start on the same port."""
        self.stop(mode)
        self.start()

    def close(self) -> None:
        """End everything and remove the folder."""
        self.resume()
        self.stop("immediate")
        self._starter.shutdown()
        self._lock.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def pids(self) -> list[int]:
        """The postmaster and its children."""
        if self._server is None or not self._server.is_running:
            return []
        return [self.postmaster, *children_of(self.postmaster)]

    @property
    def postmaster(self) -> int:
        """The process id of the running server."""
        if self._server is None:
            message = "the test cluster was never started"
            raise RuntimeError(message)
        return self._server.process.pid

    def kill_backend(self, pid: int) -> None:
        """End one backend with kill -9: the whole server restarts itself."""
        if pid not in self.pids():
            message = f"{pid} is no process of this test cluster"
            raise ValueError(message)
        os.kill(pid, signal.SIGKILL)

    def crash(self) -> None:
        """End every process with kill -9, as a power cut would."""
        self._kill(self.pids())

    def pause(self, *, only_postmaster: bool = False) -> None:
        """Let nothing answer any more (SIGSTOP), or only no new connection."""
        pids = self.pids()
        for pid in pids[:1] if only_postmaster else pids:
            _signal(pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Undo `pause`."""
        for pid in self.pids():
            _signal(pid, signal.SIGCONT)

    def complaint(self) -> str:
        """What the server wrote last."""
        return "never started" if self._server is None else self._server.complaint()

    def _make(self) -> None:
        binaries = readable_binaries(self.binaries, self._account)
        make_cluster(binaries, self._account, self.data, (self._lock.fileno(),))

    def _try_start(self) -> bool:
        self._server = server = self._starter.submit(self._launch).result()
        limit_at = time.monotonic() + START_LIMIT_S
        while server.is_running and time.monotonic() < limit_at:
            if probe(("127.0.0.1", self.port), USER, "postgres") == READY:
                return True
            time.sleep(0.01)
        server.stop()
        return False

    def _launch(self) -> Postmaster:
        return Postmaster.start(
            readable_binaries(self.binaries, self._account),
            self._account,
            self.data,
            settings={**self.settings, "port": str(self.port)},
            log=self.log,
            held=(self._lock.fileno(),),
        )

    def _kill(self, pids: list[int]) -> None:
        for pid in pids:
            _signal(pid, signal.SIGKILL)
        if self._server is not None:
            self._server.process.wait(STOP_LIMIT_S)
        limit_at = time.monotonic() + STOP_LIMIT_S
        while any(map(is_alive, pids)) and time.monotonic() < limit_at:
            time.sleep(0.005)


def chosen_binaries() -> Binaries:
    """The programs of TEST_POSTGRES_BINDIR, else those that MCPS itself would use."""
    wanted = os.environ.get("TEST_POSTGRES_BINDIR")
    return find_binaries(Path(wanted) if wanted else None)


def begin_shared() -> str:
    """Start the cluster that all tests of a run share; its URL without options.

    Called by the process that controls the run; workers find it with `shared_url`.
    """
    remove_leftovers()
    settings = {"max_wal_size": "1GB"}
    cluster = Cluster(max_connections=400, settings=settings, place=_memory())
    cluster.__enter__()
    _shared.append(cluster)
    os.environ[SHARED] = cluster.url()
    return cluster.url()


def end_shared() -> None:
    """End what `begin_shared` started in this process."""
    os.environ.pop(SHARED, None)
    while _shared:
        _shared.pop().close()


def shared_url(database: str = "postgres") -> str:
    """The URL of a database of the shared cluster, in every process of the run."""
    return os.environ[SHARED].rsplit("/", 1)[0] + "/" + quote(database, safe="")


def remove_leftovers() -> None:
    """Remove the folders of earlier runs that were killed: nobody locks those."""
    places = (Path(tempfile.gettempdir()), _MEMORY)
    for folder in (found for place in places for found in place.glob(f"{_PREFIX}*")):
        with suppress(OSError), (folder / "lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder)


def _memory() -> Path | None:
    """Where files are kept in memory, if there is plenty of it.

    A database is made there in 15 ms instead of 300, and every test makes one.
    """
    try:
        room_bytes = shutil.disk_usage(_MEMORY).free
        facts = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:
        return None
    available = re.search(r"^MemAvailable: +(\d+) kB$", facts, re.MULTILINE)
    left_bytes = int(available[1]) * 1024 if available else 0
    return _MEMORY if min(room_bytes, left_bytes) >= _ROOM_BYTES else None


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody uses just now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def children_of(pid: int) -> list[int]:
    """The processes that this one started and that still run."""
    table = ["ps", "-A", "-o", "pid=,ppid="]
    if not Path("/proc/self/stat").exists():
        rows = subprocess.check_output(table, text=True).splitlines()
        pairs = [tuple(map(int, row.split())) for row in rows]
        return [child for child, parent in pairs if parent == pid]
    return [child for child, parent in _proc_pairs() if parent == pid]


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that ended and was not yet waited for does not."""
    with suppress(OSError):
        os.kill(pid, 0)
        stat = Path(f"/proc/{pid}/stat")
        return (
            not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"
        )
    return False


def _proc_pairs() -> Iterator[tuple[int, int]]:
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if fields[0] != "Z":
                yield int(folder.name), int(fields[1])


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
