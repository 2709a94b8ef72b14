"""`mcps check` as a process: every fault it finds comes with its mend."""

import json
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import psycopg
import pytest

from service.store import migrate
from service.store.binaries import find_binaries
from service.store.embedded import embedded
from tests.cluster import Cluster
from tests.conftest import RunMcps, execute

MAX_CONNECTIONS = 20


def checked(
    run_mcps: RunMcps, *arguments: str, env: dict[str, str] | None = None
) -> tuple[int, dict[str, Any]]:
    """The exit code and the document of one check."""
    done = run_mcps("check", "--json", *arguments, env=env)
    return done.returncode, json.loads(done.stdout)


def about(document: dict[str, Any], subject: str, level: str) -> list[dict[str, str]]:
    return [
        finding
        for finding in document["findings"]
        if (finding["subject"], finding["level"]) == (subject, level)
    ]


def psql(url: str, statement: str) -> str:
    program = find_binaries().program("psql")
    done = subprocess.run(
        [program, "-At", "-c", statement, url],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return done.stdout.strip()


@pytest.fixture(scope="module")
def small() -> Iterator[Cluster]:
    """A server with few connections that collects statements and asks for passwords."""
    settings = {"shared_preload_libraries": "pg_stat_statements"}
    with Cluster(max_connections=MAX_CONNECTIONS, settings=settings) as cluster:
        with psycopg.connect(cluster.url(), autocommit=True) as connection:
            connection.execute("create role app login password 's3cret'")
            connection.execute("create database app owner app")
        with psycopg.connect(cluster.url("app"), autocommit=True) as connection:
            connection.execute("create extension pg_stat_statements")
        rules = "host all app 127.0.0.1/32 scram-sha-256\nhost all all all trust\n"
        (cluster.data / "pg_hba.conf").write_text(rules)
        cluster.restart()
        yield cluster


def app_url(cluster: Cluster, secret: str = "s3cret") -> str:
    return f"postgresql://app:{secret}@127.0.0.1:{cluster.port}/app"


def test_a_good_installation_ends_with_0_and_a_whole_document(
    run_mcps: RunMcps,
) -> None:
    code, document = checked(run_mcps)
    assert code == 0
    assert document["status"] in {"ok", "warning"}
    assert document["database_source"] == "DATABASE_URL"
    assert {s["state"] for s in document["migrations"]} == {"applied"}
    assert document["catalog"] == {"servers": 0, "versions": 0, "tools": 0}
    assert document["extensions"]["pg_trgm"]
    assert document["pool"]["wanted"] == 31
    assert psql(document["database_url"], "select count(*) from server") == "0"
    subjects = {finding["subject"] for finding in document["findings"]}
    assert subjects >= {
        "settings",
        "server",
        "extensions",
        "privileges",
        "migrations",
        "pool",
        "clock",
        "catalog",
    }
    for finding in document["findings"]:
        assert (finding["level"] == "ok") is (finding["mend"] == "")


def test_people_get_a_table_and_statements_that_can_be_copied(
    run_mcps: RunMcps,
) -> None:
    done = run_mcps("check")
    assert done.returncode == 0, done.stderr
    assert "every" not in done.stderr
    assert "migrations" in done.stdout
    assert "  -> set fsync = on in postgresql.conf and reload" in done.stdout


@pytest.mark.parametrize("way", ["DATABASE_URL", "POSTGRES_HOST"])
def test_a_refused_connection_is_named_with_host_and_port(
    run_mcps: RunMcps, way: str
) -> None:
    env = {"DATABASE_URL": "postgresql://u@127.0.0.1:1/d"}
    if way == "POSTGRES_HOST":
        env = {"DATABASE_URL": "", "POSTGRES_HOST": "127.0.0.1", "POSTGRES_PORT": "1"}
    code, document = checked(run_mcps, env=env)
    assert code == 1
    assert document["database_source"] == way
    (finding,) = about(document, "connection", "error")
    assert "127.0.0.1" in finding["text"]
    assert "port 1 " in finding["text"]
    assert "start PostgreSQL" in finding["mend"]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (("s3cret", "wrong"), "password"),
        (("/app", "/absent"), "createdb"),
        (("/app", "/app?sslmode=require"), "sslmode"),
    ],
)
def test_a_refused_login_is_told_apart(
    run_mcps: RunMcps, small: Cluster, change: tuple[str, str], word: str
) -> None:
    head, _, tail = app_url(small).rpartition(change[0])
    code, document = checked(run_mcps, env={"DATABASE_URL": head + change[1] + tail})
    assert code == 1
    (finding,) = about(document, "connection", "error")
    assert word in finding["mend"]


def test_no_password_is_printed_and_psql_opens_the_url_with_one(
    run_mcps: RunMcps, small: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = {"DATABASE_URL": app_url(small)}
    done = run_mcps("check", "--json", env=env)
    table = run_mcps("check", env=env)
    assert "s3cret" not in done.stdout + done.stderr + table.stdout + table.stderr
    monkeypatch.setenv("PGPASSWORD", "s3cret")
    url = json.loads(done.stdout)["database_url"]
    assert psql(url, "select current_user") == "app"


def test_missing_migrations_are_an_error_until_they_run(
    run_mcps: RunMcps, small: Cluster
) -> None:
    env = {"DATABASE_URL": app_url(small), "DB_POOL_SIZE": "5", "DB_MAX_OVERFLOW": "2"}
    code, document = checked(run_mcps, env=env)
    assert code == 1
    (finding,) = about(document, "migrations", "error")
    assert finding["mend"] == "run `mcps migrate`"
    assert run_mcps("migrate", env=env).returncode == 0
    code, document = checked(run_mcps, env=env)
    assert code == 0, document["findings"]
    assert run_mcps("migrate", "--rollback", "99", env=env).returncode == 1
    count = len(document["migrations"])
    back = run_mcps("migrate", "--rollback", str(count), env=env)
    assert back.returncode == 0, back.stderr


def test_a_pool_that_does_not_fit_is_an_error_with_the_number(
    run_mcps: RunMcps, small: Cluster
) -> None:
    env = {"DATABASE_URL": app_url(small), "API_WORKERS": "2"}
    code, document = checked(run_mcps, env=env)
    assert code == 1
    (finding,) = about(document, "pool", "error")
    assert "up to 62 connections" in finding["text"]
    usable = document["pool"]["usable"]
    assert MAX_CONNECTIONS - usable in {3, 5}
    missing = 62 - usable + document["pool"]["used_by_others"]
    assert f"by {missing}," in finding["mend"]
    env |= {"API_WORKERS": "1", "DB_POOL_SIZE": "5", "DB_MAX_OVERFLOW": "2"}
    assert about(checked(run_mcps, env=env)[1], "pool", "ok")


def test_slow_statements_are_listed(run_mcps: RunMcps, small: Cluster) -> None:
    url = app_url(small)
    migrate.apply(url)
    with psycopg.connect(url) as connection:
        connection.execute("select pg_sleep(0.3)")
    env = {"DATABASE_URL": url, "DB_POOL_SIZE": "5", "DB_MAX_OVERFLOW": "2"}
    code, document = checked(run_mcps, "--slow", env=env)
    assert code == 0, document["findings"]
    (slept,) = [s for s in document["slow"] if "pg_sleep" in s["statement"]]
    assert slept["mean_ms"] >= 300
    assert [f for f in about(document, "slow", "warning") if "pg_sleep" in f["text"]]
    assert "pg_sleep" in run_mcps("check", "--slow", env=env).stdout
    assert checked(run_mcps, env=env)[1]["slow"] == []


def test_without_statistics_the_way_to_them_is_told(run_mcps: RunMcps) -> None:
    code, document = checked(run_mcps, "--slow")
    (finding,) = about(document, "slow", "warning")
    assert code == 0
    assert "shared_preload_libraries" in finding["mend"]
    assert document["slow"] == []


async def test_an_edited_migration_is_an_error(
    run_mcps: RunMcps, database_url: str
) -> None:
    database = urlsplit(database_url).path[1:]
    await execute(database, "update migration_checksum set sha256 = repeat('0', 64)")
    code, document = checked(run_mcps)
    assert code == 1
    assert len(about(document, "migrations", "error")) == len(document["migrations"])


async def test_missing_privileges_come_with_the_statements_that_mend_them(
    run_mcps: RunMcps, database_url: str
) -> None:
    database, role = urlsplit(database_url).path[1:], f"role_{uuid.uuid4().hex}"
    await execute(
        database,
        f"create role {role} login",
        f"grant select, insert on tool to {role}",
    )
    place = urlsplit(database_url).netloc.rpartition("@")[2]
    env = {"DATABASE_URL": f"postgresql://{role}@{place}/{database}"}
    code, document = checked(run_mcps, env=env)
    findings = about(document, "privileges", "error")
    assert code == 1
    texts = [finding["text"] for finding in findings]
    # Trying again would not help.
    refused = run_mcps("keys", "list", env=env)
    assert refused.returncode == 1
    assert "mcps check" in refused.stderr.splitlines()[-1]
    assert f"the role {role} may not update, delete tool" in texts
    assert f"the role {role} may not select _yoyo_migration" in texts
    await execute(database, *(finding["mend"] for finding in findings))
    code, document = checked(run_mcps, env=env)
    assert code == 0, document["findings"]
    await execute(database, f"drop owned by {role}", f"drop role {role}")


async def test_a_broken_index_and_a_dropped_extension_are_found(
    run_mcps: RunMcps, database_url: str
) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "update pg_index set indisvalid = false"
        " where indexrelid = 'server_by_name'::regclass"
    )
    await connection.execute("drop extension btree_gist cascade")
    await connection.close()
    code, document = checked(run_mcps)
    assert code == 1
    (extension,) = about(document, "extensions", "error")
    assert extension["mend"].endswith("create extension if not exists btree_gist;")
    mends = [f["mend"] for f in about(document, "server", "warning")]
    assert "reindex index concurrently server_by_name;" in mends


def test_the_embedded_server_is_found_and_its_url_opens_with_psql(
    run_mcps: RunMcps, tmp_path: Path
) -> None:
    env = {"DATABASE_URL": "", "DATA_DIR": str(tmp_path / "data")}
    with embedded(tmp_path / "data" / "postgres", find_binaries()) as url:
        migrate.apply(url)
        code, document = checked(run_mcps, env=env)
        assert code == 0, document["findings"]
        assert psql(document["database_url"], "select count(*) from server") == "0"
    assert "PostgreSQL" in document["database_source"] or (
        "embedded" in document["database_source"]
    )


def test_a_database_that_cannot_be_started_is_a_finding(
    run_mcps: RunMcps, tmp_path: Path
) -> None:
    blocked = tmp_path / "data"
    blocked.write_text("not a folder")
    env = {"DATABASE_URL": "", "DATA_DIR": str(blocked)}
    code, document = checked(run_mcps, env=env)
    assert code == 1
    (finding,) = about(document, "connection", "error")
    assert "cannot be used for the database" in finding["text"]


def test_a_wrong_setting_ends_with_2(run_mcps: RunMcps) -> None:
    done = run_mcps("check", env={"DB_POOL_SIZE": "many"})
    assert done.returncode == 2
    assert "DB_POOL_SIZE" in done.stderr
