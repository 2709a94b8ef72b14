"""Logs as JSON or text on standard error; one line per request through a fast path."""

import asyncio
import logging
import re
import sys
import time
from typing import Any

import msgspec
import structlog

from service.settings import Settings

SAID_EVERY_S = 5.0
_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_SECRET = re.compile(r"(://[^/\s:@]*):[^/\s]*@|\bmcps_[A-Za-z0-9]+_[A-Za-z0-9_-]+")


class _State:
    is_json = True
    is_on = True
    second = 0
    second_text = ""


_lines: list[str] = []


def configure(settings: Settings) -> None:
    """Set format and level for structlog and the standard library alike."""
    level = _LEVELS[settings.log_level]
    _State.is_json = settings.log_format == "json"
    _State.is_on = level <= logging.INFO
    renderer: Any = (
        structlog.processors.JSONRenderer(serializer=_encode)
        if _State.is_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _mask,
    ]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                renderer,
            ],
            foreign_pre_chain=shared,
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(level, logging.INFO))
    logging.getLogger("uvicorn.access").disabled = True
    logging.getLogger("uvicorn.error").addFilter(_is_no_cancellation)


class Seldom:
    """Says what happens to many requests at once in one line every few seconds."""

    def __init__(self, log: Any) -> None:  # noqa: ANN401 - structlog's proxy
        self._log = log
        self._said: dict[str, float] = {}
        self._more: dict[str, int] = {}

    def __call__(
        self, kind: str, event: str, *, level: str = "warning", **values: object
    ) -> None:
        """Log one event of a kind, or count it as `more` for the next line."""
        now = time.monotonic()
        if now - self._said.get(kind, -SAID_EVERY_S) < SAID_EVERY_S:
            self._more[kind] = self._more.get(kind, 0) + 1
            return
        self._said[kind] = now
        if more := self._more.pop(kind, 0):
            values["more"] = more
        getattr(self._log, level)(event, **values)


def configure_for_commands() -> None:
    """For the command line: warnings and worse, as text."""
    configure(Settings(log_format="text", log_level="warning"))


def access(
    *, method: str, path: str, status: int, took_s: float, request_id: str
) -> None:
    """One line for one request. structlog would cost more than many an answer.

    The lines of requests that end together are written together, and at once.
    """
    if not _State.is_on:
        return
    if "mcps_" in path:
        path = _SECRET.sub(_masked, path)
    if _State.is_json:
        # Everything but the path is plain: no need for an object to encode.
        quoted = msgspec.json.encode(path).decode("utf-8", "backslashreplace")
        line = (
            f'{{"event":"request","level":"info","timestamp":"{_now()}",'
            f'"method":"{method}","path":{quoted},"status":{status},'
            f'"ms":{took_s * 1000:.2f},"request_id":"{request_id}"}}'
        )
    else:
        said = f"{method} {path!r} {status} {took_s * 1000:.1f} ms {request_id}"
        line = f"{_now()} [info     ] {said}"
    if not _lines:
        asyncio.get_running_loop().call_soon(_write)
    _lines.append(line)


def _now() -> str:
    """The time as structlog writes it; each second is written out once."""
    now = time.time()
    second = int(now)
    if second != _State.second:
        _State.second = second
        _State.second_text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
    return f"{_State.second_text}.{int((now - second) * 1e6):06d}Z"


def _write() -> None:
    text = "\n".join(_lines)
    _lines.clear()
    sys.stderr.write(f"{text}\n")


def _is_no_cancellation(record: logging.LogRecord) -> bool:
    """A request that is dropped at a second signal is no error of anybody."""
    error = record.exc_info[1] if record.exc_info else None
    last_line = record.getMessage().rstrip().rpartition("\n")[2]
    is_told = last_line.startswith("asyncio.exceptions.CancelledError")
    return not (is_told or isinstance(error, asyncio.CancelledError))


def _encode(value: Any, **_options: Any) -> str:  # noqa: ANN401 - whatever is logged
    return msgspec.json.encode(value, enc_hook=repr).decode()


def _mask(_logger: object, _name: str, event: Any) -> Any:  # noqa: ANN401
    """Passwords of URLs and API keys never reach a log."""
    for key, value in event.items():
        if isinstance(value, str) and ("://" in value or "mcps_" in value):
            event[key] = _SECRET.sub(_masked, value)
    return event


def _masked(match: re.Match[str]) -> str:
    login = match.group(1)
    return f"{login}:****@" if login else "mcps_****"
