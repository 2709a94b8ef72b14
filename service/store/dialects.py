"""Which named queries only one of the two databases has, and why.

Every other query is in both folders, in a file of the same name and with the same
parameters. A call to one that is missing answers with the reason.
"""

from collections.abc import Iterable, Mapping

from service.errors import McpsError
from service.store.base import Dialect

_LIMITS = "SQLite has no limits of a session: the store interrupts what takes too long"
_ONE_FILE = "an SQLite file has no roles and no connections of others to look at"
_MIGRATING = "SQLite migrations hold a lock on the file instead of a session"

# Names of queries that are in queries/ alone.
NOT_IN_SQLITE: Mapping[str, str] = {
    "extension_exists": "SQLite does not list the extensions of a connection",
    "inspection_connections": _ONE_FILE,
    "inspection_extensions": "an SQLite file needs no extensions",
    "inspection_indexes": "SQLite builds no index in the background",
    "inspection_privileges": _ONE_FILE,
    "inspection_server": "`mcps check` asks an SQLite file by connection_server",
    "inspection_slow": "SQLite collects no statistics of its statements",
    "migration_extensions": "an SQLite file needs no extensions",
    "migration_holder": _MIGRATING,
    "migration_lock": _MIGRATING,
    "migration_rival": _MIGRATING,
    "migration_role": _ONE_FILE,
    "migration_session": _MIGRATING,
    "session_limits": _LIMITS,
    "session_patience": _LIMITS,
    "session_place": "an SQLite file has no replica",
    "session_role": "an SQLite file has no standby that takes over",
}
# Nouns of which SQLite has no query at all.
NOUNS_NOT_IN_SQLITE: Mapping[str, str] = {
    "import": "files of the earlier MCPS are taken over into PostgreSQL",
}
# Nouns of queries that are in queries/sqlite/ alone.
ONLY_IN_SQLITE: Mapping[str, str] = {
    "connection": "asyncpg does by itself what a connection to a file has to be told",
}

Signatures = Mapping[str, frozenset[str]]


def require_same(dialect: Dialect, ours: Signatures, theirs: Signatures) -> None:
    """Refuse a start on SQLite whose queries are not those of PostgreSQL.

    `ours` are the names and parameters of PostgreSQL. Raises McpsError that lists the
    differences.
    """
    if found := sorted(differences(ours, theirs)):
        message = f"queries/ and queries/sqlite/ differ ({dialect}): {'; '.join(found)}"
        raise McpsError(message)


def missing_because(name: str) -> str:
    """Why SQLite has no query of this name; empty when it has to have one."""
    return NOT_IN_SQLITE.get(name) or NOUNS_NOT_IN_SQLITE.get(_noun(name), "")


def differences(ours: Signatures, theirs: Signatures) -> Iterable[str]:
    """What one of the folders has that the other has not, or has otherwise."""
    for name in ours.keys() - theirs.keys():
        if not missing_because(name):
            yield f"{name} is not in queries/sqlite"
    for name in theirs.keys() - ours.keys():
        if _noun(name) not in ONLY_IN_SQLITE:
            yield f"{name} is not in queries"
    for name in ours.keys() & theirs.keys():
        if missing_because(name):
            yield f"{name} is in queries/sqlite against its reason"
        elif ours[name] != theirs[name]:
            yield f"{name} has other parameters in queries/sqlite"


def _noun(name: str) -> str:
    return name.split("_", 1)[0]
