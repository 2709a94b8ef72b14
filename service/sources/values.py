"""Values as code writes them out, with UNKNOWN for what only running it would tell."""

from typing import Any


class Unknown:
    """A value that only running the code would tell."""


UNKNOWN = Unknown()


def known(value: Any) -> Any:  # noqa: ANN401 - a value of any kind
    """The value without the parts that are UNKNOWN; None when it is as a whole."""
    if isinstance(value, Unknown):
        return None
    if isinstance(value, list):
        return [known(item) for item in value if not isinstance(item, Unknown)]
    if isinstance(value, dict):
        items = value.items()
        return {
            key: known(item) for key, item in items if not isinstance(item, Unknown)
        }
    return value
