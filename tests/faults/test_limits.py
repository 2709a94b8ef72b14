"""A14, A15, A16, A20: a database that is there, but has no room."""

import asyncio
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from tests.cluster import Cluster
from tests.lab import database, rows
from tests.lab.figures import Figures, fault
from tests.lab.http import Answer, Client
from tests.lab.load import after, quantile_s, share_good
from tests.lab.rig import Lab, Rig
from tests.waiting import until

SLOW = """
create function be_slow() returns trigger language plpgsql as $$
begin
  perform pg_sleep(2);
  return new;
end
$$;
create trigger be_slow before insert on server
  for each row when (new.name like 'slow%') execute function be_slow()
"""
FULL = """
create function full_disk() returns trigger language plpgsql as $$
begin
  raise exception 'could not extend file' using errcode = '53100';
end
$$;
create trigger full_disk before insert or update on server
  for each statement execute function full_disk()
"""


@fault("A14")
async def test_a_pool_without_a_free_connection_answers_after_its_limit(
    lab: Lab, figures: Figures, run: int
) -> None:
    async with lab.rig(reads_per_s=0, writes_per_s=10, is_patient=True) as rig:
        await rig.load.stop()
        await rig.sql(SLOW)
        holders = [asyncio.create_task(hold(rig, n)) for n in range(5)]
        await until_in_use(rig, 5)
        lines = len(rig.service.lines())
        asking = rig.service.client.get
        paths = [f"/servers?limit={number}&sort=name" for number in range(1, 101)]
        burst = [asyncio.create_task(asking(path)) for path in paths]
        await without_a_connection(rig, figures)
        answers = await asyncio.gather(*burst)
        told = len(rig.service.lines()) - lines
        held = await asyncio.gather(*holders)
        assert {a.status for a in held} == {201}
        assert {a.status for a in answers} == {503}
        assert {a.json()["code"] for a in answers} == {"pool_exhausted"}
        assert {a.headers["retry-after"] for a in answers} == {"1"}
        assert min(a.took_s for a in answers) >= 0.85
        slowest_s = max(a.took_s for a in answers)
        figures.at_most("A14", "503 pool_exhausted", slowest_s, 1.15)
        figures.count("A14", "log lines of a burst of 100", told, 2)
        good = await asking("/servers?limit=8")
        assert good.status == 200
        freed_at = max(a.ended_at for a in held)
        figures.at_most("A14", "good after", good.ended_at - freed_at, 0.1)


async def hold(rig: Rig, number: int) -> Answer:
    """Keep a connection busy for longer than anybody waits for one."""
    client = Client(rig.service.port)
    try:
        body = rows.row("slow", number)
        return await client.write("POST", "/servers", body)
    finally:
        client.close()


async def without_a_connection(rig: Rig, figures: Figures) -> None:
    """What needs no connection is answered at once."""
    wanted = {
        "/health": 200,
        "/health/db": 200,
        "/metrics": 200,
        "/servers?limit=0": 400,
        "/admin/stats": 401,
        "/nothing": 404,
        "/servers/x": 404,
    }
    took: list[float] = []
    for path, status in wanted.items():
        answer = await rig.service.client.get(path)
        assert answer.status == status, (path, answer.status, answer.body)
        took.append(answer.took_s)
    figures.at_most("A14", "what needs no connection", max(took), 0.05)


async def until_in_use(rig: Rig, count: int) -> None:
    async def is_used() -> bool:
        return await rig.service.metric("mcps_pool_checked_out") >= count

    await until(is_used)


@fault("A15")
async def test_a_server_without_a_free_slot_costs_new_connections_alone(
    lab: Lab, figures: Figures, run: int
) -> None:
    async with lab.rig(
        max_connections=14, settings={"superuser_reserved_connections": "2"}
    ) as rig:
        with ExitStack() as stack:
            taken = 0
            url = database.url_of(rig.cluster.port)
            try:
                for _ in range(14):
                    stack.enter_context(psycopg.connect(url))
                    taken += 1
            except psycopg.OperationalError:
                pass
            at = time.monotonic()
            await rig.for_s(figures.pick(1.5, 4))
            held = after(rig.calls, at)
            refused = [c for c in held if not c.is_good]
        freed_at = time.monotonic()
        assert taken < 14
        figures.at_least("A15", "answers on open connections", share_good(held), 0.95)
        slowest_s = max((c.answer.took_s for c in refused), default=0.0)
        figures.at_most("A15", "503 without a slot", slowest_s, 0.1)
        figures.at_most("A15", "good after", await rig.until_good(freed_at), 1.0)


@pytest.mark.faults
@fault("A16")
async def test_a_full_disk_stops_writes_and_no_read(lab: Lab, figures: Figures) -> None:
    async with lab.rig() as rig:
        await rig.sql(FULL)
        at = time.monotonic()
        await rig.for_s(4)
        found = after(rig.calls, at)
        reads = [c for c in found if c.is_read]
        writes = [c for c in found if not c.is_read]
        figures.at_least("A16", "reads", share_good(reads), 1.0)
        codes = {c.answer.json()["code"] for c in writes if c.answer.status == 503}
        assert codes == {"storage_full"}
        slowest_s = max(c.answer.took_s for c in writes)
        figures.at_most("A16", "503 storage_full", slowest_s, 0.15)
        await rig.sql("drop trigger full_disk on server")
        figures.at_most(
            "A16", "good after", await rig.until_good(time.monotonic()), 1.0
        )


@pytest.mark.faults
@fault("A16")
async def test_a_really_full_tablespace_stops_writes_and_no_read(
    lab: Lab, figures: Figures
) -> None:
    with small_volume("6m") as place:
        async with lab.rig() as rig:
            folder = place / "space"
            folder.mkdir()
            shutil.chown(folder, user=rig.cluster.data.owner())
            await rig.sql(f"create tablespace small location '{folder}'")
            moved = (
                "alter table server set tablespace small",
                "create table filler (data text) tablespace small",
            )
            await rig.sql(*moved)
            with pytest.raises(psycopg.errors.DiskFull):
                await rig.sql(
                    "alter table filler alter data set storage plain",
                    *(
                        "insert into filler select repeat('x', 7000)"
                        " from generate_series(1, 100)"
                        for _ in range(20)
                    ),
                    *("insert into filler select 'x' from generate_series(1, 9)",) * 20,
                )
            at = time.monotonic()
            await rig.for_s(5)
            found = after(rig.calls, at)
            reads = [c for c in found if c.is_read]
            figures.at_least("A16", "reads (tablespace)", share_good(reads), 1.0)
            bad = [c for c in found if not c.is_read and not c.is_good]
            assert {c.answer.json()["code"] for c in bad} <= {"storage_full"}
            figures.tell("A16", f"{len(bad)} writes refused on a full tablespace")
            await rig.sql("drop table filler")
            await rig.until_good(time.monotonic())
            await rig.sql(
                "alter table server set tablespace pg_default",
            )


@pytest.mark.faults
@fault("A16")
async def test_a_really_full_volume_of_the_log_is_an_outage_until_it_has_room(
    lab: Lab, figures: Figures
) -> None:
    with small_volume("80m") as place:
        async with lab.rig() as rig:
            await asyncio.to_thread(move_log, rig.cluster, place / "pg_wal")
            await rig.until_good(time.monotonic())
            began_at = time.monotonic()
            await asyncio.to_thread(fill_log, rig.cluster)
            at = time.monotonic()
            await rig.for_s(6)
            assert rig.cluster.pids() == [], "the server lives although its log is full"
            assert await rig.service.status("/health") == 200
            known = after(rig.calls, at + 1.0)
            codes = {c.answer.json()["code"] for c in known if not c.is_good}
            assert codes == {"database_down"}
            figures.at_most("A16", "503 (log), p99", quantile_s(known, 0.99), 0.05)
            assert command("mount", "-o", "remount,size=512m", str(place))
            await asyncio.to_thread(rig.cluster.start)
            healed_s = await rig.until_good(time.monotonic())
            figures.at_most("A16", "good after (log)", healed_s, 2.0)
            figures.tell(
                "A16",
                f"a full volume of the log ends the server in {at - began_at:.1f} s, "
                "nothing acknowledged is lost",
            )


def move_log(cluster: Cluster, place: Path) -> None:
    """Let the server write its log to another volume."""
    cluster.stop()
    log = cluster.data / "pg_wal"
    assert command("cp", "-a", str(log), str(place))
    shutil.rmtree(log)
    log.symlink_to(place)
    cluster.start()


def fill_log(cluster: Cluster) -> None:
    """Write until the log has no room left and the server ends."""
    insert = "insert into filler select repeat('x', 7000) from generate_series(1, 500)"
    database.run(cluster, "create table filler (data text)")
    database.run(cluster, "alter table filler alter data set storage plain")
    ends_at = time.monotonic() + 60
    while cluster.pids() and time.monotonic() < ends_at:
        with suppress(psycopg.Error):
            database.run(cluster, insert)


@contextmanager
def small_volume(size: str) -> Iterator[Path]:
    """A file system of that size that the server of a cluster may use.

    Not below the folder of the test: whoever starts pytest meanwhile closes the folder
    of all its runs to other accounts, such as that of the server.
    """
    place = Path(tempfile.mkdtemp(prefix="mcps-volume-"))
    options = f"size={size},mode=0777"
    if not command("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)):
        place.rmdir()
        pytest.skip("a small file system can be mounted by root alone")
    try:
        yield place
    finally:
        command("umount", "-l", str(place))
        place.rmdir()


def command(*words: str) -> bool:
    """Run a program; whether it went well."""
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


@pytest.mark.faults
@fault("A20")
async def test_a_lock_of_an_operator_stops_writes_after_a_second(
    lab: Lab, figures: Figures
) -> None:
    async with lab.rig(writes_per_s=3) as rig:
        with psycopg.connect(rig.cluster.url("mcps")) as operator:
            operator.execute("lock table server in share row exclusive mode")
            at = time.monotonic()
            await rig.for_s(figures.pick(5, 10))
            found = after(rig.calls, at)
            operator.rollback()
        reads = [c for c in found if c.is_read]
        figures.at_least("A20", "reads", share_good(reads), 1.0)
        refused = [c.answer for c in found if not c.is_read and not c.is_good]
        assert refused
        check_lock_timeouts(refused, figures)
        figures.at_most(
            "A20", "good after", await rig.until_good(time.monotonic()), 1.0
        )


def check_lock_timeouts(refused: list[Answer], figures: Figures) -> None:
    codes = {answer.json()["code"] for answer in refused}
    assert codes <= {"lock_timeout", "pool_exhausted"}, codes
    locked = [a.took_s for a in refused if a.json()["code"] == "lock_timeout"]
    assert min(locked) >= 0.8
    figures.at_most("A20", "503 lock_timeout", max(locked), 1.2)
