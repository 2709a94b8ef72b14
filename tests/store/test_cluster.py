"""The test cluster itself: what the fault tests stand on."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from service.store.probe import READY, probe
from tests import cluster
from tests.cluster import Cluster, children_of, is_alive

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 15.0
HOLDER = """
import time
from tests.cluster import Cluster

held = Cluster()
held.start()
print(held.folder, held.postmaster, flush=True)
time.sleep(60)
"""


@pytest.fixture(scope="module")
def private() -> Iterator[Cluster]:
    with Cluster(max_connections=12) as opened:
        yield opened


def is_up(private: Cluster) -> bool:
    return probe(("127.0.0.1", private.port), "postgres", "postgres", 0.3) == READY


def test_it_answers_on_tcp_and_on_its_socket(private: Cluster) -> None:
    for over in ("tcp", "socket"):
        url = private.url(over=over, application_name="a b")
        with psycopg.connect(url) as connection:
            row = connection.execute("show max_connections").fetchone()
            assert row == ("12",)
            assert connection.execute("show application_name").fetchone() == ("a b",)


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_restart_keeps_the_port(private: Cluster, mode: cluster.Mode) -> None:
    before = (private.port, private.postmaster)
    private.restart(mode)
    assert is_up(private)
    assert private.port == before[0]
    assert private.postmaster != before[1]


def test_paused_it_answers_nothing_until_it_goes_on(private: Cluster) -> None:
    private.pause()
    assert not is_up(private)
    private.resume()
    assert is_up(private)


def test_a_crash_leaves_no_process_and_a_start_recovers(private: Cluster) -> None:
    pids = private.pids()
    private.crash()
    assert private.pids() == []
    assert not any(map(is_alive, pids))
    private.start()
    assert is_up(private)


def test_only_its_own_backends_can_be_killed(private: Cluster) -> None:
    with pytest.raises(ValueError, match="no process of this test cluster"):
        private.kill_backend(os.getpid())


def test_a_killed_run_leaves_no_server_and_the_next_one_removes_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory(prefix="mcps-") as top:
        Path(top).chmod(0o755)
        held = subprocess.Popen(
            [sys.executable, "-c", HOLDER],
            env={"PYTHONPATH": str(ROOT), "TMPDIR": top, "PATH": os.defpath},
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert held.stdout is not None
        folder, postmaster = held.stdout.readline().split()
        monkeypatch.setattr(tempfile, "tempdir", top)
        cluster.remove_leftovers()
        assert Path(folder).exists(), "a cluster in use was removed"
        assert int(postmaster) in children_of(held.pid)
        held.send_signal(signal.SIGKILL)
        held.communicate()
        limit_at = time.monotonic() + LIMIT_S
        while Path(folder).exists():
            assert time.monotonic() < limit_at, "the server holds its folder"
            cluster.remove_leftovers()
            time.sleep(0.02)
