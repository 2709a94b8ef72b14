"""DATABASE_URL in every form, for the driver that serves and the one that migrates."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import asyncpg
import psycopg
import pytest

from service import errors
from service.settings import read_settings
from service.store import migrate
from service.store.address import asyncpg_url, libpq_url
from tests.cluster import Cluster, free_port
from tests.conftest import ROOT

SECRET = "p@ss:w/o r?d#%&=+ü[]'\"\\"
USER = "odd user@x"
DATABASE = "odd name/ü"
RULES = """\
local all all trust
host all postgres 127.0.0.1/32 trust
hostssl tls_only all 127.0.0.1/32 trust
host all all 127.0.0.1/32 scram-sha-256
"""
Q_USER, Q_SECRET, Q_DATABASE = (quote(x, safe="") for x in (USER, SECRET, DATABASE))


@pytest.fixture(scope="module")
def guarded() -> Iterator[Cluster]:
    """A server that asks for passwords, with an awkward user, password and database."""
    with Cluster(max_connections=20) as cluster:
        (cluster.data / "pg_hba.conf").write_text(RULES)
        with psycopg.connect(cluster.url(), autocommit=True) as connection:
            connection.execute("select pg_reload_conf()")
            literal = SECRET.replace("'", "''")
            connection.execute(
                f"create role \"{USER}\" login password '{literal}'"
                if "\\" not in literal
                else f'create role "{USER}" login password E\''
                + literal.replace("\\", "\\\\")
                + "'"
            )
            connection.execute(f'create database "{DATABASE}" owner "{USER}"')
        yield cluster


def forms(cluster: Cluster) -> dict[str, str]:
    """One database in many words."""
    port = cluster.port
    login = f"{Q_USER}:{Q_SECRET}"
    host = f"127.0.0.1:{port}"
    place = quote(str(cluster.socket), safe="")
    dead = f"127.0.0.1:{free_port()}"
    return {
        "postgresql": f"postgresql://{login}@{host}/{Q_DATABASE}",
        "postgres": f"postgres://{login}@{host}/{Q_DATABASE}",
        "asyncpg": f"postgresql+asyncpg://{login}@{host}/{Q_DATABASE}",
        "psycopg": f"postgresql+psycopg://{login}@{host}/{Q_DATABASE}",
        "sslmode": f"postgresql://{login}@{host}/{Q_DATABASE}?sslmode=prefer",
        "ssl": f"postgresql+asyncpg://{login}@{host}/{Q_DATABASE}?ssl=disable",
        "several hosts": f"postgresql://{login}@{dead},{host}/{Q_DATABASE}"
        "?target_session_attrs=read-write",
        "hosts in the query": f"postgresql://{login}@/{Q_DATABASE}"
        f"?host=127.0.0.1,127.0.0.1&port={dead.split(':')[1]},{port}",
        "socket in the query": f"postgresql://{Q_USER}@/{Q_DATABASE}"
        f"?host={place}&port={port}",
        "all in the query": f"postgresql:///?user={Q_USER}&password={Q_SECRET}"
        f"&host=127.0.0.1&port={port}&dbname={Q_DATABASE}",
        "server settings": f"postgresql://{login}@{host}/{Q_DATABASE}"
        "?work_mem=7MB&application_name=a%20b",
        "options": f"postgresql://{login}@{host}/{Q_DATABASE}"
        "?options=-c%20work_mem%3D7MB",
        "for libpq only": f"postgresql://{login}@{host}/{Q_DATABASE}"
        "?connect_timeout=3&channel_binding=prefer&keepalives=1&gssencmode=disable",
    }


async def seen_by_asyncpg(url: str) -> tuple[str, str, str]:
    connection = await asyncpg.connect(asyncpg_url(url), timeout=5)
    try:
        row = await connection.fetchrow(
            "select current_user::text, current_database()::text,"
            " current_setting('work_mem')"
        )
        assert row is not None
        return row[0], row[1], row[2]
    finally:
        await connection.close()


def seen_by_psycopg(url: str) -> tuple[str, str, str]:
    with psycopg.connect(libpq_url(url), connect_timeout=5) as connection:
        row = connection.execute(
            "select current_user::text, current_database()::text,"
            " current_setting('work_mem')"
        ).fetchone()
        assert row is not None
        return row[0], row[1], row[2]


@pytest.mark.parametrize(
    "form",
    [
        "postgresql",
        "postgres",
        "asyncpg",
        "psycopg",
        "sslmode",
        "ssl",
        "several hosts",
        "hosts in the query",
        "socket in the query",
        "all in the query",
        "server settings",
        "options",
        "for libpq only",
    ],
)
async def test_both_drivers_understand_every_form(guarded: Cluster, form: str) -> None:
    url = forms(guarded)[form]
    assert read_settings({"DATABASE_URL": url}).database_url == url
    work_mem = "7MB" if "work_mem" in url else "4MB"
    expected = (USER, DATABASE, work_mem)
    assert await seen_by_asyncpg(url) == expected
    assert await asyncio.to_thread(seen_by_psycopg, url) == expected


async def test_settings_of_their_own_make_a_url_for_both(guarded: Cluster) -> None:
    for host in ("127.0.0.1", str(guarded.socket)):
        settings = read_settings(
            {
                "POSTGRES_HOST": host,
                "POSTGRES_PORT": str(guarded.port),
                "POSTGRES_USER": USER,
                "POSTGRES_PASSWORD": SECRET,
                "POSTGRES_DB": DATABASE,
            }
        )
        expected = (USER, DATABASE, "4MB")
        assert await seen_by_asyncpg(settings.postgres_url) == expected
        seen = await asyncio.to_thread(seen_by_psycopg, settings.postgres_url)
        assert seen == expected


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("postgresql://u:Qx#Zy@h/d", "holds a #"),
        ("postgresql://u:Qx/Zy@h/d", "@ too many"),
        ("postgresql://u:12/Zy@h/d", "@ too many"),
        ("postgresql://u:Qx?Zy@h/d", "no ="),
        ("postgresql://u:Qx@Zy@h/d", "@ too many"),
        ("postgresql://u:Qx%Zy@h/d", "% without"),
        ("postgresql://u:Qx[Zy@h/d", "no URL"),
        ("postgresql://u:Qx@[::1/d", "no URL"),
        ("postgresql+asyncpg://u:Qx@h:port/d", "port"),
        ("postgresql://u:Qx@h:5432,h:99999/d", "port"),
    ],
)
def test_a_malformed_url_is_refused_and_no_piece_of_it_is_shown(
    url: str, fault: str
) -> None:
    good = "postgresql://u@h/d"
    for variable, more in (
        ("DATABASE_URL", {}),
        ("DATABASE_REPLICA_URL", {"DATABASE_URL": good}),
    ):
        with pytest.raises(errors.InvalidSettings) as caught:
            read_settings({variable: url, **more})
        assert caught.value.message.startswith(f"{variable}: ")
        assert fault in caught.value.message
        assert "Qx" not in caught.value.message
        assert "Zy" not in caught.value.message


def test_migrations_run_over_an_awkward_url(guarded: Cluster) -> None:
    url = forms(guarded)["several hosts"].replace("postgresql:", "postgresql+asyncpg:")
    assert migrate.apply(url)
    assert {step.state for step in migrate.status(url)} == {"applied"}
    assert migrate.rollback(url, 1) == [migrate.status(url)[-1].name]


def test_yoyo_takes_an_awkward_login(guarded: Cluster, tmp_path: Path) -> None:
    with psycopg.connect(guarded.url(), autocommit=True) as connection:
        connection.execute("create database plain")
        connection.execute(f'alter database plain owner to "{USER}"')
    url = f"//{Q_USER}:{Q_SECRET}@127.0.0.1:{guarded.port}/plain"
    command = ["apply", "--batch", "--database", f"postgresql+psycopg:{url}"]
    done = subprocess.run(
        [sys.executable, "-m", "yoyo", *command, str(ROOT / "migrations")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert {s.state for s in migrate.status(f"postgresql:{url}")} == {"applied"}


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        ((Q_SECRET, "wrong"), errors.InvalidSettings, "the password or the user"),
        ((f":{Q_SECRET}", ""), errors.InvalidSettings, "the password or the user"),
        ((f"/{Q_DATABASE}", "/nowhere"), errors.InvalidSettings, "createdb"),
        (
            (f"/{Q_DATABASE}", f"/{Q_DATABASE}?sslmode=require"),
            errors.InvalidSettings,
            "TLS failed: check sslmode",
        ),
        ((":PORT/", ":1/"), errors.DatabaseDown, "start PostgreSQL there"),
        (("127.0.0.1", "nowhere.invalid"), errors.DatabaseDown, "check host and port"),
        (
            (f"/{Q_DATABASE}", f"/{Q_DATABASE}?sslmode=perhaps"),
            errors.InvalidSettings,
            "sslmode",
        ),
    ],
)
def test_a_refused_login_is_one_line_that_says_what_to_do(
    guarded: Cluster, change: tuple[str, str], kind: type[errors.McpsError], said: str
) -> None:
    old, new = (text.replace("PORT", str(guarded.port)) for text in change)
    url = forms(guarded)["postgresql"].replace(old, new)
    with pytest.raises(kind) as caught:
        migrate.status(url)
    text = str(caught.value)
    assert said in text
    assert "\n" not in text
    assert Q_SECRET not in text
    assert SECRET not in text


def test_what_guards_a_login_is_never_dropped() -> None:
    url = "postgresql://u@h/d?require_auth=scram-sha-256&requirepeer=x&sslmode=require"
    for convert in (asyncpg_url, libpq_url):
        for name in ("require_auth=scram-sha-256", "requirepeer=x", "sslmode=require"):
            assert name in convert(url)
