"""Small files, small functions, shallow nesting, and words for everything public."""

import ast
import re
import statistics
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

import pytest

from tests.house.tree import ROOT, parse, python_files, texts

FILE_LINES = 450
FUNCTION_LINES = 60
MEDIAN_CODE_LINES = 10
DEPTH = 3

Function = ast.FunctionDef | ast.AsyncFunctionDef
_BLOCKS = (
    ast.AsyncFor,
    ast.AsyncWith,
    ast.For,
    ast.If,
    ast.Match,
    ast.Try,
    ast.TryStar,
    ast.While,
    ast.With,
)
_UNFINISHED = re.compile(
    r"\b(?:" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X"]) + r")\b"
)


def functions(tree: ast.Module) -> Iterator[Function]:
    """Every function and method, nested ones too."""
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def long_functions(path: str, tree: ast.Module) -> list[str]:
    """Functions with more lines than a screen."""
    return [
        f"{path}:{f.lineno}: {f.name} has {lines} lines, at most {FUNCTION_LINES}"
        for f in functions(tree)
        if (lines := (f.end_lineno or f.lineno) - f.lineno + 1) > FUNCTION_LINES
    ]


def code_lines(function: Function) -> int:
    """The lines of the statements, without docstring and what stands between them."""
    body = function.body
    is_described = isinstance(body[0], ast.Expr) and isinstance(
        body[0].value, ast.Constant
    )
    lines: set[int] = set()
    for statement in body[1:] if is_described else body:
        lines.update(range(statement.lineno, (statement.end_lineno or 0) + 1))
    return len(lines)


def depth(node: ast.AST) -> int:
    """How many blocks stand inside each other; `elif` is not deeper than its `if`."""
    deepest = 0
    for name, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or isinstance(child, Function):
                continue
            is_elif = (
                isinstance(node, ast.If)
                and name == "orelse"
                and isinstance(child, ast.If)
                and len(node.orelse) == 1
            )
            step = isinstance(child, _BLOCKS) and not is_elif
            deepest = max(deepest, step + depth(child))
    return deepest


def deep_functions(path: str, tree: ast.Module) -> list[str]:
    """Functions that nest too deep to follow."""
    return [
        f"{path}:{f.lineno}: {f.name} nests {levels} levels, at most {DEPTH}"
        for f in functions(tree)
        if (levels := depth(f)) > DEPTH
    ]


def undescribed(path: str, tree: ast.Module) -> list[str]:
    """Public modules, classes and functions without a docstring."""
    name = PurePosixPath(path).stem
    found = []
    if _is_public(name) and not ast.get_docstring(tree):
        found.append(f"{path}:1: the module has no docstring")
    pending: list[ast.Module | ast.ClassDef] = [tree]
    while pending:
        for node in pending.pop().body:
            if not isinstance(node, ast.ClassDef | Function):
                continue
            if not _is_public(node.name):
                continue
            if not ast.get_docstring(node):
                found.append(f"{path}:{node.lineno}: {node.name} has no docstring")
            if isinstance(node, ast.ClassDef):
                pending.append(node)
    return found


def _is_public(name: str) -> bool:
    return not name.startswith("_") or name == "__call__"


def unfinished(path: str, text: str) -> list[str]:
    """Notes to do something later."""
    lines = enumerate(text.splitlines(), 1)
    return [
        f"{path}:{i}: {line.strip()}" for i, line in lines if _UNFINISHED.search(line)
    ]


def test_no_python_file_is_longer_than_450_lines() -> None:
    sizes = {
        path: (ROOT / path).read_text(encoding="utf-8").count("\n")
        for folder in ("service", "tests", "ops")
        for path in python_files(folder)
    }
    assert {p: lines for p, lines in sizes.items() if lines > FILE_LINES} == {}


def test_no_function_is_longer_than_60_lines() -> None:
    files = python_files("service") + python_files("tests") + python_files("ops")
    assert [b for path in files for b in long_functions(path, parse(path))] == []


def test_half_of_the_functions_have_less_than_ten_lines_of_code(
    record_property: Callable[[str, object], None],
) -> None:
    found = [
        code_lines(f)
        for path in python_files("service")
        for f in functions(parse(path))
    ]
    median = statistics.median(found)
    record_property("median lines of code of a function", median)
    assert median < MEDIAN_CODE_LINES, f"median {median} of {len(found)} functions"


def test_no_function_nests_deeper_than_three_levels() -> None:
    files = python_files("service") + python_files("ops")
    assert [b for path in files for b in deep_functions(path, parse(path))] == []


def test_everything_public_is_described() -> None:
    files = python_files("service")
    assert [b for path in files for b in undescribed(path, parse(path))] == []


def test_nothing_is_left_for_later() -> None:
    assert [b for path, text in texts() for b in unfinished(path, text)] == []


def test_the_rule_sees_a_long_function() -> None:
    body = "    pass\n" * 60
    assert long_functions("f.py", ast.parse(f"async def f():\n{body}"))
    assert not long_functions("f.py", ast.parse(f"def f():\n{body[9:]}"))


def test_lines_of_code_leave_the_docstring_out() -> None:
    tree = ast.parse(
        'def f():\n    """Text.\n\n    More.\n    """\n    a = 1\n\n    b(\n    )'
    )
    assert [code_lines(f) for f in functions(tree)] == [3]


@pytest.mark.parametrize(
    ("levels", "code"),
    [
        (0, "def f(): a = [b for b in c if b]"),
        (1, "def f():\n  if a: b\n  elif c: d\n  elif e: g\n  else: h"),
        (2, "def f():\n  if a: b\n  else:\n    if c: d\n    e"),
        (2, "def f():\n  try:\n    a\n  except E:\n    if b: c"),
        (4, "def f():\n  for a in b:\n    with c:\n      while d:\n        if e: g"),
        (1, "def f():\n  if a:\n    def g():\n      for b in c: d"),
        (2, "async def f():\n  async with a:\n    async for b in c: d"),
    ],
)
def test_depth_counts_blocks_inside_blocks(levels: int, code: str) -> None:
    assert depth(next(functions(ast.parse(code)))) == levels
    assert bool(deep_functions("f.py", ast.parse(code))) == (levels > DEPTH)


@pytest.mark.parametrize(
    ("code", "missing"),
    [
        ("a = 1", 1),
        ('"""M."""\ndef f(): ...', 1),
        ('"""M."""\nclass C:\n  """C."""\n  def f(self): ...', 1),
        ('"""M."""\nclass C:\n  """C."""\n  def __init__(self): ...', 0),
        ('"""M."""\ndef _f(): ...\nclass _C:\n  def f(self): ...', 0),
    ],
)
def test_the_rule_sees_what_has_no_docstring(code: str, missing: int) -> None:
    assert len(undescribed("f.py", ast.parse(code))) == missing


def test_the_rule_sees_a_note_for_later() -> None:
    assert unfinished("f.py", "a = 1  # " + "TO" + "DO: b")
    assert not unfinished("f.py", "a = 1  # to do this")
