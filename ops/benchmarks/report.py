"""Figures as tables: for a terminal, for a log, and for BENCHMARKS.md."""

import os
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ops.benchmarks.cases import Row, Verdict
from ops.benchmarks.catalog import Size

DOCUMENT = Path(__file__).resolve().parent.parent / "BENCHMARKS.md"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
IMPORT = "<!-- import: begin -->", "<!-- import: end -->"

Cells = tuple[str, ...]

_ROW_HEADS = (
    "workers",
    "request",
    "requests/s",
    "p50 ms",
    "p99 ms",
    "service µs",
    "PostgreSQL µs",
    "both µs",
    "bytes",
    "errors",
)
_VERDICT_HEADS = ("workers", "wanted", "at most", "found", "")


def row_cells(row: Row) -> Cells:
    """One row of the table of figures."""
    outcome = row.outcome
    return (
        str(row.workers),
        row.case,
        f"{outcome.requests / outcome.seconds:,.0f}",
        f"{outcome.p50_ms:.2f}",
        f"{outcome.p99_ms:.2f}",
        f"{row.service_us:,.0f}",
        f"{row.postgres_us:,.0f}",
        f"{row.total_us:,.0f}",
        f"{outcome.body_bytes:,}",
        str(outcome.errors),
    )


def verdict_cells(verdict: Verdict) -> Cells:
    """One row of the table of what is wanted."""
    return (
        str(verdict.workers),
        verdict.wanted,
        f"{verdict.limit:g}",
        f"{verdict.value:.2f}",
        "met" if verdict.is_met else "not met",
    )


def machine(size: Size, postgres: str) -> str:
    """Where and on what the figures were taken, in one paragraph."""
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {size.servers:,} servers with "
        f"{size.versions:,} versions. A {platform.system()} machine with "
        f"{os.cpu_count()} cores for service, PostgreSQL and load together; "
        f"Python {platform.python_version()}, "
        f"PostgreSQL {postgres}, uvicorn {version('uvicorn')}, "
        f"asyncpg {version('asyncpg')}."
    )


def show(rows: Sequence[Row], verdicts: Sequence[Verdict], intro: str) -> None:
    """Print everything: as tables on a terminal, as Markdown elsewhere."""
    if not sys.stdout.isatty():
        print(markdown(rows, verdicts, intro))
        return
    console = Console()
    console.print(intro)
    for heads, lines in _tables(rows, verdicts):
        table = Table(*heads)
        for line in lines:
            table.add_row(*line)
        console.print(table)


def markdown(rows: Sequence[Row], verdicts: Sequence[Verdict], intro: str) -> str:
    """The same as Markdown."""
    parts = [intro]
    for heads, lines in _tables(rows, verdicts):
        ruler = ("---",) * len(heads)
        parts.append("\n".join(f"| {' | '.join(x)} |" for x in (heads, ruler, *lines)))
    return "\n\n".join(parts)


def write(
    text: str, document: Path = DOCUMENT, marks: tuple[str, str] = (BEGIN, END)
) -> None:
    """Put the figures in place of those that are in the document."""
    begin, end = marks
    head, _, rest = document.read_text(encoding="utf-8").partition(begin)
    tail = rest.partition(end)[2]
    parts = f"{head}{begin}\n\n{text}\n\n{end}{tail}"
    document.write_text(parts, encoding="utf-8")


def _tables(
    rows: Sequence[Row], verdicts: Sequence[Verdict]
) -> list[tuple[Cells, list[Cells]]]:
    return [
        (_ROW_HEADS, [row_cells(row) for row in rows]),
        (_VERDICT_HEADS, [verdict_cells(verdict) for verdict in verdicts]),
    ]
