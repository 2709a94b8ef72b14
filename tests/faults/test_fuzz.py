"""D17: requests made up from the OpenAPI document, each answer held against it."""

import asyncio
import random
from typing import Any

import jsonschema_rs
import msgspec

from tests.lab import database
from tests.lab.figures import Figures, fault
from tests.lab.http import Client
from tests.lab.process import serving
from tests.lab.requests import Made, Maker
from tests.lab.rig import Lab

KEY = {"x-api-key": "test_admin_key"}
AT_ONCE = 8
LIMIT_S = 3.0
# It answers for minutes by design, and empties the catalog under the other requests.
LEFT_OUT = {"/admin/prune-stale"}


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
            for path in LEFT_OUT:
                document["paths"].pop(path, None)
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
