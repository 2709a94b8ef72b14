"""Where the SQL files are: beside the package in a checkout, inside it in a wheel."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def resource(name: str) -> Path:
    """The folder or file `name` (queries or migrations) of this release."""
    inside = _PACKAGE / name
    return inside if inside.exists() else _PACKAGE.parent / name
