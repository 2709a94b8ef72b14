"""The one rule, and who alone may use what."""

import ast
from collections.abc import Collection, Iterator

import pytest

from tests.house.tree import parse, python_files

WORDS = {
    "cursor",
    "errors",
    "logs",
    "metrics",
    "models",
    "resources",
    "settings",
    "times",
    "versions",
}
RING_OF_FOLDER = {"cli": 3, "sources": 1, "store": 1, "web": 3}
ENTRIES = {"app", "__main__"}

HTTP_CLIENTS = ("aiohttp", "http.client", "httpx", "niquests", "requests", "urllib3")
ONLY_IN = {
    "aiosql": ("service/store/queries.py",),
    "aiosqlite": ("service/store/sqlite.py", "service/store/sqlite_connections.py"),
    "asyncpg": ("service/store/postgres",),
    "litestar": ("service/web/", "service/app.py"),
    "psycopg": ("service/store/migrate.py",),
    "psycopg2": (),
    "sqlalchemy": (),
    "sqlite3": (
        "service/store/sqlite_file.py",
        "service/store/migrate_sqlite.py",
        "service/store/sqlite_vectors.py",
        "service/importer",
    ),
    "urllib.request": ("service/sources/",),
    "yoyo": (
        "service/store/migrate.py",
        "service/store/migrate_sqlite.py",
        "service/store/steps.py",
    ),
    **dict.fromkeys(HTTP_CLIENTS, ("service/sources/",)),
}
ENVIRONMENT = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}


def ring(path: str) -> int:
    """How high a file of the package stands."""
    parts = path.removesuffix(".py").split("/")[1:]
    if len(parts) > 1:
        return RING_OF_FOLDER.get(parts[0], 2)
    if parts[0] in ENTRIES:
        return 4
    is_word = parts[0] in WORDS or parts[0].startswith("models_")
    return 0 if is_word or parts[0] == "__init__" else 2


def folder(path: str) -> str:
    """The folder inside of which files of one ring may import each other."""
    return "/".join(path.split("/")[:2]) if path.count("/") > 1 else "service"


def imports(path: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything a file imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = _start(path, node)
            yield from ((node.lineno, f"{start}.{a.name}") for a in node.names)
        elif isinstance(node, ast.Call):
            yield from _dynamic(node)


def _start(path: str, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = path.split("/")[: -node.level]
    return ".".join([*parts, *([node.module] if node.module else [])])


def _dynamic(node: ast.Call) -> Iterator[tuple[int, str]]:
    name = ast.unparse(node.func).rpartition(".")[2]
    first = node.args[0] if node.args else None
    if name in {"import_module", "__import__"} and isinstance(first, ast.Constant):
        yield node.lineno, str(first.value)


def file_of(dotted: str, files: Collection[str]) -> str:
    """The file of the package that an imported name is in; empty for other packages."""
    parts = dotted.split(".")
    if parts[0] != "service":
        return ""
    for end in range(len(parts), 0, -1):
        stem = "/".join(parts[:end])
        for candidate in (f"{stem}.py", f"{stem}/__init__.py"):
            if candidate in files:
                return candidate
    return "service/__init__.py"


def upward(path: str, tree: ast.Module, files: Collection[str]) -> list[str]:
    """The imports of a file that break the rule."""
    found = []
    for line, dotted in imports(path, tree):
        target = file_of(dotted, files)
        if not target or target == "service/__init__.py":
            continue
        is_lower = ring(target) < ring(path)
        is_beside = ring(target) == ring(path) and folder(target) == folder(path)
        if not is_lower and not is_beside:
            found.append(
                f"{path}:{line}: ring {ring(path)} imports {target} of ring "
                f"{ring(target)}"
            )
    return found


def misplaced(path: str, tree: ast.Module) -> list[str]:
    """The imports of packages that belong to other files."""
    found = []
    for line, dotted in imports(path, tree):
        for package, places in ONLY_IN.items():
            is_it = f"{dotted}.".startswith(f"{package}.")
            if is_it and not path.startswith(places or ("nowhere",)):
                found.append(f"{path}:{line}: {package} only in {places or 'no file'}")
    return found


def environment_reads(path: str, tree: ast.Module) -> list[str]:
    """Where a file touches the environment of the process."""
    lines = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute | ast.ImportFrom)
        and _names_of_os(node) & ENVIRONMENT
    ]
    return [f"{path}:{line}: os.environ only in settings.py" for line in lines]


def _names_of_os(node: ast.Attribute | ast.ImportFrom) -> set[str]:
    if isinstance(node, ast.ImportFrom):
        return {alias.name for alias in node.names} if node.module == "os" else set()
    return {node.attr} if ast.unparse(node.value) == "os" else set()


def test_imports_point_to_a_lower_ring_or_stay_in_their_folder() -> None:
    files = python_files("service")
    assert [b for path in files for b in upward(path, parse(path), files)] == []


def test_every_package_is_imported_only_where_it_belongs() -> None:
    files = python_files("service")
    assert [b for path in files for b in misplaced(path, parse(path))] == []


def test_only_settings_reads_the_environment() -> None:
    files = [p for p in python_files("service") if p != "service/settings.py"]
    assert [b for path in files for b in environment_reads(path, parse(path))] == []


FILES = {
    "service/__init__.py",
    "service/app.py",
    "service/catalog.py",
    "service/cli/__init__.py",
    "service/cli/load.py",
    "service/errors.py",
    "service/keys.py",
    "service/settings.py",
    "service/sources/github.py",
    "service/store/__init__.py",
    "service/store/base.py",
    "service/store/postgres.py",
    "service/web/auth.py",
    "service/web/catalog.py",
}


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("service/errors.py", "from service.store import base"),
        ("service/errors.py", "from service import catalog"),
        ("service/store/base.py", "import service.catalog"),
        ("service/store/base.py", "from .. import keys"),
        ("service/store/base.py", "from service.sources.github import fetch"),
        ("service/catalog.py", "def late():\n    from service.web.auth import key"),
        ("service/web/auth.py", "from service.cli import load"),
        ("service/cli/load.py", "from service.app import create_app"),
        ("service/cli/load.py", "importlib.import_module('service.app')"),
    ],
)
def test_the_rule_sees_an_import_that_points_up(path: str, code: str) -> None:
    assert upward(path, ast.parse(code), FILES)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("service/errors.py", "import service"),
        ("service/settings.py", "from service.errors import InvalidSettings"),
        ("service/store/postgres.py", "from .base import Store"),
        ("service/store/postgres.py", "from service import errors"),
        ("service/catalog.py", "from service.store.base import Store"),
        ("service/catalog.py", "from service.keys import find"),
        ("service/web/auth.py", "from service.web import catalog"),
        ("service/web/auth.py", "import asyncio, serviceable"),
        ("service/app.py", "from service.web.auth import key"),
    ],
)
def test_the_rule_allows_an_import_that_points_down(path: str, code: str) -> None:
    assert upward(path, ast.parse(code), FILES) == []


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("service/catalog.py", "import asyncpg"),
        ("service/catalog.py", "from litestar.response import Response"),
        ("service/store/postgres.py", "import sqlite3"),
        ("service/store/sqlite.py", "from psycopg import connect"),
        ("service/web/auth.py", "from http import client"),
        ("service/web/auth.py", "def f():\n    import httpx"),
        ("service/store/base.py", "import sqlalchemy.orm"),
    ],
)
def test_the_rule_sees_a_package_in_the_wrong_file(path: str, code: str) -> None:
    assert misplaced(path, ast.parse(code))


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("service/app.py", "import litestar"),
        ("service/web/problems.py", "from http import HTTPStatus"),
        ("service/store/base.py", "import asyncpgless"),
    ],
)
def test_the_rule_allows_a_package_in_its_file(path: str, code: str) -> None:
    assert misplaced(path, ast.parse(code)) == []


@pytest.mark.parametrize(
    "code",
    ["import os\nos.environ['A']", "os.getenv('A')", "from os import environ as e"],
)
def test_the_rule_sees_a_look_at_the_environment(code: str) -> None:
    assert environment_reads("service/catalog.py", ast.parse(code))
