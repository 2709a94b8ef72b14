"""The records of a made-up catalog, by table, in an order that foreign keys allow."""

import hashlib
import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import msgspec

from ops.benchmarks import words
from ops.benchmarks.catalog import NOW, Catalog, Entry
from service.versions import precedence

Record = dict[str, object]

DIMENSIONS = 1536
TOOLS = 10
_HOSTS = ("github", "gitlab", "npm", "pypi", "docker", "http")
_HOST_WEIGHTS = (70, 3, 12, 8, 3, 4)
_RISKS = ("safe", "moderate", "high", "critical", "unknown")
_LICENSES = ("MIT", "Apache-2.0", "GPL-3.0", "BSD-3-Clause", None)
_INPUT_SCHEMA = {
    "type": "object",
    "properties": {
        "query": {"type": "string", "description": "What to look for"},
        "limit": {"type": "integer", "minimum": 1, "maximum": 100, "default": 10},
    },
    "required": ["query"],
}


def tables(catalog: Catalog) -> Iterator[tuple[str, Iterator[Record]]]:
    """The name and the records of each table."""
    yield "server", _servers(catalog)
    yield "server_version", _versions(catalog)
    yield "tool", _tools(catalog)
    yield "tool_embedding", _embeddings(catalog)
    yield "resource_template", _resources(catalog)
    yield "prompt", _prompts(catalog)
    yield "dependency", _dependencies(catalog)
    yield "release", _releases(catalog)
    yield "contributor", _contributors(catalog)


def _servers(catalog: Catalog) -> Iterator[Record]:
    dice = catalog.dice
    paragraphs = [" ".join(dice.choices(words.SENTENCES, k=6)) for _ in range(60)]
    for entry in catalog.entries:
        readme = [f"# {entry.title}", *dice.choices(paragraphs, k=6)]
        latest_at = entry.published_at + timedelta(days=entry.versions)
        yield {
            "id": entry.id,
            "uuid": uuid.UUID(int=dice.getrandbits(128), version=4),
            "registry_name": entry.registry_name,
            "name": entry.name,
            "title": entry.title,
            "primary_url": entry.repository,
            "host_type": dice.choices(_HOSTS, _HOST_WEIGHTS)[0],
            "description": entry.description,
            "author_name": entry.owner,
            "homepage": dice.choice((None, f"https://{entry.id}.example.com")),
            "license": dice.choice(_LICENSES),
            "readme_content": "\n\n".join(readme),
            "keywords": _json(catalog.topics.some(4)),
            "categories": _json(catalog.topics.some(1)),
            **_counters(catalog),
            "risk_level": dice.choice(_RISKS),
            "verified_source": dice.random() < 0.1,
            "latest_version": _version_text(entry.versions),
            "last_indexed_at": NOW - timedelta(minutes=dice.randrange(400_000)),
            "created_at": entry.published_at,
            "updated_at": latest_at + timedelta(microseconds=entry.id),
        }


def _counters(catalog: Catalog) -> Record:
    """Most servers have few stars, a few have many."""
    dice = catalog.dice
    stars = min(int(dice.paretovariate(0.7)) - 1, 90_000)
    return {
        "stars": stars,
        "downloads": dice.randrange(50_000),
        "forks": stars // 8,
        "open_issues": dice.randrange(60),
        "health_score": dice.randrange(101),
    }


def _versions(catalog: Catalog) -> Iterator[Record]:
    for entry in catalog.entries:
        for number in range(1, entry.versions + 1):
            version = _version_text(number)
            document = _json(_server_json(entry, version))
            at = entry.published_at + timedelta(days=number)
            yield {
                "server_id": entry.id,
                "registry_name": entry.registry_name,
                "version": version,
                "document": document,
                "status": "active" if catalog.dice.random() > 0.02 else "deprecated",
                "published_at": at,
                "updated_at": at,
                "status_changed_at": at,
                "is_latest": number == entry.versions,
                "precedence": precedence(version, at.isoformat()),
                "content_hash": hashlib.sha256(document.encode()).digest(),
            }


def _server_json(entry: Entry, version: str) -> dict[str, Any]:
    """The document of one version, as a publisher would send it."""
    variable = {
        "name": "SERVICE_API_KEY",
        "description": "The key of the upstream service",
        "isRequired": True,
        "isSecret": True,
        "format": "string",
    }
    package = {
        "registryType": "oci",
        "identifier": f"containers.example.com/{entry.owner}/{entry.name}",
        "version": version,
        "runtimeHint": "docker",
        "transport": {"type": "stdio"},
        "environmentVariables": [variable],
    }
    remote = {
        "type": "streamable-http",
        "url": f"https://{entry.id}.example.com/mcp",
        "headers": [{"name": "Authorization", "isRequired": True, "isSecret": True}],
    }
    return {
        "$schema": "https://example.com/schemas/server.schema.json",
        "name": entry.registry_name,
        "title": entry.title,
        "description": entry.description,
        "version": version,
        "repository": {"url": entry.repository, "source": "github"},
        "packages": [package],
        "remotes": [remote],
    }


def _tools(catalog: Catalog) -> Iterator[Record]:
    schema = _json(_INPUT_SCHEMA)
    for server in catalog.size.parents:
        for _ in range(TOOLS):
            topic, other = catalog.topics.some(2)
            verb = catalog.dice.choice(words.VERBS)
            yield {
                "server_id": server,
                "name": f"{verb.lower()}_{topic}",
                "description": f"{verb} {topic} by {other}; gives at most 100.",
                "input_schema": schema,
            }


def _embeddings(catalog: Catalog) -> Iterator[Record]:
    count = min(catalog.size.embeddings, TOOLS * len(catalog.size.parents))
    for tool in range(1, count + 1):
        vector = [catalog.dice.uniform(-1, 1) for _ in range(DIMENSIONS)]
        yield {"tool_id": tool, "model_name": "made-up", "embedding": vector}


def _resources(catalog: Catalog) -> Iterator[Record]:
    for server in catalog.size.parents:
        for topic in catalog.topics.some(2):
            yield {
                "server_id": server,
                "uri_template": f"{topic}://{{id}}",
                "name": topic,
                "mime_type": "text/plain",
            }


def _prompts(catalog: Catalog) -> Iterator[Record]:
    for server in catalog.size.parents:
        for topic in catalog.topics.some(2):
            yield {"server_id": server, "name": f"explain_{topic}"}


def _dependencies(catalog: Catalog) -> Iterator[Record]:
    for server in catalog.size.parents:
        for topic in catalog.topics.some(6):
            yield {
                "server_id": server,
                "library_name": f"{topic}-client",
                "version_constraint": ">=1,<3",
                "ecosystem": "pypi",
            }


def _releases(catalog: Catalog) -> Iterator[Record]:
    for server in catalog.size.parents:
        entry = catalog.entries[server - 1]
        for number in range(1, 4):
            yield {
                "server_id": server,
                "version": _version_text(number),
                "changelog": words.SENTENCES[number],
                "published_at": entry.published_at + timedelta(days=number),
            }


def _contributors(catalog: Catalog) -> Iterator[Record]:
    for server in catalog.size.parents:
        for name in catalog.dice.sample(catalog.owners, 3):
            commits = catalog.dice.randrange(500)
            yield {
                "server_id": server,
                "username": name,
                "platform": "github",
                "commits": commits,
            }


def _version_text(number: int) -> str:
    """The nth version of a server."""
    return f"{1 + number // 20}.{number % 20}.0"


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
