"""Jobs of the harvester: rows of the log, each one target of one source.

A worker takes a job for a while, and again and again while it works; when it dies, the
lease ends by itself and another worker takes the job. What a source said to go on from
is kept beside it, so the other one repeats the last page at most.
"""

import os
import socket
import uuid
from collections.abc import Iterable, Sequence

import msgspec

from service.errors import InvalidInput
from service.models_harvest import Checkpoint, JobState, SourceName
from service.store.base import Queries, Row

LONGEST_URL_BYTES = 2048
LONGEST_MESSAGE = 1000
FIRST_RETRY_S = 60.0
LONGEST_RETRY_S = 6 * 3600.0
REFRESH_PAUSE_S = 60.0


class JobName(msgspec.Struct, frozen=True):
    """A target of a source; `url` is the key of its row."""

    source: SourceName
    target: str
    registry_name: str | None = None
    """The server that named this target; what is found there belongs to it."""

    @property
    def url(self) -> str:
        """Such as `npm:@scope/name`."""
        return f"{self.source}:{self.target}"

    @property
    def fits(self) -> bool:
        """Whether it is short enough for the log."""
        return len(self.url.encode()) <= LONGEST_URL_BYTES


class Job(msgspec.Struct, frozen=True):
    """A job that this worker has."""

    id: int
    name: JobName
    attempts: int
    """Since it was last done, this one included."""
    checkpoint: Checkpoint


class Choice(msgspec.Struct, frozen=True):
    """Which jobs a run takes: of these sources, and of these names if there are any."""

    sources: tuple[SourceName, ...]
    names: tuple[JobName, ...] | None = None

    def values(self) -> dict[str, str | None]:
        """The parameters of a query."""
        urls = None if self.names is None else _json([name.url for name in self.names])
        return {"sources": _json(self.sources), "urls": urls}


def worker_name() -> str:
    """A name that no other worker has; says where it runs."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


async def queue_jobs(store: Queries, names: Iterable[JobName], *, is_due: bool) -> None:
    """Put jobs in; `is_due` makes those that are there due now.

    Raises InvalidInput for a name that is too long.
    """
    names = list(names)
    for name in names:
        if not name.fits:
            message = f"longer than {LONGEST_URL_BYTES} bytes with its source"
            raise InvalidInput.at(name.target[:100], message)
    rows = [{"url": name.url, **msgspec.structs.asdict(name)} for name in names]
    if rows:
        await store.run("harvest_queue", jobs=_json(rows), is_due=is_due)


async def lease_job(
    store: Queries, choice: Choice, worker: str, lease_s: float
) -> Job | None:
    """Take the job that is due longest; None when there is none."""
    rows = await store.rows(
        "harvest_lease", **choice.values(), worker=worker, lease_s=lease_s
    )
    if not rows:
        return None
    (row,) = rows
    checkpoint = row["checkpoint"]
    return Job(
        id=row["id"],
        name=JobName(row["source"], row["target"], row["registry_name"]),
        attempts=row["attempts"],
        checkpoint=read_checkpoint(checkpoint),
    )


async def renew_job(store: Queries, job: Job, worker: str, lease_s: float) -> bool:
    """Keep a job for longer; False when another worker has it by now."""
    return bool(
        await store.run("harvest_renew", id=job.id, worker=worker, lease_s=lease_s)
    )


async def finish_job(store: Queries, job: Job, worker: str, every_s: float) -> None:
    """Give a job back that is done, to be taken again after so long."""
    await store.run(
        "harvest_finish",
        id=job.id,
        worker=worker,
        status="done",
        message=None,
        wait_s=every_s,
    )


async def fail_job(
    store: Queries, job: Job, worker: str, message: str, retry_after_s: float | None
) -> None:
    """Give a job back that failed, to be tried again after a wait that grows."""
    longest = FIRST_RETRY_S * 2 ** min(job.attempts - 1, 16)
    wait_s = max(min(LONGEST_RETRY_S, longest), retry_after_s or 0.0)
    await store.run(
        "harvest_finish",
        id=job.id,
        worker=worker,
        status="failed",
        message=message[:LONGEST_MESSAGE].replace("\0", ""),
        wait_s=wait_s,
    )


async def release_job(store: Queries, job: Job, worker: str) -> None:
    """Give a job back that was stopped on the way; it stays due."""
    await store.run(
        "harvest_finish",
        id=job.id,
        worker=worker,
        status="waiting",
        message=None,
        wait_s=0.0,
    )


async def wait_for_others(store: Queries, choice: Choice) -> float | None:
    """Seconds until a due job that another worker has may be taken; None without."""
    wait_s: float | None = await store.value("harvest_busy", **choice.values())
    return wait_s


async def save_place(
    store: Queries, job: Job, worker: str, checkpoint: Checkpoint
) -> None:
    """Note where the source goes on."""
    await store.run(
        "harvest_put_place",
        id=job.id,
        worker=worker,
        url=job.name.url,
        checkpoint=_json(checkpoint),
    )


async def refresh_job(store: Queries, name: JobName) -> JobState:
    """Make a job due, unless it was tried just now; gives it as it stands."""
    await queue_jobs(store, [name], is_due=False)
    await store.run("harvest_refresh", url=name.url, pause_s=REFRESH_PAUSE_S)
    (row,) = await store.rows("harvest_job", url=name.url)
    return JobState(**{field: row[field] for field in JobState.__struct_fields__})


async def get_place(store: Queries, name: JobName) -> Checkpoint:
    """Where the source goes on; empty the first time."""
    return read_checkpoint(await store.value("harvest_place", url=name.url))


async def known_targets(store: Queries, source: SourceName) -> list[str]:
    """The targets of a source that were ever asked for."""
    rows: Sequence[Row] = await store.rows("harvest_targets", source=source)
    return [row["target"] for row in rows]


def read_checkpoint(text: str | None) -> Checkpoint:
    """A stored checkpoint; empty without one."""
    checkpoint: Checkpoint = msgspec.json.decode(text) if text else {}
    return checkpoint


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
