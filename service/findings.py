"""What `mcps check` concludes from what it saw; each finding with its mend."""

from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

from service.settings import Settings
from service.store.base import Row
from service.store.steps import Step

Level = Literal["ok", "warning", "error"]

OLDEST_VERSION = 15
NEWEST_VERSION = 18
CLOCK_LIMIT_S = 2.0
SLOW_MEAN_MS = 100.0
_PLANNED = ("select", "with", "insert", "update", "delete", "merge")


class Finding(msgspec.Struct, frozen=True):
    """One conclusion: how bad, about what, what it is, and what to do about it."""

    level: Level
    subject: str
    text: str
    mend: str = ""


def server_findings(server: Row) -> Iterator[Finding]:
    """Version, encoding, writability and safety of the server."""
    yield _version(server)
    if server["encoding"] != "UTF8":
        yield Finding(
            "error",
            "server",
            f"the database is encoded as {server['encoding']}",
            "create a database with encoding UTF8 and load the catalog there",
        )
    if server["is_standby"] or server["is_read_only"]:
        kind = "a standby" if server["is_standby"] else "read-only"
        yield Finding(
            "error",
            "server",
            f"the database is {kind}: nothing can be written",
            "name the primary in DATABASE_URL, or several hosts with "
            "target_session_attrs=read-write",
        )
    if server["is_remote"] and not server["is_encrypted"]:
        yield Finding(
            "warning",
            "connection",
            "the connection leaves this machine without TLS",
            "add sslmode=require (better: verify-full) to DATABASE_URL",
        )
    yield from _safety(server)


def _version(server: Row) -> Finding:
    major = server["version_num"] // 10_000
    text = f"PostgreSQL {server['version']}"
    if major < OLDEST_VERSION:
        mend = f"move the data to PostgreSQL {OLDEST_VERSION} to {NEWEST_VERSION}"
        return Finding("error", "server", f"{text} is too old", mend)
    if major > NEWEST_VERSION:
        mend = f"MCPS is tested with PostgreSQL {OLDEST_VERSION} to {NEWEST_VERSION}"
        return Finding("warning", "server", f"{text} is newer than tested", mend)
    return Finding("ok", "server", text)


def _safety(server: Row) -> Iterator[Finding]:
    for setting, loss in (
        ("fsync", "a power cut can destroy the data"),
        ("autovacuum", "tables grow and plans go stale"),
    ):
        if not server[f"has_{setting}"]:
            text = f"{setting} is off: {loss}"
            mend = f"set {setting} = on in postgresql.conf and reload"
            yield Finding("warning", "server", text, mend)


def clock_finding(skew_s: float) -> Finding:
    """How far the clocks of this machine and the server are apart."""
    if abs(skew_s) <= CLOCK_LIMIT_S:
        text = f"the clocks are {abs(skew_s):.2f} s apart"
        return Finding("ok", "clock", text)
    side = "ahead of" if skew_s > 0 else "behind"
    text = f"the server's clock is {abs(skew_s):.0f} s {side} this machine's"
    return Finding("warning", "clock", text, "synchronise both machines by NTP")


def extension_findings(
    extensions: Iterable[Row], *, has_vector_index: bool, has_pending: bool, slow: bool
) -> Iterator[Finding]:
    """Which extensions are there, and how to get those that are not."""
    there = []
    for extension in extensions:
        name, installed = extension["name"], extension["installed"]
        if installed is not None:
            there.append(f"{name} {installed}")
        if name == "pg_stat_statements":
            if slow and installed is None:
                yield _no_statements(extension)
        elif installed is None:
            yield _missing(extension, has_pending=has_pending)
        elif name == "vector" and not has_vector_index:
            text = "vector is installed, but its index is missing"
            yield Finding("warning", "extensions", text, "run `mcps migrate`")
    if there:
        yield Finding("ok", "extensions", ", ".join(there))


def _missing(extension: Row, *, has_pending: bool) -> Finding:
    name, is_required = extension["name"], extension["is_required"]
    text = f"the extension {name} is missing"
    if not is_required:
        text += ": no vector search here, all else works"
    level: Level = "error" if is_required else "warning"
    if extension["available"] is None:
        package = "postgresql-contrib" if is_required else "pgvector"
        mend = f"install {package} on the server, then run `mcps migrate`"
    elif not extension["may_create"]:
        mend = f"as a superuser: {extension['statement']} Then run `mcps migrate`"
    elif is_required and not has_pending:
        mend = f"somebody dropped it: {extension['statement']}"
    else:
        mend = "run `mcps migrate`"
    return Finding(level, "extensions", text, mend)


def _no_statements(extension: Row) -> Finding:
    mend = (
        "add pg_stat_statements to shared_preload_libraries in postgresql.conf, "
        f"restart PostgreSQL, and as a superuser: {extension['statement']}"
    )
    if extension["available"] is None:
        mend = f"install postgresql-contrib on the server; {mend}"
    return Finding("warning", "slow", "pg_stat_statements is not installed", mend)


def privilege_findings(
    tables: Iterable[Row], role: Row, *, has_pending: bool
) -> Iterator[Finding]:
    """What the role may not do."""
    found = [
        Finding(
            "error",
            "privileges",
            f"the role {role['role']} may not {table['missing']} {table['table_name']}",
            table["statement"],
        )
        for table in tables
    ]
    yield from found
    if not role["may_create"] and has_pending:
        yield Finding(
            "error",
            "privileges",
            f"the role {role['role']} may not create tables in schema {role['schema']}",
            f"migrate with the role that owns the schema, or: {role['statement']}",
        )
    elif not found:
        yield Finding(
            "ok", "privileges", f"the role {role['role']} may do all it needs"
        )


def index_findings(indexes: Iterable[Row]) -> Iterator[Finding]:
    """Indexes that are there for nothing."""
    for index in indexes:
        text = f"the index {index['index_name']} is not valid"
        yield Finding("warning", "server", text, index["statement"])


def migration_findings(steps: list[Step]) -> Iterator[Finding]:
    """Whether schema and release fit."""
    by_state = {
        state: [step.name for step in steps if step.state == state]
        for state in ("applied", "pending", "edited", "unknown")
    }
    for name in by_state["edited"]:
        yield Finding(
            "error",
            "migrations",
            f"{name}.sql was changed after it was applied here",
            "restore the file as it was, and put the change into a new migration",
        )
    if by_state["pending"]:
        text = f"pending: {', '.join(by_state['pending'])}"
        yield Finding("error", "migrations", text, "run `mcps migrate`")
    if by_state["unknown"]:
        text = f"a newer release has migrated this: {', '.join(by_state['unknown'])}"
        mend = "run that release, or roll back with it (`mcps migrate --rollback N`)"
        yield Finding("warning", "migrations", text, mend)
    if by_state["applied"] and not by_state["pending"]:
        text = f"{len(by_state['applied'])} applied, up to {by_state['applied'][-1]}"
        yield Finding("ok", "migrations", text)


def wanted_connections(settings: Settings) -> int:
    """What all processes open at most: pool, overflow and the health probe of each."""
    each = settings.db_pool_size + settings.db_max_overflow + 1
    return each * settings.api_workers


def pool_finding(connections: Row, settings: Settings) -> Finding:
    """Whether the pools fit into what the server allows."""
    limits = (
        connections["usable"],
        connections["role_limit"],
        connections["database_limit"],
    )
    limit = min(value for value in limits if value is not None)
    wanted = wanted_connections(settings)
    text = (
        f"MCPS opens up to {wanted} connections (API_WORKERS {settings.api_workers} x "
        f"(DB_POOL_SIZE {settings.db_pool_size} + DB_MAX_OVERFLOW "
        f"{settings.db_max_overflow} + 1)); the server allows {limit}, "
        f"others use {connections['others']}"
    )
    missing = wanted - (limit - connections["others"])
    if missing <= 0:
        return Finding("ok", "pool", text)
    mend = (
        f"raise max_connections (or the limit of the role or database) by {missing}, "
        "or lower DB_POOL_SIZE, DB_MAX_OVERFLOW or API_WORKERS"
    )
    return Finding("error" if wanted > limit else "warning", "pool", text, mend)


def slow_findings(statements: Iterable[Row]) -> Iterator[Finding]:
    """Which statements with a plan are slow; upkeep such as analyze has none."""
    slow = [
        row
        for row in statements
        if row["mean_ms"] >= SLOW_MEAN_MS
        and row["statement"].lstrip().lower().startswith(_PLANNED)
    ]
    for row in slow:
        text = (
            f"{row['mean_ms']:.0f} ms a call, {row['calls']} calls: "
            f"{row['statement'][:120]}"
        )
        mend = "look at its plan with explain (analyze, buffers); run analyze"
        yield Finding("warning", "slow", text, mend)
    if not slow:
        text = f"no statement takes {SLOW_MEAN_MS:.0f} ms on average"
        yield Finding("ok", "slow", text)
