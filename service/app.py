"""The application: settings in, ASGI out."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from multiprocessing import parent_process
from types import FrameType
from typing import Any, cast

from litestar import Litestar
from litestar.datastructures import State
from litestar.types import ControllerRouterHandler
from prometheus_client.multiprocess import mark_process_dead

from service import logs
from service.keys import KeyRing
from service.logins import Logins
from service.ownership import Ownership
from service.settings import Settings, read_settings
from service.store.base import Store
from service.store.locate import make_store, opened
from service.tokens import Tokens
from service.web import (
    admin,
    catalog,
    children,
    docs,
    exports,
    harvest,
    logins,
    probes,
    publish,
    registry,
    risks,
    search,
)
from service.web.auth import KeyCheck, require_checks
from service.web.dispatch import Dispatch
from service.web.edge import Edge
from service.web.problems import handle_error
from service.web.reads import Reads

ROUTES: Sequence[ControllerRouterHandler] = [
    *probes.ROUTES,
    *docs.ROUTES,
    *admin.ROUTES,
    *catalog.ROUTES,
    *children.ROUTES,
    *risks.ROUTES,
    *search.ROUTES,
    *registry.ROUTES,
    *publish.ROUTES,
    *logins.ROUTES,
    *exports.ROUTES,
    *harvest.ROUTES,
]


def create_app(settings: Settings | None = None, store: Store | None = None) -> Edge:
    """The ASGI application; without arguments from the environment, for uvicorn."""
    settings = settings or read_settings()
    if store is None:
        logs.configure(settings)
        store = make_store(settings)
    tokens = Tokens(settings)
    state: dict[str, Any] = {
        "settings": settings,
        "store": store,
        "ring": KeyRing(store, settings),
        "logins": Logins(settings, tokens),
        "ownership": Ownership(settings),
        "draining": False,
    }
    check = KeyCheck(state["ring"], tokens, settings)
    app = make_litestar(state, check)
    reads = Reads(Dispatch(app, check), store, check, settings)
    return Edge(app, reads, settings)


def make_litestar(state: dict[str, Any], check: KeyCheck) -> Litestar:
    """Routes, lifespan and error table put together."""
    app = Litestar(
        route_handlers=ROUTES,
        before_request=check,
        exception_handlers={Exception: cast("Any", handle_error)},
        lifespan=[_serve],
        openapi_config=None,
        state=State(state),
        logging_config=None,
    )
    require_checks(app)
    return app


@asynccontextmanager
async def _serve(app: Litestar) -> AsyncIterator[None]:
    """Open the store before the first request and close it after the last."""
    settings: Settings = app.state.settings
    try:
        async with opened(app.state.store):
            await app.state.logins.open()
            await app.state.ownership.open()
            _leave_slowly(app, settings.shutdown_delay)
            watch = asyncio.create_task(_end_with_supervisor())
            try:
                yield
            finally:
                watch.cancel()
                await app.state.logins.close()
                await app.state.ownership.close()
                await app.state.ring.close()
    finally:
        if settings.prometheus_multiproc_dir:
            mark_process_dead(os.getpid())  # type: ignore[no-untyped-call]


def _leave_slowly(app: Litestar, delay_s: float) -> None:
    """On SIGTERM turn unready at once, and stop serving after a delay.

    Kubernetes goes on sending requests until it has heard of it. A second signal does
    not even wait for what is running. The end of a terminal is as good as a signal.
    """
    leave = signal.getsignal(signal.SIGTERM)
    if not callable(leave):
        return
    loop = asyncio.get_running_loop()

    def drain(_number: int, frame: FrameType | None) -> None:
        is_first = not app.state.draining
        app.state.draining = True
        if is_first and delay_s:
            after = (delay_s, leave, signal.SIGTERM, frame)
            loop.call_soon_threadsafe(loop.call_later, *after)
            return
        leave(signal.SIGTERM, frame)
        if not is_first:
            # uvicorn drops what is running at an interrupt that follows another signal.
            leave(signal.SIGINT, frame)

    signal.signal(signal.SIGTERM, drain)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, drain)


async def _end_with_supervisor() -> None:
    """A worker whose supervisor was killed would hold the port for ever."""
    supervisor = parent_process()
    if supervisor is None:
        return
    while supervisor.is_alive():  # noqa: ASYNC110 - nothing tells of its end
        await asyncio.sleep(1)
    signal.raise_signal(signal.SIGTERM)
