"""The application: settings in, ASGI out."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import FrameType
from typing import Any, cast

from litestar import Litestar
from litestar.datastructures import State
from litestar.types import ControllerRouterHandler
from prometheus_client.multiprocess import mark_process_dead

from service import logs
from service.settings import Settings, read_settings
from service.store.base import Store
from service.store.locate import make_store
from service.web import docs, probes
from service.web.edge import Edge
from service.web.problems import handle_error

ROUTES: Sequence[ControllerRouterHandler] = [*probes.ROUTES, *docs.ROUTES]


def create_app(settings: Settings | None = None, store: Store | None = None) -> Edge:
    """The ASGI application; without arguments from the environment, for uvicorn."""
    settings = settings or read_settings()
    if store is None:
        logs.configure(settings)
        store = make_store(settings)
    return Edge(make_litestar(settings, store), settings)


def make_litestar(settings: Settings, store: Store) -> Litestar:
    """Routes, lifespan and error table put together."""
    return Litestar(
        route_handlers=ROUTES,
        exception_handlers={Exception: cast("Any", handle_error)},
        lifespan=[_serve],
        openapi_config=None,
        state=State({"settings": settings, "store": store, "draining": False}),
        logging_config=None,
    )


@asynccontextmanager
async def _serve(app: Litestar) -> AsyncIterator[None]:
    """Open the store before the first request and close it after the last."""
    store: Store = app.state.store
    settings: Settings = app.state.settings
    await store.open()
    _leave_slowly(app, settings.shutdown_delay)
    watch = asyncio.create_task(_end_with_supervisor(settings))
    try:
        yield
    finally:
        watch.cancel()
        await store.close()
        if settings.prometheus_multiproc_dir:
            mark_process_dead(os.getpid())  # type: ignore[no-untyped-call]


def _leave_slowly(app: Litestar, delay_s: float) -> None:
    """On SIGTERM turn unready at once, and stop serving after a delay.

    Kubernetes goes on sending requests until it has heard of it. A second signal does
    not wait.
    """
    leave = signal.getsignal(signal.SIGTERM)
    if not callable(leave):
        return
    loop = asyncio.get_running_loop()

    def drain(number: int, frame: FrameType | None) -> None:
        if app.state.draining or not delay_s:
            app.state.draining = True
            leave(number, frame)
            return
        app.state.draining = True
        loop.call_soon_threadsafe(loop.call_later, delay_s, leave, number, frame)

    signal.signal(signal.SIGTERM, drain)


async def _end_with_supervisor(settings: Settings) -> None:
    """A worker whose supervisor was killed would hold the port for ever."""
    supervisor = os.getppid()
    while settings.api_workers > 1:
        await asyncio.sleep(1)
        if os.getppid() != supervisor:
            signal.raise_signal(signal.SIGTERM)
            return
