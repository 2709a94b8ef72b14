"""Writes that may be sent again: the first answer is kept for a day and repeated.

The claim of a key is part of the transaction of the write: both happen or neither does,
whatever is lost on the way. Of two at once the second waits for the first one's end.
"""

from collections.abc import Awaitable, Callable

import msgspec

from service.errors import Unprocessable
from service.store.base import Queries, Store

REUSED = "this Idempotency-Key was sent with another body before: take a new one"


class Repeatable(msgspec.Struct, frozen=True):
    """What makes two requests the same one."""

    scope: bytes
    """Who asks, what for, and the key; 32 bytes."""
    body_hash: bytes


class Kept(msgspec.Struct, frozen=True):
    """An answer as it is kept."""

    status: int
    headers: dict[str, str]
    body: str


async def once(
    store: Store,
    repeatable: Repeatable | None,
    write: Callable[[Queries], Awaitable[Kept]],
) -> Kept:
    """The answer of `write`, or the one that was given when it happened before.

    Raises Unprocessable when the key was used for another body. Errors are not kept:
    nothing happened, so the next try begins anew.
    """
    if repeatable is None:
        return await store.transact(write)
    sure = repeatable

    async def work(inside: Queries) -> Kept:
        if not await inside.value(
            "kept_claim", scope=sure.scope, body_hash=sure.body_hash
        ):
            return await _before(inside, sure)
        answer = await write(inside)
        await inside.run(
            "kept_put",
            scope=sure.scope,
            status=answer.status,
            headers=msgspec.json.encode(answer.headers).decode(),
            body=answer.body,
        )
        await inside.run("kept_expire")
        return answer

    return await store.transact(work, is_repeatable=True)


async def _before(inside: Queries, repeatable: Repeatable) -> Kept:
    (row,) = await inside.rows("kept_get", scope=repeatable.scope)
    if bytes(row["body_hash"]) != repeatable.body_hash:
        place = "header.idempotency-key"
        raise Unprocessable.at(place, REUSED)
    headers = msgspec.json.decode(row["headers"], type=dict[str, str])
    return Kept(row["status"], headers, row["body"])
