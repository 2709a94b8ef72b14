"""A4, A5, A6, A24: a database that is not there, or refuses the service."""

import asyncio
import time

import psycopg
import pytest

from tests.conftest import RunMcps
from tests.lab import database
from tests.lab.figures import Figures, fault
from tests.lab.http import Answer, Client
from tests.lab.load import Load, after, quantile_s, share_good
from tests.lab.process import serving
from tests.lab.proxy import Proxy, close
from tests.lab.rig import Lab
from tests.waiting import until

APPLICATION = "select count(*) from pg_stat_activity where application_name = 'mcps'"


def quantile(answers: list[Answer], share: float) -> float:
    times = sorted(answer.took_s for answer in answers)
    return times[min(len(times) - 1, int(share * len(times)))]


@fault("A4")
async def test_it_starts_without_its_database_and_serves_when_that_comes(
    lab: Lab, figures: Figures, run: int
) -> None:
    with lab.cluster() as cluster:
        cluster.stop()
        url = database.url_of(cluster.port)
        async with serving(lab.folder, DATABASE_URL=url) as service:
            figures.at_most(
                "A4", "process up", time.monotonic() - service.began_at, 2.0
            )
            pid = service.process.pid
            answers = []
            ends_at = time.monotonic() + figures.pick(2, 10)
            while time.monotonic() < ends_at:
                answers.append(await service.client.get("/servers?limit=1"))
                ready = await service.client.get("/health/db")
                assert ready.status == 503
                figures.at_most("A4", "readiness", ready.took_s, 0.3)
                assert (await service.client.get("/health")).status == 200
                await asyncio.sleep(0.02)
            assert {answer.status for answer in answers} == {503}
            assert {answer.json()["code"] for answer in answers} == {"database_down"}
            figures.at_most("A4", "503, p99", quantile(answers, 0.99), 0.05)
            await asyncio.to_thread(cluster.start)
            figures.at_most("A4", "ready", await service.until_ready(), 1.5)
            answer = await service.client.get("/servers?limit=1")
            assert answer.status == 200
            assert service.process.pid == pid
            assert service.is_running


@pytest.mark.faults
@fault("A5")
async def test_a_minute_without_the_database_is_told_and_not_suffered(
    lab: Lab, figures: Figures
) -> None:
    async with lab.rig() as rig:
        lines_before = len(rig.service.lines())
        connects_before = rig.proxy.connects
        at = time.monotonic()
        await rig.proxy.refuse()
        tries: list[float] = []

        def turn_away(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            tries.append(time.monotonic())
            writer.close()

        port = rig.proxy.port
        listener = await asyncio.start_server(turn_away, "127.0.0.1", port)
        await rig.for_s(figures.pick(20, 60))
        down_s = time.monotonic() - at
        await close(listener)
        known = after(rig.calls, at + 1.0)
        figures.at_most("A5", "answers once known, p99", quantile_s(known, 0.99), 0.05)
        later = [t for t in tries if t > at + 1.0]
        figures.count("A5", "connection tries a second", len(later) / down_s, 2)
        told = len(rig.service.lines()) - lines_before
        figures.count("A5", "log lines per 5 s", told / (down_s / 5), 1)
        await rig.proxy.listen()
        healed_s = await rig.until_good(time.monotonic())
        figures.at_most("A5", "good after", healed_s, 2.0)
        assert rig.proxy.connects - connects_before < 20


@pytest.mark.faults
@fault("A6")
async def test_what_waiting_cannot_mend_ends_the_start_with_one_line(
    lab: Lab, figures: Figures, run_mcps: RunMcps
) -> None:
    settings = {"password_encryption": "scram-sha-256"}
    with lab.cluster(settings=settings) as cluster:
        database.run(cluster, "create role stranger login password 'right'")
        hba = cluster.data / "pg_hba.conf"
        hba.write_text("host all stranger all scram-sha-256\n" + hba.read_text())
        database.run(cluster, "select pg_reload_conf()")
        port = cluster.port
        cases = {
            "wrong password": f"postgresql://stranger:wrong@127.0.0.1:{port}/mcps",
            "missing database": f"postgresql://mcps@127.0.0.1:{port}/nothing",
            "missing role": f"postgresql://nobody@127.0.0.1:{port}/mcps",
        }
        for name, url in cases.items():
            at = time.monotonic()
            ended = await asyncio.to_thread(
                run_mcps, "serve", env={"DATABASE_URL": url}
            )
            took_s = time.monotonic() - at
            assert ended.returncode == 2, (name, ended.stderr)
            assert len(ended.stderr.strip().splitlines()) == 1, ended.stderr
            assert "wrong" not in ended.stderr.replace("wrong password", "")
            figures.at_most("A6", name, took_s, 2.0)


@pytest.mark.faults
@fault("A6")
async def test_a_server_of_an_unsupported_version_ends_the_start_with_one_line(
    lab: Lab, figures: Figures, run_mcps: RunMcps
) -> None:
    with lab.cluster() as cluster:
        async with Proxy(lambda: cluster.port) as proxy:
            proxy.server_major = 14
            url = database.url_of(proxy.port)
            at = time.monotonic()
            ended = await asyncio.to_thread(
                run_mcps, "serve", env={"DATABASE_URL": url}
            )
            figures.at_most("A6", "unsupported version", time.monotonic() - at, 2.0)
            assert ended.returncode == 2
            (line,) = ended.stderr.strip().splitlines()
            assert "this is PostgreSQL 14, MCPS needs 15 or newer" in line


@pytest.mark.faults
@fault("A6")
async def test_a_server_replaced_by_an_unsupported_one_is_told_and_not_used(
    lab: Lab, figures: Figures
) -> None:
    with lab.cluster() as cluster:
        async with Proxy(lambda: cluster.port) as proxy:
            url = database.url_of(proxy.port)
            async with serving(lab.folder, DATABASE_URL=url) as service:
                await service.until_ready()
                proxy.server_major = 14
                proxy.reset()

                async def is_refused() -> bool:
                    answer = await service.client.get("/servers?limit=1")
                    return answer.status == 503

                await until(is_refused)

                def is_told() -> bool:
                    return any("PostgreSQL 14" in line for line in service.lines())

                await until(is_told)
                told = [line for line in service.lines() if "PostgreSQL 14" in line]
                assert '"level":"critical"' in told[0]
                assert await service.status("/health") == 200
                proxy.server_major = 0
                back_s = await service.until_ready()
                figures.at_most("A6", "back at run time", back_s, 2.0)


@pytest.mark.faults
@fault("A6")
async def test_a_schema_that_is_too_old_is_told_and_waited_for(
    lab: Lab, figures: Figures, run_mcps: RunMcps
) -> None:
    with lab.cluster() as cluster:
        url = {"DATABASE_URL": database.url_of(cluster.port)}
        undone = await asyncio.to_thread(
            run_mcps, "migrate", "--rollback", "1", env=url
        )
        assert undone.returncode == 0, undone.stderr
        async with serving(lab.folder, **url) as service:
            up_s = time.monotonic() - service.began_at
            figures.at_most("A6", "up with a schema too old", up_s, 2.0)
            ready = await service.client.get("/health/db")
            assert ready.status == 503
            assert "migrations are missing" in ready.json()["database"]["detail"]
            assert await service.status("/health") == 200
            told = [line for line in service.lines() if "migrations are" in line]
            assert len(told) == 1, told
            done = await asyncio.to_thread(run_mcps, "migrate", env=url)
            assert done.returncode == 0, done.stderr
            figures.at_most("A6", "ready once migrated", await service.until_ready(), 2)
            figures.tell(
                "A6",
                "schema too old: stays up, unready, says so in one line, and serves "
                "once it is migrated, without a restart",
            )


@pytest.mark.faults
@fault("A6")
async def test_a_password_changed_meanwhile_is_told_apart_from_an_absent_server(
    lab: Lab, figures: Figures
) -> None:
    with lab.cluster() as cluster:
        database.run(cluster, "create role keeper login superuser password 'right'")
        hba = cluster.data / "pg_hba.conf"
        hba.write_text("host all keeper all scram-sha-256\n" + hba.read_text())
        database.run(cluster, "select pg_reload_conf()")
        url = f"postgresql://keeper:right@127.0.0.1:{cluster.port}/mcps"
        async with serving(lab.folder, DATABASE_URL=url) as service:
            await service.until_ready()
            database.run(
                cluster,
                "alter role keeper password 'other'",
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where usename = 'keeper'",
            )

            async def is_refused() -> bool:
                answer = await service.client.get("/servers?limit=1")
                return answer.status == 503

            await until(is_refused)

            def is_told() -> bool:
                return any("refuses the login" in line for line in service.lines())

            await until(is_told)
            told = [line for line in service.lines() if "refuses the login" in line]
            assert '"level":"critical"' in told[0]
            assert "right" not in "".join(service.lines())
            assert await service.status("/health") == 200
            database.run(cluster, "alter role keeper password 'right'")
            figures.at_most("A6", "back at run time", await service.until_ready(), 2.0)


@pytest.mark.faults
@fault("A24")
async def test_five_hundred_who_waited_do_not_cause_a_second_outage(
    lab: Lab, figures: Figures
) -> None:
    async with lab.rig(reads_per_s=20, writes_per_s=2) as rig:
        rig.cluster.stop("immediate")
        clients = [Client(rig.service.port) for _ in range(500)]
        over = asyncio.Event()
        answers: list[Answer] = []

        async def wait(client: Client) -> None:
            while not over.is_set():
                answer = await client.get("/servers?limit=20")
                answers.append(answer)
                wait_s = float(answer.headers.get("retry-after", "0.2"))
                await asyncio.sleep(wait_s)

        waiting = [asyncio.create_task(wait(client)) for client in clients]
        await rig.for_s(10)
        rig.cluster.start()
        at = time.monotonic()
        healed_s = await rig.until_good(at)
        await rig.for_s(max(0.0, at + 4.0 - time.monotonic()))
        with psycopg.connect(rig.cluster.url()) as connection:
            (row,) = connection.execute(APPLICATION).fetchall()
        over.set()
        await asyncio.gather(*waiting)
        for client in clients:
            client.close()
        late = [a for a in answers if a.began_at > at + 3.0]
        assert late
        assert {answer.status for answer in late} == {200}
        figures.count("A24", "connections", row[0], 5)
        figures.at_most("A24", "good after", healed_s, 3.0)
        rig.judges_memory = False


async def test_the_load_keeps_its_rate(lab: Lab) -> None:
    """The lab itself: what it does not send it cannot see fail."""
    async with lab.rig() as rig:
        load: Load = rig.load
        before = len(load.calls)
        await rig.for_s(1.0)
        assert len(load.calls) - before >= 30
        assert share_good(load.calls) == 1.0
