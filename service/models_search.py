"""The words of searches, by text and by vector."""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from service.models import Server, Tool

MAX_TEXT = 256
DIMENSIONS = 1536

Text = Annotated[
    str,
    Meta(
        description="Words that must all match; surrounding blanks do not count.",
        extra_json_schema={"minLength": 1, "maxLength": MAX_TEXT},
    ),
]
Wanted = Annotated[int, Meta(ge=1, le=100)]
Vector = Annotated[list[float], Meta(min_length=DIMENSIONS, max_length=DIMENSIONS)]


class SearchQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What GET /search takes; `limit` goes for servers and for tools."""

    q: Text
    limit: Wanted = 20


class SearchAnswer(msgspec.Struct, kw_only=True):
    """What was found, best first.

    `total` is the number of servers and tools that match, each counted up to 10,000;
    `corrected` is what was searched for instead where nothing matched the words given.
    """

    servers: list[Server]
    tools: list[Tool]
    total: int
    corrected: str | UnsetType = UNSET


class SimilarQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What GET /tools/{tool}/similar takes."""

    limit: Wanted = 10


class VectorBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What POST /search/vector takes."""

    vector: Vector
    limit: Wanted = 10


class SimilarTool(msgspec.Struct, kw_only=True):
    """A tool, and the cosine of the angle between its embedding and the other."""

    tool: Tool
    similarity: float
