"""The `mcps` command: parse, call, print, exit code."""

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
from service.cli.serve import dev, serve
from service.cli.server import TERMINATED
from service.errors import McpsError

INTERRUPTED = 130


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


def _complain(error: McpsError) -> None:
    click.echo(f"mcps: {error.message}", err=True)
    for problem in error.problems:
        click.echo(f"  {problem.location}: {problem.message}", err=True)


def _terminated(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(TERMINATED)
