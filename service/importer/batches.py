"""Makes batches of rows that are ready to be stored from the rows of the file."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from service.importer.ids import Ids
from service.importer.source import Row
from service.importer.values import Mended, Raw, Rule, Unfit, shown_texts
from service.store.base import Value

ORPHAN = "a row whose owner is not here is kept in the schema legacy"


class Field(msgspec.Struct, frozen=True):
    """A column: as the file calls it, as we do, and how its values are mapped."""

    source: str
    name: str
    rule: Rule


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What rows of one kind are and where they go; `import_statements` reads it."""

    source: str
    """The name under which is noted what became of them."""
    target: str
    stage: str
    key: str
    columns: tuple[str, ...]
    """What is written, in the order of the fields, and then `once`."""
    once: tuple[str, ...] = ()
    """What is written with a new row alone, and not compared."""
    schema: str | None = None
    natural: str | None = None
    owner: dict[str, str] | None = None


class Refusal(msgspec.Struct, frozen=True):
    """A row that cannot be kept."""

    key: int
    column: str
    reason: str
    raw: Raw
    row: dict[str, Raw]


class Repair(msgspec.Struct, frozen=True):
    """A value that was changed to be kept."""

    key: int
    column: str
    rule: str
    original: Raw


class Batch(msgspec.Struct):
    """Rows that were read together, in the order of their ids."""

    read: int
    """How many rows there were, those included that are refused or orphans."""
    last_key: int
    keys: list[int]
    columns: list[list[Any]]
    """The values of the rows that can be stored, one list for each field."""
    refused: list[Refusal]
    repaired: list[Repair]
    orphans: list[Repair]
    """The rows whose owner is not among those that can be stored."""

    @property
    def mended(self) -> list[int]:
        """The keys of the rows with repaired values."""
        return sorted({repair.key for repair in self.repaired})

    def without(self, keys: Iterable[int]) -> "Batch":
        """The batch without some of its rows."""
        gone = set(keys)
        if not gone:
            return self
        kept = [place for place, key in enumerate(self.keys) if key not in gone]
        return Batch(
            read=self.read,
            last_key=self.last_key,
            keys=[self.keys[place] for place in kept],
            columns=[[column[place] for place in kept] for column in self.columns],
            refused=self.refused,
            repaired=[repair for repair in self.repaired if repair.key not in gone],
            orphans=self.orphans,
        )

    def shown(self, fields: Sequence[Field]) -> list[list[str]]:
        """Each column as checksums see it."""
        return [
            shown_texts(field.rule, column)
            for field, column in zip(fields, self.columns, strict=True)
        ]


class Mapper:
    """Maps the rows of one table."""

    def __init__(
        self,
        fields: Sequence[Field],
        *,
        owner: str = "",
        owners: Ids | None = None,
        is_strict: bool = False,
    ) -> None:
        """`owner` is the column that has to name one of `owners`."""
        self._fields = fields
        self.names = [field.source for field in fields]
        """The columns of the file, in the order in which `batch` takes them."""
        self._owner = self.names.index(owner) if owner else None
        self._owners = owners
        self._natural = ""
        self._doubles: dict[int, str] = {}
        self._is_strict = is_strict

    def give_way(self, natural: str, doubles: dict[int, str]) -> None:
        """Refuse rows whose value of a column another one has, with these reasons."""
        self._natural, self._doubles = natural, doubles

    def batch(self, rows: list[Row]) -> Batch:
        """A batch of rows as the file gives them, the key first."""
        read, last_key = len(rows), int(rows[-1][0] or 0)
        refused: dict[int, Refusal] = {}
        rows, orphans = self._owned(rows, refused)
        for row in rows if self._doubles else ():
            key = int(row[0] or 0)
            if key in self._doubles:
                refused[key] = self._refusal(row, self._natural, self._doubles[key])
        repaired: list[Repair] = []
        mapped = self._mapped(rows, refused, repaired)
        keys: list[Any] = [row[0] for row in rows]
        batch = Batch(
            read=read,
            last_key=last_key,
            keys=keys,
            columns=mapped,
            refused=[refused[key] for key in sorted(refused)],
            repaired=repaired,
            orphans=orphans,
        )
        return batch.without(refused)

    def _owned(
        self, rows: list[Row], refused: dict[int, Refusal]
    ) -> tuple[list[Row], list[Repair]]:
        """The rows with an owner, and the others."""
        if self._owner is None or self._owners is None:
            return rows, []
        place = self._owner + 1
        known = {
            owner for owner in {row[place] for row in rows} if owner in self._owners
        }
        lost = [row for row in rows if row[place] not in known]
        if not lost:
            return rows, []
        owned = [row for row in rows if row[place] in known]
        column = self.names[self._owner]
        if not self._is_strict:
            return owned, [
                Repair(int(row[0] or 0), column, ORPHAN, row[place]) for row in lost
            ]
        for row in lost:
            reason = f"{column} names no row that could be stored"
            refused[int(row[0] or 0)] = self._refusal(row, column, reason)
        return owned, []

    def _mapped(
        self, rows: list[Row], refused: dict[int, Refusal], repaired: list[Repair]
    ) -> list[list[Any]]:
        if not rows:
            return [[] for _ in self._fields]
        _, *columns = zip(*rows, strict=True)
        mapped = []
        for field, column in zip(self._fields, columns, strict=True):
            usual = field.rule.usual(column) if field.rule.usual else None
            if usual is None:
                usual = self._one_by_one(field, rows, column, refused, repaired)
            mapped.append(usual)
        return mapped

    def _one_by_one(
        self,
        field: Field,
        rows: list[Row],
        column: Sequence[Raw],
        refused: dict[int, Refusal],
        repaired: list[Repair],
    ) -> list[Value]:
        mapped: list[Value] = []
        for row, raw in zip(rows, column, strict=True):
            key, reason = int(row[0] or 0), ""
            try:
                value = field.rule.one(raw)
            except Unfit as error:
                value, reason = None, f"{field.source} {error}"
            if isinstance(value, Mended):
                if self._is_strict:
                    reason = f"{field.source}: {value.rule}"
                repaired.append(Repair(key, field.source, value.rule, raw))
                value = value.value
            if reason:
                refused.setdefault(key, self._refusal(row, field.source, reason))
            mapped.append(value)
        return mapped

    def _refusal(self, row: Row, column: str, reason: str) -> Refusal:
        whole = dict(zip(self.names, row[1:], strict=True))
        return Refusal(int(row[0] or 0), column, reason, whole.get(column), whole)


def batches(mapper: Mapper, read: Iterator[list[Row]]) -> Iterator[Batch]:
    """The batches of a table."""
    return map(mapper.batch, read)
