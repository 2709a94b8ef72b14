"""`mcps migrate` as a process: what it prints and how it ends."""

import json
from pathlib import Path

import asyncpg
import pytest

from service.store import migrate
from tests.conftest import RunMcps
from tests.importer.conftest import Earlier

LISTED = {"server": {"name": "a.b/c", "version": "1.0.0", "description": "d"}}
NEWEST = list(migrate._files(None))[-1]


def test_a_current_schema_needs_nothing(run_mcps: RunMcps) -> None:
    done = run_mcps("migrate")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "Nothing to do: every migration is applied\n"


def test_each_migration_is_one_line_of_progress(run_mcps: RunMcps) -> None:
    count = len(migrate._files(None))
    back = run_mcps("migrate", "--rollback", str(count))
    assert back.returncode == 0, back.stderr
    assert back.stdout.splitlines()[0] == f"{NEWEST}: rolled back"
    assert len(back.stdout.splitlines()) == count

    forth = run_mcps("migrate")
    assert forth.returncode == 0, forth.stderr
    lines = forth.stdout.splitlines()
    assert [line.split(":")[0] for line in lines[:-1]] == sorted(migrate._files(None))
    assert all(": applied in " in line for line in lines[:-1])
    assert lines[-1] == f"{count} applied; the schema is {NEWEST}"


def test_on_sqlite_each_migration_is_one_line_too(run_mcps: RunMcps) -> None:
    env = {"DATABASE_URL": "sqlite:///new.db"}
    names = sorted(migrate._files(None))
    forth = run_mcps("migrate", env=env).stdout.splitlines()
    assert [line.partition(": applied in ")[0] for line in forth[:-1]] == names
    back = run_mcps("migrate", "--rollback", str(len(names)), env=env)
    assert back.stdout == "".join(f"{name}: rolled back\n" for name in names[::-1])


def test_status_shows_every_migration_and_changes_nothing(run_mcps: RunMcps) -> None:
    run_mcps("migrate", "--rollback", "1")
    done = run_mcps("migrate", "--status")
    assert done.returncode == 0, done.stderr
    (row,) = [line for line in done.stdout.splitlines() if NEWEST in line]
    assert "pending" in row
    assert done.stdout.count("applied") == len(migrate._files(None)) - 1
    assert "1 applied" in run_mcps("migrate").stdout


async def test_an_edited_migration_ends_with_1(
    run_mcps: RunMcps, database_url: str
) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "update migration_checksum set sha256 = repeat('0', 64)"
        " where migration_id = '0002.server'"
    )
    await connection.close()
    done = run_mcps("migrate")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1].startswith("mcps: 0002.server.sql was changed")


@pytest.mark.parametrize(
    ("arguments", "env", "code"),
    [
        ((), {"DATABASE_URL": "postgresql://u@127.0.0.1:1/d"}, 75),
        ((), {"DATABASE_URL": "mysql://u@127.0.0.1/d"}, 2),
        ((), {"DB_POOL_SIZE": "none"}, 2),
        (("--rollback", "0"), {}, 2),
        (("--rollback", "1", "--status"), {}, 2),
        (("--rollback", "99"), {}, 1),
    ],
)
def test_the_exit_code_says_what_kind_of_failure_it_was(
    run_mcps: RunMcps, arguments: tuple[str, ...], env: dict[str, str], code: int
) -> None:
    done = run_mcps("migrate", *arguments, env=env)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr


def test_a_password_is_never_printed(run_mcps: RunMcps) -> None:
    url = "postgresql://u:s3cret@127.0.0.1:1/d"
    done = run_mcps("migrate", env={"DATABASE_URL": url})
    assert "u:****@127.0.0.1:1" in done.stderr
    assert "s3cret" not in done.stdout + done.stderr


def test_a_command_that_needs_migrations_says_so_and_is_not_interrupted(
    run_mcps: RunMcps, tmp_path: Path
) -> None:
    Earlier(tmp_path / "earlier.db").fill(1)
    (tmp_path / "list.json").write_text(json.dumps([LISTED]))
    run_mcps("migrate", "--rollback", str(len(migrate._files(None))))
    for command in ("import-sqlite earlier.db", "load list.json", "keys list"):
        done = run_mcps(*command.split())
        assert done.stderr.splitlines()[-1].endswith("run `mcps migrate`."), command
        # 75 is for what goes on by itself or when it is run again.
        assert done.returncode == 1, command
