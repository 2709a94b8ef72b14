"""Named SQL from files: one file per noun, each name once, parameters by name."""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

import aiosql
import msgspec
from aiosql.adapters.asyncpg import AsyncPGAdapter
from aiosql.adapters.sqlite3 import SQLite3Adapter
from aiosql.types import SQLOperationType

from service.errors import McpsError
from service.resources import resource
from service.store.base import Dialect, Value
from service.store.dialects import require_same

_VECTOR = re.compile(r"::vector|\bvec_\w")
_NAME = re.compile(r"^--\s*name:\s*([a-z][a-z0-9_]*)", re.MULTILINE)


class Query(msgspec.Struct, frozen=True):
    """One named statement."""

    name: str
    sql: str
    parameters: tuple[str, ...]
    """The parameter names, in the order of their positions."""
    is_write: bool
    needs_vector: bool

    def arguments(self, values: Mapping[str, Value]) -> list[Value]:
        """The values by position. Raises TypeError for a missing or unknown name."""
        if len(values) != len(self.parameters):
            raise TypeError(self._mismatch(values))
        try:
            return [values[name] for name in self.parameters]
        except KeyError:
            raise TypeError(self._mismatch(values)) from None

    def _mismatch(self, values: Mapping[str, Value]) -> str:
        given = ", ".join(sorted(values))
        wanted = ", ".join(sorted(self.parameters))
        return f"query {self.name} takes ({wanted}), got ({given})"


def load_queries(dialect: Dialect) -> dict[str, Query]:
    """Every query of a dialect by name; files are read once in a process.

    Raises McpsError when a name occurs twice, because aiosql would keep the last in
    silence, and when SQLite has other queries than PostgreSQL.
    """
    folder = resource("queries")
    if dialect == "postgresql":
        return dict(_load(folder, dialect))
    found = _load(folder / dialect, dialect)
    require_same(dialect, _signatures(_load(folder, "postgresql")), _signatures(found))
    return dict(found)


@cache
def _load(folder: Path, dialect: Dialect) -> Mapping[str, Query]:
    found: dict[str, Query] = {}
    for path in sorted(folder.glob("*.sql")):
        for query in read_queries(path, dialect):
            if query.name in found:
                message = f"{path.name}: query {query.name} exists already"
                raise McpsError(message)
            found[query.name] = query
    return found


def _signatures(queries: Mapping[str, Query]) -> dict[str, frozenset[str]]:
    return {name: frozenset(query.parameters) for name, query in queries.items()}


def read_queries(path: Path, dialect: Dialect) -> Iterable[Query]:
    """The queries of one file.

    Raises McpsError when a name occurs twice.
    """
    text = path.read_text(encoding="utf-8")
    names = _NAME.findall(text)
    adapter = AsyncPGAdapter() if dialect == "postgresql" else SQLite3Adapter()
    loaded = aiosql.from_str(text, lambda: adapter)
    if sorted(names) != sorted(set(names)):
        message = f"{path.name}: a query name occurs twice"
        raise McpsError(message)
    for name in names:
        statement = getattr(loaded, name)
        declared = statement.parameters or ()
        parameters = _positions(adapter, name, declared)
        yield Query(
            name=name,
            sql=statement.sql.strip().removesuffix(";"),
            parameters=parameters,
            is_write=statement.operation in _WRITES,
            needs_vector=bool(_VECTOR.search(statement.sql)),
        )


def _positions(
    adapter: AsyncPGAdapter | SQLite3Adapter, name: str, declared: Iterable[str]
) -> tuple[str, ...]:
    if isinstance(adapter, AsyncPGAdapter):
        return tuple(adapter.var_sorted[name])
    return tuple(declared)


_WRITES = frozenset(
    {
        SQLOperationType.INSERT_RETURNING,
        SQLOperationType.INSERT_UPDATE_DELETE,
        SQLOperationType.INSERT_UPDATE_DELETE_MANY,
        SQLOperationType.SCRIPT,
    }
)
