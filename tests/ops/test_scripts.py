"""The two commands: they need Python alone and mend what they find half done."""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 120
pytestmark = pytest.mark.slow
NAME = "Ordner mit Leerzeichen, ü und 'q'"
MAIN = """
import os, sys
print(sys.argv[1:], os.getcwd(), os.environ.get("DATA_DIR"), sep="|")
"""
PYTEST = "import sys; print('pytest', *sys.argv[1:]); sys.exit('fail' in sys.argv)"
UNAVAILABLE = "nowhere==1.0 --hash=sha256:" + "0" * 64
Result = subprocess.CompletedProcess[str]


def make_wheel(folder: Path) -> str:
    """A package without content but a `pytest`; the line of a lock file for it."""
    folder.mkdir()
    wheel = folder / "mini-1.0-py3-none-any.whl"
    about = "mini-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("pytest.py", PYTEST)
        archive.writestr(
            f"{about}/METADATA", "Metadata-Version: 2.1\nName: mini\nVersion: 1.0\n"
        )
        archive.writestr(
            f"{about}/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr(f"{about}/RECORD", "")
    return f"mini==1.0 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}"


class Checkout:
    """The real scripts around a tiny project, so that no index is needed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = os.environ["PATH"]
        (folder / "service").mkdir(parents=True)
        (folder / "service" / "__init__.py").touch()
        (folder / "service" / "__main__.py").write_text(MAIN)
        shutil.copy(ROOT / "pyproject.toml", folder)
        shutil.copytree(ROOT / ".ci", folder / ".ci")
        (folder / "ops").mkdir()
        for name in ("run", "test", "setup", "install.py"):
            shutil.copy(ROOT / "ops" / name, folder / "ops")
        self.line = make_wheel(folder / "wheels")
        for name in ("", "-dev", "-embedded"):
            self.lock(name, self.line)

    def lock(self, name: str, line: str) -> None:
        source = (self.folder / "wheels").as_uri()
        text = f"--no-index\n--find-links {source}\n{line}\n"
        (self.folder / "ops" / f"requirements{name}.txt").write_text(text)

    def begin(
        self, script: str, *arguments: str, **options: object
    ) -> subprocess.Popen[str]:
        env = {"PATH": self.path, "HOME": str(self.folder)}
        process: subprocess.Popen[str] = subprocess.Popen(  # type: ignore[call-overload]
            [str(self.folder / script), *arguments],
            **{"env": env, "cwd": "/", **options},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        return process

    def call(self, script: str, *arguments: str, **options: object) -> Result:
        process = self.begin(script, *arguments, **options)
        out, err = process.communicate(timeout=LIMIT_S)
        return subprocess.CompletedProcess([], process.returncode, out, err)


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout that was set up once."""
    checkout = Checkout(tmp_path_factory.mktemp("ready") / NAME)
    done = checkout.call("ops/run", "keys", "--name", "a b")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"['keys', '--name', 'a b']|/|{checkout.folder}/data\n"
    assert "Making" in done.stderr
    return checkout


@pytest.fixture
def checkout(ready: Checkout, tmp_path: Path) -> Checkout:
    """A fresh checkout; its environments are copies, because making one takes long."""
    template = ready.folder / ".venv"
    unwanted = ".ready-* .place lib/*/site-packages/mini-1.0.dist-info"
    uv = tmp_path / "uv" / "uv"
    uv.parent.mkdir()
    # It can make an environment and nothing else, so that pip does the rest.
    uv.write_text(
        f"#!/bin/sh\necho $1 >>'{uv.parent}/calls'\n[ $1 = venv ] || exit 1\n"
        f'cp -a "{template}" "$5" && cd "$5" && rm -rf {unwanted}\n'
    )
    uv.chmod(0o755)
    fresh = Checkout(tmp_path / NAME)
    fresh.path = f"{uv.parent}{os.pathsep}{fresh.path}"
    return fresh


@pytest.fixture
def tools(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """A machine with the usual small programs and only the other ones given."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sh", "cat", "cksum", "dirname", "date"):
        (folder / name).symlink_to(str(shutil.which(name)))

    def give(**programs: str) -> dict[str, str]:
        for name, text in programs.items():
            (folder / name).write_text(f"#!/bin/sh\n{text}\n")
            (folder / name).chmod(0o755)
        return {"PATH": str(folder)}

    return give


def test_run_without_arguments_is_dev_and_keeps_the_data_folder_given(
    ready: Checkout, tmp_path: Path
) -> None:
    env = {"PATH": os.environ["PATH"], "DATA_DIR": "elsewhere"}
    done = ready.call("ops/run", cwd=tmp_path, env=env)
    assert done.stdout == f"['dev']|{tmp_path}|elsewhere\n"


def test_second_start_is_instant_and_silent(ready: Checkout) -> None:
    times = []
    for _ in range(3):
        begin_at = time.monotonic()
        assert ready.call("ops/setup", "run").stderr == ""
        times.append(time.monotonic() - begin_at)
    assert min(times) < 0.3


def test_a_service_in_the_current_folder_is_not_mistaken_for_ours(
    ready: Checkout, tmp_path: Path
) -> None:
    (tmp_path / "service").mkdir()
    (tmp_path / "service" / "__init__.py").write_text("raise SystemExit(9)")
    assert ready.call("ops/run", cwd=tmp_path).returncode == 0


def test_a_changed_lock_installs_again(ready: Checkout) -> None:
    ready.lock("", f"{ready.line}  # changed")
    done = ready.call("ops/run")
    assert "Installing 1 packages of ops/requirements.txt" in done.stderr
    assert "Making" not in done.stderr
    assert ready.call("ops/run").stderr == ""


def test_a_moved_folder_is_set_up_again(ready: Checkout, checkout: Checkout) -> None:
    venv = checkout.folder / ".venv"
    shutil.copytree(ready.folder / ".venv", venv, symlinks=True)
    done = checkout.call("ops/run")
    assert done.returncode == 0, done.stderr
    assert f"Making {venv} again" in done.stderr


def test_killed_in_the_middle_and_then_twice_at_once_it_ends_well(
    checkout: Checkout,
) -> None:
    killed = checkout.begin("ops/setup", "run")
    begun = checkout.folder / ".venv" / ".installing"
    limit_at = time.monotonic() + LIMIT_S
    while not begun.exists():
        assert time.monotonic() < limit_at
        time.sleep(0.005)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    both = [checkout.begin("ops/run"), checkout.begin("ops/run")]
    said = [process.communicate(timeout=LIMIT_S) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sum("Making" in err for _, err in said) == 1, said
    assert not begun.exists()


def test_without_uv_s_help_and_an_embedded_server_it_goes_on(
    checkout: Checkout, tmp_path: Path
) -> None:
    checkout.lock("-embedded", UNAVAILABLE)
    done = checkout.call("ops/run")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "uv" / "calls").read_text().split() == ["venv", "pip"]
    assert "uv could not install the packages: trying pip" in done.stderr
    assert "there is none for this platform" in done.stderr
    assert checkout.call("ops/run").stderr == "", "it was tried again"


def test_a_package_that_is_not_the_locked_one_is_refused_and_named(
    checkout: Checkout,
) -> None:
    checkout.lock("", "mini==1.0 --hash=sha256:" + "0" * 64)
    done = checkout.call("ops/run")
    assert done.returncode == 1
    assert "DO NOT MATCH THE HASHES" in done.stderr
    assert done.stdout == ""
    marks = {path.name for path in (checkout.folder / ".venv").glob(".*")}
    assert not marks & {".installing", ".ready-run"}, "or all is made again next time"


@pytest.mark.parametrize(
    ("python", "message"),
    [
        ("exit 1", "Python 3.11 or newer is needed"),
        (
            'case "$*" in *ensurepip*) exit 1;; *print*) echo 3.12;; esac',
            "python3.12-venv",
        ),
    ],
)
def test_a_machine_without_a_usable_python_is_told_what_to_install(
    checkout: Checkout,
    tools: Callable[..., dict[str, str]],
    python: str,
    message: str,
) -> None:
    done = checkout.call("ops/run", env=tools(python3=python))
    assert done.returncode == 1
    assert message in done.stderr
    assert not (checkout.folder / ".venv").exists()


@pytest.fixture(scope="module")
def tested(ready: Checkout) -> Checkout:
    """A checkout whose checkers only say that they were called."""
    assert ready.call("ops/setup", "test").returncode == 0
    for name in ("ruff", "mypy"):
        program = ready.folder / ".venv" / "bin" / name
        program.write_text(f'#!/bin/sh\necho {name} "$@"\ntest ! -e fail-{name}-"$1"\n')
        program.chmod(0o755)
    return ready


def test_ci_runs_every_check_and_test(tested: Checkout) -> None:
    done = tested.call(".ci/run")
    assert done.returncode == 0, done.stderr
    calls = [line for line in done.stdout.splitlines() if not line.startswith("==")]
    assert calls == [
        "ruff format --check .",
        "ruff check .",
        "mypy",
        "pytest -n 2 --dist loadfile --durations=15",
    ]
    times = done.stdout.splitlines()[-1]
    steps = ("setup", "format", "lint", "types", "tests")
    assert re.fullmatch("== " + ", ".join(rf"{step} \d+ s" for step in steps), times)


def test_first_failure_is_the_exit_code_and_all_else_still_runs(
    tested: Checkout,
) -> None:
    broken = tested.folder / "fail-ruff-check"
    broken.touch()
    done = tested.call("ops/test")
    broken.unlink()
    assert done.returncode == 1
    assert re.search(r"lint \d+ s \(failed\)", done.stdout)
    assert "pytest" in done.stdout


def test_arguments_go_to_pytest_alone(tested: Checkout) -> None:
    done = tested.call("ops/test", "tests/store", "-k", "a or b", "fail")
    assert done.returncode == 1
    assert (
        "pytest -n 2 --dist loadfile --durations=15 tests/store -k a or b fail\n"
        in done.stdout
    )
    assert "ruff" not in done.stdout


def test_faults_and_soak_choose_their_tests(tested: Checkout) -> None:
    command = "pytest -n 0 --dist loadfile --durations=15 -m"
    done = tested.call("ops/test", "--faults", "-x")
    assert f"{command} (fault or faults) and not soak -x\n" in done.stdout
    for options in (["--soak"], ["--faults", "--soak"], ["--soak", "--faults"]):
        done = tested.call("ops/test", *options)
        assert f"{command} fault or faults or soak\n" in done.stdout


def test_system_postgres_without_one_says_so(tested: Checkout) -> None:
    done = tested.call("ops/test", "--system-postgres")
    assert done.returncode == 1
    assert "no PostgreSQL server of version 15 or newer" in done.stderr
    assert "pytest" not in done.stdout
