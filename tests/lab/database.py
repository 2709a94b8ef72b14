"""Clusters that hold the catalog of the lab: made once, copied for each test."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psycopg

from service.settings import read_settings
from service.store.account import readable_binaries
from service.store.migrate import apply
from service.store.postgres import PostgresStore
from service.store.postmaster import _command
from tests.cluster import Cluster
from tests.lab import rows

NAME = "mcps"
STANDBY_LIMIT_S = 60


class Copied(Cluster):
    """A cluster that begins with the data of another one, which is stopped."""

    source: Path

    def _make(self) -> None:
        subprocess.run(["cp", "-a", str(self.source), str(self.data)], check=True)


class Standby(Cluster):
    """A hot standby of a running cluster."""

    primary: Cluster

    def _make(self) -> None:
        self.data.mkdir(mode=0o700)
        os.chown(self.data, self._account.uid, self._account.gid)
        binaries = readable_binaries(self.binaries, self._account)
        options = ["-R", "-c", "fast", "--no-sync", "-d", self.primary.url()]
        command = _command(
            binaries, self._account, self.data, "pg_basebackup", *options
        )
        subprocess.run(
            command, check=True, capture_output=True, timeout=STANDBY_LIMIT_S
        )

    def promote(self) -> None:
        """Make it the one that takes writes, and wait until it does."""
        run(self, "select pg_promote(true, 30)")


@contextmanager
def prepared() -> Iterator[Path]:
    """The data folder of a stopped cluster with the schema and the first rows."""
    with Cluster() as made:
        run(made, "create role mcps login", database="postgres")
        run(made, f"create database {NAME} owner mcps", database="postgres")
        apply(url_of(made.port))
        with psycopg.connect(url_of(made.port)) as connection:
            connection.execute(
                "insert into server (name, primary_url, description, keywords, stars) "
                "select name, primary_url, description, keywords, stars from "
                "jsonb_populate_recordset(null::server, %s::jsonb)",
                (msgspec.json.encode(rows.first_rows()).decode(),),
            )
        run(made, "vacuum analyze")
        made.stop("fast")
        yield made.data


def copied(source: Path, settings: Mapping[str, str], max_connections: int) -> Copied:
    """A cluster with that data; not started yet."""
    # What is acknowledged has to survive a killed backend.
    settings = {"synchronous_commit": "on", **settings}
    cluster = Copied(max_connections=max_connections, settings=settings)
    cluster.source = source
    return cluster


def standby_of(primary: Cluster, **settings: str) -> Standby:
    """A standby; not started yet."""
    standby = Standby(settings=settings)
    standby.primary = primary
    return standby


def url_of(port: int, **options: str) -> str:
    """The catalog behind a port of this machine, for the role of the service."""
    query = "&".join(f"{name}={value}" for name, value in options.items())
    return f"postgresql://mcps@127.0.0.1:{port}/{NAME}" + (f"?{query}" if query else "")


def store_of(url: str, pool_size: int = 5) -> PostgresStore:
    """A store in this process; not opened yet."""
    variables = {"DB_POOL_SIZE": str(pool_size), "DB_MAX_OVERFLOW": "0"}
    return PostgresStore(read_settings({**variables, "DATABASE_URL": url}), url)


def run(cluster: Cluster, *statements: str, database: str = NAME) -> None:
    """Run statements as the owner of the cluster, each in a transaction of its own."""
    with psycopg.connect(cluster.url(database), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def value(cluster: Cluster, sql: str) -> object:
    """The first column of the first row."""
    with psycopg.connect(cluster.url(NAME), autocommit=True) as connection:
        row = connection.execute(sql.encode()).fetchone()
    return row[0] if row else None


def moving_ids(cluster: Cluster) -> list[int]:
    """The ids of the moving rows, in their order."""
    sql = "select id from server where keywords ? 'moving' order by name"
    with psycopg.connect(cluster.url(NAME)) as connection:
        return [row[0] for row in connection.execute(sql).fetchall()]
