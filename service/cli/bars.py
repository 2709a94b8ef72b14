"""How far a harvest is: a line for each source on a terminal, else now and then one."""

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from rich import progress
from rich.console import Console

from service.harvest import Report

LINE_EVERY_S = 3.0


class Bars:
    """Shows the counts of every source while they are harvested."""

    def __init__(self, *, say: Callable[[str], None], is_terminal: bool) -> None:
        self._say = say
        self._said_at = time.monotonic()
        self._progress = progress.Progress(
            progress.SpinnerColumn(),
            progress.TextColumn("{task.description}", markup=False),
            progress.TextColumn("{task.fields[counts]}", markup=False),
            progress.TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
            disable=not is_terminal,
        )
        self._tasks: dict[str, progress.TaskID] = {}

    def __enter__(self) -> Self:
        """Show the lines."""
        self._progress.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Take them away."""
        self._progress.stop()

    def show(self, reports: Sequence[Report]) -> None:
        """Take note of the state after a page."""
        for report in reports:
            if report.source not in self._tasks:
                added = self._progress.add_task(report.source, total=None, counts="")
                self._tasks[report.source] = added
            task = self._tasks[report.source]
            self._progress.update(task, counts=_counts(report))
        now = time.monotonic()
        if self._progress.disable and now - self._said_at >= LINE_EVERY_S:
            self._said_at = now
            for report in reports:
                self._say(f"{report.source}: {_counts(report)}")


def _counts(report: Report) -> str:
    counts = report.counts
    changes = counts.new + counts.changed
    return (
        f"{report.targets:,} targets, {counts.seen:,} entries, "
        f"{changes:,} new or changed, {len(report.failures):,} failed"
    )
