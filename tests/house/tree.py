"""What the house tests look at: the files of the project and their syntax trees."""

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_NOT_OURS = {".git", ".venv", "data", "dist", "build", "__pycache__"}


@cache
def python_files(folder: str) -> tuple[str, ...]:
    """Python files below a folder of the project, as paths from its root."""
    return tuple(sorted(_name(path) for path in (ROOT / folder).rglob("*.py")))


@cache
def parse(path: str) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), path)


@cache
def project_files() -> tuple[str, ...]:
    """Every file that is in version control or will be."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    if done.returncode == 0:
        names = done.stdout.decode().split("\0")
        return tuple(name for name in names if name and (ROOT / name).is_file())
    return tuple(sorted(_walk(ROOT)))


def texts() -> Iterator[tuple[str, str]]:
    """Every text file of the project with what it says."""
    for name in project_files():
        try:
            yield name, (ROOT / name).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def docstrings(tree: ast.Module) -> set[int]:
    """The identities of the constants that only describe: they are no values."""
    found = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else ():
            is_text = isinstance(statement, ast.Expr) and isinstance(
                statement.value, ast.Constant
            )
            if is_text:
                found.add(id(statement.value))
    return found


def _walk(folder: Path) -> Iterator[str]:
    for path in folder.iterdir():
        if path.is_dir() and path.name not in _NOT_OURS:
            yield from _walk(path)
        elif path.is_file():
            yield _name(path)


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()
