"""Finding PostgreSQL programs, and making them readable for the server's account."""

import os
import shutil
import tempfile
from pathlib import Path

import psycopg
import pytest

from service.errors import InvalidSettings, NotSupported
from service.store import account, binaries
from service.store.binaries import Binaries
from service.store.embedded import embedded
from tests.cluster import chosen_binaries


def fake_programs(folder: Path, version: str) -> Path:
    folder.mkdir(parents=True)
    for name in ("initdb", "postgres"):
        program = folder / name
        program.write_text(f"#!/bin/sh\necho 'postgres (PostgreSQL) {version}'\n")
        program.chmod(0o755)
    return folder


def test_newest_programs_of_the_machine_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for version in ("9.6.24", "14.9", "16.3", "17beta1"):
        fake_programs(tmp_path / version / "bin", version)
    monkeypatch.setattr(binaries, "_PLACES", (f"{tmp_path}/*/bin",))
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    assert binaries.system_binaries().version == (17, 0)
    shutil.rmtree(tmp_path / "17beta1")
    assert binaries.system_binaries().source.startswith("PostgreSQL 16.3 in ")
    monkeypatch.setattr(binaries, "_WHEEL", "no_such_wheel")
    assert binaries.find_binaries().major == 16


def test_a_machine_without_programs_is_told_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(binaries, "_WHEEL", "no_such_wheel")
    monkeypatch.setattr(binaries, "_PLACES", ())
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(NotSupported, match="DATABASE_URL"):
        binaries.find_binaries()


@pytest.mark.parametrize(("version", "problem"), [("", "no working"), ("13.2", "15")])
def test_a_wanted_folder_without_usable_programs_names_the_setting(
    tmp_path: Path, version: str, problem: str
) -> None:
    folder = fake_programs(tmp_path / "bin", version) if version else tmp_path
    with pytest.raises(InvalidSettings, match=f"POSTGRES_BINDIR: .*{problem}"):
        binaries.find_binaries(folder)


@pytest.mark.skipif(
    os.geteuid() != 0, reason="only root runs the server under another account"
)
def test_root_copies_programs_that_the_server_account_cannot_read(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    programs = chosen_binaries()
    if not programs.in_wheel:
        pytest.skip("a system's programs may look for files at fixed paths")
    private = tmp_path / "private"
    package = programs.folder.parents[1]
    private.mkdir(mode=0o700)
    for part in (package, package.with_name(f"{package.name}.libs")):
        if part.exists():
            shutil.copytree(part, private / part.name)
    hidden = Binaries(
        private / package.name / "pginstall" / "bin",
        programs.version,
        programs.source,
        in_wheel=True,
    )
    with tempfile.TemporaryDirectory() as cache:
        Path(cache).chmod(0o755)
        monkeypatch.setattr(account, "_CACHES", (Path(cache) / "mcps",))
        with embedded(tmp_path / "pg", hidden, settings={"fsync": "off"}) as url:
            psycopg.connect(url).close()
        (copy,) = (Path(cache) / "mcps").iterdir()
        assert not list(copy.rglob("include"))
