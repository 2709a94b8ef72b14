"""uvicorn with the settings of MCPS."""

import socket
from typing import Any

import uvicorn
from uvicorn.supervisors import Multiprocess

from service.settings import Settings

APP = "service.app:create_app"
PROTOCOL = "service.web.wire:Protocol"
BACKLOG = 2048
TERMINATED = 143
KEEP_ALIVE_S = 30


def run(settings: Settings) -> None:
    """Serve until a signal ends it; returns when the last request is answered."""
    try:
        _run(settings)
    except SystemExit as ended:
        # What uvicorn was asked to do is done when it raises the signal once more.
        if ended.code != TERMINATED:
            raise


def _run(settings: Settings) -> None:
    options: dict[str, Any] = {
        "factory": True,
        "host": settings.api_host,
        "port": settings.api_port,
        "workers": settings.api_workers,
        "loop": "auto",
        "http": PROTOCOL,
        "ws": "none",
        "lifespan": "on",
        "log_config": None,
        "access_log": False,
        "proxy_headers": False,
        "server_header": False,
        "root_path": settings.root_path,
        "timeout_keep_alive": KEEP_ALIVE_S,
        "timeout_graceful_shutdown": round(settings.shutdown_timeout),
        "backlog": BACKLOG,
    }
    if not settings.api_reuse_port:
        uvicorn.run(APP, **options)
        return
    config = uvicorn.Config(APP, **options)
    with bound(settings) as listener:
        if settings.api_workers > 1:
            Multiprocess(config, sockets=[listener]).run()
        else:
            uvicorn.Server(config).run(sockets=[listener])


def bound(settings: Settings) -> socket.socket:
    """A socket on the address of the settings; whoever may share its port says so."""
    family = socket.AF_INET6 if ":" in settings.api_host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if settings.api_reuse_port:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((settings.api_host, settings.api_port))
    except OSError:
        listener.close()
        raise
    listener.set_inheritable(True)
    return listener
