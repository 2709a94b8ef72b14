"""Makes files of the earlier MCPS of any size, the same for the same size.

Their tables have as many rows for each server as real ones: 2.8 tools, 4.3
dependencies, 2.6 contributors, 1.6 releases, 0.9 lines of the log, 0.7 posts, 0.6
resources, 0.3 prompts, and an embedding of 34 kB for every tenth server.
"""

import random
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import aiosql
import msgspec

from ops.benchmarks import words

SEED = 7
EPOCH = datetime(2024, 1, 1)  # noqa: DTZ001 - that program knew no time zones
DIMENSIONS = 1536
_FILE = Path(__file__).with_suffix(".sql")
_POOL = 2000
_README_WORDS = 1000
_HOSTS = ("GITHUB", "GITHUB", "GITHUB", "NPM", "PYPI", "DOCKER", "HTTP", "GITLAB")
_RISKS = ("SAFE", "MODERATE", "HIGH", "CRITICAL", "UNKNOWN")
# How many of a kind 100 servers have.
_SHARES = {
    "tool": 279,
    "dependency": 434,
    "contributor": 260,
    "release": 162,
    "processinglog": 93,
    "social_posts": 67,
    "resourcetemplate": 64,
    "prompt": 26,
    "toolembedding": 10,
}

Record = tuple[Any, ...]


@cache
def statements() -> dict[str, str]:
    """The statements of `earlier.sql` by name."""
    loaded: Any = aiosql.from_path(_FILE, "sqlite3", mandatory_parameters=False)
    return {
        name: getattr(loaded, name).sql
        for name in loaded.available_queries
        if not name.endswith("_cursor")
    }


def make_file(path: Path, servers: int) -> int:
    """Write a file with so many servers; gives the number of all rows."""
    rows = 0
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(statements()["file_tables"])
        source = _Earlier(servers)
        for table in ("alembic_version", "server", *_SHARES):
            statement = statements()[f"{table}_insert"]
            rows += connection.executemany(statement, source.rows(table)).rowcount
        connection.commit()
    return rows


class _Earlier:
    """The rows, by the dice."""

    def __init__(self, servers: int) -> None:
        self._servers = servers
        self._dice = random.Random(SEED)  # noqa: S311 - made-up rows, no secrets
        self._topics = words.Tail(self._dice, words.TOPICS)
        self._sentences = [self._text(14) for _ in range(_POOL)]
        self._readmes = [self._text(_README_WORDS) for _ in range(200)]
        self._schemas = [self._schema() for _ in range(_POOL)]
        self._vectors = [self._vector() for _ in range(20)]

    def rows(self, table: str) -> Iterator[Record]:
        """All rows of one table, in the order of their ids."""
        if table == "alembic_version":
            return iter([("e7b7364b56f0",)])
        if table == "server":
            return (self._server(number) for number in range(1, self._servers + 1))
        count = self._servers * _SHARES[table] // 100
        make = getattr(self, f"_{table}")
        return (
            make(number, self._parent(number, count)) for number in range(1, count + 1)
        )

    def _parent(self, number: int, count: int) -> int:
        return 1 + (number - 1) * self._servers // count

    def _server(self, number: int) -> Record:
        dice = self._dice
        name = f"{dice.choice(words.TOPICS)}-mcp-{number}"
        at = self._at()
        return (
            *at,
            number,
            uuid.UUID(int=dice.getrandbits(128), version=4).hex,
            name,
            f"https://github.com/owner{number % 4000}/{name}",
            dice.choice(_HOSTS),
            dice.choice(self._sentences),
            f"owner{number % 4000}",
            None,
            "MIT",
            dice.choice(self._readmes)[: dice.randrange(9000)],
            self._list(),
            self._list(),
            *(dice.randrange(5000) for _ in range(4)),
            dice.choice(_RISKS),
            dice.randrange(2),
            dice.randrange(101),
            at[1],
        )

    def _tool(self, number: int, server: int) -> Record:
        dice = self._dice
        name = f"{dice.choice(words.VERBS)}_{dice.choice(words.TOPICS)}"
        about = dice.choice(self._sentences)
        return *self._at(), number, server, name, about, dice.choice(self._schemas)

    def _toolembedding(self, number: int, _server: int) -> Record:
        base = self._dice.choice(self._vectors)
        start = self._dice.randrange(DIMENSIONS)
        vector = f"[{', '.join((*base[start:], *base[:start]))}]"
        return number, number * 2, vector, "small-3"

    def _resourcetemplate(self, number: int, server: int) -> Record:
        uri = f"s3://{{host}}/{self._dice.choice(words.TOPICS)}/{{id}}"
        return *self._at(), number, server, uri, None, "text/plain", None

    def _prompt(self, number: int, server: int) -> Record:
        about = self._dice.choice(self._sentences)
        asked = '[{"name": "q", "required": true, "description": "\\u00e9"}]'
        return *self._at(), number, server, f"prompt_{number}", about, asked

    def _dependency(self, number: int, server: int) -> Record:
        name = f"lib-{self._dice.randrange(3000)}"
        return *self._at(), number, server, name, ">=1.2", "npm", "RUNTIME"

    def _release(self, number: int, server: int) -> Record:
        at = self._at()
        return *at, number, server, f"1.{number % 40}.0", None, at[0]

    def _contributor(self, number: int, server: int) -> Record:
        dice = self._dice
        user = f"user{dice.randrange(9000)}"
        return *self._at(), number, server, user, "github", dice.randrange(900)

    def _processinglog(self, number: int, _server: int) -> Record:
        at = self._at()
        return (
            *at,
            number,
            f"https://github.com/a/{number}",
            "completed",
            1,
            at[1],
            None,
        )

    def _social_posts(self, number: int, server: int) -> Record:
        dice = self._dice
        return (
            *self._at(),
            number,
            uuid.UUID(int=dice.getrandbits(128), version=4).hex,
            "REDDIT",
            f"reddit-{number}",
            f"https://posts.example/{number}",
            "A title",
            dice.choice(self._sentences) * 3,
            "author",
            None,
            *(dice.randrange(500) for _ in range(3)),
            None,
            "QUESTION",
            None,
            "en",
            f"[{server}]",
            "[]",
            self._at()[0],
            *(0, 0, 0),
            "mcp",
            None,
            *("[]", "[]"),
            *(0, 0),
            *(None, None),
            dice.random(),
            dice.randrange(100),
        )

    def _at(self) -> tuple[str, str]:
        """When something was made and changed, as text."""
        dice = self._dice
        made = EPOCH + timedelta(microseconds=dice.randrange(5 * 10**13))
        changed = made + timedelta(microseconds=dice.randrange(5 * 10**12))
        return str(made), str(changed)

    def _text(self, count: int) -> str:
        return " ".join(self._topics.some(count)).capitalize()

    def _list(self) -> str:
        return msgspec.json.encode(self._topics.some(self._dice.randrange(4))).decode()

    def _schema(self) -> str:
        fields = {
            topic: {"type": "string", "description": self._text(8)}
            for topic in self._topics.some(4)
        }
        schema = {"type": "object", "properties": fields, "required": list(fields)[:1]}
        return msgspec.json.format(msgspec.json.encode(schema), indent=0).decode()

    def _vector(self) -> list[str]:
        return [repr(self._dice.gauss(0, 0.03)) for _ in range(DIMENSIONS)]
