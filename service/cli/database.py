"""`mcps migrate` and `mcps check`."""

import sys

import click
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from service import check as inspection
from service import logs
from service.check import Report
from service.cli.run import results, run_async, say
from service.errors import McpsError
from service.settings import read_settings
from service.store import migrate as migrations
from service.store.locate import located, shown
from service.store.steps import Step

_COLOURS = {"ok": "green", "warning": "yellow", "error": "bold red"}
_STATE_COLOURS = {
    "applied": "green",
    "pending": "yellow",
    "edited": "bold red",
    "unknown": "magenta",
}


@click.command()
@click.option("--status", is_flag=True, help="Show what is applied; change nothing.")
@click.option(
    "--rollback",
    type=click.IntRange(min=1),
    metavar="N",
    help="Take the newest N migrations back, with the data in them.",
)
def migrate(status: bool, rollback: int | None) -> None:
    """Bring the schema of the database to this release.

    Safe to run twice at once and after a kill: the second run waits up to a minute.
    Exit code 0 done, 1 failed, 2 wrong settings, 75 the database is away or locked.
    """
    if status and rollback:
        message = "--status and --rollback exclude each other"
        raise click.UsageError(message)
    settings = read_settings()
    with located(settings, say) as found:
        say(f"Database {shown(found)}")
        if status:
            _print_steps(migrations.status(found.url))
        elif rollback:
            migrations.rollback(found.url, rollback, say=click.echo)
        else:
            _print_end(migrations.apply(found.url, say=click.echo))


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--slow", is_flag=True, help="Also list the slowest statements.")
def check(as_json: bool, slow: bool) -> None:
    """Look at the installation: every finding comes with what to do about it.

    Exit code 0 without errors, 1 with any, 2 when a setting is wrong.
    """
    settings = read_settings()
    logs.configure_for_commands()
    try:
        with located(settings, say) as found:
            seen = run_async(inspection.report(settings, found, slow=slow))
    except McpsError as error:
        seen = inspection.unreachable(settings, error)
    if as_json:
        click.echo(inspection.as_json(seen))
    else:
        _print_report(seen)
    if inspection.is_failed(seen):
        sys.exit(1)


def _print_end(applied: list[str]) -> None:
    if applied:
        click.echo(f"{len(applied)} applied; the schema is {applied[-1]}")
    else:
        click.echo("Nothing to do: every migration is applied")


def _print_steps(steps: list[Step]) -> None:
    table = Table("Migration", "State", "Applied at")
    for step in steps:
        state = Text(step.state, style=_STATE_COLOURS[step.state])
        table.add_row(step.name, state, step.applied_at)
    results().print(table)


def _print_report(seen: Report) -> None:
    console = results()
    table = Table("Level", "Subject", Column("Finding", overflow="fold"))
    for finding in seen.findings:
        level = Text(finding.level, style=_COLOURS[finding.level])
        table.add_row(level, finding.subject, Text(finding.text))
    console.print(table)
    _print_slow(seen, console)
    # Not in the table: a statement has to stay whole to be copied.
    for finding in seen.findings:
        if finding.mend:
            click.echo(f"{finding.subject}: {finding.text}\n  -> {finding.mend}")


def _print_slow(seen: Report, console: Console) -> None:
    if not seen.slow:
        return
    table = Table("Total ms", "Mean ms", "Calls", "Statement")
    for row in seen.slow:
        total, mean = f"{row.total_ms:.0f}", f"{row.mean_ms:.2f}"
        table.add_row(total, mean, str(row.calls), Text(row.statement[:200]))
    console.print(table)
