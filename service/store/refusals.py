"""What PostgreSQL says when it refuses a login or a migration, in plain words.

Knows psycopg's errors by SQLSTATE and diagnostics only, so that no driver is imported.
"""

import re
from typing import Any

from service import errors

# The driver gives a failed login no SQLSTATE, only the server's text.
_LOGIN = (
    (
        r"password authentication failed|no password supplied",
        "the password or the user is wrong: check DATABASE_URL or POSTGRES_PASSWORD",
    ),
    (
        r'role "[^"]*" does not exist',
        "create the role, or check the user in DATABASE_URL or POSTGRES_USER",
    ),
    (
        r'database "[^"]*" does not exist',
        "create it with createdb, or check its name in DATABASE_URL or POSTGRES_DB",
    ),
    (
        r"no pg_hba.conf entry",
        "the server does not admit this login: add it to pg_hba.conf, or set sslmode",
    ),
    (
        r"not support SSL|certificate|SSL error|sslmode|root\.crt",
        "TLS failed: check sslmode and sslrootcert in DATABASE_URL",
    ),
    (
        r"permission denied for database",
        "have its owner grant this role connect on the database",
    ),
    (r"invalid |could not parse|missing ", "check DATABASE_URL"),
)
_LOST = ("08", "57P")
_LOCKED = "55P03"
_READ_ONLY = "25006"


def login_failure(address: str, error: Exception) -> errors.McpsError:
    """InvalidSettings when the login is wrong, DatabaseDown when nobody answers."""
    said = _first_line(error)
    for pattern, mend in _LOGIN:
        if re.search(pattern, said):
            return errors.InvalidSettings(f"{address}: {said}; {mend}")
    mend = "start PostgreSQL there, or check host and port"
    return errors.DatabaseDown(f"{address} does not answer: {said}; {mend}")


def migration_failure(name: str, error: Exception) -> errors.McpsError:
    """The error of ours for a driver's error inside one migration."""
    state = getattr(error, "sqlstate", None) or ""
    said = _first_line(error)
    if state == _LOCKED:
        message = f"{name}: another session holds a table for too long; run it again"
        return errors.LockTimeout(message)
    if state == _READ_ONLY:
        return read_only()
    if not state or state.startswith(_LOST):
        message = f"{name}: the database went away: {said}; run it again"
        return errors.DatabaseDown(message)
    return errors.MigrationFailed(f"{name}: {said}{_more(error)}")


def read_only() -> errors.McpsError:
    """The error of a database that cannot be migrated."""
    message = "this database takes no writes: name the primary, not a standby"
    return errors.ReadOnly(message)


def _first_line(error: Exception) -> str:
    text = _diagnostic(error, "message_primary") or str(error) or type(error).__name__
    return text.splitlines()[0].removeprefix("connection failed: ")


def _more(error: Exception) -> str:
    parts = (_diagnostic(error, "message_detail"), _diagnostic(error, "message_hint"))
    return "".join(f"; {part}" for part in parts if part)


def _diagnostic(error: Any, name: str) -> str:  # noqa: ANN401 - of any driver
    diagnostics = getattr(error, "diag", None)
    return str(getattr(diagnostics, name, None) or "")
