"""What is wrong with a server.json: its shape by a schema, its meaning by rules.

`check` says everything, for those who publish. Loading is lenient: it stores every
entry, with what `check_shape` finds beside it.
"""

from service.rules import check_meaning
from service.shape import Finding, check_shape

__all__ = ["Finding", "check", "check_meaning", "check_shape"]


def check(document: object) -> tuple[Finding, ...]:
    """Everything that the schema and the semantic rules find.

    `type` tells the two apart. Only what is of severity `error` makes it invalid.
    """
    return check_shape(document) + check_meaning(document)
