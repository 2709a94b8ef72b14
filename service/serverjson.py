"""What is wrong with a server.json: its shape by schemas, its meaning by rules.

`check` says everything, for those who publish. Loading is lenient: it stores every
entry, with what `check_shape` finds beside it.
"""

from collections.abc import Iterator

from service.models_publish import Finding
from service.rules import check_meaning, declared_schema
from service.shape import CURRENT_SCHEMA, MOST_FINDINGS, check_shape


def check(document: object) -> tuple[Finding, ...]:
    """Everything that the schemas and the semantic rules find, once each.

    A document has to fit the schema that it declares and the current one, by which
    clients read it. `type` tells schemas and rules apart. Only what is of severity
    `error` makes it invalid.
    """
    unique = {(finding.path, finding.message): finding for finding in _all(document)}
    return tuple(unique.values())[:MOST_FINDINGS]


def _all(document: object) -> Iterator[Finding]:
    declared = declared_schema(document) if isinstance(document, dict) else None
    if declared not in (None, CURRENT_SCHEMA):
        yield from check_shape(document, declared)
    yield from check_shape(document)
    yield from check_meaning(document)
