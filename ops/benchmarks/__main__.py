"""`ops/bench`: loads a made-up catalog, measures, and says what was met."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from ops.benchmarks import importing, report
from ops.benchmarks.cases import verdicts
from ops.benchmarks.catalog import Size
from ops.benchmarks.databases import bench_database
from ops.benchmarks.loading import load_catalog
from ops.benchmarks.measuring import Plan, measure
from service.store.migrate import apply


def main() -> None:
    options = parse(sys.argv[1:])
    if options.importing:
        compare_imports(options)
        return
    size = Size(servers=options.servers, versions=options.versions)
    plan = Plan(size=size, rounds=1 if options.quick else options.rounds)
    with bench_database() as database, tempfile.TemporaryDirectory() as folder:
        say(f"Loading {size.servers:,} servers with {size.versions:,} versions")
        apply(database.url)
        load_catalog(database.url, size)
        rows = list(measure(database, plan, Path(folder), say))
    intro = report.machine(size, database.version)
    report.show(rows, verdicts(rows), intro)
    if options.write:
        report.write(report.markdown(rows, verdicts(rows), intro))
        say(f"Written to {report.DOCUMENT}")


def compare_imports(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        outcomes, note = importing.compare(options.servers, Path(folder), say)
    figures = importing.markdown(outcomes, note)
    print(figures)
    if options.write:
        report.write(figures, marks=report.IMPORT)
        say(f"Written to {report.DOCUMENT}")


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="ops/bench", description=__doc__)
    size = Size()
    add = parser.add_argument
    add("--quick", action="store_true", help="one round")
    add("--import", dest="importing", action="store_true", help="an import instead")
    add("--rounds", type=int, default=5, help="seconds for each row (5)")
    add("--servers", type=int, default=size.servers, help=f"({size.servers})")
    add("--versions", type=int, default=size.versions, help=f"({size.versions})")
    add("--write", action="store_true", help="put the figures into ops/BENCHMARKS.md")
    return parser.parse_args(arguments)


def say(message: str) -> None:
    """Progress goes to standard error, results to standard output."""
    print(f"{time.strftime('%H:%M:%S')} {message}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
