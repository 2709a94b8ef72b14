"""What is found wrong in a server.json, also compared with the official schema."""

import gzip
import json
import random
import time
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from service.rules import DEEPEST, check_meaning
from service.serverjson import check
from service.shape import MOST_PARTS, PUBLISHER, check_shape

Object = dict[str, Any]
SCHEMA = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"


def document(**changes: object) -> Object:
    """A document without fault, with some fields replaced or, by None, left out."""
    whole: Object = {
        "$schema": SCHEMA,
        "name": "io.example.weather/forecast",
        "title": "Forecast",
        "description": "Weather of the next days",
        "version": "1.0.0",
        "websiteUrl": "https://weather.example",
        "repository": {
            "url": "https://github.com/example-weather/forecast",
            "source": "github",
            "subfolder": "servers/forecast",
        },
        "icons": [{"src": "https://weather.example/i.png", "sizes": ["48x48", "any"]}],
        "packages": [package()],
        "remotes": [{"type": "sse", "url": "https://{region}.example/sse"}],
    }
    whole["remotes"][0]["variables"] = {"region": {"default": "eu"}}
    whole |= changes
    return {key: value for key, value in whole.items() if value is not None}


def package(**changes: object) -> Object:
    whole: Object = {
        "registryType": "npm",
        "identifier": "@example-weather/forecast",
        "version": "1.0.0",
        "transport": {"type": "streamable-http", "url": "http://127.0.0.1:{PORT}/mcp"},
        "environmentVariables": [{"name": "PORT", "format": "number"}],
        "packageArguments": [
            {"type": "named", "name": "--place", "value": "Rome"},
            {"type": "positional", "valueHint": "days"},
        ],
    }
    whole |= changes
    return {key: value for key, value in whole.items() if value is not None}


def shape(found: Object) -> list[tuple[str, str]]:
    return [(finding.path, finding.message) for finding in check_shape(found)]


def meaning(found: Object) -> list[tuple[str, str]]:
    return [(finding.reference, finding.path) for finding in check_meaning(found)]


def test_a_document_without_fault_has_no_findings() -> None:
    assert check(document()) == ()


def test_only_name_description_and_version_are_needed() -> None:
    bare = {"name": "a.b/c", "description": "d", "version": "auto"}
    assert check_shape(bare) == ()
    assert meaning(bare) == [("schema-required", "$schema"), ("name-parts", "name")]


@pytest.mark.parametrize(
    ("changes", "path", "message"),
    [
        ({"name": None}, "name", "is required"),
        ({"name": 5}, "name", "must be of type string"),
        ({"description": ""}, "description", "must have at least 1 characters"),
        ({"description": "x" * 101}, "description", "must have at most 100 characters"),
        ({"repository": {"url": "https://x"}}, "repository.source", "is required"),
        ({"websiteUrl": "weather"}, "websiteUrl", "must be an absolute uri"),
        (
            {"packages": [package(transport={"type": "sse"})]},
            "packages[0].transport.url",
            "is required",
        ),
        (
            {"packages": [package(version="latest")]},
            "packages[0].version",
            "must not be latest",
        ),
        (
            {
                "packages": [
                    package(),
                    package(packageArguments=[{"type": "positional"}]),
                ]
            },
            "packages[1].packageArguments[0]",
            "needs valueHint or value",
        ),
        (
            {"remotes": [{"type": "stdio", "url": "https://x"}]},
            "remotes[0].type",
            "must be one of streamable-http, sse",
        ),
        (
            {"icons": [{"src": "https://x", "sizes": ["big"]}]},
            "icons[0].sizes[0]",
            "must match ^([0-9]+x[0-9]+|any)$",
        ),
    ],
)
def test_the_shape_is_checked_with_the_place(
    changes: Object, path: str, message: str
) -> None:
    assert shape(document(**changes)) == [(path, message)]


@pytest.mark.parametrize(
    ("changes", "rule", "path"),
    [
        ({"$schema": None}, "schema-required", "$schema"),
        (
            {"$schema": SCHEMA.replace("2025-12-11", "2020-01-01")},
            "schema-unknown",
            "$schema",
        ),
        ({"name": "-a/bc"}, "name-parts", "name"),
        ({"name": "ab/c"}, "name-parts", "name"),
        ({"name": "ab/cd/ef"}, "name-parts", "name"),
        ({"title": "  "}, "title-blank", "title"),
        ({"description": " \t"}, "description-blank", "description"),
        ({"version": "latest"}, "version-latest", "version"),
        ({"websiteUrl": "http://weather.example"}, "website-https", "websiteUrl"),
        ({"websiteUrl": "https://a:99999/"}, "website-https", "websiteUrl"),
        (
            {"repository": {"url": "https://github.com/a", "source": "github"}},
            "repository-url",
            "repository.url",
        ),
        (
            {"repository": {"url": "https://git.example/a/b", "source": "gitea"}},
            "repository-source",
            "repository.source",
        ),
        ({"icons": [{"src": "data:image/png;base64,x"}]}, "icon-https", "icons[0].src"),
        (
            {"packages": [package(identifier="a b")]},
            "package-identifier",
            "packages[0].identifier",
        ),
        (
            {"packages": [package(identifier="")]},
            "package-identifier",
            "packages[0].identifier",
        ),
        (
            {"packages": [package(version=None)]},
            "package-version",
            "packages[0].version",
        ),
        (
            {"packages": [package(transport={"type": "stdio", "url": "http://x"})]},
            "transport-stdio-url",
            "packages[0].transport.url",
        ),
        (
            {"packages": [package(environmentVariables=[])]},
            "url-template",
            "packages[0].transport.url",
        ),
        (
            {"remotes": [{"type": "sse", "url": "https://{region}.example"}]},
            "url-template",
            "remotes[0].url",
        ),
        (
            {"remotes": [{"type": "sse", "url": "http://x.example"}]},
            "remote-https",
            "remotes[0].url",
        ),
        (
            {"remotes": [{"type": "sse", "url": "https://mcp.localhost:8/x"}]},
            "remote-local",
            "remotes[0].url",
        ),
        ({"_meta": {"com.example/own": {}}}, "meta-keys", "_meta"),
        (
            {
                "_meta": {
                    "io.modelcontextprotocol.registry/publisher-provided": "ä" * 2048
                }
            },
            "meta-size",
            "_meta",
        ),
    ],
)
def test_the_meaning_is_checked_with_rule_and_place(
    changes: Object, rule: str, path: str
) -> None:
    assert meaning(document(**changes)) == [(rule, path)]


@pytest.mark.parametrize(
    "version",
    [
        "1 || 2",
        "^1.2.3",
        "~1.2",
        ">=1.2.3",
        "<= 1",
        "> 1",
        "<2",
        "=1.0",
        "1.0 - 2.0",
        "1.x",
        "1.2.X",
        "1.*",
        "v1.x",
    ],
)
def test_a_range_is_no_version(version: str) -> None:
    assert meaning(document(version=version)) == [("version-range", "version")]


@pytest.mark.parametrize(
    "version", ["1.2.3", "auto", "2.1", "1.0.1º", "1.0.0-x", "2025-12-01", "1.2.xyz"]
)
def test_any_single_version_is_one(version: str) -> None:
    assert meaning(document(version=version)) == []


@pytest.mark.parametrize("subfolder", ["", "/a", "a/", "a//b", "a/../b", "./a", "a b"])
def test_a_subfolder_is_a_clean_path(subfolder: str) -> None:
    place = {"url": "https://github.com/a/b", "source": "github"}
    found = meaning(document(repository={**place, "subfolder": subfolder}))
    assert found == [("repository-subfolder", "repository.subfolder")]


@pytest.mark.parametrize(
    "url",
    [
        "javascript://github.com/a/b",
        "ftp://github.com/a/b",
        "https://somebody@github.com/a/b",
        "https://github.com:8443/a/b",
        "https://github.com/a/b?tab=readme",
        "https://github.com//a/b",
        "https://github.com.example/a/b",
    ],
)
def test_the_url_of_a_repository_leads_to_it_and_nowhere_else(url: str) -> None:
    found = meaning(document(repository={"url": url, "source": "github"}))
    assert found == [("repository-url", "repository.url")]


def test_the_usual_ways_to_name_a_repository_are_taken() -> None:
    github = {"url": "http://www.GitHub.com/a/b.git/", "source": "github"}
    gitlab = {"url": "https://gitlab.com/group/subgroup/b", "source": "gitlab"}
    for place in (github, gitlab):
        assert meaning(document(repository=place)) == []


def test_an_older_schema_is_only_a_warning() -> None:
    older = document(**{"$schema": SCHEMA.replace("2025-12-11", "2025-10-17")})
    (finding,) = check(older | {"remotes": []})
    assert (finding.severity, finding.type) == ("warning", "semantic")


def test_images_bundles_and_arguments_have_rules_of_their_own() -> None:
    image = package(registryType="oci", identifier="images.example/forecast")
    address = package(
        registryType="oci", identifier="https://a.example/b:1", version=None
    )
    bundle = package(registryType="mcpb", identifier="https://x.example/a.zip")
    odd = [{"type": "named", "name": "--a <b>", "value": "--a <b>=1"}]
    named = package(runtimeArguments=odd)
    found = meaning(document(packages=[image, bundle, named, address]))
    assert found == [
        ("package-image", "packages[0].identifier"),
        ("package-image-fields", "packages[0].version"),
        ("package-hash", "packages[1].fileSha256"),
        ("package-bundle-url", "packages[1].identifier"),
        ("package-image", "packages[3].identifier"),
        ("argument-name", "packages[2].runtimeArguments[0].name"),
        ("argument-value", "packages[2].runtimeArguments[0].value"),
    ]


def test_the_two_kinds_of_findings_can_be_told_apart() -> None:
    found = check(document(description="", title=" "))
    assert [(f.type, f.path) for f in found] == [
        ("schema", "description"),
        ("semantic", "title"),
    ]


def test_a_value_is_never_repeated_in_a_message() -> None:
    wrong = document(name={"secret": "hunter2"}, version=["hunter2"], remotes="hunter2")
    assert "hunter2" not in str(check(wrong))


@pytest.mark.parametrize("nothing", [None, 5, "x", [], True, 1.5])
def test_what_is_no_object_is_invalid(nothing: object) -> None:
    assert [f.message for f in check(nothing)] == ["must be of type object"]


def test_endless_findings_end() -> None:
    assert len(check(document(icons=[5] * 1000))) == 100


def test_a_document_that_would_take_long_to_check_is_not_checked() -> None:
    """Half a million errors take ten seconds to tell."""
    most = document(_meta={PUBLISHER: {"a": [0] * (MOST_PARTS - 100)}})
    assert [finding.reference for finding in check(most)] == ["meta-size"]
    for place in ("packages", "remotes", "icons"):
        began_at = time.perf_counter()
        (finding,) = check(document(**{place: [{}] * 300_000}))
        assert time.perf_counter() - began_at < 0.5
        assert (finding.severity, finding.path) == ("error", "")
        assert str(MOST_PARTS) in finding.message


@pytest.mark.parametrize("depth", [62, 63, 64, 1000])
def test_a_document_is_nested_to_a_bounded_depth(depth: int) -> None:
    inner: object = 1
    for _ in range(depth):
        inner = [inner]
    found = meaning(document(_meta={PUBLISHER: inner}))
    is_deep = depth + 2 > DEEPEST
    assert (("nesting", "") in found) == is_deep


def test_findings_that_cannot_be_told_are_a_finding() -> None:
    deep: Object = {}
    for _ in range(400):
        deep = {"a": deep}
    for odd in (document(title=deep), document(title="\ud800" * 101)):
        (finding,) = check_shape(odd)
        assert finding.message.startswith("cannot be checked: ")


def test_rules_bear_any_type_at_any_place() -> None:
    for odd in ODD_VALUES:
        for number, place in enumerate(containers(document(_meta={PUBLISHER: {}}))):
            for key in place if isinstance(place, dict) else range(len(place)):
                found = document(_meta={PUBLISHER: {}})
                [*containers(found)][number][key] = odd
                check(found)


@pytest.fixture(scope="session")
def official(shared_data: Path) -> jsonschema_rs.Draft7Validator:
    file = shared_data / "schemas" / "server.schema.2025-12-11.json.gz"
    return jsonschema_rs.Draft7Validator(json.loads(gzip.decompress(file.read_bytes())))


def real_documents(folder: Path) -> dict[str, list[Object]]:
    lists = {}
    for file in sorted((folder / "registry").glob("*.json.gz")):
        text = gzip.decompress(file.read_bytes()).decode("utf-8-sig")
        lists[file.name] = [item.get("server", item) for item in json.loads(text)]
    return lists


def test_the_verdict_is_that_of_the_official_schema(
    official: jsonschema_rs.Draft7Validator, shared_data: Path
) -> None:
    invalid = {}
    for name, documents in real_documents(shared_data).items():
        verdicts = [(official.is_valid(d), not check_shape(d)) for d in documents]
        assert [ours for _, ours in verdicts] == [theirs for theirs, _ in verdicts]
        invalid[name] = sum(not ours for _, ours in verdicts)
    assert invalid["official-2025-12-18.json.gz"] == 280


def test_the_verdict_is_the_same_for_damaged_documents(
    official: jsonschema_rs.Draft7Validator, shared_data: Path
) -> None:
    chance = random.Random(20251211)
    lists = real_documents(shared_data).values()
    documents = [d for each in lists for d in each if len(json.dumps(d)) > 1200]
    verdicts = []
    for _ in range(3000):
        damaged = damage(deepcopy(chance.choice(documents)), chance)
        verdicts.append(official.is_valid(damaged))
        assert verdicts[-1] == (not check_shape(damaged)), damaged
    assert 300 < sum(verdicts) < 2700


def damage(whole: Object, chance: random.Random) -> Object:
    """Replace or remove one value somewhere."""
    places = list(containers(whole))
    place = chance.choice([place for place in places if place])
    key = chance.choice(list(place) if isinstance(place, dict) else range(len(place)))
    if isinstance(place, dict) and chance.random() < 0.3:
        del place[key]
    else:
        place[key] = deepcopy(chance.choice(ODD_VALUES))
    return whole


def containers(value: object) -> Any:
    if isinstance(value, dict | list):
        yield value
        for inner in value.values() if isinstance(value, dict) else value:
            yield from containers(inner)


ODD_VALUES: list[object] = [
    "http://[x",
    [5],
    [[]],
    {"url": 5},
    None,
    True,
    0,
    1.5,
    "",
    "x",
    "latest",
    "named",
    "positional",
    "stdio",
    "sse",
    "https://a.b/c",
    "http://x y",
    "::",
    "a" * 101,
    "\u0661x2",
    [],
    {},
    ["a"],
    [{"name": "x"}],
    [{"type": "named", "name": "a"}],
    [{"type": "positional"}],
    {"type": "stdio"},
    {"a": {"format": "bogus"}},
]
