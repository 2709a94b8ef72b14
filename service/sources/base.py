"""What the harvester knows of a source."""

from collections.abc import AsyncIterator
from typing import Protocol

from service.models_harvest import Order, Page, SourceName


class Source(Protocol):
    """A place that servers come from. It reads, and stores nothing."""

    name: SourceName

    def target_of(self, text: str) -> str | None:
        """The target that a URL or another text names; None when it is none of ours.

        Gives one notation for one target: jobs are told apart by it.
        """

    def harvest(self, order: Order) -> AsyncIterator[Page]:
        """Pages, one after the other; most sources give a single one.

        A page is stored before the next one is asked for, so a source that is stopped
        goes on at the checkpoint of its last stored page. No page at all says that
        nothing changed since the checkpoint. Raises SourceFailed; the pages before it
        stay stored.
        """
