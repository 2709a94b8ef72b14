"""The lab, its figures, and the table that a whole run writes."""

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.lab.database import prepared
from tests.lab.figures import Figures, Size, write_report
from tests.lab.rig import Lab

RUNS = {"change": 1, "whole": 3, "soak": 20}
_kept: dict[str, Figures] = {}
_passed: set[str] = set()
_failed: set[str] = set()


def size_of(config: pytest.Config) -> Size:
    """How much of each fault this run shows."""
    chosen = str(config.option.markexpr)
    if "soak" in chosen and "not soak" not in chosen:
        return "soak"
    return "whole" if "fault" in chosen and "not faults" not in chosen else "change"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Repeat what is quick, so that the table shows a median and a worst run."""
    if "run" in metafunc.fixturenames:
        count = RUNS[size_of(metafunc.config)]
        ids = None if count > 1 else [pytest.HIDDEN_PARAM]
        metafunc.parametrize("run", range(count), ids=ids)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember which lines of the list were kept."""
    report = yield
    marker = item.get_closest_marker("fault")
    if marker and (report.when == "call" or report.failed):
        (_failed if report.failed else _passed).update(marker.args)
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A run of the whole list writes what it measured."""
    if _kept and size_of(session.config) != "change":
        write_report(_kept["figures"], _passed - _failed, _failed)


@pytest.fixture(scope="session")
def figures(pytestconfig: pytest.Config) -> Figures:
    """Where what was measured goes."""
    return _kept.setdefault("figures", Figures(size_of(pytestconfig)))


@pytest.fixture(scope="session")
def source() -> Iterator[Path]:
    """The data folder that every cluster of the lab begins with."""
    with prepared() as folder:
        yield folder


@pytest.fixture
def lab(source: Path, tmp_path: Path) -> Lab:
    """The lab of one test."""
    return Lab(source, tmp_path)
