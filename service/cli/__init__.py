"""The `mcps` command: parse, call, print, exit code."""

import errno
import os
import signal
import sys
from types import FrameType

import click

from service.cli.database import check, migrate
from service.cli.export import export, export_sqlite
from service.cli.harvest import harvest
from service.cli.importer import import_sqlite
from service.cli.keys import keys
from service.cli.load import load
from service.cli.run import drop_output
from service.cli.serve import dev, serve
from service.cli.server import TERMINATED
from service.errors import McpsError, RefusedFile

INTERRUPTED = 130
_LAST_STREAM = 2
# What writing to standard output ends with; every other file is spoken of by name.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF}


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mcps", prog_name="mcps")
def commands() -> None:
    """MCPS: a self-hosted catalog of MCP servers."""


COMMANDS = (
    dev,
    serve,
    migrate,
    load,
    harvest,
    import_sqlite,
    export,
    export_sqlite,
    keys,
    check,
)

for command in COMMANDS:
    commands.add_command(command)


def main() -> None:
    """Run the command line; every error of ours becomes one line and its exit code."""
    _open_closed_streams()
    # As an exception, so that an embedded server is stopped on the way out.
    signal.signal(signal.SIGTERM, _terminated)
    try:
        sys.exit(commands.main(prog_name="mcps", standalone_mode=False))
    except McpsError as error:
        _complain(error)
        sys.exit(error.exit_code)
    except (click.exceptions.Abort, KeyboardInterrupt):
        sys.exit(INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except OSError as error:
        if error.filename is not None or error.errno not in _FULL:
            raise
        _complain(RefusedFile(f"the output cannot be written: {error.strerror}"))
        drop_output()
        sys.exit(RefusedFile.exit_code)


def _open_closed_streams() -> None:
    """Fill what the caller closed, before a file or a connection takes its number."""
    while (number := os.open(os.devnull, os.O_WRONLY)) <= _LAST_STREAM:
        os.set_inheritable(number, True)
    os.close(number)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def _complain(error: McpsError) -> None:
    click.echo(f"mcps: {error.message}", err=True)
    for problem in error.problems:
        line = f"{problem.location}: {problem.message}"
        if line != error.message:
            click.echo(f"  {line}", err=True)


def _terminated(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(TERMINATED)
