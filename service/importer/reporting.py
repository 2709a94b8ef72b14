"""What an import did, table by table."""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import md5

import msgspec


class Sums:
    """Checksums of columns: the digests of all batches, added up."""

    def __init__(self) -> None:
        self._sums: dict[str, int] = {}

    def add(self, names: Iterable[str], digests: Sequence[str | None]) -> None:
        """Add the digests of a batch."""
        for name, found in zip(names, digests, strict=True):
            number = int(found or "0", 16)
            self._sums[name] = (self._sums.get(name, 0) + number) % (1 << 128)

    @property
    def columns(self) -> dict[str, str]:
        """One checksum for each column."""
        return {name: f"{number:032x}" for name, number in self._sums.items()}


def checksum(columns: Mapping[str, str]) -> str:
    """One checksum for a whole table."""
    whole = "\n".join(f"{name} {sum_}" for name, sum_ in columns.items())
    return md5(whole.encode(), usedforsecurity=False).hexdigest()


class Check(msgspec.Struct, frozen=True):
    """The rows of one batch that have to be in the database."""

    first: int
    last: int
    ids: str
    amount: int
    digests: list[str]


class TableReport(msgspec.Struct):
    """What became of the rows of one table.

    `source` is the sum of `copied`, `repaired`, `rejected` and `unchanged`.
    """

    source: int = 0
    copied: int = 0
    repaired: int = 0
    rejected: int = 0
    unchanged: int = 0
    """Rows that were here already, as new or newer."""
    checksum_source: str = ""
    checksum_target: str = ""
    columns: dict[str, list[str]] = {}
    """The checksums of each column on both sides."""
    is_equal: bool = True
    seconds: float = 0.0
    rows_per_s: float = 0.0


class Report(msgspec.Struct):
    """What an import did."""

    is_dry_run: bool
    is_strict: bool
    is_resumed: bool = False
    tables: dict[str, TableReport] = {}
    skipped: list[str] = []
    """Virtual tables; what is in them stands in other tables of the file."""
    kept: int = 0
    """How many rows stay as the catalog has them: as new or newer, and different."""
    seconds: float = 0.0
    rows_per_s: float = 0.0

    @property
    def rejected(self) -> int:
        """How many rows could not be kept."""
        return sum(table.rejected for table in self.tables.values())

    @property
    def is_equal(self) -> bool:
        """Whether everything is here as it should be."""
        return all(table.is_equal for table in self.tables.values())


class Tally:
    """Counts the rows of one table on their way."""

    def __init__(self, source: int) -> None:
        self.source = source
        self.read = 0
        self.refused = 0
        self.accepted = 0
        self.written = 0
        self.written_repaired = 0
        self.orphans: list[int] = []
        self.source_sums = Sums()
        self.target_sums = Sums()
        self.parts: list[tuple[str, Tally]] = []
        self.is_complete = True
        self.seconds = 0.0

    def take_orphans(self, others: "Tally") -> None:
        """Count rows without owners, which were kept elsewhere: that repaired them."""
        self.accepted += others.accepted
        self.refused += others.refused
        self.written += others.written
        self.written_repaired += others.written
        self.seconds += others.seconds
        self.parts.append(("orphans", others))

    def take_columns(self, others: "Tally") -> None:
        """Compare columns that were kept elsewhere; their rows count already."""
        self.seconds += others.seconds
        self.parts.append(("legacy", others))

    def report(self, *, is_compared: bool) -> TableReport:
        """The counts as a report."""
        ours, theirs = self.source_sums.columns, self.target_sums.columns
        for kind, part in self.parts:
            ours = {**ours, **_named(kind, part.source_sums)}
            theirs = {**theirs, **_named(kind, part.target_sums)}
        parts = (self, *(part for _, part in self.parts))
        is_complete = all(part.is_complete for part in parts)
        columns = {name: [sum_, theirs.get(name, "")] for name, sum_ in ours.items()}
        rate = self.source / self.seconds if self.seconds else 0.0
        return TableReport(
            source=self.source,
            copied=self.written - self.written_repaired,
            repaired=self.written_repaired,
            rejected=self.refused,
            unchanged=self.accepted - self.written,
            checksum_source=checksum(ours),
            checksum_target=checksum(theirs) if is_compared else "",
            columns=columns,
            is_equal=not is_compared or (is_complete and ours == theirs),
            seconds=round(self.seconds, 3),
            rows_per_s=round(rate, 1),
        )


def _named(kind: str, sums: Sums) -> dict[str, str]:
    return {f"{kind}.{name}": sum_ for name, sum_ in sums.columns.items()}
