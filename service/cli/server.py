"""uvicorn with the settings of MCPS."""

import uvicorn

from service.cli.wire import Protocol
from service.settings import Settings

APP = "service.app:create_app"
BACKLOG = 2048
KEEP_ALIVE_S = 30


def run(settings: Settings) -> None:
    """Serve until a signal ends it; returns when the last request is answered."""
    uvicorn.run(
        APP,
        factory=True,
        host=settings.api_host,
        port=settings.api_port,
        workers=settings.api_workers,
        loop="auto",
        http=Protocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        root_path=settings.root_path,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=round(settings.shutdown_timeout),
        backlog=BACKLOG,
    )
