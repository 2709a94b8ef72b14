"""What Kubernetes, Prometheus and operators ask: liveness, readiness, metrics."""

from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from litestar import Request, get
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from service.models import DatabaseHealth, Liveness, Readiness, ReadyStatus
from service.web.answers import Answer, json_value
from service.web.parameters import read_query
from service.web.spec import NoQuery, spec

VERSION = version("mcps")
_NO_STORE = (b"cache-control", b"no-store")


@get(
    "/health",
    opt=spec(
        summary="Whether the process runs", answer=Liveness, role="open", tag="probes"
    ),
)
async def health(request: Request[Any, Any, Any]) -> Answer:
    """Liveness: never touches the database, so that its faults restart no pod."""
    read_query(request.scope["query_string"], NoQuery)
    return json_value(Liveness("ok", VERSION), headers=[_NO_STORE])


@get(
    "/health/db",
    opt=spec(
        summary="Whether this process can serve",
        answer=Readiness,
        role="open",
        tag="probes",
        may_fail=("unavailable",),
    ),
)
async def health_db(request: Request[Any, Any, Any]) -> Answer:
    """Readiness: 503 while the database is away, too old, or the process is leaving."""
    read_query(request.scope["query_string"], NoQuery)
    state = request.app.state
    found = await state.store.health()
    pool = state.store.pool()
    is_ready = found.healthy and not state.draining
    status: ReadyStatus = "draining" if state.draining else "unhealthy"
    if is_ready:
        status = "healthy"
    readiness = Readiness(
        status=status,
        timestamp=datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        database=DatabaseHealth(
            healthy=found.healthy,
            latency_ms=found.latency_ms,
            database_type=state.store.dialect,
            database_url=state.store.url,
            pool_size=pool.size,
            pool_checked_in=pool.checked_in,
            pool_checked_out=pool.checked_out,
            pool_overflow=pool.overflow,
            pool_timeout=pool.timeout_s,
            schema_version=found.schema_version,
            schema_needed=found.schema_needed,
            detail=found.detail,
        ),
    )
    headers = [_NO_STORE] if is_ready else [_NO_STORE, (b"retry-after", b"1")]
    return json_value(readiness, status=200 if is_ready else 503, headers=headers)


@get(
    "/metrics",
    opt=spec(
        summary="Prometheus metrics", role="open", tag="probes", media="text/plain"
    ),
)
async def metrics_text(request: Request[Any, Any, Any]) -> Answer:
    """Prometheus text of all workers together."""
    read_query(request.scope["query_string"], NoQuery)
    state = request.app.state
    state.store.report_pool()
    registry = REGISTRY
    if state.settings.prometheus_multiproc_dir:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return Answer(
        generate_latest(registry),
        media=CONTENT_TYPE_LATEST.encode(),
        headers=[_NO_STORE],
    )


ROUTES = [health, health_db, metrics_text]
