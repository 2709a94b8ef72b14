"""Which column of which table of the earlier MCPS becomes what here."""

from collections.abc import Mapping, Sequence

import msgspec

from service.importer import documents, values
from service.importer.values import Rule

MOST_ID = 2**53
LONGEST_URL = 2048
INT4 = {"least": -(2**31), "most": 2**31 - 1}
NEEDED_OF_SERVERS = ("id", "name", "primary_url", "created_at", "updated_at")
HOSTS = ("github", "gitlab", "npm", "pypi", "docker", "http", "unknown")
RISKS = ("safe", "moderate", "high", "critical", "unknown")

_ID = values.integer(default=None, least=1, most=MOST_ID)
_KEY = values.integer(default=None)
_COUNT = values.integer()
_TEXT = values.text()
_NEEDED = values.text(needed=True)
_FILLED = values.text(filled=True)
_URL = values.text(filled=True, most_bytes=LONGEST_URL)
_TIME = values.time()
_SINCE = values.time(needed=True)
_TIMES = {"created_at": _SINCE, "updated_at": _SINCE}


class Owner(msgspec.Struct, frozen=True):
    """The column that names the row of another table which a row belongs to."""

    column: str
    source: str


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """One table of the file and the table of the catalog that it goes to."""

    source: str
    target: str
    columns: Mapping[str, Rule]
    needed: Sequence[str]
    """Columns without which this is another table of the same name."""
    renamed: Mapping[str, str] = {}
    """Names here, where they differ."""
    natural: str | None = None
    """The column that tells rows apart in the whole catalog."""
    owner: Owner | None = None


def _child(
    source: str, needed: Sequence[str], *, target: str = "", **columns: Rule
) -> Table:
    return Table(
        source=source,
        target=target or source,
        columns={**_TIMES, "id": _ID, "server_id": _KEY, **columns},
        needed=("id", "server_id", *needed),
        owner=Owner("server_id", "server"),
    )


TABLES: tuple[Table, ...] = (
    Table(
        source="server",
        target="server",
        columns={
            **_TIMES,
            "id": _ID,
            "uuid": values.UUID,
            "name": _FILLED,
            "primary_url": _URL,
            "host_type": values.word(*HOSTS, default="unknown"),
            **dict.fromkeys(
                ("description", "author_name", "homepage", "license", "readme_content"),
                _TEXT,
            ),
            "keywords": documents.LIST,
            "categories": documents.LIST,
            **dict.fromkeys(("stars", "downloads", "forks", "open_issues"), _COUNT),
            "risk_level": values.word(*RISKS, default="unknown"),
            "verified_source": values.BOOLEAN,
            "health_score": values.integer(**INT4),
            "last_indexed_at": _TIME,
        },
        needed=NEEDED_OF_SERVERS,
        natural="primary_url",
    ),
    _child(
        "tool", ("name",), name=_NEEDED, description=_TEXT, input_schema=documents.JSON
    ),
    Table(
        source="toolembedding",
        target="tool_embedding",
        columns={
            "id": _ID,
            "tool_id": _KEY,
            "vector": documents.EMBEDDING,
            "model_name": _NEEDED,
        },
        needed=("id", "tool_id", "vector", "model_name"),
        renamed={"vector": "embedding"},
        natural="tool_id",
        owner=Owner("tool_id", "tool"),
    ),
    _child(
        "resourcetemplate",
        ("uri_template",),
        target="resource_template",
        uri_template=_NEEDED,
        name=_TEXT,
        mime_type=_TEXT,
        description=_TEXT,
    ),
    _child(
        "prompt", ("name",), name=_NEEDED, description=_TEXT, arguments=documents.JSON
    ),
    _child(
        "dependency",
        ("library_name", "ecosystem"),
        library_name=_NEEDED,
        version_constraint=_TEXT,
        ecosystem=_NEEDED,
        type=values.word("runtime", "dev", "peer", default="runtime"),
    ),
    _child(
        "release",
        ("version", "published_at"),
        version=_NEEDED,
        changelog=_TEXT,
        published_at=_SINCE,
    ),
    _child(
        "contributor",
        ("username", "platform"),
        username=_NEEDED,
        platform=_NEEDED,
        commits=_COUNT,
    ),
    Table(
        source="processinglog",
        target="processing_log",
        columns={
            **_TIMES,
            "id": _ID,
            "url": _URL,
            "status": _NEEDED,
            "attempts": values.integer(**INT4),
            "last_attempt_at": _TIME,
            "error_message": _TEXT,
        },
        needed=("id", "url", "status"),
        natural="url",
    ),
)
