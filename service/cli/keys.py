"""`mcps keys`: make, list and revoke API keys."""

import click
import msgspec
from rich.table import Column, Table
from rich.text import Text

from service import keys as work
from service.cli.run import results, say, with_store
from service.models import Role

_COLOURS = {"active": "green", "expired": "yellow", "revoked": "red"}


@click.group()
def keys() -> None:
    """API keys: who may write, and who may administer."""


@keys.command()
@click.option("--name", required=True, help="What the key is for, for people.")
@click.option(
    "--role",
    required=True,
    type=click.Choice(["reader", "editor", "admin"]),
    help="What the key may do: read, write entries, or everything.",
)
@click.option(
    "--expires", default="", metavar="WHEN", help="90d, 12h, 4w, or a date; else never."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def create(name: str, role: Role, expires: str, as_json: bool) -> None:
    """Make a key and print it; it cannot be shown again."""
    made = with_store(
        lambda store: work.create_key(store, name=name, role=role, expires=expires)
    )
    if as_json:
        click.echo(msgspec.json.encode(made).decode())
        return
    say(f"Key {made.prefix} for {name}, role {role}, {_until(made.expires_at)}.")
    say("Keep it now: it is not stored and cannot be shown again.")
    click.echo(made.key)


@keys.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def list_(as_json: bool) -> None:
    """Show every key without its secret, the newest first."""
    found = with_store(work.list_keys)
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
        return
    prefix = Column("Prefix", no_wrap=True)
    table = Table(prefix, "Role", "Name", "Created", "Expires", "Last used", "State")
    for key in found:
        state = Text(key.state, style=_COLOURS[key.state])
        times = (key.created_at, key.expires_at, key.last_used_at)
        shown = [_minute(at) for at in times]
        table.add_row(key.prefix, key.role, Text(key.name), *shown, state)
    results().print(table)


@keys.command()
@click.argument("prefix")
def revoke(prefix: str) -> None:
    """Take a key out of use within five seconds, by its PREFIX."""
    name = with_store(lambda store: work.revoke_key(store, prefix))
    say(f"The key for {name} is revoked.")


def _until(expires_at: str | None) -> str:
    return f"valid until {_minute(expires_at)}" if expires_at else "valid until revoked"


def _minute(at: str | None) -> str:
    return at[:16].replace("T", " ") if at else "never"
