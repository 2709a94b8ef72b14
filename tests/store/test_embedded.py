"""The embedded PostgreSQL: starts anywhere, is shared, and leaves nothing behind."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import psycopg
import pytest

from service.errors import DatabaseDown, InvalidSettings
from service.store import embedded, launcher
from service.store.account import Account, server_account
from service.store.binaries import Binaries
from service.store.embedded import Embedded, socket_folder
from tests.cluster import chosen_binaries

ROOT = Path(__file__).resolve().parents[2]
# Longer than all steps of a stop together.
LIMIT_S = 30.0
QUICK = {"fsync": "off", "shared_buffers": "16MB", "max_connections": "20"}
OWNER = """
import sys, time
from pathlib import Path
from service.store.binaries import find_binaries
from service.store.embedded import embedded

folder, programs = Path(sys.argv[1]), Path(sys.argv[2])
settings = {"fsync": "off", "shared_buffers": "16MB", "max_connections": "20"}
with embedded(folder, find_binaries(programs), settings=settings) as url:
    print(url, flush=True)
    sys.stdin.read()
"""
needs_proc = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux ties a process to its parent"
)
needs_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root runs the server under another account"
)


@pytest.fixture(scope="module")
def programs() -> Binaries:
    return chosen_binaries()


@pytest.fixture(scope="module")
def made(
    programs: Binaries, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Path], Path]:
    """Copies a data folder made once, so that a test begins with a warm start."""
    first = tmp_path_factory.mktemp("made") / "postgres"
    with embedded.embedded(first, programs, settings=QUICK):
        pass

    def copy(folder: Path) -> Path:
        folder.mkdir(parents=True)
        command = ["cp", "-a", str(first / "cluster"), str(folder / "cluster")]
        subprocess.run(command, check=True)
        return folder

    return copy


class Owners:
    """Processes that use a folder, as `mcps dev` does."""

    def __init__(self, programs: Binaries) -> None:
        self._programs = programs
        self.running: list[subprocess.Popen[str]] = []

    def begin(self, folder: Path, **options: object) -> subprocess.Popen[str]:
        python = options.pop("python", sys.executable)
        path = [str(ROOT), *options.pop("path", [])]  # type: ignore[misc]
        process: subprocess.Popen[str] = subprocess.Popen(  # type: ignore[call-overload]
            [python, "-c", OWNER, str(folder), str(self._programs.folder)],
            env={"PYTHONPATH": os.pathsep.join(path), "PATH": os.defpath},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            **options,
        )
        self.running.append(process)
        return process

    def end(self) -> None:
        for process in self.running:
            process.kill()
            process.communicate()


@pytest.fixture
def owners(programs: Binaries) -> Iterator[Owners]:
    opened = Owners(programs)
    yield opened
    opened.end()


def url_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def ask(url: str, question: str = "select 1") -> object:
    with psycopg.connect(url, connect_timeout=5) as connection:
        cursor = connection.execute(question.encode())
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def answers(url: str) -> bool:
    try:
        return ask(url) == 1
    except psycopg.OperationalError:
        return False


def wait_until(promise: Callable[[], object], what: str) -> None:
    limit_at = time.monotonic() + LIMIT_S
    while not promise():
        assert time.monotonic() < limit_at, f"not within {LIMIT_S} s: {what}"
        time.sleep(0.02)


def servers_in(folder: Path) -> set[int]:
    """Every process of a PostgreSQL whose data are below the folder."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            place = (process / "cwd").readlink()
        except OSError:
            continue
        if place.is_relative_to(folder.resolve()):
            found.add(int(process.name))
    return found


def postmaster_of(folder: Path) -> int:
    return int((folder / "cluster" / "postmaster.pid").read_text().split()[0])


@pytest.mark.parametrize("name", ["plain", "mit Leerzeichen, ü und 'q'", "x" * 120])
def test_url_opens_with_psql_psycopg_and_asyncpg(
    tmp_path: Path, programs: Binaries, name: str
) -> None:
    async def ask_asyncpg(url: str) -> object:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval("select current_database()")
        finally:
            await connection.close()

    with embedded.embedded(tmp_path / name, programs, settings=QUICK) as url:
        assert asyncio.run(ask_asyncpg(url)) == "mcps"
        assert ask(url, "select current_database()") == "mcps"
        psql = [programs.program("psql"), url, "-Atc", "select current_database()"]
        assert subprocess.check_output(psql, text=True).strip() == "mcps"
        assert len(url) < 150


def test_server_listens_on_no_port_and_knows_letters_beyond_ascii(
    tmp_path: Path, programs: Binaries
) -> None:
    with embedded.embedded(tmp_path / "pg", programs) as url:
        assert ask(url, "show listen_addresses") == ""
        assert ask(url, "show fsync") == "on"
        assert ask(url, "show timezone") == "UTC"
        assert ask(url, "show max_connections") == "200"
        assert ask(url, "show server_encoding") == "UTF8"
        assert ask(url, "select lower('ÄÖ') || ('a' < 'B')") == "äöfalse"
        if programs.has_library("pg_stat_statements"):
            assert ask(url, "show shared_preload_libraries") == "pg_stat_statements"
    mode = (tmp_path / "pg" / "cluster").stat().st_mode
    assert mode & 0o077 == 0, "other accounts can reach the socket"


def test_data_survive_a_stop_and_a_start(
    tmp_path: Path, programs: Binaries, made: Callable[[Path], Path]
) -> None:
    folder = made(tmp_path / "pg")
    with embedded.embedded(folder, programs, settings=QUICK) as url:
        ask(url, "create table kept as select 7 as seven")
    assert not (folder / "cluster" / "postmaster.pid").exists()
    with embedded.embedded(folder, programs, settings=QUICK) as url:
        assert ask(url, "select seven from kept") == 7


@needs_proc
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_server_outlives_its_owner(
    tmp_path: Path,
    owners: Owners,
    made: Callable[[Path], Path],
    number: signal.Signals,
) -> None:
    folder = made(tmp_path / "pg")
    owner = owners.begin(folder, stderr=subprocess.DEVNULL)
    assert answers(url_of(owner))
    assert servers_in(folder)
    owner.send_signal(number)
    # The next start does not wait for the old server to be gone.
    following = owners.begin(folder)
    assert answers(url_of(following))
    following.kill()
    wait_until(lambda: not servers_in(folder), "a PostgreSQL still runs")


def test_two_at_once_share_one_server_and_the_other_takes_over(
    tmp_path: Path, owners: Owners
) -> None:
    folder = tmp_path / "pg"
    both = [owners.begin(folder), owners.begin(folder)]
    urls = {url_of(process) for process in both}
    assert len(urls) == 1
    url = urls.pop()
    first = postmaster_of(folder)
    ask(url, "create table kept as select 7 as seven")
    for process in both:
        if owns(process.pid, first):
            process.kill()
            process.wait()
    wait_until(lambda: answers(url), "nobody took over")
    assert postmaster_of(folder) != first
    assert ask(url, "select seven from kept") == 7


def owns(pid: int, postmaster: int) -> bool:
    listing = ["ps", "-o", "ppid=", "-p", str(postmaster)]
    return int(subprocess.check_output(listing, text=True)) == pid


def test_a_server_that_dies_is_started_again(
    tmp_path: Path, programs: Binaries, made: Callable[[Path], Path]
) -> None:
    folder = made(tmp_path / "pg")
    said: list[str] = []
    with embedded.embedded(folder, programs, settings=QUICK, say=said.append) as url:
        os.kill(postmaster_of(folder), signal.SIGKILL)
        wait_until(lambda: said, "the end of the server was not told")
        wait_until(lambda: answers(url), "the server did not come back")
    assert "ended" in said[0]


def test_server_outlives_the_thread_that_asked_for_it(
    tmp_path: Path, programs: Binaries, made: Callable[[Path], Path]
) -> None:
    folder = made(tmp_path / "pg")
    server = Embedded(folder, programs, settings=QUICK)
    urls: list[str] = []
    thread = threading.Thread(target=lambda: urls.append(server.start()))
    thread.start()
    thread.join()
    try:
        process = postmaster_of(folder)
        assert answers(urls[0])
        assert postmaster_of(folder) == process
    finally:
        server.stop()


@needs_proc
def test_a_data_folder_half_made_is_made_again(tmp_path: Path, owners: Owners) -> None:
    folder = tmp_path / "pg"
    owner = owners.begin(folder)
    half = folder / "cluster.new" / "global"
    wait_until(half.exists, "initdb never began")
    owner.kill()
    assert not (folder / "cluster").exists()
    assert answers(url_of(owners.begin(folder)))
    assert not (folder / "cluster.new").exists()


def test_data_of_another_version_are_refused_and_untouched(
    tmp_path: Path, programs: Binaries
) -> None:
    cluster = tmp_path / "pg" / "cluster"
    cluster.mkdir(parents=True)
    (cluster / "PG_VERSION").write_text("14\n")
    with pytest.raises(
        InvalidSettings, match=r"made by PostgreSQL 14.*POSTGRES_BINDIR"
    ):
        Embedded(tmp_path / "pg", programs).start()
    assert [path.name for path in (tmp_path / "pg").rglob("*")] == [
        "cluster",
        "PG_VERSION",
    ]


def test_a_folder_of_something_else_is_refused(
    tmp_path: Path, programs: Binaries
) -> None:
    (tmp_path / "pg" / "cluster").mkdir(parents=True)
    with pytest.raises(InvalidSettings, match="no PostgreSQL data folder"):
        Embedded(tmp_path / "pg", programs).start()


def test_a_folder_that_cannot_be_made_is_named(
    tmp_path: Path, programs: Binaries
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidSettings, match=r"file/pg cannot be used.*DATA_DIR"):
        Embedded(tmp_path / "file" / "pg", programs).start()


def test_a_server_that_will_not_start_is_quoted_at_once(
    tmp_path: Path, programs: Binaries, made: Callable[[Path], Path]
) -> None:
    folder = made(tmp_path / "pg")
    begin_at = time.monotonic()
    with pytest.raises(DatabaseDown, match="shared_buffers"):
        Embedded(folder, programs, settings={"shared_buffers": "many"}).start()
    assert time.monotonic() - begin_at < 5


def test_a_pid_file_whose_number_another_program_has_now_is_no_obstacle(
    tmp_path: Path, programs: Binaries, made: Callable[[Path], Path]
) -> None:
    folder = made(tmp_path / "pg")
    runs_as = server_account(folder / "cluster")
    other = subprocess.Popen(["sleep", "60"], user=runs_as.uid)
    try:
        pid_file = folder / "cluster" / "postmaster.pid"
        pid_file.write_text(f"{other.pid}\n{folder / 'cluster'}\n1\n5432\n\n\n")
        os.chown(pid_file, runs_as.uid, runs_as.gid)
        with embedded.embedded(folder, programs, settings=QUICK) as url:
            assert answers(url)
    finally:
        other.kill()
        other.wait()


def test_the_log_does_not_grow_for_ever(
    tmp_path: Path,
    programs: Binaries,
    made: Callable[[Path], Path],
) -> None:
    folder = made(tmp_path / "pg")
    (folder / "postgres.log").write_bytes(b"x" * 10_000_001)
    with embedded.embedded(folder, programs, settings=QUICK):
        assert (folder / "postgres.log").stat().st_size < 100_000
        assert (folder / "postgres.log.1").exists()


@needs_proc
def test_launcher_does_not_start_for_an_owner_that_is_gone(tmp_path: Path) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    caller = [str(gone.pid), str(os.geteuid()), str(os.getegid()), str(tmp_path)]
    command = [sys.executable, launcher.__file__, *caller, shutil.which("touch")]
    done = subprocess.run([*command, str(tmp_path / "started")], check=False)  # type: ignore[list-item]
    assert done.returncode == 126
    assert not (tmp_path / "started").exists()


@needs_root
def test_root_serves_a_folder_that_no_other_account_can_enter(
    tmp_path: Path, programs: Binaries
) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    with embedded.embedded(private / "pg", programs, settings=QUICK) as url:
        assert answers(url)
        ask(url, "create table t as select generate_series(1, 1000) as n")
        ask(url, "select pg_reload_conf()")
    assert private.stat().st_mode & 0o777 == 0o700
    assert private.stat().st_uid == 0


@needs_root
def test_an_ordinary_user_runs_it_and_root_after_that_too(
    owners: Owners, programs: Binaries
) -> None:
    nobody = Account(65534, 65534)
    python, path = python_for(nobody)
    with tempfile.TemporaryDirectory() as home:
        os.chown(home, nobody.uid, nobody.gid)
        folder = Path(home) / "data" / "postgres"
        owner = owners.begin(
            folder, python=python, path=path, user=nobody.uid, extra_groups=[]
        )
        assert answers(url_of(owner))
        assert (folder / "cluster").stat().st_uid == nobody.uid
        owner.communicate()
        with embedded.embedded(folder, programs, settings=QUICK) as url:
            assert answers(url)
        assert (folder / "cluster").stat().st_uid == nobody.uid


def python_for(runs_as: Account) -> tuple[str, list[str]]:
    """A Python that this account may run, and where it finds the packages."""
    wanted = f"{sys.version_info.major}.{sys.version_info.minor}"
    packages = next(Path(entry) for entry in sys.path if entry.endswith("-packages"))
    if not runs_as.can_enter(ROOT) or not runs_as.can_enter(packages):
        pytest.skip("the checkout is not readable for an ordinary user")
    for python in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        if not Path(python).exists() or not runs_as.can_enter(Path(python)):
            continue
        said = subprocess.check_output([python, "--version"], text=True)
        if said.startswith(f"Python {wanted}."):
            return python, [str(packages)]
    pytest.skip(f"no Python {wanted} that an ordinary user may run")


def test_a_folder_in_use_by_another_account_is_refused(
    tmp_path: Path, programs: Binaries, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_self: Path, *_args: object, **_kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InvalidSettings, match=r"Permission denied.*DATA_DIR"):
        Embedded(tmp_path / "pg", programs).start()


def test_a_link_folder_of_somebody_else_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, foreign = tmp_path / "own", tmp_path / "foreign"
    own.mkdir()
    (foreign / f"mcps-{os.geteuid()}").mkdir(parents=True, mode=0o755)
    monkeypatch.setattr(tempfile, "tempdir", str(foreign))
    monkeypatch.setattr(embedded, "_SHORT_FOLDERS", (own,))
    monkeypatch.setattr(embedded, "_SOCKET_LIMIT_BYTES", 300)
    cluster = tmp_path / "mit Leerzeichen"
    link = socket_folder(cluster)
    assert link.parent == own / f"mcps-{os.geteuid()}"
    assert link.readlink() == cluster
    assert socket_folder(cluster) == link
