"""The prefixes of the registry API: both serve the same handlers."""

from typing import Any, Literal

from litestar import Request, delete, get, patch, post, put
from litestar.handlers import HTTPRouteHandler

from service.web.parameters import decode

Method = Literal["get", "post", "put", "patch", "delete"]
Handlers = tuple[tuple[Method, str, Any, dict[str, Any]], ...]
"""Method, path below the prefix, handler and its `opt`."""

PREFIXES = ("/v0.1", "/v0")
_DECORATORS: dict[Method, Any] = {
    "get": get,
    "post": post,
    "put": put,
    "patch": patch,
    "delete": delete,
}


def routes(handlers: Handlers) -> list[HTTPRouteHandler]:
    """The handlers below every prefix."""
    return [
        _DECORATORS[method](
            prefix + path, name=_name(prefix, handler), opt=opt, status_code=200
        )(handler)
        for prefix in PREFIXES
        for method, path, handler, opt in handlers
    ]


def part(request: Request[Any, Any, Any], name: str) -> str:
    """A part of the path as text; see paths.py.

    A name that lacks its slash was encoded twice, by a client or by a proxy.
    """
    text = decode(request.path_params[name].encode("latin-1"), f"path.{name}")
    if "%" in text and name == "server" and "/" not in text:
        return decode(text.encode(), f"path.{name}")
    return text


def _name(prefix: str, handler: Any) -> str:  # noqa: ANN401 - a function
    return f"{prefix.strip('/').replace('.', '_')}_{handler.__name__}"
