"""B1 to B7 and B9: what happens to our own process, and what it leaves behind."""

import asyncio
import os
import resource
import signal
import sys
import time
from statistics import linear_regression

import psycopg
import pytest

from tests.lab import database, rows
from tests.lab.figures import Figures, fault
from tests.lab.http import BROKEN, Answer, Client
from tests.lab.load import after, share_good
from tests.lab.oracle import final_rows
from tests.lab.process import Service, serving
from tests.lab.rig import Lab, Rig
from tests.waiting import until

SLOW_S = 2
SLOW = f"""
create function be_slow() returns trigger language plpgsql as $$
begin
  perform pg_sleep({SLOW_S});
  return new;
end
$$;
create trigger be_slow before insert on server
  for each row when (new.name like 'slow%') execute function be_slow()
"""
TERMINATE = (
    "select pg_terminate_backend(pid) from pg_stat_activity "
    "where application_name = 'mcps'"
)
WARM_UP_S = 120
HANDOVER_CLIENTS = 4
SESSIONS = "select count(*) from pg_stat_activity where application_name = 'mcps'"


@pytest.mark.faults
@fault("B1")
async def test_a_killed_process_leaves_no_half_row_and_no_session(
    lab: Lab, figures: Figures, run: int
) -> None:
    async with lab.rig(reads_per_s=0, writes_per_s=0) as rig:
        acked: list[int] = []
        numbers = iter(range(1000))

        async def write() -> None:
            client = Client(rig.service.port)
            for number in numbers:
                body = rows.row("killed", number)
                answer = await client.write("POST", "/servers", body)
                if answer.status != 201:
                    break
                acked.append(number)
            client.close()

        rig.ledger.also_allowed = frozenset({BROKEN})
        writers = [asyncio.create_task(write()) for _ in range(5)]
        await until(lambda: len(acked) > 200, limit_s=60)
        rig.service.process.kill()
        killed_at = time.monotonic()
        await asyncio.gather(*writers)

        def is_gone() -> bool:
            return database.value(rig.cluster, SESSIONS) == 0

        await until(is_gone)
        figures.at_most("B1", "sessions gone", time.monotonic() - killed_at, 1.0)
        final = final_rows(rig.final_url, ("killed",))
        assert all(map(rows.is_whole, final))
        urls = {row["primary_url"] for row in final}
        lost = [n for n in acked if rows.url("killed", n) not in urls]
        figures.count("B1", f"lost of {len(acked)}", len(lost), 0)


async def slow(rig: Rig, number: int) -> Answer:
    client = Client(rig.service.port)
    try:
        return await client.write("POST", "/servers", rows.row("slow", number))
    finally:
        client.close()


async def unready_after(service: Service) -> float:
    """How long after now readiness says no."""
    at = time.monotonic()
    client = Client(service.port)
    try:
        while True:
            answer = await client.get("/health/db")
            if answer.status != 200:
                return answer.ended_at - at
    finally:
        client.close()


@fault("B2")
async def test_a_signal_loses_no_running_request(
    lab: Lab, figures: Figures, run: int
) -> None:
    reads_per_s = figures.pick(50, 100)
    async with lab.rig(
        reads_per_s=reads_per_s,
        writes_per_s=0,
        DB_POOL_SIZE="12",
        SHUTDOWN_DELAY="0.5",
        is_patient=True,
    ) as rig:
        rig.ledger.also_allowed = frozenset({BROKEN})
        await rig.sql(SLOW)
        running = [asyncio.create_task(slow(rig, n)) for n in range(10)]
        await until_in_use(rig, 10)
        broken_before = rig.service.client.broken_idle
        at = time.monotonic()
        rig.service.process.send_signal(signal.SIGTERM)
        figures.at_most("B2", "unready", await unready_after(rig.service), 0.1)
        code = await rig.service.ended()
        ended_s = time.monotonic() - at
        answers = await asyncio.gather(*running)
        assert {a.status for a in answers} == {201}
        figures.tell("B2", f"exit code {code}, 10 running requests answered")
        figures.at_most("B2", "exit", ended_s, 10.0)
        assert code == 0
        broken = rig.service.client.broken_idle - broken_before
        figures.count("B2", "broken idle connections", broken, figures.pick(3, 1))
        text = "\n".join(rig.service.lines())
        assert "Traceback" not in text
        assert database.value(rig.cluster, SESSIONS) == 0


async def until_in_use(rig: Rig, count: int) -> None:
    async def is_used() -> bool:
        return await rig.service.metric("mcps_pool_checked_out") >= count

    await until(is_used)


@pytest.mark.faults
@fault("B3")
async def test_it_ends_although_its_database_hangs(lab: Lab, figures: Figures) -> None:
    async with lab.rig() as rig:
        rig.ledger.also_allowed = frozenset({BROKEN})
        rig.cluster.pause()
        await rig.for_s(0.5)
        at = time.monotonic()
        code = await rig.service.end()
        figures.at_most("B3", "exit", time.monotonic() - at, 15.0)
        assert code == 0
        rig.cluster.resume()
        await rig.load.stop()
        await asyncio.sleep(0.5)


@pytest.mark.faults
@fault("B4")
@pytest.mark.parametrize("name", ["SIGTERM twice", "SIGINT", "SIGHUP"])
async def test_every_signal_ends_it_without_a_traceback(
    lab: Lab, figures: Figures, name: str
) -> None:
    async with lab.rig(reads_per_s=0, writes_per_s=0, DB_STATEMENT_TIMEOUT="5") as rig:
        await rig.sql(SLOW)
        running = asyncio.create_task(slow(rig, 1))
        await until_in_use(rig, 1)
        rig.ledger.also_allowed = frozenset({BROKEN})
        number = getattr(signal, name.split(maxsplit=1)[0])
        rig.service.process.send_signal(number)
        at = time.monotonic()
        if "twice" in name:
            await asyncio.sleep(0.2)
            at = time.monotonic()
            rig.service.process.send_signal(number)
        code = await rig.service.ended()
        took_s = time.monotonic() - at
        figures.at_most("B4", name, took_s, 1.0 if "twice" in name else 10.0)
        figures.tell("B4", f"{name}: exit code {code}")
        assert "Traceback" not in "\n".join(rig.service.lines())
        await running


@pytest.mark.faults
@fault("B5")
@pytest.mark.parametrize("workers", [1, 2])
async def test_a_new_process_takes_the_port_over(
    lab: Lab, figures: Figures, workers: int, run: int
) -> None:
    with lab.cluster() as cluster:
        url = database.url_of(cluster.port)
        variables = {"DATABASE_URL": url, "API_REUSE_PORT": "true"}
        variables["API_WORKERS"] = f"{workers}"
        async with serving(lab.folder, **variables) as old:
            await old.until_ready()
            (folder := lab.folder / "new").mkdir()
            port = str(old.port)
            async with serving(folder, API_PORT=port, **variables) as new:
                await until(lambda: "startup complete" in new.log.read_text())
                ended = asyncio.Event()
                asking = [
                    asyncio.create_task(ask_until(old.port, ended))
                    for _ in range(HANDOVER_CLIENTS)
                ]
                await asyncio.sleep(0.5)
                assert await old.end() == 0
                await asyncio.sleep(0.5)
                ended.set()
                answers = [a for found in await asyncio.gather(*asking) for a in found]
                assert new.is_running
    assert len(answers) >= 500
    bad = [a for a in answers if a.status != 200]
    figures.count("B5", f"failed ({workers} workers)", len(bad), 0)
    figures.tell("B5", "over 3,000 requests a run, each on a connection of its own")


async def ask_until(port: int, ended: asyncio.Event) -> list[Answer]:
    """Each on a connection of its own, as behind a proxy that keeps none."""
    answers = []
    while not ended.is_set():
        client = Client(port)
        answers.append(await client.get("/servers?limit=1"))
        client.close()
    return answers


@pytest.mark.faults
@fault("B6")
async def test_slow_clients_hold_nobody_up(lab: Lab, figures: Figures) -> None:
    async with lab.rig(writes_per_s=0) as rig:
        await rig.for_s(3)
        normal_s = quantile([c.answer for c in rig.calls], 0.99)
        before_bytes = rig.service.rss_bytes()
        port = rig.service.port
        half = b"POST /servers HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{"
        slow_ones = [half] * 300 + [b"GET /servers HTTP/1.1\r\nx-a: "] * 200
        page = b"GET /servers?limit=100&sort=name HTTP/1.1\r\nhost: x\r\n\r\n"
        slow_ones += [page * 20] * 50
        wires = [await asyncio.open_connection("127.0.0.1", port) for _ in slow_ones]
        at = time.monotonic()
        for (_, writer), sent in zip(wires, slow_ones, strict=True):
            writer.write(sent)
        await rig.for_s(4)
        busy_s = quantile([c.answer for c in after(rig.calls, at + 0.5)], 0.99)
        grown = rig.service.rss_bytes() - before_bytes
        figures.count("B6", "rss MB more", round(grown / 1e6), 100)
        closed = [asyncio.create_task(reader.read(-1)) for reader, _ in wires[:500]]
        done, _ = await asyncio.wait(closed, timeout=20)
        figures.count("B6", "slow ones left open", 500 - len(done), 0)
        figures.at_most("B6", "closed", time.monotonic() - at, 15.0)
        for _, writer in wires:
            writer.transport.abort()
        for task in closed:
            task.cancel()
        await asyncio.gather(*closed, return_exceptions=True)
        promised = max(2 * normal_s, 0.05)
        figures.at_most("B6", "p99 of the others", busy_s, promised)
        rig.judges_memory = False


def quantile(answers: list[Answer], share: float) -> float:
    times = sorted(answer.took_s for answer in answers)
    return times[min(len(times) - 1, int(share * len(times)))]


@pytest.mark.faults
@fault("B7")
async def test_too_few_open_files_do_not_end_it(lab: Lab, figures: Figures) -> None:
    if sys.platform != "linux":
        pytest.skip("the limit of another process can be set on Linux alone")
    async with lab.rig(reads_per_s=5, writes_per_s=0) as rig:
        rig.ledger.also_allowed = frozenset({BROKEN})
        pid = rig.service.process.pid
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (64, limits[1]))
        port = rig.service.port
        kept = Client(port)
        assert (await kept.get("/health")).status == 200
        wires = [await asyncio.open_connection("127.0.0.1", port) for _ in range(100)]
        await rig.for_s(2)
        assert (await kept.get("/health")).status == 200
        assert rig.service.is_running
        for _, writer in wires:
            writer.transport.abort()
        at = time.monotonic()

        async def is_alive() -> bool:
            return await rig.service.status("/health") == 200

        await until(is_alive)
        figures.at_most("B7", "good after", time.monotonic() - at, 1.0)
        kept.close()
        await rig.load.stop()
        assert share_good(rig.calls) > 0.3


@pytest.mark.faults
@fault("B9")
async def test_a_request_that_fails_or_hangs_is_the_only_one(
    lab: Lab, figures: Figures
) -> None:
    async with lab.rig(reads_per_s=0, writes_per_s=0) as rig:
        asking = rig.service.client.get
        rig.ledger.also_allowed = frozenset({500})
        rig.proxy.refusal = "XX000"
        failed = await asking("/servers?category=one")
        rig.proxy.refusal = ""
        assert failed.status == 500
        assert b"injected" not in failed.body
        assert (await asking("/servers?category=one")).status == 200
        assert any("injected XX000" in line for line in rig.service.lines())
        await rig.sql(SLOW.replace(f"({SLOW_S})", "(30)"))
        late = await slow(rig, 1)
        assert late.status == 503
        assert late.json()["code"] == "deadline_exceeded"
        figures.at_most("B9", "503 deadline_exceeded", late.took_s, 3.0)
        assert (await asking("/servers?category=two")).status == 200
        assert "test_admin_key" not in "\n".join(rig.service.lines())


@pytest.mark.soak
@fault("B8")
async def test_an_hour_of_lost_connections_costs_no_memory(
    lab: Lab, figures: Figures
) -> None:
    """SOAK_MINUTES makes it shorter; the row says how long it was."""
    minutes = float(os.environ.get("SOAK_MINUTES", figures.pick(2, 10, 60)))
    async with lab.rig(writes_per_s=5) as rig:
        rig.judges_memory = False
        await rig.for_s(WARM_UP_S)
        files = rig.service.open_files()
        began_at = time.monotonic()
        hours: list[float] = []
        megabytes: list[float] = []
        with psycopg.connect(rig.cluster.url(), autocommit=True) as connection:
            while time.monotonic() < began_at + 60 * minutes:
                if len(hours) % 60 == 0:
                    connection.execute(TERMINATE)
                await rig.for_s(1)
                hours.append((time.monotonic() - began_at) / 3600)
                megabytes.append(rig.service.rss_bytes() / 1e6)
        slope = linear_regression(hours, megabytes).slope
        grown = megabytes[-1] - megabytes[0]
        figures.tell(
            "B8",
            f"{minutes:g} minutes after {WARM_UP_S} s to get warm: "
            f"{megabytes[0]:.1f} MB at first, {grown:+.1f} MB in the end",
        )
        figures.count("B8", "files more", rig.service.open_files() - files, 5)
        figures.count("B8", "rss MB an hour", round(slope, 2), 1)
