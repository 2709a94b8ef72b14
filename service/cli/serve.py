"""`mcps serve` and `mcps dev`."""

import secrets
import tempfile

import click

from service import logs
from service import settings as configuration
from service.cli import server
from service.cli.run import open_store, run_async, say
from service.errors import InvalidSettings
from service.logins import check_logins
from service.ownership import read_checks
from service.sample import load_sample
from service.settings import DEVELOPMENT_KEY, Settings, read_settings
from service.store.base import Store
from service.store.locate import Located, located, shown
from service.store.migrate import apply

Number = int | None


def _options(command: click.decorators.FC) -> click.decorators.FC:
    """Where to serve; each option stands for a setting."""
    for name, kind, text in (
        ("--workers", int, "Worker processes (API_WORKERS)."),
        ("--port", int, "Port to listen on (API_PORT)."),
        ("--host", str, "Address to listen on (API_HOST)."),
    ):
        command = click.option(name, type=kind, help=text)(command)
    return command


@click.command()
@_options
def serve(host: str | None, port: Number, workers: Number) -> None:
    """Serve the catalog from the configured database."""
    settings = _settings(host, port, workers)
    with located(settings, say) as found:
        _serve(settings, found)


@click.command()
@_options
def dev(host: str | None, port: Number, workers: Number) -> None:
    """Serve a catalog with all it needs: database, migrations, sample entries."""
    configuration.export({"ENVIRONMENT": "development", "LOG_FORMAT": "text"})
    settings = _settings(host, port, workers)
    with located(settings, say) as found:
        say(f"Database  {shown(found)}")
        apply(found.url, say=say)
        run_async(open_store(settings, found, _fill))
        base = f"http://{settings.api_host}:{settings.api_port}{settings.root_path}"
        say(f"Catalog   {base}/servers")
        say(f"Health    {base}/health/db")
        say(f"Docs      {base}/docs")
        say(f"Key       X-API-Key: {DEVELOPMENT_KEY}")
        _serve(settings, found)


def _settings(host: str | None, port: Number, workers: Number) -> Settings:
    given = {"API_HOST": host, "API_PORT": port, "API_WORKERS": workers}
    chosen = {name: str(value) for name, value in given.items() if value is not None}
    configuration.export(chosen)
    settings = read_settings()
    check_logins(settings)
    read_checks(settings)
    _refuse_taken_port(settings)
    return settings


def _serve(settings: Settings, found: Located) -> None:
    """Serve until a signal; workers learn the database from their environment."""
    logs.configure(settings)
    run_async(open_store(settings, found, _look))
    if not settings.is_configured:
        configuration.export({"DATABASE_URL": found.url})
    if not settings.registry_token_key:
        # Every worker has to take the tokens of all others.
        configuration.export({"REGISTRY_TOKEN_KEY": secrets.token_hex(32)})
    with tempfile.TemporaryDirectory(prefix="mcps-metrics-") as folder:
        if settings.api_workers > 1:
            configuration.export({"PROMETHEUS_MULTIPROC_DIR": folder})
        server.run(settings)


async def _fill(store: Store) -> None:
    if count := await load_sample(store):
        say(f"Sample    {count} servers, because the catalog was empty")


async def _look(_store: Store) -> None:
    """Opening the store is the look: it refuses a wrong login and wrong queries."""


def _refuse_taken_port(settings: Settings) -> None:
    """Uvicorn would end with a log line and code 1, or worse, in each worker."""
    try:
        server.bound(settings).close()
    except OSError as error:
        message = (
            f"cannot listen on {settings.api_host}:{settings.api_port}: "
            f"{error.strerror}; set API_HOST and API_PORT to a free place"
        )
        raise InvalidSettings(message) from error
