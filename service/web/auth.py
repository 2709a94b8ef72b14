"""Who may do what: one check in front of every handler, by the role in its Spec."""

import asyncio
from collections.abc import Iterable
from typing import Any, Literal

from litestar import Litestar, Request
from litestar.routes import HTTPRoute

from service.errors import Forbidden, McpsError, Unauthorized
from service.keys import KeyRing, allows, prefix_of
from service.models import Role
from service.permissions import Caller, all_names
from service.settings import Settings
from service.tokens import Tokens, is_token
from service.web.spec import Spec

_KEY_HEADERS = frozenset({b"x-api-key", b"authorization"})


class KeyCheck:
    """The check that Litestar runs before each handler."""

    def __init__(self, ring: KeyRing, tokens: Tokens, settings: Settings) -> None:
        self._ring = ring
        self._tokens = tokens
        self._reads_need_key = settings.require_api_key

    async def __call__(self, request: Request[Any, Any, Any]) -> None:
        """Let the request pass, or raise Unauthorized or Forbidden."""
        spec: Spec = request.scope["route_handler"].opt["spec"]
        if spec.role is None:
            await self.may_read(request.scope["headers"])
        elif spec.role != "open":
            await self._require_role(request, spec.role)
        if spec.limit_s:
            _extend(request, spec.limit_s)

    async def may_read(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Let a read pass, or raise Unauthorized: a wrong key is refused here too."""
        key = key_of(headers)
        if key is not None:
            await self._ring.role(key)
        elif self._reads_need_key:
            raise Unauthorized

    async def _require_role(
        self, request: Request[Any, Any, Any], wanted: Literal["publish"] | Role
    ) -> None:
        key = key_of(request.scope["headers"])
        if key is None:
            raise Unauthorized
        if wanted == "publish":
            caller = await self._caller(key)
            request.scope["caller"] = caller  # type: ignore[typeddict-unknown-key]
        else:
            _require(await self._ring.role(key), wanted)

    async def _caller(self, key: bytes) -> Caller:
        """Who publishes: by a registry token, or by a key for every name."""
        if is_token(key):
            return self._tokens.read(key)
        role = await self._ring.role(key)
        _require(role, "editor")
        return Caller(f"{role} key {prefix_of(key)}", all_names("publish", "edit"))


def key_of(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """The key that a request brings, if any.

    Raises Unauthorized when it is empty, not a bearer token, or not the only one.
    """
    given = [header for header in headers if header[0] in _KEY_HEADERS]
    if not given:
        return None
    if len(given) > 1:
        message = "send one key, once: as X-API-Key or as Authorization"
        raise Unauthorized(message)
    name, value = given[0]
    if name == b"authorization":
        scheme, _, value = value.partition(b" ")
        if scheme.lower() != b"bearer":
            message = "the scheme of Authorization must be Bearer"
            raise Unauthorized(message)
    key = value.strip(b" \t")
    if not key:
        message = "the API key is empty"
        raise Unauthorized(message)
    return key


def require_checks(app: Litestar) -> None:
    """Refuse to start with a route that nobody guards: raise McpsError naming it."""
    for route in app.routes:
        if not isinstance(route, HTTPRoute):
            message = f"{route.path}: only HTTP handlers pass the key check"
            raise McpsError(message)
        for handler in route.route_handlers:
            # Litestar adds these by itself; the edge answers OPTIONS before them.
            if handler.http_methods == {"OPTIONS"}:
                continue
            if not isinstance(handler.opt.get("spec"), Spec):
                message = f"{route.path}: {handler.handler_name} has no Spec"
                raise McpsError(message)
            if not isinstance(handler.resolve_before_request(), KeyCheck):
                message = f"{route.path}: {handler.handler_name} skips the key check"
                raise McpsError(message)


def _require(role: Role, wanted: Role) -> None:
    if not allows(role, wanted):
        message = f"this needs the role {wanted}; that of the key is {role}"
        raise Forbidden(message)


def _extend(request: Request[Any, Any, Any], limit_s: float) -> None:
    """Long work has a time limit of its own instead of that of every request."""
    deadline: asyncio.Timeout | None = request.scope.get("deadline")  # type: ignore[assignment]
    if deadline is not None:
        deadline.reschedule(asyncio.get_running_loop().time() + limit_s)
