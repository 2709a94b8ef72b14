"""JSON as PostgreSQL's jsonb writes it, so that checksums of both sides compare."""

import json
from decimal import Decimal
from typing import Any


def jsonb_text(value: Any) -> str:  # noqa: ANN401 - any JSON
    """The text of a jsonb value: keys by length and bytes, numbers without exponent."""
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: (len(key.encode()), key.encode()))
        pairs = (f"{jsonb_text(key)}: {jsonb_text(value[key])}" for key in keys)
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(jsonb_text, value))}]"
    if isinstance(value, float | Decimal):
        return _number(Decimal(repr(value)) if isinstance(value, float) else value)
    return json.dumps(value, ensure_ascii=False)


def _number(value: Decimal) -> str:
    text = f"{value:f}"
    return text.removeprefix("-") if not value else text
