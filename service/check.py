"""`mcps check`: everything about an installation that can be looked at from outside."""

import asyncio
import re
import time
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

import msgspec

from service import findings as rules
from service.errors import McpsError, MigrationFailed
from service.findings import Finding
from service.settings import Settings, is_sqlite_url, masked_url, sqlite_path
from service.store import migrate
from service.store.base import Row, Store
from service.store.locate import Located, make_store, opened
from service.store.sqlite_file import check_file
from service.store.steps import Step

SLOW_STATEMENTS = 10


class Pool(msgspec.Struct, frozen=True):
    """How many connections MCPS may open, and how many the server has left."""

    wanted: int
    usable: int
    used_by_mcps: int
    used_by_others: int


class SlowStatement(msgspec.Struct, frozen=True):
    """One line of pg_stat_statements."""

    statement: str
    calls: int
    total_ms: float
    mean_ms: float


class Report(msgspec.Struct, kw_only=True):
    """What `mcps check --json` prints; fields are only ever added."""

    status: Literal["ok", "warning", "error"] = "ok"
    database_url: str = ""
    """Opens with psql; a password, if there is one, is left out."""
    database_source: str = ""
    server_version: str = ""
    extensions: dict[str, str | None] = {}
    migrations: list[Step] = []
    pool: Pool | None = None
    catalog: dict[str, int] = {}
    slow: list[SlowStatement] = []
    findings: list[Finding] = []


async def report(settings: Settings, found: Located, *, slow: bool = False) -> Report:
    """Look at the database that was found; never raises for what is wrong with it."""
    seen = Report(database_url=open_url(found.url), database_source=found.source)
    is_file = is_sqlite_url(found.url)
    place = found.url if is_file else masked_url(found.url)
    text = f"{place} from {found.source}"
    seen.findings.append(Finding("ok", "settings", text))
    try:
        seen.migrations = await asyncio.to_thread(migrate.status, found.url)
    except MigrationFailed as error:
        seen.findings.append(_failure("migrations", error))
    except McpsError as error:
        seen.findings.append(_failure("connection", error))
        return concluded(seen)
    try:
        async with opened(make_store(settings, found.url)) as store:
            if is_file:
                await _look_at_file(store, seen)
            else:
                await _look(store, settings, seen, slow=slow)
    except McpsError as error:
        seen.findings.append(_failure("connection", error))
    return concluded(seen)


def unreachable(settings: Settings, error: McpsError) -> Report:
    """The report when not even a database was found."""
    source = "the embedded PostgreSQL" if not settings.is_configured else ""
    seen = Report(database_source=source, findings=[_failure("connection", error)])
    return concluded(seen)


def concluded(seen: Report) -> Report:
    """The report with the status that its findings make."""
    levels = {finding.level for finding in seen.findings}
    if "error" in levels:
        seen.status = "error"
    elif "warning" in levels:
        seen.status = "warning"
    return seen


def open_url(url: str) -> str:
    """The URL without a password, so that psql takes it or asks for one."""
    if is_sqlite_url(url):
        return url
    parts = urlsplit(url)
    login, at, hosts = parts.netloc.rpartition("@")
    netloc = f"{login.partition(':')[0]}{at}{hosts}"
    query = re.sub(r"(^|&)(?:ssl)?password=[^&]*", "", parts.query).removeprefix("&")
    plain = urlunsplit(parts._replace(netloc=netloc, query=query))
    # urlunsplit drops the empty host of `postgresql:///name`.
    return re.sub(r"^postgresql:/(?!/)", "postgresql:///", plain)


async def _look(store: Store, settings: Settings, seen: Report, *, slow: bool) -> None:
    add = seen.findings.extend
    began_at = time.time()
    server = await _row(store, "inspection_server")
    middle = (began_at + time.time()) / 2
    seen.server_version = server["version"]
    add(rules.server_findings(server))
    extensions = await store.rows("inspection_extensions")
    seen.extensions = {row["name"]: row["installed"] for row in extensions}
    has_pending = any(step.state == "pending" for step in seen.migrations)
    add(
        rules.extension_findings(
            extensions,
            has_vector_index=bool(server["has_vector_index"]),
            has_pending=has_pending,
            slow=slow,
        )
    )
    add(rules.migration_findings(seen.migrations))
    tables = await store.rows("inspection_privileges")
    role = await _row(store, "migration_role")
    add(rules.privilege_findings(tables, role, has_pending=has_pending))
    add(rules.index_findings(await store.rows("inspection_indexes")))
    connections = await _row(store, "inspection_connections")
    seen.pool = _pool(connections, settings)
    add([rules.pool_finding(connections, settings)])
    add([rules.clock_finding(server["clock_s"] - middle)])
    if has_pending or tables:
        return
    await _look_inside(store, seen, slow=slow)


async def _look_at_file(store: Store, seen: Report) -> None:
    """What there is to see of an SQLite file."""
    server = await _row(store, "connection_server")
    seen.server_version = server["version"]
    size = f"{server['size_bytes'] / 1e6:.1f} MB"
    text = f"SQLite {server['version']}, {size}, journal {server['journal_mode']}"
    seen.findings.append(Finding("ok", "server", text))
    seen.findings.extend(rules.migration_findings(seen.migrations))
    said = await asyncio.to_thread(check_file, sqlite_path(seen.database_url))
    mend = "" if said == "ok" else "restore it from a backup"
    level: Literal["ok", "error"] = "ok" if said == "ok" else "error"
    seen.findings.append(Finding(level, "file", f"quick_check: {said}", mend))
    if all(step.state != "pending" for step in seen.migrations):
        await _look_inside(store, seen, slow=False)


async def _look_inside(store: Store, seen: Report, *, slow: bool) -> None:
    """What needs a current schema."""
    catalog = await _row(store, "inspection_catalog")
    seen.catalog = {name: catalog[name] for name in ("servers", "versions", "tools")}
    counts = ", ".join(f"{number} {name}" for name, number in seen.catalog.items())
    seen.findings.append(Finding("ok", "catalog", counts))
    if slow and seen.extensions["pg_stat_statements"]:
        rows = await store.rows("inspection_slow", wanted=SLOW_STATEMENTS)
        seen.slow = [
            SlowStatement(r["statement"], r["calls"], r["total_ms"], r["mean_ms"])
            for r in rows
        ]
        seen.findings.extend(rules.slow_findings(rows))


async def _row(store: Store, query: str) -> Row:
    row = await store.row(query)
    if row is None:
        message = f"the database gives no answer to {query}"
        raise McpsError(message)
    return row


def _pool(connections: Row, settings: Settings) -> Pool:
    return Pool(
        wanted=rules.wanted_connections(settings),
        usable=connections["usable"],
        used_by_mcps=connections["ours"],
        used_by_others=connections["others"],
    )


def _failure(subject: str, error: McpsError) -> Finding:
    text, _, mend = error.message.partition("; ")
    return Finding("error", subject, text, mend)


def as_json(seen: Report) -> bytes:
    """The report for programs."""
    return msgspec.json.format(msgspec.json.encode(seen), indent=2)


def is_failed(seen: Report) -> bool:
    """Whether anything has to be mended before the catalog can be trusted."""
    return seen.status == "error"
