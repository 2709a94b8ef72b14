"""The short way from a read to its handler.

Litestar finds the handler, as for every request. What it does around the call serves
handlers that this application does not have, and costs as much as the query itself:
about 45 of 155 microseconds for one server (CPU of the process, Litestar 2.25).
"""

from typing import Any, cast

from litestar import Litestar, Request
from litestar.utils.path import normalize_path

from service.web.answers import Answer
from service.web.auth import KeyCheck
from service.web.problems import handle_error


class Dispatch:
    """Calls the handlers of one application."""

    def __init__(self, app: Litestar, check: KeyCheck) -> None:
        self._app = app
        self._check = check
        self._find = app.asgi_router.handle_routing

    async def __call__(self, scope: dict[str, Any], receive: Any) -> Answer:  # noqa: ANN401 - an ASGI callable
        """What the handler of a GET request answers, be it an error.

        A key has been looked at where a read needs one; whatever needs a role is
        checked here.
        """
        path: str = scope["path"].removeprefix(scope["root_path"])
        scope["litestar_app"] = self._app
        request: Request[Any, Any, Any] = Request(cast("Any", scope), receive)
        try:
            found = self._find(path=normalize_path(path), method="GET")
            _, handler, _, scope["path_params"], scope["path_template"] = found
            scope["route_handler"] = handler
            if handler.opt["spec"].role not in {"open", None}:
                await self._check(request)
            answer: Answer = await cast("Any", handler).fn(request)
        except Exception as error:  # noqa: BLE001 - as Litestar hands errors on
            return handle_error(request, error)
        return answer
