"""What a source found, made to fit the catalog: cut, cleaned, without what is wrong.

Nothing here fails: one bad field or child of a source costs that one alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET

from service.models_harvest import Fields, SourceName
from service.plain import plain_json, plain_text
from service.times import utc_text

Record = tuple[str | int | None, ...]

# The columns of each set; JSON is kept as text.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "tools": ("name", "description", "input_schema"),
    "resources": ("uri_template", "name", "mime_type", "description"),
    "prompts": ("name", "description", "arguments"),
    "dependencies": ("library_name", "version_constraint", "ecosystem", "type"),
    "releases": ("version", "changelog", "published_at"),
    "contributors": ("username", "platform", "commits"),
    "risks": ("source", "kind", "file", "line", "detail"),
}
MOST_CHILDREN = 5000
LARGEST_COUNT = 2**63 - 1
LONGEST_TEXT = 10_000
LONGEST_JSON = 200_000
LONGEST_LABEL = 512
LONGEST_WORD = 256
MOST_WORDS = 256

_JSON = frozenset({"input_schema", "arguments"})
_LONGEST = {"description": LONGEST_TEXT, "readme_content": 1_000_000, "homepage": 2048}


def fit_fields(fields: Fields) -> dict[str, Any]:
    """The fields that are given and that the catalog takes."""
    fitting: dict[str, Any] = {}
    for field in fields.__struct_fields__:
        value = getattr(fields, field)
        if value is UNSET:
            continue
        if isinstance(value, str):
            value = plain_text(value, _LONGEST.get(field, LONGEST_LABEL)) or None
        elif isinstance(value, list):
            value = _words(value)
        try:
            msgspec.convert({field: value}, Fields)
        except msgspec.ValidationError:
            continue
        fitting[field] = value
    return fitting


def fit_set(
    kind: str, source: SourceName, found: Sequence[msgspec.Struct]
) -> list[Record]:
    """The records of a set of children, each once, in the order of their columns."""
    records = (_record(kind, source, child) for child in found[:MOST_CHILDREN])
    return list(dict.fromkeys(record for record in records if record is not None))


def _record(kind: str, source: SourceName, child: msgspec.Struct) -> Record | None:
    """One record; None for what lacks what it is known by, such as a name."""
    columns = COLUMNS[kind]
    values = [
        source if column == "source" else _column(column, getattr(child, column))
        for column in columns
    ]
    must = "published_at" if kind == "releases" else columns[0]
    is_known = values[0] and values[columns.index(must)]
    return tuple(values) if is_known else None


def _column(column: str, value: object) -> str | int | None:
    if column in _JSON:
        return _json_text(value)
    if column == "published_at":
        return utc_text(value)
    if isinstance(value, str):
        return plain_text(value, LONGEST_TEXT)
    if isinstance(value, int):
        return min(max(int(value), 0), LARGEST_COUNT)
    return None


def _json_text(value: object) -> str | None:
    if value is None:
        return None
    text = msgspec.json.encode(plain_json(value)).decode()
    return text if len(text) <= LONGEST_JSON else None


def _words(values: Sequence[object]) -> list[str]:
    texts = (plain_text(v, LONGEST_WORD) for v in values if isinstance(v, str))
    return list(dict.fromkeys(filter(None, texts)))[:MOST_WORDS]
