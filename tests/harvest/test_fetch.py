"""What the fetch layer promises: an answer or an error, within the limits of a call."""

import asyncio
import time
import zlib
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from service.errors import SourceFailed
from service.sources.fetch import Fetcher
from service.sources.requests import Limits
from tests.harvest.places import Handler, options, place
from tests.waiting import until


@pytest.fixture
async def fetcher() -> AsyncIterator[Fetcher]:
    async with Fetcher(options(), "test") as opened:
        yield opened


def replies(*answers: web.Response | Handler) -> Handler:
    """One answer after the other; the last one again and again."""
    waiting = list(answers)

    async def handler(request: web.Request) -> web.StreamResponse:
        answer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        if isinstance(answer, web.Response):
            return web.Response(
                status=answer.status, headers=answer.headers, body=answer.body
            )
        return await answer(request)

    return handler


def status(number: int, **headers: str) -> web.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.Response(status=number, headers=named)


async def failed(fetcher: Fetcher, url: str, limits: Limits | None = None) -> str:
    with pytest.raises(SourceFailed) as caught:
        await fetcher.get(url, limits=limits)
    return caught.value.reason


async def test_json_is_read_and_the_contact_is_told() -> None:
    given = options(user_agent="mcps/1 (+mailto:ops@example.com)")
    there_is = place(replies(web.json_response({"a": 1})))
    async with there_is as there, Fetcher(given, "test") as fetcher:
        answer = await fetcher.get(f"{there.url}/@a%2Fb?y=1%2B1")
    assert answer.json(dict) == {"a": 1}
    assert there.paths == ["/@a%2Fb?y=1%2B1"]
    agent = there.asked[0].headers["User-Agent"]
    assert agent == "mcps/1 (+mailto:ops@example.com)"


async def test_an_unchanged_answer_is_told_by_its_validators(fetcher: Fetcher) -> None:
    async def conditional(request: web.Request) -> web.StreamResponse:
        is_same = request.headers.get("If-None-Match") == '"v1"'
        return web.Response(status=304 if is_same else 200, headers={"ETag": '"v1"'})

    async with place(conditional) as there:
        first = await fetcher.get(there.url)
        again = await fetcher.get(there.url, validators=first.validators)
    assert (first.is_unchanged, again.is_unchanged) == (False, True)


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (404, "not_found"),
        (410, "not_found"),
        (401, "unauthorized"),
        (403, "unauthorized"),
        (400, "status"),
        (418, "status"),
        (300, "redirect"),
    ],
)
async def test_an_unwanted_status_has_a_reason_and_is_asked_once(
    fetcher: Fetcher, number: int, reason: str
) -> None:
    async with place(replies(status(number))) as there:
        assert await failed(fetcher, there.url) == reason
    assert len(there.asked) == 1


async def test_a_status_that_the_caller_wants_is_an_answer(fetcher: Fetcher) -> None:
    async with place(replies(status(404))) as there:
        assert (await fetcher.get(there.url, may_be=(404,))).status == 404
        assert (await fetcher.head(there.url, may_be=(404,))).status == 404


async def test_a_broken_answer_is_asked_for_again(fetcher: Fetcher) -> None:
    answers = [status(503), status(429, Retry_After="0"), web.Response(text="well")]
    async with place(replies(*answers)) as there:
        assert (await fetcher.get(there.url)).text() == "well"
    assert len(there.asked) == 3


async def test_a_host_that_stays_broken_is_left_after_some_tries(
    fetcher: Fetcher,
) -> None:
    limits = Limits(total_s=20, tries=3)
    async with place(replies(status(500))) as there:
        assert await failed(fetcher, there.url, limits) == "unavailable"
    assert len(there.asked) == 3


async def test_a_post_is_not_sent_twice_after_a_server_error(fetcher: Fetcher) -> None:
    async with place(replies(status(500))) as there:
        with pytest.raises(SourceFailed):
            await fetcher.post(there.url, b"{}")
    assert len(there.asked) == 1


async def test_a_long_pause_fails_at_once_and_holds_for_the_whole_host(
    fetcher: Fetcher,
) -> None:
    async with place(replies(status(429, Retry_After="600"))) as there:
        began_at = time.monotonic()
        assert await failed(fetcher, f"{there.url}/a") == "rate_limited"
        with pytest.raises(SourceFailed) as caught:
            await fetcher.get(f"{there.url}/b")
        assert time.monotonic() - began_at < 4
    assert there.paths == ["/a"]
    assert 500 < (caught.value.retry_after_s or 0) <= 600


async def test_the_end_of_githubs_limit_is_understood(fetcher: Fetcher) -> None:
    reset = str(int(time.time()) + 900)
    limited = status(403, X_RateLimit_Remaining="0", X_RateLimit_Reset=reset)
    async with place(replies(limited)) as there:
        with pytest.raises(SourceFailed) as caught:
            await fetcher.get(there.url)
    assert caught.value.reason == "rate_limited"
    assert 800 < (caught.value.retry_after_s or 0) <= 900


async def test_an_answer_that_is_too_large_is_not_read_to_its_end(
    fetcher: Fetcher,
) -> None:
    sent = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        while sent < 1 << 28:
            await response.write(b"x" * 65_536)
            sent += 65_536
        return response

    async with place(endless) as there:
        limits = Limits(body_bytes=1 << 20)
        assert await failed(fetcher, there.url, limits) == "too_large"
    assert sent < 1 << 26


async def test_a_small_answer_that_unpacks_to_a_large_one_is_refused(
    fetcher: Fetcher,
) -> None:
    packer = zlib.compressobj(wbits=31)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(200))
    bomb += packer.flush()
    headers = {"Content-Encoding": "gzip"}
    async with place(replies(web.Response(body=bomb, headers=headers))) as there:
        assert await failed(fetcher, there.url) == "too_large"
    assert len(bomb) < 300_000


async def test_one_byte_a_second_ends_in_time(fetcher: Fetcher) -> None:
    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(60):
            await response.write(b" ")
            await asyncio.sleep(1)
        return response

    async with place(drip) as there:
        began_at = time.monotonic()
        assert await failed(fetcher, there.url, Limits(total_s=2)) == "timeout"
        assert time.monotonic() - began_at < 10


async def test_a_host_that_says_nothing_ends_in_time(fetcher: Fetcher) -> None:
    async def silent(_request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(60)
        return web.Response()

    async with place(silent) as there:
        assert await failed(fetcher, there.url, Limits(total_s=0.5)) == "timeout"


async def test_html_and_deep_json_are_no_answer(fetcher: Fetcher) -> None:
    html = web.Response(text="<html>Sign in</html>", content_type="text/html")
    deep = web.Response(text="[" * 100_000)
    for body in (html, deep):
        async with place(replies(body)) as there:
            answer = await fetcher.get(there.url)
            with pytest.raises(SourceFailed) as caught:
                answer.json(dict)
            assert caught.value.reason == "bad_answer"


async def test_an_archive_comes_as_it_was_sent(fetcher: Fetcher) -> None:
    body = zlib.compress(b"archive" * 1000)
    headers = {"Content-Encoding": "deflate"}
    there_is = place(replies(web.Response(body=body, headers=headers)))
    async with there_is as there, fetcher.download(there.url) as got:
        assert got.file.read() == body
        assert got.size_bytes == len(body)
    assert there.asked[0].headers["Accept-Encoding"] == "identity"


async def test_at_most_so_many_calls_are_under_way_and_so_many_a_second() -> None:
    under_way, most = 0, 0

    async def slow(_request: web.Request) -> web.StreamResponse:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.05)
        under_way -= 1
        return web.Response()

    given = options(at_once_per_host=3, per_second_per_host=20.0)
    async with place(slow) as there, Fetcher(given, "test") as fetcher:
        began_at = time.monotonic()
        await asyncio.gather(*(fetcher.get(there.url) for _ in range(20)))
        took_s = time.monotonic() - began_at
    assert most <= 3
    assert took_s >= 19 / 20


async def test_a_paused_host_holds_up_no_other_one() -> None:
    paused = place(replies(status(429, Retry_After="4")))
    well = place(replies(web.Response()))
    fetching = Fetcher(options(at_once=2), "test")
    async with paused as one, well as other, fetching as fetcher:
        waiting = [asyncio.create_task(failed(fetcher, one.url)) for _ in range(4)]
        await until(lambda: len(one.asked) > 0)
        began_at = time.monotonic()
        await fetcher.get(other.url)
        assert time.monotonic() - began_at < 2
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def test_messages_show_neither_passwords_nor_queries(fetcher: Fetcher) -> None:
    async with place(replies(status(500))) as there:
        url = there.url.replace("://", "://me:hunter2@") + "/p?token=s3cret#frag"
        with pytest.raises(SourceFailed) as caught:
            await fetcher.get(url, limits=Limits(tries=1))
    assert "hunter2" not in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert f"127.0.0.1:{there.port}/p" in str(caught.value)
