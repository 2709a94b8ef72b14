"""No pattern of the code takes long, whatever it is asked to match (D15)."""

import ast
import functools
import importlib
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.hostile.conftest import Some

LENGTH = 50_000
SLOWEST_S = 0.05
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
    raise AssertionError(path, wanted)


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


def attacks(length: int) -> Iterator[str]:
    """Long texts that nearly match, with an end that does not."""
    for unit in UNITS:
        body = unit * (length // len(unit))
        yield body
        for end in ("!", "\n", unit[0] + "\0"):
            yield body + end
        yield "!" + body


def slow(
    pattern: "re.Pattern[Any]", methods: set[str], pairs: Sequence[tuple[str, str]]
) -> list[str]:
    """The texts that the pattern takes longer for than it may."""
    found = []
    for method, run in runs(pattern, methods):
        for text, twice in pairs:
            took_s = timed(run, text, pattern)
            if took_s <= SLOWEST_S:
                continue
            took_s = min(took_s, timed(run, text, pattern))
            if took_s > SLOWEST_S and timed(run, twice, pattern) > STEEPEST * took_s:
                found.append(f"{method} {text[:20]!r}: {took_s:.2f} s")
                break
    return found


def timed(run: Run, text: str, pattern: "re.Pattern[Any]") -> float:
    given = text if isinstance(pattern.pattern, str) else text.encode()
    began_at = time.perf_counter()
    run(given)
    return time.perf_counter() - began_at


def test_the_patterns_of_the_package_are_found() -> None:
    places = {place.split(":")[0] for place, *_ in patterns()}
    assert {"service/keys.py", "service/models.py", "service/web/edge.py"} <= places


def test_no_pattern_takes_long_for_any_text(some: Some) -> None:
    pairs = some([*zip(attacks(LENGTH), attacks(2 * LENGTH), strict=True)])
    found = [
        f"{place}: {text}"
        for place, pattern, methods in patterns()
        for text in slow(pattern, methods, pairs)
    ]
    assert found == []


@pytest.mark.parametrize("bad", [r"\s*;", r"a+b"])
def test_the_measure_sees_a_slow_pattern(bad: str) -> None:
    pairs = [*zip(attacks(6000), attacks(12_000), strict=True)]
    assert slow(re.compile(bad), {"search"}, pairs)
    assert slow(re.compile(bad), {"match"}, pairs) == []
