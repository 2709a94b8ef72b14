"""Waiting for a state, with a limit, instead of sleeping for it."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable

LIMIT_S = 10.0


async def until(
    condition: Callable[[], bool | Awaitable[bool]], *, limit_s: float = LIMIT_S
) -> None:
    """Come back when the condition holds; fail the test when it does not in time."""
    limit_at = time.monotonic() + limit_s
    while time.monotonic() < limit_at:
        answer = condition()
        if inspect.isawaitable(answer):
            answer = await answer
        if answer:
            return
        await asyncio.sleep(0.02)
    message = f"the state did not come within {limit_s} s"
    raise AssertionError(message)


def until_true(condition: Callable[[], bool], *, limit_s: float = LIMIT_S) -> None:
    """As `until`, for tests without an event loop."""
    limit_at = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < limit_at, f"not within {limit_s} s"
        time.sleep(0.02)
