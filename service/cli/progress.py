"""How far a load is: a bar on a terminal, otherwise a line every few seconds."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich import progress
from rich.console import Console

from service.files import Source
from service.loading import LoadReport

LINE_EVERY_S = 3.0


class Progress:
    """Shows the counts and the rate of one load while it runs."""

    def __init__(
        self, source: Source, *, say: Callable[[str], None], is_terminal: bool
    ) -> None:
        self._source = source
        self._say = say
        self._said_at = time.monotonic()
        self._bar = progress.Progress(
            progress.TextColumn("{task.description}", markup=False),
            progress.BarColumn(),
            progress.TaskProgressColumn(),
            progress.TextColumn("{task.fields[counts]}", markup=False),
            progress.TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            disable=not is_terminal,
        )
        self._task = self._bar.add_task(source.name, total=None, counts="")

    def __enter__(self) -> Self:
        """Show the bar."""
        self._bar.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Take the bar away."""
        self._bar.stop()

    def show(self, report: LoadReport) -> None:
        """Take note of the state after a batch."""
        counts = _counts(report)
        self._bar.update(
            self._task,
            completed=self._source.read_bytes,
            total=self._source.size_bytes,
            counts=counts,
        )
        now = time.monotonic()
        if self._bar.disable and now - self._said_at >= LINE_EVERY_S:
            self._said_at = now
            self._say(f"{self._source.name}: {self._share()}{counts}")

    def _share(self) -> str:
        size = self._source.size_bytes
        return f"{self._source.read_bytes / size:.0%}, " if size else ""


def _counts(report: LoadReport) -> str:
    rate = report.entries / report.seconds if report.seconds else 0.0
    changes = report.versions_new + report.versions_changed
    return (
        f"{report.entries:,} entries, {changes:,} new or changed, "
        f"{report.rejected:,} rejected, {rate:,.0f}/s"
    )
