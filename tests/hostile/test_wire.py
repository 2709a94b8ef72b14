"""Broken and lying HTTP, against the real process (D4, D9)."""

import asyncio
import json
import random
import re
import time
import uuid
from collections.abc import Iterator

import httpx
import pytest

from service.keys import create_key
from service.settings import read_settings
from service.store.postgres import PostgresStore
from tests.cli.test_serve import Service, running
from tests.conftest import TEMPLATE, execute, server_url
from tests.hostile.wire import Heard, talk

KEY = "wire_admin_key_that_nobody_may_see"
MAX_BODY = 1_048_576
HOST = b"Host: catalog.test\r\n"
HEALTH = b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n"
REFUSED = {400, 404, 405, 413, 414, 415, 431, 501, 505}
BODY = b'{"names":["a/b"]}'
POST = b"POST /v0.1/x/io.mcps/batch HTTP/1.1\r\n" + HOST
JSON = b"Content-Type: application/json\r\n"
SLOWEST_CLOSE_S = 15.0


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """A database for the one service of this file."""
    name = f"test_wire_{uuid.uuid4().hex}"
    create = f"create database {name} template {TEMPLATE} strategy file_copy"
    asyncio.run(execute("postgres", create))
    yield server_url(name)
    drop = f"drop database if exists {name} with (force)"
    asyncio.run(execute("postgres", drop))


@pytest.fixture(scope="module")
def service(
    database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """The real command, started once."""
    started = running(
        tmp_path_factory.mktemp("wire"),
        "serve",
        DATABASE_URL=database,
        ADMIN_API_KEY=KEY,
        DB_POOL_SIZE="5",
    )
    with asyncio.Runner() as runner:
        yield runner.run(started.__aenter__())
        runner.run(started.__aexit__(None, None, None))


def port_of(service: Service) -> int:
    return int(service.base.rpartition(":")[2])


async def test_what_is_no_request_is_refused_and_the_connection_not_reused(
    service: Service,
) -> None:
    for name, raw in [*framing(), *lines(), *heads(), *garbage()]:
        heard = await talk(port_of(service), [raw, HEALTH])
        assert is_refused(heard), (name, heard.data[:300])
    assert await service.status("/health/db") == 200
    assert "Traceback" not in service.log.read_text()


def is_refused(heard: Heard) -> bool:
    """One refusal or none, and then nothing more on this connection."""
    if not heard.statuses:
        return heard.is_closed
    return heard.statuses[0] in REFUSED and len(heard.statuses) == 1


def framing() -> Iterator[tuple[str, bytes]]:
    """Requests whose end two readers could see in two places."""
    length = b"Content-Length: %d\r\n" % len(BODY)
    chunked = b"Transfer-Encoding: chunked\r\n"
    chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
    heads = {
        "length and chunked": (length + chunked, chunks),
        "chunked and length": (chunked + length, chunks),
        "two lengths": (length + b"Content-Length: 3\r\n", BODY),
        "the same length twice": (length + length, BODY),
        "a list of lengths": (b"Content-Length: 17, 17\r\n", BODY),
        "a negative length": (b"Content-Length: -1\r\n", BODY),
        "a length with a sign": (b"Content-Length: +17\r\n", BODY),
        "a length in hex": (b"Content-Length: 0x11\r\n", BODY),
        "a length with a space": (b"Content-Length: 1 7\r\n", BODY),
        "no length in the length": (b"Content-Length: \r\n", BODY),
        "a length beyond all numbers": (b"Content-Length: %s\r\n" % (b"9" * 40), BODY),
        "another coding": (b"Transfer-Encoding: xchunked\r\n", chunks),
        "chunked not last": (b"Transfer-Encoding: chunked, identity\r\n", chunks),
        "chunked twice": (chunked + chunked, chunks),
        "a chunk of no size": (chunked, b"\r\n\r\n0\r\n\r\n"),
        "a chunk of a negative size": (chunked, b"-1\r\nabc\r\n0\r\n\r\n"),
        "a chunk of a wild size": (chunked, b"zz\r\nabc\r\n0\r\n\r\n"),
        "a chunk beyond all numbers": (chunked, b"f" * 40 + b"\r\nabc\r\n0\r\n\r\n"),
        "a chunk longer than it says": (chunked, b"3\r\nabcdef\r\n0\r\n\r\n"),
        "a folded coding": (b"Transfer-Encoding:\r\n chunked\r\n", chunks),
        "a space before the colon": (b"Content-Length : 17\r\n", BODY),
    }
    for name, (head, body) in heads.items():
        yield name, POST + JSON + head + b"\r\n" + body


def lines() -> Iterator[tuple[str, bytes]]:
    """Request lines that are none."""
    targets = {
        "another protocol": b"GET /health HTTPS/1.1\r\n" + HOST + b"\r\n",
        "small letters": b"GET /health http/1.1\r\n" + HOST + b"\r\n",
        "a version to come": b"GET /health HTTP/9.9\r\n" + HOST + b"\r\n",
        "version two": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "an unknown method": b"FOO /health HTTP/1.1\r\n" + HOST + b"\r\n",
        "a method in small letters": b"get /health HTTP/1.1\r\n" + HOST + b"\r\n",
        "a method in two": b"GE T /health HTTP/1.1\r\n" + HOST + b"\r\n",
        "no method": b" /health HTTP/1.1\r\n" + HOST + b"\r\n",
        "a tunnel": b"CONNECT other.test:443 HTTP/1.1\r\n" + HOST + b"\r\n",
        "no target": b"GET  HTTP/1.1\r\n" + HOST + b"\r\n",
        "a target without a slash": b"GET health HTTP/1.1\r\n" + HOST + b"\r\n",
        "a target with a space": b"GET /hea lth HTTP/1.1\r\n" + HOST + b"\r\n",
        "a raw byte": b"GET /hea\xfflth HTTP/1.1\r\n" + HOST + b"\r\n",
        "a raw NUL": b"GET /hea\0lth HTTP/1.1\r\n" + HOST + b"\r\n",
        "a long target": b"GET /" + b"a" * 65_536 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
        "a long query": b"GET /servers?q="
        + b"a" * 65_536
        + b" HTTP/1.1\r\n"
        + HOST
        + b"\r\n",
    }
    yield from targets.items()


def heads() -> Iterator[tuple[str, bytes]]:
    """Headers that are none, or far too many."""
    first = b"GET /health HTTP/1.1\r\n" + HOST
    headers = {
        "a folded header": b"X-A: b\r\n c\r\n",
        "a header without a name": b": b\r\n",
        "a header without a colon": b"X-A\r\n",
        "a name with a space": b"X A: b\r\n",
        "a name with a NUL": b"X\0A: b\r\n",
        "a value with a NUL": b"X-A: b\0c\r\n",
        "a value with a bare CR": b"X-A: b\rc\r\n",
        "a long value": b"X-A: " + b"b" * 102_400 + b"\r\n",
        "a long name": b"X" * 102_400 + b": b\r\n",
        "a thousand headers": b"".join(
            b"X-%d: %s\r\n" % (i, b"v" * 60) for i in range(1000)
        ),
    }
    for name, header in headers.items():
        yield name, first + header + b"\r\n"


def garbage() -> Iterator[tuple[str, bytes]]:
    """Bytes of something else."""
    letters = random.Random(9)
    yield "noise", letters.randbytes(4096)
    yield "a TLS greeting", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64)
    yield "zeros", bytes(4096)
    yield "an SSH greeting", b"SSH-2.0-OpenSSH_9.6\r\n"
    yield "a PostgreSQL greeting", bytes([0, 0, 0, 8, 4, 210, 22, 47])
    yield "mail", b"EHLO catalog.test\r\nMAIL FROM:<a@b>\r\n"
    yield "lines without end", b"\r\n" * 2 + b"A" * 70_000


async def test_a_proper_request_is_answered_on_one_connection(service: Service) -> None:
    heard = await talk(port_of(service), [HEALTH + HEALTH])
    assert heard.statuses == [200, 200]
    assert not heard.is_closed


async def test_reads_sent_without_waiting_are_answered_in_turn(
    service: Service,
) -> None:
    """A kept answer goes out in one piece, and never before one that was asked for."""
    ask = b" /v0.1/servers?limit=%d HTTP/1.1\r\n" + HOST + b"\r\n"
    asked = [method + ask % limit for limit in (3, 4) for method in (b"GET", b"HEAD")]
    for _ in range(2):
        heard = await talk(port_of(service), [b"".join([*asked, *asked[::2], HEALTH])])
        assert heard.statuses == [200] * 7
        assert heard.data.count(b'"servers":') == 4
        assert heard.data.rstrip().endswith(b"}")
        assert not heard.is_closed


async def test_a_whole_request_that_is_refused_leaves_the_connection(
    service: Service,
) -> None:
    for line, status in (
        (b"TRACE /health", 405),
        (b"PATCH /health", 405),
        (b"GET /hea%zzlth", 400),
        (b"GET /health%00", 400),
        (b"GET /nowhere", 404),
    ):
        raw = line + b" HTTP/1.1\r\n" + HOST + b"\r\n"
        heard = await talk(port_of(service), [raw + HEALTH])
        assert heard.statuses == [status, 200], line


async def test_the_oldest_http_gets_one_answer(service: Service) -> None:
    heard = await talk(port_of(service), [b"GET /health\r\n\r\n", HEALTH])
    assert len(heard.statuses) <= 1
    assert heard.is_closed


async def test_a_refusal_is_a_problem_document(service: Service) -> None:
    first = b"GET /health HTTP/1.1\r\n" + HOST
    long = first + b"X-A: " + b"b" * 102_400 + b"\r\n\r\n"
    strange = first.replace(b"GET", b"FOO") + b"\r\n"
    for raw, status in ((b"nonsense\r\n\r\n", 400), (strange, 400), (long, 431)):
        heard = await talk(port_of(service), raw)
        head, _, body = heard.data.partition(b"\r\n\r\n")
        assert b"application/problem+json" in head
        assert b"access-control-allow-origin: *" in head
        problem = json.loads(body)
        assert problem["status"] == status == heard.statuses[0]
        assert ("method" in problem["detail"]) == (status == 400)
        assert heard.is_closed


async def test_a_head_that_never_ends_is_cut(service: Service) -> None:
    first = b"GET /health HTTP/1.1\r\n" + HOST
    for part in (b"X-A: " + b"b" * 60_000, b"X: y\r\n" * 10_000):
        heard = await talk(port_of(service), [first, *[part] * 200], pause_s=0.001)
        assert heard.is_closed
        assert heard.sent_bytes < 8_000_000
        assert set(heard.statuses) <= {400, 431}


async def test_no_more_of_a_body_is_read_than_fits(service: Service) -> None:
    port = port_of(service)
    long = b"Content-Length: %d\r\n\r\n" % (2 * MAX_BODY)
    told = await talk(port, POST + JSON + long)
    assert told.statuses == [413]
    assert told.is_closed
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    head = POST + JSON + b"Transfer-Encoding: chunked\r\n\r\n"
    untold = await talk(port, [head, *[chunk] * 500], pause_s=0.001)
    assert untold.statuses[:1] == [413] or untold.is_closed
    assert untold.sent_bytes < 16 * MAX_BODY
    waits = b"Expect: 100-continue\r\n"
    asked = await talk(port, POST + JSON + waits + long)
    assert asked.statuses == [413]


async def test_a_length_that_lies_harms_only_its_own_request(service: Service) -> None:
    port = port_of(service)
    head = POST + JSON + b"Content-Length: %d\r\n\r\n"
    more = await talk(port, head % (len(BODY) - 5) + BODY)
    assert more.statuses[0] == 400
    less = await talk(port, head % (len(BODY) + 5) + BODY, ends=True, wait_s=5)
    assert 200 not in less.statuses
    assert (await talk(port, head % len(BODY) + BODY)).statuses == [200]


async def test_compressed_bodies_are_refused_unread(service: Service) -> None:
    port = port_of(service)
    bomb = b"\x1f\x8b\x08\x00" + bytes(900_000)
    for coding in (b"gzip", b"br", b"zstd", b"deflate", b"gzip, gzip"):
        head = b"Content-Encoding: %s\r\nContent-Length: %d\r\n\r\n"
        heard = await talk(port, POST + JSON + head % (coding, len(bomb)) + bomb)
        assert heard.statuses == [415], coding


async def test_no_header_of_an_answer_is_made_by_the_asker(service: Service) -> None:
    for name in (b"X-Request-Id", b"Origin", b"If-None-Match", b"X-Forwarded-Host"):
        for value in (b"a\rX-Evil: 1", b"a\nX-Evil: 1", b"a\r\n\r\nX-Evil: 1"):
            raw = (
                b"GET /servers HTTP/1.1\r\n" + HOST + name + b": " + value + b"\r\n\r\n"
            )
            heard = await talk(port_of(service), raw)
            assert b"evil" not in heard.data.lower(), (name, value)
    query = b"GET /servers?x=%0d%0aX-Evil:%201 HTTP/1.1\r\n" + HOST + b"\r\n"
    heard = await talk(port_of(service), query)
    head = heard.data.split(b"\r\n\r\n")[0]
    assert b"evil" not in head.lower()


async def test_a_key_is_in_no_log_no_metric_and_no_answer(
    service: Service, database: str
) -> None:
    store = PostgresStore(read_settings({"DATABASE_URL": database}), database)
    await store.open()
    made = await create_key(store, name="ci", role="editor")
    await store.close()
    secret = made.key.rsplit("_", 1)[1]
    wrong = made.key[:-1] + ("a" if made.key[-1] != "a" else "b")
    texts = []
    async with httpx.AsyncClient(base_url=service.base) as client:
        for key in (KEY, made.key, wrong):
            for headers in ({"X-API-Key": key}, {"Authorization": f"Bearer {key}"}):
                for path in ("/admin/stats", "/servers", f"/servers/{key}"):
                    answer = await client.get(path, headers=headers)
                    texts.append(answer.text + str(answer.headers))
            answer = await client.get("/servers", params={"key": key})
            texts.append(str(answer.headers))
        texts.append((await client.get("/metrics")).text)
    texts.append(service.log.read_text())
    for text in texts:
        assert secret[:-1] not in text
    log = re.sub(r"/servers/\S+", "", service.log.read_text())
    assert KEY not in log


@pytest.mark.faults
async def test_a_slow_head_is_cut_and_holds_nobody_up(service: Service) -> None:
    first = b"GET /health HTTP/1.1\r\n" + HOST

    async def dawdle(start: bytes) -> float:
        began_at = time.monotonic()
        parts = [start, *[b"X: y\r\n" if start else b""] * 100]
        heard = await talk(port_of(service), parts, pause_s=0.5, wait_s=20)
        assert heard.is_closed
        return time.monotonic() - began_at

    slow = [asyncio.create_task(dawdle(start)) for start in [first] * 50 + [b""] * 50]
    await asyncio.sleep(1)
    for _ in range(20):
        assert await service.status("/health/db") == 200
    assert max(await asyncio.gather(*slow)) < SLOWEST_CLOSE_S + 1
