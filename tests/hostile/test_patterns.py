"""No pattern of the code takes long, whatever it is asked to match (D15)."""

import ast
import functools
import importlib
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.conftest import ROOT

STEEPEST = 2.5
METHODS = {
    "match",
    "fullmatch",
    "search",
    "sub",
    "subn",
    "split",
    "findall",
    "finditer",
}
UNITS = [
    *"aA0_-./ %:;,{}[]()<>\"'\\\t\n@+=&?~*^$|#!é漢",
    "ab",
    "a0",
    "a.",
    "a-",
    "a/",
    "a ",
    "a_",
    "::",
    "//",
    "%41",
    "%4",
    "1.",
    "0.0",
    "://",
    "mcps_",
    "mcps_a",
    "io.github.",
    "password=",
    "://a:",
    "Aa",
    "aA",
    "{a}",
    '"a"',
    'W/"',
]
# Ends that nearly fit, and do not.
ENDS = [("", ""), ("", "!"), ("", "\n"), ("!", ""), ("", "a\0")]
Run = Callable[[Any], Any]


def patterns() -> Iterator[tuple[str, "re.Pattern[Any]", set[str]]]:
    """Every pattern of the package: where it stands and how it is used."""
    for path in sorted((ROOT / "service").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            text = _pattern_in(node)
            if text is None:
                continue
            place = f"{path.relative_to(ROOT)}:{text.lineno}"
            flags = _flags(node)
            for value in _values(path, tree, text):
                yield place, re.compile(value, flags), _uses(path, tree, node)


def _pattern_in(node: ast.AST) -> ast.expr | None:
    """The pattern in a call of re.compile, re.match and so on, or in Meta(pattern=)."""
    if not isinstance(node, ast.Call):
        return None
    owner, _, name = ast.unparse(node.func).rpartition(".")
    if owner == "re" and name in {"compile", *METHODS}:
        return node.args[0]
    given = [word.value for word in node.keywords if word.arg == "pattern"]
    return given[0] if name == "Meta" and given else None


def _values(path: Path, tree: ast.Module, text: ast.expr) -> list[Any]:
    """The pattern as its module makes it, or those that a loop goes through."""
    dotted = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    names = vars(importlib.import_module(dotted.removesuffix(".__init__")))
    try:
        return [_value(text, names)]
    except NameError:
        wanted = ast.unparse(text)
    for loop in ast.walk(tree):
        if isinstance(loop, ast.For | ast.comprehension):
            parts = ast.unparse(loop.target).strip("()").split(", ")
            if wanted in parts:
                place = parts.index(wanted)
                return [row[place] for row in _value(loop.iter, names)]
    # An argument: this is the function that a query calls.
    return in_queries()


def in_queries() -> list[str]:
    """The patterns that SQLite hands to a function of ours."""
    texts = (path.read_text(encoding="utf-8") for path in ROOT.glob("*/sqlite/*.sql"))
    return [found for text in texts for found in re.findall(r"regexp '([^']+)'", text)]


def _value(node: ast.expr, names: dict[str, Any]) -> Any:
    code = compile(ast.Expression(node), "pattern", "eval")
    return eval(code, names)  # noqa: S307 - the package's own source


def _flags(node: ast.AST) -> re.RegexFlag:
    flags = re.RegexFlag(0)
    for name in re.findall(r"re\.([A-Z]+)\b", ast.unparse(node)):
        flags |= getattr(re, name)
    return flags


def _uses(path: Path, tree: ast.Module, node: ast.AST) -> set[str]:
    """The methods called on the pattern, in its own file or in any other."""
    method = ast.unparse(node).split("(")[0].rpartition(".")[2]
    if method != "compile":
        return {method} & METHODS or {"search"}
    names = [
        ast.unparse(part.targets[0])
        for part in ast.walk(tree)
        if isinstance(part, ast.Assign) and part.value is node
    ]
    texts = [path.read_text(encoding="utf-8")]
    if names and not names[0].startswith("_"):
        texts = [
            p.read_text(encoding="utf-8") for p in (ROOT / "service").rglob("*.py")
        ]
    used = {
        found
        for name in names
        for text in texts
        for found in re.findall(rf"\b{re.escape(name)}\.(\w+)\(", text)
    }
    return used & METHODS or {"search"}


def runs(pattern: "re.Pattern[Any]", methods: set[str]) -> Iterator[tuple[str, Run]]:
    """The pattern put to work in each way."""
    empty: Any = "" if isinstance(pattern.pattern, str) else b""
    for method in sorted(methods):
        work = getattr(pattern, method)
        if method in {"sub", "subn"}:
            yield method, functools.partial(work, empty)
        elif method == "finditer":
            yield method, pattern.findall
        else:
            yield method, work


class Measure(msgspec.Struct, frozen=True):
    """How long the texts are, and what they may take."""

    length: int
    slowest_s: float


SHORT, WHOLE = Measure(5000, 0.01), Measure(50_000, 0.05)


def slow(
    pattern: "re.Pattern[Any]",
    methods: set[str],
    measure: Measure,
    units: Sequence[str] = UNITS,
) -> list[str]:
    """The texts that the pattern takes longer for than it may."""
    return [
        f"{method}: {start}{unit}…{end}"
        for method, run in runs(pattern, methods)
        for unit in units
        for start, end in ENDS
        if is_slow(lambda n: timed(run, made(unit, n, start, end), pattern), measure)  # noqa: B023
    ]


def is_slow(took: Callable[[int], float], measure: Measure) -> bool:
    """Whether it takes too long, and much more than twice that for twice the text."""
    first_s = took(measure.length)
    if first_s <= measure.slowest_s:
        return False
    first_s = min(first_s, took(measure.length))
    if first_s <= measure.slowest_s:
        return False
    return took(2 * measure.length) > STEEPEST * first_s


def made(unit: str, length: int, start: str, end: str) -> str:
    return start + unit * (length // len(unit)) + end


def timed(run: Run, text: str, pattern: "re.Pattern[Any]") -> float:
    given = text if isinstance(pattern.pattern, str) else text.encode()
    began_at = time.perf_counter()
    run(given)
    return time.perf_counter() - began_at


def test_the_patterns_of_the_package_are_found() -> None:
    places = {place.split(":")[0] for place, *_ in patterns()}
    assert {"service/keys.py", "service/models.py", "service/web/edge.py"} <= places


@pytest.mark.parametrize(
    "measure", [SHORT, pytest.param(WHOLE, marks=pytest.mark.faults)]
)
def test_no_pattern_takes_long_for_any_text(measure: Measure) -> None:
    found = [
        f"{place}: {text}"
        for place, pattern, methods in patterns()
        for text in slow(pattern, methods, measure)
    ]
    assert found == []


@pytest.mark.parametrize("bad", [r"[a-z]+:", r"\s*;"])
def test_the_measure_sees_a_slow_pattern(bad: str) -> None:
    assert slow(re.compile(bad), {"search"}, SHORT, "a ")
    assert slow(re.compile(bad), {"match"}, SHORT, "a ") == []
