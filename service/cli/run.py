"""How commands reach the database: located, opened and closed around one coroutine."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import click
from rich.console import Console

from service import logs
from service.settings import Settings, read_settings
from service.store.base import Store
from service.store.locate import Located, located, make_store, opened

Answer = TypeVar("Answer")
Work = Callable[[Store], Awaitable[Answer]]
_PIPED_WIDTH = 400


def say(message: str) -> None:
    """Tell the person at the terminal; standard output is for results."""
    click.echo(message, err=True)


def results() -> Console:
    """Standard output for tables; piped into another program a row stays one line."""
    width = None if sys.stdout.isatty() else _PIPED_WIDTH
    return Console(width=width, soft_wrap=True)


def with_store(work: Work[Answer], *, settings: Settings | None = None) -> Answer:
    """What `work` gives on the database of the settings, migrated or not.

    The log goes to standard error as text, warnings and worse only.
    """
    settings = settings or read_settings()
    logs.configure_for_commands()
    with located(settings, say) as found:
        return run_async(open_store(settings, found, work))


async def open_store(settings: Settings, found: Located, work: Work[Answer]) -> Answer:
    """What `work` gives on a store that is open for as long as it runs."""
    async with opened(make_store(settings, found.url)) as store:
        return await work(store)


def run_async(work: Coroutine[Any, Any, Answer]) -> Answer:
    """Run one coroutine to its end; Ctrl-C cancels it and lets it clean up."""
    return asyncio.run(work)


def is_terminal() -> bool:
    """Whether somebody watches: then there are bars, otherwise plain lines."""
    return sys.stderr.isatty()


def drop_output() -> None:
    """Nobody can take standard output: the interpreter would complain at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
