"""uvicorn with the settings of MCPS."""

import asyncio
import ctypes
import functools
import socket
import struct
from collections.abc import Iterator
from typing import Any, cast

import uvicorn
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from service.settings import Settings

APP = "service.app:create_app"
PROTOCOL = "service.web.wire:Protocol"
BACKLOG = 2048
TERMINATED = 143
KEEP_ALIVE_S = 30
# Handshakes under way when newcomers go elsewhere.
ON_THEIR_WAY_S = 0.05
# From asm-generic/socket.h and linux/bpf_common.h: a filter that names the listener.
_ATTACH_REUSEPORT_CBPF = 51
_RETURN = 0x06


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
            Workers(config, sockets=[listener]).run()
        else:
            Server(config).run(sockets=[listener])


class Server(uvicorn.Server):
    """A server on a port that the next process may have taken over already."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer also those who have come and whom nobody has received yet.

        The system resets them when the last listener of this process closes, although
        the next process listens on the same port.
        """
        diverted = [_divert(listener) for listener in sockets or []]
        if any(diverted):
            await asyncio.sleep(ON_THEIR_WAY_S)
        kept = [listener.dup() for listener in sockets or []]
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        late = [visitor for listener in kept for visitor in _last_of(listener)]
        loop = asyncio.get_running_loop()
        connection = functools.partial(
            cast("Any", self.config.http_protocol_class),
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )
        for visitor in late:
            await loop.connect_accepted_socket(connection, visitor)
        await super().shutdown()


class Worker(Process):
    """One of several processes that serve."""

    @property
    def server(self) -> uvicorn.Server:
        """What it runs; made in its own process."""
        if self._server is None:
            self._server = Server(self.config)
        return self._server


class Workers(Multiprocess):
    """Workers that share one listener, which ends with them."""

    def init_processes(self) -> None:
        """Start them."""
        for _ in range(self.processes_num):
            worker = Worker(self.config, self.sockets)
            worker.start()
            self.processes.append(worker)

    def terminate_all(self) -> None:
        """Let the port go: nobody would receive those who come to this process."""
        for listener in self.sockets:
            listener.close()
        super().terminate_all()


def _divert(listener: socket.socket) -> bool:
    """Have the system send newcomers to the second listener of a shared port.

    Of two that is the next process. Between the last accept and the close nobody can
    then get lost. Where there is no second one, or no Linux, nothing changes.
    """
    instruction = ctypes.create_string_buffer(struct.pack("HBBI", _RETURN, 0, 0, 1))
    program = struct.pack("HP", 1, ctypes.addressof(instruction))
    try:
        listener.setsockopt(socket.SOL_SOCKET, _ATTACH_REUSEPORT_CBPF, program)
    except OSError:
        return False
    return True


def _last_of(listener: socket.socket) -> Iterator[socket.socket]:
    """Those who wait in line; ends the listener in the moment in which nobody does."""
    with listener:
        listener.setblocking(False)
        while True:
            try:
                visitor, _ = listener.accept()
            except OSError:
                return
            visitor.setblocking(False)
            yield visitor


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
