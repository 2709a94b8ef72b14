"""What the direct dependencies of a package weigh, as their registry says it.

Each is asked for once in the life of a process: most servers need the same ones. What
cannot be had is told as unknown, and fails no package.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from service.errors import SourceFailed
from service.models_harvest import FoundDependency

MOST_ASKED = 20
MOST_KEPT = 50_000

Ask = Callable[[str], Awaitable[int | None]]


class Weights:
    """The sizes that are known so far; `ask` gives the one of a package, in bytes."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._known: dict[str, int] = {}

    async def told(self, dependencies: Iterable[FoundDependency]) -> str:
        """Number and weight, such as `5 runtime, 2 dev; 80 kB, 1 unknown`."""
        found = list(dependencies)
        runtime = [item.library_name for item in found if item.type == "runtime"]
        sizes = await asyncio.gather(*map(self._size, runtime[:MOST_ASKED]))
        known = [size for size in sizes if size is not None]
        unknown = len(runtime) - len(known)
        weight = f"{sum(known) / 1000:.0f} kB" if known else ""
        missing = f"{unknown} unknown" if unknown and known else ""
        told = ", ".join(part for part in (weight, missing) if part)
        return f"{numbers(found)}; {told}" if told else numbers(found)

    async def _size(self, name: str) -> int | None:
        if name in self._known:
            return self._known[name]
        try:
            size = await self._ask(name)
        except SourceFailed:
            return None
        if size is not None and len(self._known) < MOST_KEPT:
            self._known[name] = size
        return size


def unread(left_out: int, broken: int) -> str:
    """What to add where files were not read: too large, or not of their language."""
    number = left_out + broken
    return f"; {number} files of code not read" if number else ""


def numbers(dependencies: Iterable[FoundDependency]) -> str:
    """How many there are of each type, such as `5 runtime, 2 peer, 7 dev`."""
    kinds = [item.type for item in dependencies]
    return ", ".join(
        f"{kinds.count(kind)} {kind}"
        for kind in ("runtime", "peer", "dev")
        if kind in kinds or kind == "runtime"
    )
