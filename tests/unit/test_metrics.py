"""What a worker counts is in its file at once, also when the file has grown."""

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT

COUNT = """
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from service import metrics

first = metrics.REQUESTS.labels("/first", "GET", 200)
first.inc()
for number in range(2000):
    metrics.REQUESTS.labels(f"/{number:0100}", "GET", 200).inc()
first.inc(2)
metrics.REQUESTS_IN_FLIGHT.inc()
metrics.REQUESTS_IN_FLIGHT.set(7)
metrics.REQUESTS_IN_FLIGHT.dec()
metrics.time_query("serial_get", 0.002)
registry = CollectorRegistry()
MultiProcessCollector(registry)
print(generate_latest(registry).decode())
"""


def test_counts_are_in_the_file_of_the_process_at_once(tmp_path: Path) -> None:
    environ = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path),
    }
    said = subprocess.run(
        [sys.executable, "-c", COUNT],
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = said.stdout.splitlines()
    # The file began with 64 KiB.
    (file,) = tmp_path.glob("counter_*.db")
    assert file.stat().st_size > 1 << 16
    labels = 'method="GET",route="/first",status="200"'
    assert f"mcps_requests_total{{{labels}}} 3.0" in lines
    assert len([line for line in lines if 'route="/0' in line]) == 2000
    assert "mcps_requests_in_flight 6.0" in lines
    assert 'mcps_query_seconds_count{query="serial_get"} 1.0' in lines
    assert 'mcps_query_duration_seconds_bucket{le="0.0025"} 1.0' in lines
