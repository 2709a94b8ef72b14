"""What a server shows of its server.json, and where it is at home."""

from typing import Any

import pytest

from service.profile import Profile, base_url, read_profile

NAME = "io.example/forecast"
PUBLISHER = "io.modelcontextprotocol.registry/publisher-provided"


def at(url: object, **more: object) -> dict[str, Any]:
    return {"repository": {"url": url, "source": "github", **more}}


def profile(document: dict[str, Any], meta: dict[str, Any] | None = None) -> Profile:
    return read_profile(NAME, document, meta or {})


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/a/b",
        "http://github.com/a/b",
        "https://GitHub.com/a/b/",
        "https://www.github.com/a/b.git",
        "git+https://github.com/a/b.git",
        "git://github.com/a/b",
        "ssh://git@github.com/a/b.git",
        "git@github.com:a/b.git",
        "github.com/a/b",
        "https://user:secret@github.com/a/b",
        "https://github.com/a/b?tab=readme#top",
        "  https://github.com/a/b ",
    ],
)
def test_one_repository_has_one_url(url: str) -> None:
    assert base_url(NAME, at(url)) == "https://github.com/a/b"


@pytest.mark.parametrize(
    ("subfolder", "end"),
    [
        ("src/x", "/tree/HEAD/src/x"),
        ("/src//x/", "/tree/HEAD/src/x"),
        ("./x", "/tree/HEAD/x"),
        ("a b", "/tree/HEAD/a%20b"),
        (".", ""),
        ("", ""),
        (None, ""),
        (5, ""),
    ],
)
def test_a_subfolder_is_part_of_the_url(subfolder: object, end: str) -> None:
    url = base_url(NAME, at("https://github.com/a/b", subfolder=subfolder))
    assert url == "https://github.com/a/b" + end


def test_the_order_is_repository_remote_website_name() -> None:
    document = at("https://github.com/a/b") | {
        "remotes": [{"url": "https://r.example/mcp"}, {"url": "https://s.example"}],
        "websiteUrl": "https://w.example",
    }
    bases = []
    for key in ("repository", "remotes", "websiteUrl", "nothing"):
        bases.append(base_url(NAME, document))
        document.pop(key, None)
    assert bases == [
        "https://github.com/a/b",
        "https://r.example/mcp",
        "https://w.example",
        f"mcp://{NAME}",
    ]


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,a", "a/b"])
def test_what_is_no_address_on_the_web_is_no_link(url: str) -> None:
    document = {"remotes": [{"type": "sse", "url": url}], "websiteUrl": url}
    assert base_url(NAME, document) == f"mcp://{NAME}"
    assert profile(document).homepage is None


@pytest.mark.parametrize(
    "url",
    [
        "",
        5,
        None,
        "owner/name",
        "https://github.com",
        "https://github.com/",
        "https:///a/b",
        "ftp://x.example/a",
        "https://[x/a",
        "https://x.example/a b",
        "https://x.example/" + "a" * 1000,
        {},
    ],
)
def test_what_is_no_repository_is_passed_over(url: object) -> None:
    assert base_url(NAME, at(url)) == f"mcp://{NAME}"


@pytest.mark.parametrize(
    ("document", "host_type"),
    [
        (at("https://github.com/a/b"), "github"),
        (at("https://gitlab.com/a/b/c"), "gitlab"),
        ({"packages": [{"registryType": "npm"}]}, "npm"),
        ({"packages": [5, {"registryType": "mcpb"}, {"registryType": "pypi"}]}, "pypi"),
        ({"packages": [{"registryType": "oci"}], "remotes": [{"url": "x"}]}, "docker"),
        (at("https://x.example/a") | {"remotes": [{"url": "https://x"}]}, "http"),
        ({"packages": [{"registryType": "nuget"}]}, "unknown"),
        ({"packages": {}, "remotes": 5, "repository": []}, "unknown"),
    ],
)
def test_the_host_type_follows_repository_package_remote(
    document: dict[str, Any], host_type: str
) -> None:
    assert profile(document).host_type == host_type


@pytest.mark.parametrize(
    ("name", "shown"),
    [("a/b", "b"), ("a/b/c", "c"), ("plain", "plain"), ("a/", "a"), ("/", "/")],
)
def test_the_name_is_the_part_behind_the_slash(name: str, shown: str) -> None:
    assert read_profile(name, {}, {}).name == shown


def test_a_description_is_never_empty() -> None:
    assert profile({"description": "d", "title": "t"}).description == "d"
    assert profile({"description": " ", "title": "t"}).description == "t"
    assert profile({"description": 5}).description == "forecast"


def test_long_texts_are_cut() -> None:
    found = profile({"title": "t" * 5000, "description": "d" * 50_000})
    assert (len(found.title or ""), len(found.description)) == (1000, 10_000)


GITHUB = {
    "stargazerCount": 1234,
    "forks_count": 5,
    "license": {"spdxId": "MIT"},
    "topics": ["weather", " weather ", "", 5, "climate"],
    "readme": "# Forecast",
}


@pytest.mark.parametrize("is_inside", [True, False])
def test_what_the_publisher_adds_is_shown(*, is_inside: bool) -> None:
    added = {PUBLISHER: {"github": GITHUB, "categories": ["science"]}}
    document = at("https://github.com/someone/b")
    found = (
        profile(document | {"_meta": added}) if is_inside else profile(document, added)
    )
    assert (found.stars, found.forks, found.open_issues) == (1234, 5, None)
    assert (found.license, found.readme_content) == ("MIT", "# Forecast")
    assert found.keywords == ["weather", "climate"]
    assert found.categories == ["science"]
    assert found.author_name == "someone"


@pytest.mark.parametrize("stars", [-1, 2**63, True, "5", 1.5, None])
def test_a_count_is_a_number_that_can_be_stored(stars: object) -> None:
    block = {PUBLISHER: {"github": {"stargazerCount": stars}}}
    assert profile({"_meta": block}).stars is None
