"""A check of a server.json without publishing it; removing versions."""

import gzip
import json
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest

from service.rules import declared_schema
from service.shape import check_shape
from tests.publish.conftest import SCHEMA, document, path_of
from tests.registry.conftest import serial_of
from tests.unit.test_serverjson import real_documents


async def verdict(client: httpx.AsyncClient, body: Any) -> dict[str, Any]:
    """What /validate says; without a key."""
    answer = await client.post("/v0/validate", json=body)
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


async def test_a_document_without_fault_is_valid(client: httpx.AsyncClient) -> None:
    assert await verdict(client, document()) == {"valid": True, "issues": []}


async def test_a_warning_leaves_it_valid(client: httpx.AsyncClient) -> None:
    older = document(**{"$schema": SCHEMA.replace("2025-12-11", "2025-10-17")})
    found = await verdict(client, older)
    assert found["valid"] is True
    (issue,) = found["issues"]
    assert (issue["severity"], issue["reference"]) == ("warning", "schema-outdated")


async def test_every_issue_is_listed_with_type_place_and_rule(
    client: httpx.AsyncClient,
) -> None:
    wrong = document(name=5, title=" ", version="1.x", websiteUrl="x")
    found = await verdict(client, wrong)
    assert found["valid"] is False
    issues = [(i["type"], i["path"], i["reference"]) for i in found["issues"]]
    assert issues == [
        ("schema", "name", "#/properties/name/type"),
        ("schema", "websiteUrl", "#/properties/websiteUrl/format"),
        ("semantic", "title", "title-blank"),
        ("semantic", "version", "version-range"),
        ("semantic", "websiteUrl", "website-https"),
    ]


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'{"a": "\\u0000"}'])
async def test_what_is_no_json_is_invalid_too(
    client: httpx.AsyncClient, content: bytes
) -> None:
    headers = {"Content-Type": "application/json"}
    for prefix in ("/v0", "/v0.1"):
        url = f"{prefix}/validate"
        answer = await client.post(url, content=content, headers=headers)
        assert answer.status_code == 200
        (issue,) = answer.json()["issues"]
        assert (issue["type"], issue["severity"]) == ("json", "error")


async def test_validating_and_publishing_agree_on_real_documents(
    client: httpx.AsyncClient, admin: dict[str, str], shared_data: Path
) -> None:
    documents = real_documents(shared_data)["official-2025-12-18.json.gz"][::60]
    documents += real_documents(shared_data)["examples.json.gz"]
    statuses = set()
    for found in documents:
        is_valid = (await verdict(client, found))["valid"]
        answer = await client.post("/v0/publish", json=found, headers=admin)
        is_accepted = answer.status_code in {200, 400}
        assert is_valid == is_accepted, (found["name"], answer.text)
        statuses.add(answer.status_code)
    assert statuses >= {200, 422}


@pytest.fixture(scope="session")
def published(shared_data: Path) -> dict[str, jsonschema_rs.Draft7Validator]:
    """Every schema that was published, by its version."""
    return {
        file.name.split(".")[2].split("_")[0]: jsonschema_rs.Draft7Validator(
            json.loads(gzip.decompress(file.read_bytes()))
        )
        for file in (shared_data / "schemas").glob("*.json.gz")
    }


def test_the_verdict_on_real_documents_is_that_of_every_published_schema(
    published: dict[str, jsonschema_rs.Draft7Validator], shared_data: Path
) -> None:
    assert len(published) == 7
    counts = []
    for documents in real_documents(shared_data).values():
        for version, official in published.items():
            ours = [not check_shape(found, version) for found in documents]
            assert ours == [official.is_valid(found) for found in documents], version
            counts.append(sum(ours))
    assert 0 < min(counts) < max(counts)


def test_real_documents_break_the_schema_that_they_name_in_known_numbers(
    shared_data: Path,
) -> None:
    documents = real_documents(shared_data)["official-2025-12-18.json.gz"]
    named = [(found, declared_schema(found)) for found in documents]
    broken = [d for d, version in named if version and check_shape(d, version)]
    assert len(broken) == 396


async def test_versions_are_not_removed(
    client: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    await client.post("/v0/publish", json=document(), headers=admin)
    before = await serial_of(client)
    for prefix in ("/v0", "/v0.1"):
        url = prefix + path_of(version="1.0.0")
        assert (await client.delete(url)).status_code == 401
        answer = await client.delete(url, headers=admin)
        assert answer.status_code == 501
        assert "deleted" in answer.json()["detail"]
    assert await serial_of(client) == before
