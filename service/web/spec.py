"""What a route promises: its parameters, bodies, answers and the role it asks for.

Each handler carries one Spec in its `opt`; the OpenAPI document, the key check and the
role matrix of the tests are made from them, so that none can drift from the others.
"""

from typing import Any, Literal

import msgspec

from service.models import Role

Access = Literal["open", "publish"] | Role | None


class NoQuery(msgspec.Struct, frozen=True):
    """A route without query parameters."""


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """The contract of one route."""

    summary: str
    answer: Any = None
    """The type of the answer's JSON; None for an answer that is no JSON."""
    status: int = 200
    query: type[msgspec.Struct] = NoQuery
    body: Any = None
    role: Access = None
    """`open` never needs a key; None is a read, which needs one only with
    REQUIRE_API_KEY; a role needs that role or a higher one; `publish` needs an editor's
    key or a registry token, and the handler looks at the name."""
    limit_s: float = 0.0
    """A time limit of its own, for work on the whole catalog."""
    is_repeatable: bool = False
    """Whether it takes an Idempotency-Key."""
    tag: str = "catalog"
    media: str = "application/json"
    may_fail: tuple[str, ...] = ()
    """Codes of errors beside those that every route of its kind can answer."""


def spec(**fields: Any) -> dict[str, Any]:  # noqa: ANN401 - the fields of Spec
    """The `opt` of a handler."""
    return {"spec": Spec(**fields)}
