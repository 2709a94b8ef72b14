"""A17, A18: servers that stop taking writes, and standbys that take over."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.cluster import Cluster
from tests.lab import database
from tests.lab.database import Standby
from tests.lab.figures import Figures, fault
from tests.lab.load import Call, after, longest_failure_s, share_good
from tests.lab.process import serving
from tests.lab.proxy import Proxy
from tests.lab.rig import Lab, Rig
from tests.waiting import until


def sides(rig: Rig, at: float) -> tuple[list[Call], list[Call]]:
    found = after(rig.calls, at)
    reads = [call for call in found if call.is_read]
    return reads, [call for call in found if not call.is_read]


@fault("A17")
async def test_a_read_only_server_serves_reads_and_refuses_writes_at_once(
    lab: Lab, figures: Figures, run: int
) -> None:
    async with lab.rig() as rig:
        read_only = "alter role mcps set default_transaction_read_only = on"
        kill = (
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where usename = 'mcps'"
        )
        at = time.monotonic()
        await rig.sql(read_only, kill)
        await rig.for_s(figures.pick(1.5, 4))
        reads, writes = sides(rig, at + 0.3)
        figures.at_least("A17", "reads", share_good(reads), 1.0)
        refused = [c for c in writes if not c.is_good]
        assert refused
        assert {c.answer.json()["code"] for c in refused} == {"read_only"}
        slowest_s = max(c.answer.took_s for c in refused)
        figures.at_most("A17", "503 read_only", slowest_s, 0.1)
        await rig.sql("alter role mcps reset default_transaction_read_only")
        healed_s = await rig.until_good(time.monotonic())
        figures.at_most("A17", "writes again", healed_s, 2.0)


@contextmanager
def pair(lab: Lab, *, is_synchronous: bool) -> Iterator[tuple[Cluster, Standby]]:
    """A primary and a standby that follows it."""
    settings = {"wal_level": "replica", "max_wal_senders": "5", "fsync": "off"}
    with ExitStack() as stack:
        primary = stack.enter_context(lab.cluster(settings=settings))
        standby = stack.enter_context(database.standby_of(primary))
        if is_synchronous:
            database.run(
                primary,
                "alter system set synchronous_standby_names = '*'",
                "select pg_reload_conf()",
            )
        sql = "select count(*) from pg_stat_replication where state = 'streaming'"
        ends_at = time.monotonic() + 20
        while not database.value(primary, sql):
            assert time.monotonic() < ends_at, "the standby does not follow"
            time.sleep(0.05)
        yield primary, standby


@pytest.mark.faults
@fault("A18")
@pytest.mark.parametrize("is_synchronous", [True, False], ids=["sync", "async"])
async def test_a_standby_that_takes_over_is_found_and_the_old_primary_avoided(
    lab: Lab,
    figures: Figures,
    is_synchronous: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    name = "synchronous" if is_synchronous else "asynchronous"
    with pair(lab, is_synchronous=is_synchronous) as (primary, standby):
        login = "postgresql://mcps@"
        hosts = f"127.0.0.1:{primary.port},127.0.0.1:{standby.port}"
        async with serving(lab.folder, DATABASE_URL=f"{login}{hosts}/mcps") as service:
            await service.until_ready()
            rig = Rig(primary, Proxy(lambda: 0), service)
            rig.final_url = database.url_of(standby.port)
            rig.ledger.may_be_lost = not is_synchronous
            await rig.begin(50, 10)
            await rig.for_s(1)
            await take_over(rig, standby, figures, name)
            await old_primary_returns(rig, primary, standby)
            await rig.load.stop()
            lost = lost_writes(rig, standby)
            figures.tell("A18", f"{name}: {lost} acknowledged writes lost")
            assert lost == 0 or not is_synchronous
            if is_synchronous:
                await rig.end()


async def take_over(rig: Rig, standby: Standby, figures: Figures, name: str) -> None:
    rig.cluster.stop("immediate")
    await asyncio.to_thread(standby.promote)
    database.run(standby, "alter system reset synchronous_standby_names")
    database.run(standby, "select pg_reload_conf()")
    promoted_at = time.monotonic()
    healed_s = await rig.until_good(promoted_at)
    figures.at_most("A18", f"unavailable ({name})", healed_s, 2.0)
    assert longest_failure_s(rig.calls) < 20


async def old_primary_returns(rig: Rig, primary: Cluster, standby: Standby) -> None:
    """It takes writes again, but nobody may send it any."""
    await asyncio.to_thread(primary.start)
    database.run(primary, "alter system reset synchronous_standby_names")
    database.run(primary, "select pg_reload_conf()")
    newest = "select max(updated_at)::text from server"
    before = database.value(primary, newest)
    kill = "select pg_terminate_backend(pid) from pg_stat_activity where usename='mcps'"
    at = time.monotonic()
    for _ in range(3):
        database.run(standby, kill)
        await rig.for_s(1)
    assert share_good(after(rig.calls, at)) > 0.9
    assert database.value(primary, newest) == before


def lost_writes(rig: Rig, standby: Standby) -> int:
    sql = "select count(*) from server where keywords ? 'added'"
    added = [c for c in rig.calls if c.kind == "add" and c.is_good]
    stored = database.value(standby, sql)
    return max(0, len(added) - int(str(stored)))


@pytest.mark.faults
@fault("A17")
async def test_a_demoted_server_is_noticed_and_its_promotion_too(
    lab: Lab, figures: Figures
) -> None:
    async with lab.rig() as rig:
        rig.cluster.stop("fast")
        signal = rig.cluster.data / "standby.signal"
        signal.touch()
        await asyncio.to_thread(rig.cluster.start)
        await rig.for_s(2.0)
        at = time.monotonic()
        await rig.for_s(2.0)
        reads, writes = sides(rig, at)
        figures.at_least("A17", "reads (demoted)", share_good(reads), 1.0)
        codes = {c.answer.json()["code"] for c in writes if not c.is_good}
        assert codes == {"read_only"}
        await rig.sql("select pg_promote(true, 30)")
        healed_s = await rig.until_good(time.monotonic())
        figures.at_most("A17", "writes after promotion", healed_s, 2.0)

        async def is_up() -> bool:
            return await rig.service.metric("mcps_db_up") == 1

        await until(is_up)
