"""Identical questions share one answer, but only one that is no older than they are."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Key = TypeVar("Key")
Outcome = TypeVar("Outcome")


class Flight(Generic[Outcome]):
    """A question under way."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.landed: asyncio.Future[Outcome | None] = (
            asyncio.get_running_loop().create_future()
        )


class Flights(Generic[Key, Outcome]):
    """The questions under way, one for each key."""

    def __init__(self) -> None:
        self._under_way: dict[Key, Flight[Outcome]] = {}
        self._number = 0

    async def share(
        self,
        key: Key,
        lead: Callable[[], Awaitable[Outcome]],
        is_current: Callable[[Outcome], bool],
    ) -> Outcome:
        """The outcome of `lead`, or of one that somebody else leads.

        That of another began after this call, or `is_current` says that it serves too.
        """
        arrived = self._number
        while (flight := self._under_way.get(key)) is not None:
            # Shielded: who goes away must not take the outcome from the others.
            outcome = await asyncio.shield(flight.landed)
            if outcome is None:
                continue
            if flight.number > arrived or is_current(outcome):
                return outcome
        return await self._lead(key, lead)

    async def _lead(self, key: Key, lead: Callable[[], Awaitable[Outcome]]) -> Outcome:
        self._number += 1
        flight = self._under_way[key] = Flight(self._number)
        outcome = None
        try:
            outcome = await lead()
        finally:
            del self._under_way[key]
            flight.landed.set_result(outcome)
        return outcome
