"""Making a data folder, and starting and stopping a server on it."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from service.errors import DatabaseDown, InvalidSettings
from service.store.account import Account
from service.store.binaries import Binaries

USER = "postgres"
PORT = 5432
_LAUNCHER = str(Path(__file__).resolve().with_name("launcher.py"))
_CTYPES = ("C.UTF-8", "en_US.UTF-8", "C")
_BUILTIN_SINCE = 17
_INIT_LIMIT_S = 120
_STOP_STEPS = (
    (signal.SIGINT, 10.0),
    (signal.SIGQUIT, 7.0),
    (signal.SIGKILL, 5.0),
)
_LOG_LIMIT_BYTES = 10_000_000
_TAIL_BYTES = 4000
_PROBED = "the database system is starting up"


class Postmaster:
    """One server process that this process started."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, start: int) -> None:
        self.process = process
        self._log = log
        self._start = start

    @classmethod
    def start(
        cls,
        binaries: Binaries,
        account: Account,
        cluster: Path,
        *,
        settings: Mapping[str, str],
        log: Path,
        held: Sequence[int] = (),
    ) -> Self:
        """Start a server on the data folder, without waiting for it to be ready.

        It ends when the calling thread ends, so that thread has to outlive it. The
        descriptors `held` stay open until the last of its processes is gone.
        """
        _drop_stale_pid(cluster)
        if log.exists() and log.stat().st_size > _LOG_LIMIT_BYTES:
            log.replace(log.with_name(f"{log.name}.1"))
        values = [f"--{name}={value}" for name, value in settings.items()]
        with log.open("ab") as output:
            start = output.tell()
            process = subprocess.Popen(
                _command(binaries, account, cluster, "postgres", *values),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=held,
                start_new_session=True,
            )
        return cls(process, log, start)

    @property
    def is_running(self) -> bool:
        """Whether the process still exists."""
        return self.process.poll() is None

    def complaint(self) -> str:
        """The last errors that the server wrote since this start."""
        with self._log.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(self._start, size - _TAIL_BYTES))
            lines = stream.read().decode(errors="replace").splitlines()
        told = [line for line in lines if _PROBED not in line]
        loud = [line for line in told if "FATAL" in line or "HINT" in line]
        return " ".join(loud[-2:] or told[-3:]) or "it said nothing"

    def stop(self) -> None:
        """Fast shutdown, then at once, then by force."""
        for number, limit_s in _STOP_STEPS:
            self.process.send_signal(number)
            try:
                self.process.wait(limit_s)
            except subprocess.TimeoutExpired:
                continue
            return


def make_cluster(
    binaries: Binaries, account: Account, cluster: Path, held: Sequence[int] = ()
) -> None:
    """Make a data folder beside its place and rename it: whole or not at all."""
    fresh = cluster.with_name(f"{cluster.name}.new")
    for ctype in _CTYPES:
        if fresh.exists():
            shutil.rmtree(fresh)
        fresh.mkdir(mode=0o700)
        os.chown(fresh, account.uid, account.gid)
        said = _initdb(binaries, account, fresh, ctype, held)
        if not said:
            fresh.rename(cluster)
            return
        if "invalid locale" not in said:
            break
    message = (
        f"initdb could not make {cluster}: {said}; mend that, set DATABASE_URL to a "
        "server that there is, or USE_SQLITE=true"
    )
    raise DatabaseDown(message)


def check_cluster(binaries: Binaries, cluster: Path) -> None:
    """Refuse a folder that these programs cannot serve; nothing is written.

    Raises InvalidSettings.
    """
    if not cluster.exists():
        return
    try:
        major = int((cluster / "PG_VERSION").read_text())
    except (FileNotFoundError, ValueError):
        message = f"{cluster} is no PostgreSQL data folder: move it away, start again"
        raise InvalidSettings(message) from None
    if major != binaries.major:
        message = (
            f"{cluster} was made by PostgreSQL {major}, but {binaries.source} would "
            f"serve it: set POSTGRES_BINDIR to the programs of PostgreSQL {major}, or "
            "move the folder away to begin with an empty catalog"
        )
        raise InvalidSettings(message)


def _initdb(
    binaries: Binaries, account: Account, folder: Path, ctype: str, held: Sequence[int]
) -> str:
    """Run initdb; what it complained about, or nothing."""
    options = [
        f"--username={USER}",
        "--auth=trust",
        "--encoding=UTF8",
        "--no-sync",
        "--locale=C",
        f"--lc-ctype={ctype}",
    ]
    if binaries.major >= _BUILTIN_SINCE:
        options += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    try:
        done = subprocess.run(
            _command(binaries, account, folder, "initdb", *options),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            pass_fds=held,
            start_new_session=True,
            timeout=_INIT_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it did not end within {_INIT_LIMIT_S} s"
    if done.returncode == 0:
        return ""
    return done.stderr.decode(errors="replace").strip() or f"code {done.returncode}"


def _command(
    binaries: Binaries, account: Account, folder: Path, program: str, *rest: str
) -> list[str]:
    launcher = [sys.executable, "-I", "-S", _LAUNCHER]
    caller = [str(os.getpid()), str(account.uid), str(account.gid)]
    return [*launcher, *caller, str(folder), binaries.program(program), *rest]


def _drop_stale_pid(cluster: Path) -> None:
    """Remove a pid file whose number went to some other program since.

    PostgreSQL itself would refuse to start: it sees only that the number is in use.
    """
    pid_file = cluster / "postmaster.pid"
    try:
        pid = int(pid_file.read_text().split("\n", 1)[0])
        folder = Path(f"/proc/{pid}/cwd").readlink()
    except (OSError, ValueError):
        return
    if folder != cluster.resolve():
        pid_file.unlink()
