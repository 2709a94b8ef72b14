"""How far a command is: bars on a terminal, otherwise a line every few seconds."""

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


class RowProgress:
    """Shows how many rows of each table are done, and how many a second."""

    def __init__(self, *, say: Callable[[str], None], is_terminal: bool) -> None:
        self._say = say
        self._said_at = time.monotonic()
        self._tasks: dict[str, tuple[progress.TaskID, float]] = {}
        self._bar = progress.Progress(
            progress.TextColumn("{task.description}", markup=False),
            progress.BarColumn(),
            progress.TaskProgressColumn(),
            progress.TextColumn("{task.fields[rate]}", markup=False),
            progress.TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            disable=not is_terminal,
        )

    def __enter__(self) -> Self:
        """Show the bars."""
        self._bar.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Take the bars away."""
        self._bar.stop()

    def show(self, table: str, done: int, total: int) -> None:
        """Take note of how many rows of a table are done."""
        now = time.monotonic()
        if table not in self._tasks:
            self._tasks[table] = (self._bar.add_task(table, total=total, rate=""), now)
        task, began_at = self._tasks[table]
        rate = f"{done / max(now - began_at, 0.1):,.0f}/s"
        self._bar.update(task, completed=done, total=total, rate=rate)
        if self._bar.disable and now - self._said_at >= LINE_EVERY_S:
            self._said_at = now
            self._say(f"{table}: {done:,} of {total:,}, {rate}")


def _counts(report: LoadReport) -> str:
    rate = report.entries / report.seconds if report.seconds else 0.0
    changes = report.versions_new + report.versions_changed
    return (
        f"{report.entries:,} entries, {changes:,} new or changed, "
        f"{report.rejected:,} rejected, {rate:,.0f}/s"
    )
