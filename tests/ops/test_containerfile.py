"""The image: locked, small, without rights, and true to the project."""

import fnmatch
import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from service.store.health import schema_needed
from service.store.queries import load_queries
from tests.house.tree import ROOT
from tests.ops.operations import (
    NOT_OURS,
    SETTINGS,
    containerfile,
    environment_of,
    instructions,
    wrong_command,
)


def copied() -> list[str]:
    """The paths of the project that go into the image."""
    return [
        path
        for name, words in containerfile()
        if name == "COPY" and not words.startswith("--from")
        for path in words.split()[:-1]
    ]


def is_sent(path: str, patterns: list[str]) -> bool:
    """Whether .dockerignore lets a path through; the last pattern that fits decides."""
    parents = ["/".join(path.split("/")[: n + 1]) for n in range(path.count("/") + 1)]
    verdict = True
    for pattern in patterns:
        plain = pattern.removeprefix("!")
        if any(fnmatch.fnmatchcase(part, plain) for part in parents):
            verdict = pattern.startswith("!")
    return verdict


def ignore_patterns() -> list[str]:
    """The patterns of .dockerignore."""
    text = (ROOT / ".dockerignore").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def run_lines() -> str:
    """Everything that the build runs."""
    return "\n".join(words for name, words in containerfile() if name == "RUN")


def test_every_file_it_copies_exists_and_is_sent_to_the_build() -> None:
    assert copied()
    patterns = ignore_patterns()
    assert [path for path in copied() if not (ROOT / path).exists()] == []
    assert [path for path in copied() if not is_sent(path, patterns)] == []


def test_secrets_and_data_are_not_sent_to_the_build() -> None:
    patterns = ignore_patterns()
    for path in (".env", ".git/config", "data/postgres", ".venv/bin/python", "tests/x"):
        assert not is_sent(path, patterns)


def test_the_wheel_finds_everything_it_is_made_of() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = [
        *wheel["packages"],
        *wheel["force-include"],
        *project["project"]["license-files"],
        project["project"]["readme"],
        "pyproject.toml",
    ]
    assert set(needed) <= set(copied())


def test_the_wheel_made_of_what_is_copied_holds_the_sql(
    tmp_path: Path,
) -> None:
    source = tmp_path / "source"
    for path in copied():
        target = source / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / path).is_dir():
            shutil.copytree(ROOT / path, target)
        else:
            shutil.copy(ROOT / path, target)
    build = ["-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path)]
    run(build, cwd=source)
    (wheel,) = tmp_path.glob("mcps-*.whl")
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    code = (
        "from service.resources import resource as r\n"
        "from service.store.queries import load_queries\n"
        "from service.store.health import schema_needed\n"
        "print(r('queries'), len(load_queries('postgresql')), schema_needed())"
    )
    answer = run(["-c", code], cwd=installed).split()
    assert answer[0] == str(installed / "service" / "queries")
    assert int(answer[1]) == len(load_queries("postgresql"))
    assert answer[2] == schema_needed()


def run(arguments: list[str], cwd: Path) -> str:
    """What Python answers when it runs in a folder."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_dependency_is_installed_from_a_lock_with_hashes() -> None:
    installs = re.findall(r"pip install ([^&]*)", run_lines())
    assert len(installs) == 3
    for line in installs:
        locked = re.search(r"--require-hashes .*-r (\S+)", line)
        assert locked or "--no-deps --no-index" in line
        assert not locked or locked[1] in copied()
    assert "--no-isolation" in run_lines()
    tools = (ROOT / "ops/requirements-dev.txt").read_text(encoding="utf-8")
    assert re.search(r"^build==", tools, re.MULTILINE)
    assert re.search(r"^hatchling==", tools, re.MULTILINE)


def test_both_stages_have_the_same_python_that_the_project_supports() -> None:
    images = [words.split()[0] for name, words in containerfile() if name == "FROM"]
    assert images == ["python:3.13-slim", "python:3.13-slim"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    supported = "Programming Language :: Python :: 3.13"
    assert supported in project["project"]["classifiers"]


def test_what_the_first_stage_made_is_what_the_second_runs() -> None:
    (moved,) = (words for n, words in containerfile() if words.startswith("--from"))
    assert moved == "--from=build /opt/mcps /opt/mcps"
    assert re.search(r"python -m venv /opt/mcps &&", run_lines())
    assert re.search(r"python -m venv /opt/build &&", run_lines())
    (path,) = (
        environment_of(words)["PATH"]
        for name, words in containerfile()
        if name == "ENV" and "PATH=" in words
    )
    assert path.split(":")[0] == "/opt/mcps/bin"


def test_it_runs_without_rights() -> None:
    users = [words for name, words in containerfile() if name == "USER"]
    assert users == ["10001"]
    assert "--uid 10001" in run_lines()
    names = [name for name, _ in containerfile()]
    assert names.index("USER") < names.index("CMD")
    assert "RUN" not in names[names.index("USER") :]


def test_every_variable_it_sets_is_a_setting() -> None:
    given = [
        key
        for name, words in containerfile()
        if name == "ENV"
        for key in environment_of(words)
    ]
    assert {key for key in given if not NOT_OURS.fullmatch(key)} == {
        "API_HOST",
        "API_PORT",
    }
    assert {"API_HOST", "API_PORT"} <= SETTINGS


def test_its_command_exists() -> None:
    given = [json.loads(words) for name, words in containerfile() if name == "CMD"]
    assert [wrong_command(words) for words in given] == [""]


def test_its_health_check_asks_for_liveness() -> None:
    check = [words for name, words in containerfile() if name == "HEALTHCHECK"]
    words = json.loads(check[0].partition(" CMD ")[2])
    assert words[:2] == ["python", "-c"]
    compile(words[2], "HEALTHCHECK", "exec")
    assert "'/health'" in words[2]
    assert "environ['API_PORT']" in words[2]


@pytest.mark.parametrize("path", ["service/app.py", "ops/requirements.txt"])
def test_the_rule_of_dockerignore_reads_exceptions(path: str) -> None:
    assert is_sent(path, ["*", "!service", "!ops/requirements.txt"])
    assert not is_sent(path, ["*"])
    assert not is_sent(
        path, ["*", "!service", "!ops/requirements.txt", "service", "ops"]
    )


def test_instructions_are_read_across_lines() -> None:
    text = "FROM a\n# COPY b c\nRUN x \\\n  # y\n && z\n"
    assert list(instructions(text)) == [("FROM", "a"), ("RUN", "x && z")]
