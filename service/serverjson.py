"""What is wrong with a server.json: its shape by schemas, its meaning by rules.

`check` says everything, for those who publish. Loading is lenient: it stores every
entry, with what `check_schemas` finds beside it.
"""

from service.models_publish import Finding
from service.rules import check_meaning, declared_schema
from service.shape import (
    CURRENT_SCHEMA,
    MOST_FINDINGS,
    check_shape,
    has_many_parts,
)


def check(document: object) -> tuple[Finding, ...]:
    """Everything that the schemas and the semantic rules find, once each.

    `type` tells schemas and rules apart. Only what is of severity `error` makes a
    document invalid.
    """
    found = check_schemas(document)
    if not isinstance(document, dict) or has_many_parts(document):
        return found
    return _once(found + check_meaning(document))


def check_schemas(document: object) -> tuple[Finding, ...]:
    """What the schemas find, once each.

    A document has to fit the current one, by which clients read it, and the one that it
    declares.
    """
    found = check_shape(document)
    if not isinstance(document, dict) or has_many_parts(document):
        return found
    declared = declared_schema(document)
    if declared not in (None, CURRENT_SCHEMA) and len(found) < MOST_FINDINGS:
        found += check_shape(document, declared)
    return _once(found)


def _once(found: tuple[Finding, ...]) -> tuple[Finding, ...]:
    unique = {(finding.path, finding.message): finding for finding in found}
    return tuple(unique.values())[:MOST_FINDINGS]
