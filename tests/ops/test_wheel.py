"""The wheel is complete: an installed `mcps` needs nothing of the checkout."""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.slow

SOURCES = ("pyproject.toml", "README.md", "LICENSE", "service", "queries", "migrations")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation"]
    subprocess.run(
        [*command, str(source)], check=True, capture_output=True, timeout=120
    )
    return next((source / "dist").glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`mcps` in an environment of its own, beside the dependencies of this one."""
    place = tmp_path_factory.mktemp("installed") / "venv"
    make = [sys.executable, "-m", "venv", "--without-pip", str(place)]
    subprocess.run(make, check=True, timeout=60)
    packages = next(place.glob("lib/python*/site-packages"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    dependencies = sysconfig.get_path("purelib")
    (packages / "dependencies.pth").write_text(dependencies + "\n", encoding="utf-8")
    return place / "bin" / "python"


def mcps(
    python: Path, folder: Path, *arguments: str, **variables: str
) -> "subprocess.CompletedProcess[str]":
    command = "import sys; from service.cli import main; sys.exit(main())"
    plain = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    return subprocess.run(
        [str(python), "-c", command, *arguments],
        cwd=folder,
        env={**plain, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_every_query_and_migration_is_inside(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    for folder in ("queries", "migrations"):
        wanted = {
            f"service/{path.relative_to(ROOT).as_posix()}"
            for path in (ROOT / folder).rglob("*.sql")
        }
        assert wanted
        assert wanted <= inside


def test_the_installed_service_is_not_the_checkout(
    installed: Path, tmp_path: Path
) -> None:
    asked = [str(installed), "-c", "import service; print(service.__file__)"]
    plain = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    found = subprocess.run(
        asked, cwd=tmp_path, env=plain, capture_output=True, text=True, check=True
    )
    assert str(installed.parent.parent) in found.stdout


def test_an_installed_mcps_migrates_and_checks(
    installed: Path, tmp_path: Path, database_url: str
) -> None:
    url = {"DATABASE_URL": database_url, "ENVIRONMENT": "development"}
    migrated = mcps(installed, tmp_path, "migrate", "--status", **url)
    assert migrated.returncode == 0, migrated.stderr
    assert "applied" in migrated.stdout
    checked = mcps(installed, tmp_path, "check", "--json", **url)
    assert checked.returncode == 0, checked.stderr
    assert list(tmp_path.iterdir()) == []
