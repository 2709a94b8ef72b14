"""The shape of a server.json, by a schema of our own for the rules of 2025-12-11."""

import json
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import jsonschema_rs
import msgspec

Severity = Literal["error", "warning", "info"]
Kind = Literal["json", "schema", "semantic", "linter"]

PUBLISHER = "io.modelcontextprotocol.registry/publisher-provided"
MOST_FINDINGS = 100
LONGEST_PATH = 300

_FILE = Path(__file__).resolve().parent / "schemas" / "server.json"
_SCHEMA = jsonschema_rs.validator_for(
    json.loads(_FILE.read_text(encoding="utf-8")),
    validate_formats=True,
    # An engine whose time grows with the text only, whatever the text is.
    pattern_options=jsonschema_rs.RegexOptions(),
)


class Finding(msgspec.Struct, frozen=True):
    """One thing that is wrong with a document."""

    type: Kind
    path: str
    """Where, such as `packages[0].transport.url`; empty for the whole document."""
    message: str
    severity: Severity
    reference: str
    """Which rule: its place in the schema, or the name of a semantic rule."""


def check_shape(document: object) -> tuple[Finding, ...]:
    """What the schema finds, at most a hundred; nothing when the document fits it."""
    try:
        errors = _SCHEMA.iter_errors(document)
        return tuple(_finding(error) for error in islice(errors, MOST_FINDINGS))
    except ValueError as error:
        # Nested too deeply, or text that is no Unicode.
        message = f"cannot be checked: {error}"
        return (Finding("schema", "", message, "error", "#"),)


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
    return _MESSAGES[rule].format(**details)


_MESSAGES = {
    "required": "is required",
    "minLength": "must have at least {limit} characters",
    "maxLength": "must have at most {limit} characters",
    "pattern": "must match {pattern}",
    "format": "must be an absolute {format}",
}
