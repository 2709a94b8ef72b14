"""From a table of the file to batches that are ready to be sent."""

from collections.abc import Callable, Collection, Iterator, Mapping
from hashlib import sha256
from typing import Any

import msgspec

from service.importer.batches import Batch, Field, Mapper, Plan
from service.importer.lines import Lines, joined, packed, written
from service.importer.naming import Named, Shown, named
from service.importer.plans import Table
from service.importer.source import EarlierFile, Row, SourceTable
from service.importer.storing import Load
from service.importer.values import Raw, digest, integer, shown_texts, text
from service.store.base import Value

# What a server gets that it had not, and which of it is stored in its row.
EXTRA = Named.__struct_fields__
ONCE = ("registry_name", "latest_version")
HAS_TOOLS = "has_tools"

_KEYS = integer()
_TEXT = text()
Extra = list[list[Value]]
Extend = Callable[[Batch], Extra]


class Prepared(msgspec.Struct, frozen=True):
    """A batch that is ready to be sent."""

    batch: Batch
    digests: list[str]
    extra: Extra
    lines: tuple[Lines, ...] = ()
    """The rows as they may go straight into their tables."""


def is_there(table: Table, found: Mapping[str, SourceTable]) -> bool:
    """Whether the file has this table of the catalog, in a form that we know."""
    source = found.get(table.source)
    return source is not None and source.is_by_id and {*table.needed} <= {*source.names}


def unknown(table: Table, source: SourceTable) -> SourceTable | None:
    """The columns that the catalog has no place for, with what dates them."""
    rest = [name for name in source.names if name not in table.columns]
    if not rest:
        return None
    wanted = {source.key, "updated_at", *rest}
    columns = tuple(column for column in source.columns if column.name in wanted)
    return msgspec.structs.replace(source, columns=columns)


def catalog_load(table: Table, source: SourceTable) -> Load:
    """How the rows of a table of the catalog are sent: the columns that there are."""
    known = [name for name in source.names if name in table.columns]
    fields = tuple(
        Field(name, table.renamed.get(name, name), table.columns[name])
        for name in known
    )
    is_server = table.source == "server"
    once = ONCE if is_server else ()
    owner = table.owner
    plan = Plan(
        source=table.source,
        target=table.target,
        stage=f"import_row_{table.source}",
        key="id",
        columns=(*(field.name for field in fields), *once),
        once=once,
        natural=table.natural,
        owner=msgspec.structs.asdict(owner) if owner else None,
    )
    extra = [*((name, "text") for name in EXTRA), (HAS_TOOLS, "boolean")]
    return Load(plan=plan, fields=fields, extra=tuple(extra) if is_server else ())


def prepared(
    mapper: Mapper, load: Load, rows: Iterator[list[Row]], extend: Extend | None = None
) -> Iterator[Prepared]:
    """The batches of a table, as fast as they are taken."""
    for some in rows:
        batch = mapper.batch(some)
        shown = _shown(load, batch)
        extra = extend(batch) if extend and batch.keys else []
        lines = _lines(load, batch, shown, extra)
        yield Prepared(batch, [*map(digest, shown)], extra, lines)


def digests(load: Load, batch: Batch) -> list[str]:
    """The digest of each column of a batch, and of its keys where these are none."""
    return [*map(digest, _shown(load, batch))]


def _shown(load: Load, batch: Batch) -> list[list[str]]:
    columns = batch.shown(load.fields)
    return columns if load.is_keyed else [*columns, shown_texts(_KEYS, batch.keys)]


def _lines(
    load: Load, batch: Batch, shown: list[list[str]], extra: Extra
) -> tuple[Lines, ...]:
    if load.has_arrays:
        types = [kind for _, kind in load.sent]
        body = packed(types, batch.columns)
        return (Lines(load.table, tuple(load.columns), body, is_binary=True),)
    columns = dict(zip(load.columns, shown, strict=True))
    for field, values in zip(load.fields, batch.columns, strict=True):
        columns[field.name] = written(field.rule, values, columns[field.name])
    if not extra:
        return (_table(load.table, columns),)
    added: dict[str, Any] = dict(zip(EXTRA, extra, strict=False))
    columns |= {name: written(_TEXT, added[name], added[name]) for name in ONCE}
    return _table(load.table, columns), _table(
        ("server_version",), _versions(columns, added)
    )


def _versions(
    columns: Mapping[str, list[str]], added: Mapping[str, list[str]]
) -> dict[str, list[str]]:
    """The only version of each server, as `import_put_versions` would write it."""
    documents = [
        f'{{"name":"{name}",{document}'
        for name, document in zip(
            added["registry_name"], added["document"], strict=True
        )
    ]
    hashes = [rf"\\x{sha256(text.encode()).hexdigest()}" for text in documents]
    return {
        "server_id": columns["id"],
        "is_latest": ["true"] * len(documents),
        "registry_name": columns["registry_name"],
        "version": columns["latest_version"],
        "document": written(_TEXT, documents, documents),
        "published_at": columns["created_at"],
        "source_updated_at": columns["updated_at"],
        "status_changed_at": columns["created_at"],
        "precedence": written(_TEXT, added["precedence"], added["precedence"]),
        "content_hash": hashes,
        "origin": ["load"] * len(documents),
    }


def _table(table: tuple[str, ...], columns: Mapping[str, list[str]]) -> Lines:
    return Lines(table, tuple(columns), joined([*columns.values()]))


def digest_names(load: Load) -> list[str]:
    """The names of what `digests` gives."""
    return load.columns


def with_names(load: Load, file: EarlierFile, *, has: Collection[str]) -> Extend:
    """Gives the servers of each batch a registry name and a version document.

    `has` are the tables of the catalog that the file has.
    """
    places = {field.name: place for place, field in enumerate(load.fields)}
    releases = _Following(file.releases() if "release" in has else iter(()))
    tools = _Following(file.owners() if "tool" in has else iter(()))

    def extend(batch: Batch) -> Extra:
        columns = (_column(batch, places, name) for name in _SHOWN)
        rows: list[tuple[Value, ...]] = []
        for id_, url, name, about, page, at in zip(batch.keys, *columns, strict=True):
            release = releases.of(id_)
            version = release[1] if release and isinstance(release[1], str) else None
            made = named(Shown(url, name, about, page, at, version))
            rows.append((*msgspec.structs.astuple(made), tools.of(id_) is not None))
        return [list(column) for column in zip(*rows, strict=True)]

    return extend


class _Following:
    """Rows that are looked for in the order of the ids they begin with."""

    def __init__(self, rows: Iterator[tuple[Raw, ...]]) -> None:
        self._rows = rows
        self._next = next(rows, None)

    def of(self, id_: int) -> tuple[Raw, ...] | None:
        """The row of this id, which is greater than the last one asked for."""
        while self._next and _number(self._next[0]) < id_:
            self._next = next(self._rows, None)
        return self._next if self._next and self._next[0] == id_ else None


_SHOWN = ("primary_url", "name", "description", "homepage", "created_at")


def _column(batch: Batch, places: Mapping[str, int], name: str) -> list[Any]:
    """The values of a column, or nothing where the file has no such column."""
    return batch.columns[places[name]] if name in places else [None] * len(batch.keys)


def _number(value: Raw) -> float:
    return (
        value if isinstance(value, int) else float("-inf" if value is None else "inf")
    )
