"""One request to one host: no redirect, no second try, and only where it may go."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from service.errors import SourceFailed
from service.sources.addresses import Allowed, RefusedAddress
from service.sources.options import Options
from service.sources.pace import Pace, retry_after
from service.sources.requests import Call, Headers, failure, shown

CONNECT_S = 10.0
_NO_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=CONNECT_S)


class Line:
    """The connections of a process and the pace of each host."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._turns = asyncio.Semaphore(options.at_once)
        self._paces: dict[str, Pace] = {}
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def open(self) -> None:
        """Make the sessions: one looks at addresses, the other one need not."""
        if not self._sessions:
            everywhere = Allowed(self._options.allowed.networks).socket
            self._sessions = {
                False: self._session(aiohttp.TCPConnector(socket_factory=everywhere)),
                True: self._session(aiohttp.TCPConnector()),
            }

    async def close(self) -> None:
        """Close every connection."""
        for session in self._sessions.values():
            await session.close()
        self._sessions = {}

    async def send(
        self, call: Call, url: URL, headers: Headers, stack: AsyncExitStack
    ) -> aiohttp.ClientResponse:
        """The answer of one host; the stack ends with the body. Raises SourceFailed."""
        pace = self._pace(url)
        if pace.wait_s > call.limits.total_s:
            message = "wants no requests for now"
            raise failure(url, message, "rate_limited", retry_after_s=pace.wait_s)
        if not call.is_stream:
            await stack.enter_async_context(pace.turn())
            await stack.enter_async_context(self._turns)
        is_allowed = self._options.allowed.has_place(url.host or "", url.port or 0)
        request = self._sessions[is_allowed].request(
            call.method,
            url,
            data=call.body,
            headers=_sent(call, headers),
            allow_redirects=False,
            auto_decompress=not call.is_encoded,
            timeout=_NO_TIMEOUT,
        )
        try:
            return await stack.enter_async_context(request)
        except aiohttp.ClientConnectorError as error:
            raise _unconnected(url, error.os_error) from error
        except (aiohttp.ClientError, ValueError, OSError) as error:
            raise failure(url, _short(error), "connection") from error

    def check(self, call: Call, response: aiohttp.ClientResponse) -> None:
        """Raise SourceFailed unless the status is one that the caller wants.

        A host that wants a pause gets it, from every call.
        """
        try:
            _check_status(call, response)
        except SourceFailed as error:
            if error.retry_after_s is not None:
                self._pace(response.url).pause(error.retry_after_s)
            raise

    def _pace(self, url: URL) -> Pace:
        host = f"{url.host}:{url.port}"
        if host not in self._paces:
            self._paces[host] = Pace(
                self._options.at_once_per_host, self._options.per_second_per_host
            )
        return self._paces[host]

    def _session(self, connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": self._options.user_agent},
            trust_env=False,
        )


def checked_url(text: str) -> URL:
    """A URL of http or https. Raises SourceFailed."""
    try:
        parts = urlsplit(text)
        url = URL(text)
        is_fit = parts.scheme in {"http", "https"} and url.host and url.port
    except ValueError:
        is_fit = False
    if not is_fit:
        raise failure(text, "not a URL of http or https", "bad_url")
    return url.with_fragment(None)


def next_hop(
    call: Call, url: URL, target: str, headers: Headers
) -> tuple[URL, dict[str, str]]:
    """Where a redirect leads, and what may be sent there. Raises SourceFailed."""
    try:
        following = checked_url(str(url.join(URL(target)).with_user(None)))
    except ValueError as error:
        raise failure(url, "a redirect to no URL", "redirect") from error
    if url.scheme == "https" and following.scheme == "http":
        raise failure(url, f"a redirect to {shown(following)}, no https", "redirect")
    is_same = url.origin() == following.origin()
    if call.method in {"POST", "DELETE"} and not is_same:
        message = f"a redirect of a {call.method} to another host"
        raise failure(url, message, "redirect")
    kept = {
        name: value
        for name, value in headers.items()
        if is_same or name.lower() == "accept"
    }
    if is_same and url.user is not None:
        following = following.with_user(url.user).with_password(url.password)
    return following, kept


def _check_status(call: Call, response: aiohttp.ClientResponse) -> None:
    status, headers = response.status, response.headers
    if 200 <= status < 300 or status == 304 or status in call.may_be:
        return
    url, wait_s = response.url, retry_after(headers)
    message = f"answered {status}"
    if status == 429 or (status == 403 and wait_s is not None):
        raise failure(url, message, "rate_limited", retry_after_s=wait_s)
    if status >= 500:
        raise failure(url, message, "unavailable", retry_after_s=wait_s)
    if status in {404, 410}:
        raise failure(url, message, "not_found")
    if status in {401, 403}:
        raise failure(url, message, "unauthorized")
    raise failure(url, message, "redirect" if status < 400 else "status")


def _sent(call: Call, headers: Headers) -> dict[str, Any]:
    return (
        {**headers, "Accept-Encoding": "identity"} if call.is_encoded else {**headers}
    )


def _unconnected(url: URL, error: OSError) -> Exception:
    if isinstance(error, RefusedAddress):
        message = "its address is not public, and HARVEST_ALLOW_HOSTS does not allow it"
        return failure(url, message, "refused_address")
    return failure(url, f"cannot be connected: {_short(error)}", "connection")


def _short(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]
