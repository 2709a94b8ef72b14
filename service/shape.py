"""The shape of a server.json, by schemas of our own for the rules of each version."""

import json
from collections.abc import Iterable
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import jsonschema_rs

from service.models_publish import Finding
from service.older_schemas import other_schemas

PUBLISHER = "io.modelcontextprotocol.registry/publisher-provided"
MOST_FINDINGS = 100
MOST_PARTS = 5000
LONGEST_PATH = 300

CURRENT_SCHEMA = "2025-12-11"

_FILE = Path(__file__).resolve().parent / "schemas" / "server.json"
_CURRENT = json.loads(_FILE.read_text(encoding="utf-8"))
_SCHEMAS = {CURRENT_SCHEMA: _CURRENT, **other_schemas(_CURRENT)}


def check_shape(document: object, version: str = CURRENT_SCHEMA) -> tuple[Finding, ...]:
    """What a schema finds, at most a hundred; nothing when the document fits it."""
    if has_many_parts(document):
        message = f"cannot be checked: has more than {MOST_PARTS} values"
        return (Finding("schema", "", message, "error", "#"),)
    try:
        errors = _validator(version).iter_errors(document)
        return tuple(_finding(error) for error in islice(errors, MOST_FINDINGS))
    except ValueError as error:
        # Nested too deeply, or text that is no Unicode.
        message = f"cannot be checked: {error}"
        return (Finding("schema", "", message, "error", "#"),)


def has_many_parts(document: object) -> bool:
    """Whether a check would take long: the largest real document has 2,200 values."""
    count, waiting = 0, [document]
    while waiting and count <= MOST_PARTS:
        part = waiting.pop()
        count += 1
        if isinstance(part, dict):
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)
    return count > MOST_PARTS


@cache
def _validator(version: str) -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(
        _SCHEMAS[version],
        validate_formats=True,
        # An engine whose time grows with the text only, whatever the text is.
        pattern_options=jsonschema_rs.RegexOptions(),
    )


def path_text(path: Iterable[str | int]) -> str:
    """A place in a document, written as in JavaScript."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if text else step
    return text[:LONGEST_PATH]


def _finding(error: jsonschema_rs.ValidationError) -> Finding:
    details = error.kind.as_dict()
    path = list(error.instance_path)
    if error.kind.name == "required":
        path.append(details["property"])
    return Finding(
        type="schema",
        path=path_text(path),
        message=_message(error.kind.name, details),
        severity="error",
        reference="#/" + "/".join(map(str, error.schema_path)),
    )


def _message(rule: str, details: dict[str, Any]) -> str:
    """One sentence that does not repeat the value: it may be large, or secret."""
    if rule == "type":
        return f"must be of type {' or '.join(details['types'])}"
    if rule == "enum":
        return f"must be one of {', '.join(map(str, details['options']))}"
    if rule == "anyOf":
        parts = [error for option in details["context"] for error in option]
        wanted = [error.kind.as_dict()["property"] for error in parts]
        return f"needs {' or '.join(wanted)}"
    if rule == "not":
        return f"must not be {details['schema']['const']}"
    if rule == "additionalProperties":
        names = ", ".join(sorted(details["unexpected"]))
        return f"must not have {names[:LONGEST_PATH]}"
    return _MESSAGES[rule].format(**details)


_MESSAGES = {
    "required": "is required",
    "minLength": "must have at least {limit} characters",
    "maxLength": "must have at most {limit} characters",
    "pattern": "must match {pattern}",
    "format": "must be an absolute {format}",
}
