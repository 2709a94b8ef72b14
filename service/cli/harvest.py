"""`mcps harvest`: fill the catalog from the places where servers are published."""

import asyncio
import re
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import get_args

import click
import msgspec
import prometheus_client
import structlog
from msgspec import UNSET, UnsetType
from rich.table import Table

from service import logs
from service.cli.bars import Bars
from service.cli.run import is_terminal, open_store, results, run_async, say
from service.discovery import discover
from service.errors import Interrupted, InvalidInput, Unavailable
from service.harvest import Harvester, Plan, Report, rehearse
from service.jobs import Choice, JobName, known_targets, queue_jobs
from service.models_harvest import SourceName
from service.settings import Settings, read_settings
from service.sources.clients import with_registries
from service.sources.fetch import Fetcher
from service.sources.options import read_options
from service.store.base import Store
from service.store.locate import located
from service.targets import Sources, configured_urls, make_sources, name_of
from service.times import utc_text

log = structlog.get_logger("harvest")

SOME_FAILED = 3
MOST_SHOWN = 20
WATCH_S = 2.0
ALL = "all"
_DURATION = re.compile(r"(\d{1,9})([smhd])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class Duration(click.ParamType[float]):
    """A time such as 90s, 15m, 1h or 1d, in seconds."""

    name = "duration"

    def convert(
        self,
        value: str,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> float:
        """The seconds; fails the command for anything else."""
        match = _DURATION.fullmatch(value)
        if match is None or not int(match[1]):
            self.fail(f"{value!r} is no time such as 90s, 15m, 1h or 1d", param, ctx)
        return float(int(match[1]) * _UNITS[match[2]])


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line asks for."""

    source: SourceName | None
    """None is all of them."""
    texts: tuple[str, ...]
    is_dry: bool
    since: str | None
    watch_s: float | None


@click.command()
@click.argument("source", type=click.Choice([*get_args(SourceName), ALL]))
@click.argument("targets", nargs=-1, metavar="[TARGET]...")
@click.option("--dry-run", is_flag=True, help="Say what would change; write nothing.")
@click.option(
    "--since", metavar="TIME", help="Of a registry only what changed after this time."
)
@click.option(
    "--watch",
    type=Duration(),
    metavar="TIME",
    help="Go on for ever; a registry is read again after this time, such as 1h.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def harvest(
    source: str,
    targets: tuple[str, ...],
    dry_run: bool,
    since: str | None,
    watch: float | None,
    as_json: bool,
) -> None:
    """Take over servers from a source: a registry, packages, repositories, endpoints.

    Without a target: the registry of REGISTRY_URL, or what is known of the source.
    `all` is the registry, and then everything that the entries of the catalog point to.
    A package is @scope/name, or `search:words` for those that npm finds; a repository
    is owner/name, an image host/path:tag, an endpoint its URL. Harvesting again changes
    nothing. Exit code 0 all done, 3 some targets failed, 75 stopped: run it again.
    """
    if since is not None and utc_text(since) is None:
        message = f"{since!r} is no time such as 2026-01-31T12:00:00Z"
        raise click.BadParameter(message, param_hint="--since")
    if source == ALL and targets:
        message = "takes no targets: name their source"
        raise click.BadParameter(message, param_hint=ALL)
    if dry_run and watch:
        message = "a dry run ends by itself"
        raise click.BadParameter(message, param_hint="--watch")
    asked = Asked(
        source=None if source == ALL else msgspec.convert(source, SourceName),
        texts=targets,
        is_dry=dry_run,
        since=utc_text(since),
        watch_s=watch,
    )
    settings = _own_pool(read_settings())
    reports = _run(settings, asked)
    _print(reports, as_json=as_json)
    if any(report.failures for report in reports):
        sys.exit(SOME_FAILED)


def _run(settings: Settings, asked: Asked) -> list[Report]:
    if asked.watch_s is None:
        logs.configure_for_commands()
    else:
        logs.configure(settings)
        if settings.harvest_metrics_port:
            port = settings.harvest_metrics_port
            prometheus_client.start_http_server(port, addr=settings.api_host)
    reports: list[Report] = []
    try:
        with located(settings, say) as found:
            work = partial(_harvest, settings, asked, reports)
            run_async(open_store(settings, found, work))
    except KeyboardInterrupt:
        message = "stopped; what is stored stays. Run the same command again to go on"
        raise Interrupted(message) from None
    return reports


def _own_pool(settings: Settings) -> Settings:
    """The settings with the harvester's own, smaller pool."""
    return msgspec.structs.replace(
        settings,
        db_pool_size=settings.harvest_pool_size,
        db_max_overflow=settings.harvest_max_overflow,
    )


async def _harvest(
    settings: Settings, asked: Asked, reports: list[Report], store: Store
) -> None:
    wanted = get_args(SourceName) if asked.source is None else [asked.source]
    settings = await with_registries(settings, wanted)
    options = read_options(settings, bases=configured_urls(settings))
    async with Fetcher(options, "harvest") as fetcher:
        run = _Run(store, make_sources(settings, fetcher), settings, asked)
        if asked.is_dry:
            reports += await run.rehearse()
        elif asked.watch_s is not None:
            await run.watch(asked.watch_s)
        else:
            await run.once(reports)


class _Run(msgspec.Struct, frozen=True):
    """One run of the command on an open store."""

    store: Store
    sources: Sources
    settings: Settings
    asked: Asked

    async def rehearse(self) -> list[Report]:
        """Only look."""
        names = await self._names()
        return await rehearse(
            self.store, self.sources, self.settings, names, since=self._since
        )

    async def once(self, reports: list[Report]) -> None:
        """Harvest what was asked for; the reports are there also when it is stopped."""
        await queue_jobs(self.store, await self._due(), is_due=True)
        with Bars(say=say, is_terminal=is_terminal()) as bars:
            harvester = self._harvester(bars.show)
            try:
                await self._pass(harvester)
            finally:
                reports += harvester.reports

    async def watch(self, registry_every_s: float) -> None:
        """Harvest what is due, again and again; waits for a database that is away."""
        await queue_jobs(self.store, await self._due(), is_due=True)
        log.info("watching", sources=sorted(self.sources))
        while True:
            harvester = self._harvester(lambda _: None, registry_every_s)
            try:
                await self._pass(harvester)
            except Unavailable as error:
                log.warning("the database is away", error=error.message)
            for report in harvester.reports:
                log.info("harvested", **_figures(report))
            await asyncio.sleep(WATCH_S)

    async def _pass(self, harvester: Harvester) -> None:
        """Work off what is due; of all sources then also what the entries point to."""
        if self.asked.source is not None:
            names = None if self.asked.watch_s else tuple(await self._names())
            await harvester.run(Choice((self.asked.source,), names))
            return
        every = Choice(tuple(self.sources))
        await harvester.run(every)
        if any(report.source == "registry" for report in harvester.reports):
            await discover(self.store, self.sources)
            await harvester.run(every)

    def _harvester(
        self, on_progress: Callable[[Sequence[Report]], None], every_s: float = 3600.0
    ) -> Harvester:
        plan = Plan(since=self._since, registry_every_s=every_s)
        return Harvester(self.store, self.sources, self.settings, plan, on_progress)

    @property
    def _since(self) -> str | UnsetType:
        return UNSET if self.asked.since is None else self.asked.since

    async def _due(self) -> list[JobName]:
        """The jobs that are due because of the command."""
        if self.asked.source is None:
            return [self._registry()]
        return await self._names()

    async def _names(self) -> list[JobName]:
        """The targets that were typed, or else those that are known.

        Raises InvalidInput when there are none.
        """
        source = self.asked.source
        if self.asked.texts and source is not None:
            return [name_of(self.sources, source, text) for text in self.asked.texts]
        wanted = tuple(self.sources) if source is None else (source,)
        names = [] if "registry" not in wanted else [self._registry()]
        for each in wanted:
            if each != "registry":
                targets = await known_targets(self.store, each)
                names += [JobName(each, target) for target in targets]
        if not names:
            message = "nothing is known yet: name a target, or harvest all"
            raise InvalidInput.at(str(source), message)
        return names

    def _registry(self) -> JobName:
        return name_of(self.sources, "registry", self.settings.registry_url)


def _figures(report: Report) -> dict[str, object]:
    return {
        "source": report.source,
        "targets": report.targets,
        "failures": len(report.failures),
        **msgspec.structs.asdict(report.counts),
    }


def _print(reports: Sequence[Report], *, as_json: bool) -> None:
    if as_json:
        document = {"sources": reports}
        click.echo(msgspec.json.encode(document).decode())
    elif reports:
        _print_table(reports)
    for report in reports:
        for failure in report.failures[:MOST_SHOWN]:
            say(f"{report.source} {failure.target}: {failure.message}")
        for text in report.refused:
            say(f"{report.source}: refused: {text}")


def _print_table(reports: Sequence[Report]) -> None:
    columns = ("targets", "seen", "new", "changed", "gone", "refused", "failed")
    table = Table("source", *columns)
    for column in table.columns[1:]:
        column.justify = "right"
    for report in reports:
        counts = report.counts
        figures = (report.targets, counts.seen, counts.new, counts.changed, counts.gone)
        refused = (counts.failed, len(report.failures))
        table.add_row(report.source, *(f"{count:,}" for count in (*figures, *refused)))
    results().print(table)
