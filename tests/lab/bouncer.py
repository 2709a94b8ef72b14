"""PgBouncer in transaction mode in front of a cluster, where it is installed."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.store.probe import READY, probe
from tests.cluster import Cluster, free_port
from tests.waiting import until_true

CONFIG = """[databases]
{database} = user={user} host=127.0.0.1 port={port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {own}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {size}
max_client_conn = 200
logfile = {log}
"""


def program() -> str | None:
    """Where PgBouncer is, if anywhere."""
    return shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")


@contextmanager
def bouncing(
    cluster: Cluster,
    *,
    database: str = "mcps",
    user: str = "mcps",
    size: int = 3,
) -> Iterator[int]:
    """The port of a PgBouncer with `size` sessions for each database.

    It knows one database of the cluster, or every one (`*`), and logs in as `user`
    whoever comes: with auth_type any that has to be named.
    """
    found = program()
    assert found is not None
    own = free_port()
    log = log_of(cluster)
    log.parent.mkdir()
    config = log.with_name("bouncer.ini")
    places = {"port": cluster.port, "own": own, "log": log}
    config.write_text(CONFIG.format(**places, database=database, user=user, size=size))
    command = [found, str(config)]
    if os.geteuid() == 0:
        # It does not run as root.
        account = pwd.getpwnam("nobody")
        os.chown(log.parent, account.pw_uid, account.pw_gid)
        command = [found, "-u", "nobody", str(config)]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    asked = "postgres" if database == "*" else database
    try:
        until_true(lambda: probe(("127.0.0.1", own), user, asked) == READY)
        yield own
    finally:
        process.terminate()
        process.wait(10)


def log_of(cluster: Cluster) -> Path:
    """What the PgBouncer in front of the cluster writes; it goes with the cluster."""
    return cluster.folder / "bouncer" / "bouncer.log"
