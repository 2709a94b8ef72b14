"""`mcps serve` and `mcps dev`."""

import tempfile
from pathlib import Path

import click
import uvicorn

from service import settings as configuration
from service.cli.run import say
from service.settings import DEVELOPMENT_KEY, Settings, read_settings
from service.store.locate import Located, located, shown

APP = "service.app:create_app"


@click.command()
@click.option("--host", help="Address to listen on (API_HOST).")
@click.option("--port", type=int, help="Port to listen on (API_PORT).")
@click.option("--workers", type=int, help="Worker processes (API_WORKERS).")
def serve(host: str | None, port: int | None, workers: int | None) -> None:
    """Serve the catalog from the configured database."""
    settings = _settings(host, port, workers)
    with located(settings, say) as found:
        _run(settings, found)


@click.command()
@click.option("--host", help="Address to listen on (API_HOST).")
@click.option("--port", type=int, help="Port to listen on (API_PORT).")
@click.option("--workers", type=int, help="Worker processes (API_WORKERS).")
def dev(host: str | None, port: int | None, workers: int | None) -> None:
    """Serve a catalog with everything it needs: database, migrations, sample entries."""
    configuration.export({"ENVIRONMENT": "development"})
    settings = _settings(host, port, workers)
    with located(settings, say) as found:
        say(f"Database     {shown(found)}")
        base = f"http://{settings.api_host}:{settings.api_port}"
        say(f"Catalog      {base}/servers")
        say(f"Health       {base}/health/db")
        say(f"Key          X-API-Key: {DEVELOPMENT_KEY}")
        _run(settings, found)


def _settings(host: str | None, port: int | None, workers: int | None) -> Settings:
    given = {"API_HOST": host, "API_PORT": port, "API_WORKERS": workers}
    configuration.export({k: str(v) for k, v in given.items() if v is not None})
    return read_settings()


def _run(settings: Settings, found: Located) -> None:
    """Serve until a signal; workers learn the database from their environment."""
    with tempfile.TemporaryDirectory(prefix="mcps-metrics-") as folder:
        exported = {"DATABASE_URL": found.url}
        if settings.api_workers > 1:
            exported["PROMETHEUS_MULTIPROC_DIR"] = str(Path(folder))
        configuration.export(exported)
        uvicorn.run(
            APP,
            factory=True,
            host=settings.api_host,
            port=settings.api_port,
            workers=settings.api_workers,
            loop="auto",
            http="httptools",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=True,
            root_path=settings.root_path,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=round(settings.shutdown_timeout),
        )
