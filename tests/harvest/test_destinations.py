"""Where the fetch layer does not go, however it is asked."""

import ipaddress
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from service.errors import InvalidSettings, SourceFailed
from service.settings import read_settings
from service.sources.addresses import Allowed, is_public, read_allowed
from service.sources.fetch import Fetcher
from service.sources.options import read_options
from service.sources.requests import Limits
from tests.harvest.places import Handler, Place, options, place

PRIVATE = (
    *("0.0.0.0", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.255.254"),
    *("169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.2.1"),
    *("192.168.1.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254"),
    *("::ffff:0:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1", "100::1", "2001::1"),
    *("2001:db8::1", "2002:7f00:1::", "fc00::1", "fd12::1", "fe80::1", "fec0::1"),
    "ff02::1",
)
PUBLIC = (
    *("8.8.8.8", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8"),
    "64:ff9b::808:808",
)


async def hello(_request: web.Request) -> web.StreamResponse:
    return web.Response(text="hello")


def leads_to(target: str, number: int = 302) -> Handler:
    async def handler(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=number, headers={"Location": target})

    return handler


@pytest.fixture
async def inside() -> AsyncIterator[Place]:
    """A server that nobody may reach."""
    async with place(hello) as there:
        yield there


async def reason(url: str, allowed: Allowed = Allowed()) -> str:  # noqa: B008 - frozen
    once = options(allowed=allowed, limits=Limits(tries=1))
    async with Fetcher(once, "test") as fetcher:
        with pytest.raises(SourceFailed) as caught:
            await fetcher.get(url)
    return caught.value.reason


@pytest.mark.parametrize("text", PRIVATE)
def test_an_address_that_is_not_of_the_internet_is_known(text: str) -> None:
    assert not is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_an_address_of_the_internet_is_known(text: str) -> None:
    assert is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "LOCALHOST.",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "0",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "user:pass@127.0.0.1",
        "example.com@127.0.0.1",
        "１２７.０.０.１",
    ],
)
async def test_no_spelling_of_loopback_is_connected_to(
    host: str, inside: Place
) -> None:
    got = await reason(f"http://{host}:{inside.port}/")
    assert got in {"refused_address", "connection", "bad_url"}
    assert inside.asked == []


async def test_loopback_is_refused_for_what_it_is(inside: Place) -> None:
    for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]"):
        assert await reason(f"http://{host}:{inside.port}/") == "refused_address"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "file:///etc/passwd",
        "ftp://example.com/",
        "gopher://127.0.0.1:70/",
        "//example.com/",
        "http://",
        "http:///x",
        "http://[::1",
        "http://a:99999/",
        "javascript:alert(1)",
        "http://exa mple.com/",
    ],
)
async def test_what_is_no_url_of_the_web_is_refused(url: str) -> None:
    assert await reason(url) in {"bad_url", "connection"}


async def test_a_redirect_to_a_private_address_is_refused(inside: Place) -> None:
    outside = read_allowed([], setting="TEST")
    async with place(leads_to(f"http://127.0.0.1:{inside.port}/")) as there:
        only_it = Allowed(outside.networks, frozenset({f"127.0.0.1:{there.port}"}))
        assert await reason(there.url, only_it) == "refused_address"
    assert inside.asked == []


async def test_a_name_that_changes_its_address_is_refused(
    inside: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first answer is public and cannot be reached; the second one is loopback."""
    given = iter(["192.88.99.1", "127.0.0.1", "127.0.0.1", "127.0.0.1"])

    def resolve(host: Any, port: Any, *_: Any, **__: Any) -> list[Any]:
        address = next(given)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    url = f"http://rebinding.example:{inside.port}/"
    assert await reason(url) in {"refused_address", "connection", "timeout"}
    assert await reason(url) == "refused_address"
    assert inside.asked == []


async def test_endless_redirects_end(inside: Place) -> None:
    async with place(leads_to("/again")) as there:
        allowed = read_allowed(["127.0.0.1"], setting="TEST")
        assert await reason(there.url, allowed) == "redirect"
    assert len(there.asked) == options().limits.redirects + 1


async def test_a_redirect_to_another_host_carries_no_secrets(inside: Place) -> None:
    secrets = {"Authorization": "Bearer s3cret", "X-API-Key": "s3cret", "Accept": "a/b"}
    there_is = place(leads_to(f"{inside.url}/x", 307))
    async with there_is as there, Fetcher(options(), "test") as fetcher:
        await fetcher.get(there.url, headers=secrets)
    assert there.asked[0].headers["Authorization"] == "Bearer s3cret"
    sent = inside.asked[0].headers
    assert sent["Accept"] == "a/b"
    assert "s3cret" not in str(sent)


async def test_a_redirect_on_the_same_host_keeps_them() -> None:
    async def once(request: web.Request) -> web.StreamResponse:
        if request.path == "/new":
            return web.Response(text=request.headers["X-API-Key"])
        return web.Response(status=308, headers={"Location": "/new"})

    async with place(once) as there, Fetcher(options(), "test") as fetcher:
        answer = await fetcher.get(f"{there.url}/old", headers={"X-API-Key": "k"})
    assert answer.text() == "k"
    assert answer.url == f"{there.url}/new"


async def test_a_post_does_not_follow_to_another_host(inside: Place) -> None:
    there_is = place(leads_to(inside.url, 307))
    async with there_is as there, Fetcher(options(), "test") as fetcher:
        with pytest.raises(SourceFailed) as caught:
            await fetcher.post(there.url, b"{}")
    assert caught.value.reason == "redirect"
    assert inside.asked == []


async def test_cookies_are_not_kept() -> None:
    async def cookie(request: web.Request) -> web.StreamResponse:
        response = web.Response(text=request.headers.get("Cookie", ""))
        response.set_cookie("session", "1")
        return response

    async with place(cookie) as there, Fetcher(options(), "test") as fetcher:
        await fetcher.get(there.url)
        assert (await fetcher.get(there.url)).text() == ""


async def test_the_settings_allow_hosts_networks_and_configured_places(
    inside: Place,
) -> None:
    for words, bases in (
        ("127.0.0.0/8, 10.0.0.0/8", ()),
        ("localhost", ()),
        (f"localhost:{inside.port}", ()),
        ("", (f"http://localhost:{inside.port}/base",)),
    ):
        settings = read_settings({"HARVEST_ALLOW_HOSTS": words})
        async with Fetcher(read_options(settings, bases=bases), "test") as fetcher:
            answer = await fetcher.get(f"http://localhost:{inside.port}/")
        assert answer.text() == "hello"


def test_a_network_that_is_none_stops_the_start() -> None:
    settings = read_settings({"HARVEST_ALLOW_HOSTS": "10.0.0.0/99"})
    with pytest.raises(InvalidSettings, match="HARVEST_ALLOW_HOSTS"):
        read_options(settings)
