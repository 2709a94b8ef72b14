"""Where an error becomes a status: RFC 9457, plus `error` for older clients."""

import http
from typing import Any

import msgspec
import structlog
from litestar import Request
from litestar.exceptions import HTTPException

from service import errors, metrics
from service.errors import Problem
from service.web.answers import PROBLEM, Answer, Header

log = structlog.get_logger("web")

NOT_FOUND = 404
LONGEST_PATH = 200

STATUS: dict[str, int] = {
    "internal": 500,
    "invalid": 400,
    "invalid_text": 400,
    "invalid_cursor": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "conflict": 409,
    "precondition_failed": 412,
    "too_large": 413,
    "unsupported_media_type": 415,
    "unprocessable": 422,
    "source_failed": 502,
    "not_supported": 501,
    "unavailable": 503,
    "database_down": 503,
    "unsupported_server": 503,
    "pool_exhausted": 503,
    "deadline_exceeded": 503,
    "lock_timeout": 503,
    "read_only": 503,
    "storage_full": 503,
    "schema_mismatch": 503,
    "missing_privilege": 503,
    "overloaded": 503,
}

_FROM_LITESTAR: dict[int, type[errors.McpsError]] = {
    400: errors.InvalidInput,
    404: errors.NotFound,
    405: errors.MethodNotAllowed,
    413: errors.TooLarge,
    415: errors.UnsupportedMediaType,
}


class ProblemDocument(msgspec.Struct, omit_defaults=True):
    """An error as clients read it."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    error: str
    errors: tuple[Problem, ...] = ()
    existing: str = ""


def problem(error: errors.McpsError) -> Answer:
    """The answer for an error of ours."""
    status = STATUS.get(error.code, 500)
    document = ProblemDocument(
        type="about:blank",
        title=http.HTTPStatus(status).phrase,
        status=status,
        detail=error.message,
        code=error.code,
        error=error.message,
        errors=error.problems,
        existing=error.existing if isinstance(error, errors.Conflict) else "",
    )
    body = msgspec.json.encode(document)
    return Answer(body, status=status, media=PROBLEM, headers=_headers(error))


def unexpected(error: BaseException) -> Answer:
    """The answer for an error that nobody foresaw: its text stays in the log."""
    log.error("unhandled error", exc_info=error)
    return problem(errors.McpsError("something went wrong on our side"))


def handle_error(request: Request[Any, Any, Any], error: Exception) -> Answer:
    """For Litestar: every exception of a handler passes here."""
    if isinstance(error, errors.McpsError):
        return problem(error)
    if isinstance(error, HTTPException) and error.status_code in _FROM_LITESTAR:
        headers = error.headers or {}
        says = _no_such_path(request) if error.status_code == NOT_FOUND else None
        answer = problem(_FROM_LITESTAR[error.status_code](says))
        if allow := headers.get("Allow") or headers.get("allow"):
            # What answers GET answers HEAD, which Litestar does not hear of.
            allow = allow.replace("GET", "GET, HEAD")
            answer.raw_headers.append((b"allow", allow.encode()))
        return answer
    return unexpected(error)


def _no_such_path(request: Request[Any, Any, Any]) -> str:
    """Clients of the registry API are often set up without its prefix."""
    path = request.scope["path"][:LONGEST_PATH]
    if path.startswith("/v0"):
        return "there is no such path here: /docs lists all of them"
    return f"there is no such path here; did you mean /v0.1{path}? /docs lists all"


def _headers(error: errors.McpsError) -> list[Header]:
    if isinstance(error, errors.Unavailable):
        metrics.UNAVAILABLE.labels(error.code).inc()
        return [(b"retry-after", str(error.retry_after_s).encode())]
    if isinstance(error, errors.Unauthorized):
        return [(b"www-authenticate", b'Bearer realm="mcps"')]
    return []
