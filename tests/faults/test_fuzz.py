"""D17: requests made up from the OpenAPI document, each answer held against it."""

import asyncio
import importlib.util
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from tests.lab import database
from tests.lab.figures import Figures, fault
from tests.lab.http import Client
from tests.lab.process import serving
from tests.lab.requests import Made, Maker
from tests.lab.rig import Lab

KEY = {"x-api-key": "test_admin_key"}
AT_ONCE = 8
LIMIT_S = 3.0
# It empties the catalog under the other requests, so here it only says what would go.
PRUNE = "/admin/prune-stale"
# Nothing is broken here, so nothing may answer 503; what is off says so with 501.
SCHEMATHESIS = """
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", 501]
"""
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)
EXAMPLES = 130
FUZZ_LIMIT_S = 560


def shapes(document: dict[str, Any]) -> dict[tuple[str, str, int], Any]:
    """The validator of each JSON answer, by path, method and status."""
    found = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            for status, response in operation["responses"].items():
                for media, content in response.get("content", {}).items():
                    if "json" not in media or "schema" not in content:
                        continue
                    whole = {
                        "$schema": "https://json-schema.org/draft/2020-12/schema",
                        **content["schema"],
                        "components": document["components"],
                    }
                    key = (path, method.upper(), int(status))
                    found[key] = jsonschema_rs.validator_for(whole)
    return found


@fault("D17")
async def test_no_request_of_the_document_is_answered_against_it(
    lab: Lab, figures: Figures
) -> None:
    count = round(figures.pick(400, 2000, 10_000))
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    with lab.cluster() as cluster:
        url = database.url_of(cluster.port)
        async with serving(lab.folder, DATABASE_URL=url) as service:
            await service.until_ready()
            document = (await service.client.get("/openapi.json")).json()
            known = [str(i) for i in database.moving_ids(cluster)[:20]]
            maker = Maker(document, seed, {"server": known, "tool": ["1"]})
            made = maker.requests(count, KEY)
            validators = shapes(document)
            wrong: list[str] = []
            times: list[float] = []

            async def work() -> None:
                client = Client(service.port)
                for request in made:
                    took_s, breaches = await send(client, request, validators)
                    times.append(took_s)
                    wrong.extend(breaches)
                client.close()

            await asyncio.gather(*(work() for _ in range(AT_ONCE)))
            assert wrong == [], f"seed {seed}:\n" + "\n".join(wrong[:10])
    figures.tell("D17", f"{len(times)} requests, 0 x 500, every answer in its schema")
    figures.at_most("D17", "slowest", max(times), LIMIT_S)


async def send(
    client: Client, request: Made, validators: dict[tuple[str, str, int], Any]
) -> tuple[float, list[str]]:
    """How long it took, and what is wrong with the answer."""
    options: dict[str, Any] = {"headers": request.headers}
    if request.template == PRUNE and isinstance(request.body, dict):
        request.body["dry_run"] = True
    if request.body is not msgspec.UNSET:
        options["body"] = request.body
    answer = await client.ask(request.method, request.path, **options)
    shown = f"{request.method} {request.path} -> {answer.status}"
    if answer.status in {0, 500}:
        return answer.took_s, [f"{shown}: {answer.body[:200]!r} of {request.body!r}"]
    if str(answer.status) not in request.operation["responses"]:
        return answer.took_s, [f"{shown} is not in the document"]
    validator = validators.get((request.template, request.method, answer.status))
    if validator is None or "json" not in answer.headers.get("content-type", ""):
        return answer.took_s, []
    return answer.took_s, [
        f"{shown}: {error.message} at {list(error.instance_path)}"
        for error in validator.iter_errors(answer.json())
    ][:1]


@pytest.mark.faults
@fault("D17")
async def test_ten_thousand_requests_of_schemathesis_are_answered_as_documented(
    lab: Lab, figures: Figures
) -> None:
    if importlib.util.find_spec("schemathesis") is None:
        pytest.skip("schemathesis is not installed")
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    with lab.cluster() as cluster:
        url = database.url_of(cluster.port)
        async with serving(lab.folder, DATABASE_URL=url) as service:
            await service.until_ready()
            report = await asyncio.to_thread(fuzz, service.port, seed, lab.folder)
    failures = {f["title"]: f["operations"] for f in report["failures"]}
    assert failures == {}, f"seed {seed}: {failures}"
    assert report["complete"]
    count = report["test_cases"]["generated"]
    tested = report["operations"]["tested"]
    assert count >= 10_000
    assert tested == report["operations"]["total"]
    figures.tell(
        "D17",
        f"schemathesis, seed {seed}: {count} requests to {tested} operations, 0 x 500, "
        f"every answer documented and in its schema, each within {LIMIT_S:.0f} s",
    )


def fuzz(port: int, seed: int, folder: Path) -> dict[str, Any]:
    """What schemathesis reports of a run against a service."""
    config, report = folder / "schemathesis.toml", folder / "schemathesis.json"
    config.write_text(SCHEMATHESIS)
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(config)]
    command += ["run", f"http://127.0.0.1:{port}/openapi.json", "--seed", str(seed)]
    command += ["--header", f"x-api-key:{KEY['x-api-key']}", "--no-shrink"]
    command += ["--phases", "coverage,fuzzing", "--max-examples", str(EXAMPLES)]
    command += ["--checks", ",".join(CHECKS), "--max-response-time", f"{LIMIT_S}"]
    command += ["--continue-on-failure", "--suppress-health-check", "all"]
    command += ["--warnings", "off", "--report", "json"]
    command += ["--report-json-path", str(report)]
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=FUZZ_LIMIT_S,
    )
    print(done.stdout[-20_000:])
    return dict(msgspec.json.decode(report.read_bytes()))
