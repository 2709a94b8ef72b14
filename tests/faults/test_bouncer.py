"""A23: PgBouncer in transaction mode between the service and its database."""

import asyncio
import os
import re
import subprocess
import sys
import time

import psycopg
import pytest

from tests.cluster import Cluster
from tests.conftest import ROOT
from tests.lab import bouncer, database
from tests.lab.figures import Figures, fault
from tests.lab.load import after, share_good
from tests.lab.process import serving
from tests.lab.proxy import Proxy
from tests.lab.rig import Lab, Rig

TERMINATE = (
    "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'mcps'"
)

SUITE_LIMIT_S = 500
# A database of each test on PostgreSQL, as the log of PgBouncer names it.
BEHIND = re.compile(r"login attempt: db=(test_\w+)")
FEWEST_DATABASES = 20


@pytest.mark.faults
@fault("A23")
async def test_it_serves_through_a_pgbouncer_in_transaction_mode(
    lab: Lab, figures: Figures
) -> None:
    if bouncer.program() is None:
        pytest.skip("pgbouncer is not installed")
    with lab.cluster() as cluster, bouncer.bouncing(cluster) as port:
        async with serving(lab.folder, DATABASE_URL=database.url_of(port)) as service:
            await service.until_ready()
            rig = Rig(cluster, Proxy(lambda: 0), service)
            await rig.begin(50, 10)
            at = time.monotonic()
            await rig.for_s(figures.pick(3, 10))
            found = after(rig.calls, at)
            figures.at_least("A23", "answers", share_good(found), 1.0)
            await refuses_what_is_locked(rig, figures)
            killed_at = time.monotonic()
            await asyncio.to_thread(database.run, cluster, TERMINATE)
            healed_s = await rig.until_good(killed_at)
            figures.at_most("A23", "good after lost connections", healed_s, 2.0)
            assert any("PgBouncer" in line for line in service.lines())
            await rig.end()


async def refuses_what_is_locked(rig: Rig, figures: Figures) -> None:
    """The limits hold although no session carries them."""
    with psycopg.connect(rig.cluster.url("mcps")) as operator:
        operator.execute("lock table server in share row exclusive mode")
        at = time.monotonic()
        await rig.for_s(2.5)
        operator.rollback()
    await rig.until_good(time.monotonic())
    refused = [
        c.answer for c in after(rig.calls, at) if not c.is_read and not c.is_good
    ]
    assert refused
    codes = {answer.json()["code"] for answer in refused}
    assert codes <= {"lock_timeout", "pool_exhausted"}
    locked = [a.took_s for a in refused if a.json()["code"] == "lock_timeout"]
    # Three sessions of the server for five of ours: a write may wait for one that a
    # second earlier write holds, before it waits for the lock.
    figures.at_most("A23", "503 lock_timeout", max(locked), 2.2)
    figures.tell("A23", "of the 2.2 s one may be a wait for one of three sessions")


@pytest.mark.faults
@fault("A23")
async def test_the_tests_of_the_store_hold_through_a_pgbouncer(
    figures: Figures,
) -> None:
    """What a test does by hand and its databases themselves go to the server."""
    if bouncer.program() is None:
        pytest.skip("pgbouncer is not installed")
    # Some tests hold five connections, each in a transaction.
    with (
        Cluster(max_connections=200) as cluster,
        bouncer.bouncing(cluster, database="*", user="postgres", size=10) as port,
    ):
        pooler = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        urls = {"TEST_DATABASE_URL": cluster.url(), "TEST_POOLER_URL": pooler}
        done = await asyncio.to_thread(run_suite, urls)
        behind = set(BEHIND.findall(bouncer.log_of(cluster).read_text()))
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed, done.stdout
    assert len(behind) >= FEWEST_DATABASES, "the tests went past PgBouncer"
    figures.tell(
        "A23",
        f"`tests/store`: all {passed[1]} tests that are not of SQLite passed; the "
        f"service of {len(behind)} goes through PgBouncer, the others have sessions of "
        "their own or need no database",
    )


def run_suite(urls: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """The tests of the store, without those on an SQLite file."""
    command = [sys.executable, "-m", "pytest", "-n", "0", "-q", "tests/store"]
    return subprocess.run(
        [*command, "-k", "not sqlite"],
        cwd=ROOT,
        env={**os.environ, **urls},
        capture_output=True,
        text=True,
        timeout=SUITE_LIMIT_S,
        check=False,
    )
