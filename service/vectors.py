"""Search by meaning: tools whose embeddings point the same way."""

import math
from collections.abc import Sequence

import msgspec

from service.errors import InvalidInput, NotFound
from service.store.base import Queries


async def put_embedding(
    store: Queries, tool_id: int, model_name: str, embedding: Sequence[float]
) -> None:
    """Store the embedding of a tool in place of the one it had."""
    await store.run(
        "vector_put",
        tool_id=tool_id,
        model_name=model_name,
        embedding=_json(embedding),
    )


async def similar_tools(store: Queries, tool_id: int, limit: int) -> str:
    """The tools nearest to one, without it, as the JSON of a list of SimilarTool.

    Raises NotFound for a tool that is not there or has no embedding: an empty list
    would say that nothing is like it.
    """
    row = await store.row("vector_similar", id=tool_id, wanted=limit)
    if row is None:
        message = "there is no such tool"
        raise NotFound(message)
    if row["body"] is None:
        message = "this tool has no embedding: there is nothing to compare it by"
        raise NotFound(message)
    return str(row["body"])


async def nearest_tools(store: Queries, vector: Sequence[float], limit: int) -> str:
    """The tools nearest to a vector, as the JSON of a list of SimilarTool.

    Raises InvalidInput for a vector without a direction.
    """
    probe = _json(_direction(vector))
    return str(await store.value("vector_nearest", probe=probe, wanted=limit))


def _direction(vector: Sequence[float]) -> list[float]:
    """The vector with length one: the squares of large numbers would overflow."""
    largest = max(map(abs, vector))
    if not 0 < largest < math.inf:
        place, message = "body.vector", "expected finite numbers that are not all 0"
        raise InvalidInput.at(place, message)
    scaled = [number / largest for number in vector]
    length = math.hypot(*scaled)
    return [number / length for number in scaled]


def _json(vector: Sequence[float]) -> str:
    return msgspec.json.encode(vector).decode()
