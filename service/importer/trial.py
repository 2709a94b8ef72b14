"""What stands in for the database where an import is only tried."""

from collections.abc import Sequence

from service.importer.batches import Batch, Plan
from service.importer.lines import Lines
from service.importer.storing import Load, Note, Progress
from service.store.base import Value


class Trial:
    """Takes every row and counts it, as an empty catalog would."""

    is_writing = False

    def __init__(self) -> None:
        self._progress: dict[str, Progress] = {}

    async def progress(self) -> dict[str, Progress]:
        """How many rows were taken, by kind of rows."""
        return self._progress

    async def make_legacy(self, plan: Plan, types: dict[str, str]) -> None:
        """Nothing has to be made."""

    async def follow(self, target: str, last_id: int) -> None:
        """No ids are given out."""

    async def lift_nearest(self, expected: int) -> None:
        """There is no index."""

    async def put(
        self,
        load: Load,
        batch: Batch,
        extra: Sequence[Sequence[Value]],  # noqa: ARG002 - as a Storage has it
        lines: Sequence[Lines] = (),  # noqa: ARG002
    ) -> list[Note]:
        """Take a batch as it is."""
        before = self._progress.get(load.plan.source, Progress())
        self._progress[load.plan.source] = Progress(
            last_id=0,
            written=before.written + len(batch.keys),
            repaired=before.repaired + len(batch.mended),
        )
        return []

    async def notes(self, plan: Plan, batch: Batch) -> list[Note]:  # noqa: ARG002
        """Nothing is refused."""
        return []
