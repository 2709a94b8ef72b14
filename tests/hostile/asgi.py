"""Requests as raw as a socket takes them, handed to the application without one."""

import json
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any
from urllib.parse import unquote

import msgspec

Headers = Sequence[tuple[bytes, bytes]]
Application = Callable[..., Awaitable[None]]

PROBLEM = b"application/problem+json"
LAWFUL = frozenset(
    {
        200,
        201,
        202,
        204,
        304,
        307,
        400,
        401,
        403,
        404,
        405,
        409,
        412,
        413,
        415,
        422,
        501,
    }
)
MAX_PROBLEM_BYTES = 16_384


class Reply(msgspec.Struct, frozen=True):
    """What came back."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    took_s: float

    def header(self, name: bytes) -> bytes:
        """The first header of that name, or nothing."""
        return next((value for key, value in self.headers if key == name), b"")

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of a problem; empty for any other answer."""
        is_problem = self.header(b"content-type").startswith(PROBLEM)
        return str(self.json["code"]) if is_problem else ""

    def faults(self) -> list[str]:
        """What no answer may be, whatever was asked."""
        checks = {
            f"status {self.status} {self.body[:200]!r}": self.status in LAWFUL,
            "a header that breaks its line": not any(
                set(name + value) & set(b"\r\n\0") for name, value in self.headers
            ),
            "a length that is not that of the body": self.status in {204, 304}
            or self.header(b"content-length") == str(len(self.body)).encode(),
            "an error that is no problem document": self.status < 400
            or self._is_problem(),
        }
        return [fault for fault, is_well in checks.items() if not is_well]

    def _is_problem(self) -> bool:
        return (
            bool(self.code)
            and self.json["status"] == self.status
            and self.json["error"] == self.json["detail"]
            and len(self.body) <= MAX_PROBLEM_BYTES
        )


async def call(
    app: Application,
    method: str,
    target: bytes,
    *,
    headers: Headers = (),
    body: bytes | Iterable[bytes] = b"",
) -> Reply:
    """Answer one request, with everything in it as it is."""
    raw_path, _, query = target.partition(b"?")
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(raw_path.decode("latin-1")),
        "raw_path": raw_path,
        "query_string": query,
        "root_path": "",
        "headers": [(b"host", b"catalog.test"), *headers],
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 80),
        "state": {},
        "extensions": {},
    }
    parts = [body] if isinstance(body, bytes) else list(body)
    waiting = iter(parts)
    left = len(parts)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        nonlocal left
        left -= 1
        part = next(waiting, None)
        if part is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": part, "more_body": left > 0}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    began_at = time.perf_counter()
    await app(scope, receive, send)
    took_s = time.perf_counter() - began_at
    return Reply(
        status=sent[0]["status"],
        headers=[*sent[0]["headers"]],
        body=b"".join(message.get("body", b"") for message in sent[1:]),
        took_s=took_s,
    )
