"""What the fault tests measured against what was promised, and the table of it.

A promise is kept exactly where the tests run alone (`ops/test --faults`); beside other
tests a slow machine gets more time. A test that is too slow runs once more, and both
figures are told.
"""

import functools
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, Literal

import msgspec
import pytest

LIST = Path(__file__).with_name("faults.toml")
REPORT = Path(__file__).resolve().parents[2] / "ops" / "RELIABILITY.md"
_MORE_TIME = 5.0
_MOST_MORE_S = 2.0
_ROW = re.compile(r"\| (\w+) \| .* \| (.*) \| (.*) \|")
Size = Literal["change", "whole", "soak"]


class Line(msgspec.Struct, frozen=True):
    """One line of the list of faults."""

    fault: str
    expected: str
    proved_by: str = ""
    """Tests of every run that prove it, where no fault test does."""
    missing: str = ""
    """Why it is not covered."""


class TooSlowError(AssertionError):
    """A promise about time that was not kept."""


class Figures:
    """What was measured so far in this run, by line and by name."""

    def __init__(self, size: Size) -> None:
        self.size = size
        self.values: dict[str, dict[str, list[float]]] = {}
        self.texts: dict[str, dict[str, str]] = {}
        self.notes: dict[str, list[str]] = {}

    @property
    def is_strict(self) -> bool:
        """Whether the tests run alone."""
        return self.size != "change"

    def pick(self, change: float, whole: float, soak: float | None = None) -> float:
        """A length or a count by the size of the run."""
        sizes = {"change": change, "whole": whole, "soak": soak or whole}
        return sizes[self.size]

    def at_most(self, line: str, name: str, value: float, promised: float) -> None:
        """Note a time in seconds; raise TooSlowError when it is too long."""
        allowed = promised
        if not self.is_strict:
            allowed += min(promised * (_MORE_TIME - 1), _MOST_MORE_S)
        self._note(line, name, value, _seconds, f"≤ {_seconds(promised)}")
        if value > allowed:
            message = f"{line}: {name} took {value:.3f} s, promised {promised} s"
            raise TooSlowError(message)

    def at_least(self, line: str, name: str, value: float, promised: float) -> None:
        """Note a share; a lower one fails the test, and only once more is it tried."""
        self._note(line, name, value, _share, f"≥ {_share(promised)}")
        allowed = promised if self.is_strict else promised - (1 - promised) * 4 - 0.01
        if value < allowed:
            message = f"{line}: {name} is {value:.4f}, promised {promised}"
            raise TooSlowError(message)

    def count(self, line: str, name: str, value: float, most: float) -> None:
        """Note a number; fail when it is higher."""
        self._note(line, name, value, _number, f"≤ {_number(most)}")
        assert value <= most, f"{line}: {name} is {value}, at most {most}"

    def tell(self, line: str, note: str) -> None:
        """Add words to the measured column."""
        self.notes.setdefault(line, [])
        if note not in self.notes[line]:
            self.notes[line].append(note)

    def _note(
        self,
        line: str,
        name: str,
        value: float,
        text: Callable[[float], str],
        promised: str,
    ) -> None:
        values = self.values.setdefault(line, {}).setdefault(name, [])
        values.append(value)
        worst = (min if promised.startswith("≥") else max)(values)
        shown = f"{name} {text(median(values))} (worst {text(worst)}; {promised})"
        self.texts.setdefault(line, {})[name] = shown

    def measured(self, line: str) -> str:
        """The cell of one line."""
        runs = max((len(v) for v in self.values.get(line, {}).values()), default=1)
        parts = [*self.texts.get(line, {}).values(), *self.notes.get(line, [])]
        return "; ".join([*parts, f"{runs} runs" if runs > 1 else "1 run"])


def fault(*lines: str) -> Callable[[Callable[..., Awaitable[None]]], Any]:
    """Mark a test as that of lines of the list; too slow, it runs once more."""

    def decorate(test: Callable[..., Awaitable[None]]) -> Any:
        @functools.wraps(test)
        async def run(*arguments: Any, **fixtures: Any) -> None:
            try:
                await test(*arguments, **fixtures)
            except TooSlowError as first:
                figures: Figures = fixtures["figures"]
                figures.tell(lines[0], f"repeated once: {first}")
                try:
                    await test(*arguments, **fixtures)
                except TooSlowError as second:
                    message = f"{first}; and again: {second}"
                    raise TooSlowError(message) from None

        return pytest.mark.fault(*lines)(run)

    return decorate


def read_list() -> dict[str, Line]:
    """The list of faults by its ids, in its order."""
    return msgspec.toml.decode(LIST.read_bytes(), type=dict[str, Line])


def write_report(figures: Figures, passed: set[str], failed: set[str]) -> None:
    """Write the table; lines that did not run keep what an earlier run measured."""
    today = datetime.now(UTC).date().isoformat()
    before = _earlier()
    out = [_HEAD]
    for name, line in read_list().items():
        measured, at = before.get(name, ("not run yet", ""))
        if name in failed:
            measured, at = f"**not kept**: {figures.measured(name)}", today
        elif name in passed:
            measured, at = figures.measured(name), today
        elif line.proved_by:
            measured, at = f"by {line.proved_by}", "every run"
        elif line.missing:
            measured, at = f"not covered: {line.missing}", ""
        cells = (name, line.fault, line.expected, measured, at)
        out.append("| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |")
    REPORT.write_text("\n".join(out) + "\n", encoding="utf-8")


def _earlier() -> dict[str, tuple[str, str]]:
    if not REPORT.exists():
        return {}
    found = {}
    for line in REPORT.read_text(encoding="utf-8").splitlines():
        if match := _ROW.fullmatch(line):
            found[match[1]] = (match[2], match[3])
    return found


def _seconds(value: float) -> str:
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.2f} s"


def _share(value: float) -> str:
    return f"{value * 100:.2f} %".replace(".00 %", " %")


def _number(value: float) -> str:
    return f"{value:g}"


_HEAD = """# Reliability, as measured

Written by `ops/test --faults`: what breaks, what is promised, and what was measured, as
the median of the runs with the worst of them and the limit in parentheses. Each test
breaks the real thing under load (50 reads and 10 writes a second on 5 connections,
unless the line says otherwise), and an oracle checks every answer: no torn row, no
false empty page, exact walks, nothing acknowledged that is lost, no version that goes
back.

| id | fault | expected | measured | on |
|---|---|---|---|---|"""
