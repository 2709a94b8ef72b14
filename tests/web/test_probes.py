"""What Kubernetes and Prometheus read."""

import re
from pathlib import Path

import httpx
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.app import create_app
from service.models import Liveness, Readiness
from service.settings import read_settings
from service.store.postgres import PostgresStore
from tests.cli.test_serve import running
from tests.conftest import execute
from tests.waiting import until

GUIDE_FIELDS = {
    "healthy",
    "latency_ms",
    "database_type",
    "database_url",
    "pool_size",
    "pool_checked_in",
    "pool_checked_out",
    "pool_overflow",
    "pool_timeout",
}


async def test_liveness_says_ok(client: httpx.AsyncClient) -> None:
    answer = await client.get("/health")
    assert answer.status_code == 200
    assert msgspec.json.decode(answer.content, type=Liveness).status == "ok"


async def test_readiness_has_every_field_of_the_guide(
    client: httpx.AsyncClient, dialect: str
) -> None:
    answer = await client.get("/health/db")
    assert answer.status_code == 200
    body = msgspec.json.decode(answer.content, type=Readiness)
    assert body.status == "healthy"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT.*Z", body.timestamp)
    assert set(answer.json()["database"]) >= GUIDE_FIELDS
    assert body.database.database_type == dialect
    assert body.database.pool_size == 5
    assert body.database.schema_version == body.database.schema_needed


async def test_readiness_shares_its_answer_for_a_second(
    client: httpx.AsyncClient,
) -> None:
    first = (await client.get("/health/db")).json()["database"]["latency_ms"]
    second = (await client.get("/health/db")).json()["database"]["latency_ms"]
    assert first == second


@pytest.mark.postgresql
async def test_an_older_schema_is_unready_and_says_what_to_run(
    client: httpx.AsyncClient, database_url: str
) -> None:
    name = database_url.rsplit("/", 1)[1]
    await execute(
        name,
        "delete from _yoyo_migration where migration_id = "
        "(select max(migration_id) from _yoyo_migration)",
    )

    async def is_unready() -> bool:
        return (await client.get("/health/db")).status_code == 503

    await until(is_unready)
    answer = await client.get("/health/db")
    assert answer.headers["retry-after"] == "1"
    assert "mcps migrate" in answer.json()["database"]["detail"]


async def test_readiness_shows_no_password() -> None:
    url = "postgresql://mcps:very-secret@127.0.0.1:9/mcps"
    settings = read_settings({"DATABASE_URL": url})
    store = PostgresStore(settings, url)
    await store.open()
    transport = httpx.ASGITransport(app=create_app(settings, store))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        answer = await client.get("/health/db")
    await store.close()
    assert answer.status_code == 503
    assert "very-secret" not in answer.text
    assert "mcps:****@127.0.0.1:9" in answer.text


@pytest.mark.postgresql
async def test_an_exhausted_pool_leaves_readiness_alone(
    client: httpx.AsyncClient, store: PostgresStore
) -> None:
    async with (
        store.transaction(),
        store.transaction(),
        store.transaction(),
        store.transaction(),
        store.transaction(),
        store.transaction(),
        store.transaction(),
    ):
        assert store.pool().checked_out == 7
        answer = await client.get("/health/db")
    assert answer.status_code == 200
    assert answer.json()["database"]["pool_checked_out"] == 7


async def test_metrics_show_pool_queries_and_requests(
    client: httpx.AsyncClient, store: PostgresStore
) -> None:
    await store.value("session_ping")
    await client.get("/health")
    text = (await client.get("/metrics")).text
    samples = {
        (sample.name, sample.labels.get("route") or sample.labels.get("query")): sample
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["mcps_pool_size", None].value >= 1
    assert samples["mcps_pool_checked_out", None].value == 0
    assert samples["mcps_query_seconds_count", "session_ping"].value >= 1
    assert samples["mcps_requests_total", "/health"].value >= 1
    assert samples["mcps_db_up", None].value == 1


@pytest.mark.parametrize("path", ["/made-up", "/servers/../x", "/a/b/c/d"])
async def test_an_unknown_path_makes_no_series(
    client: httpx.AsyncClient, path: str
) -> None:
    await client.get(path)
    await client.request("BREW", "/health")
    text = (await client.get("/metrics")).text
    assert path not in text
    assert "BREW" not in text


async def test_metrics_stay_below_five_hundred_series(
    database_url: str, tmp_path: Path
) -> None:
    # A process of its own: here the other tests of this one would count too.
    async with (
        running(tmp_path, "serve", DATABASE_URL=database_url) as service,
        httpx.AsyncClient(base_url=service.base) as client,
    ):
        for path in (await client.get("/openapi.json")).json()["paths"]:
            plain = path.replace("{", "").replace("}", "")
            for query in ("", "?limit=1", "?nothing=1"):
                await client.get(plain + query)
        text = (await client.get("/metrics")).text
    own = [line for line in text.splitlines() if line.startswith("mcps_")]
    assert 20 < len(own) <= 500
