"""The application: settings in, ASGI out."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from litestar import Litestar
from litestar.datastructures import State
from litestar.types import ASGIApp, ControllerRouterHandler

from service import logs
from service.settings import Settings, read_settings
from service.store.base import Store
from service.store.locate import make_store
from service.web import probes
from service.web.edge import Edge
from service.web.problems import handle_error

ROUTES: Sequence[ControllerRouterHandler] = [*probes.ROUTES]


def create_app(
    settings: Settings | None = None, store: Store | None = None
) -> ASGIApp:
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
        exception_handlers={Exception: handle_error},
        lifespan=[_serve],
        openapi_config=None,
        state=State({"settings": settings, "store": store, "draining": False}),
        logging_config=None,
    )


@asynccontextmanager
async def _serve(app: Litestar) -> AsyncIterator[None]:
    """Open the store before the first request and close it after the last."""
    store: Any = app.state.store
    await store.open()
    try:
        yield
    finally:
        await store.close()
