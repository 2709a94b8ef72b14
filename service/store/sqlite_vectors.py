"""The extension sqlite-vec, which compares embeddings in an SQLite file.

It is there where its package is installed and this Python may load extensions: that is
decided when Python is built, and many builds may not.
"""

import sqlite3
from functools import cache
from importlib import import_module
from importlib.util import find_spec

_PACKAGE = "sqlite_vec"
NOT_INSTALLED = (
    "vector search in an SQLite file needs the package `sqlite-vec`, which is not "
    "installed here; PostgreSQL needs the extension `vector` for it"
)
NOT_ALLOWED = (
    "vector search in an SQLite file needs a Python that may load extensions of "
    "SQLite, and this one may not: use another build of Python, or PostgreSQL with the "
    "extension `vector`"
)


def missing_vectors() -> str:
    """Why embeddings cannot be compared here; empty where they can."""
    if not hasattr(sqlite3.Connection, "enable_load_extension"):
        return NOT_ALLOWED
    return "" if find_spec(_PACKAGE) else NOT_INSTALLED


@cache
def extension_path() -> str:
    """The extension's file; only where nothing is missing."""
    return str(import_module(_PACKAGE).loadable_path())
