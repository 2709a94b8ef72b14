"""Registry names and version documents of servers that had none."""

import msgspec
import pytest

from service.importer.naming import Shown, named, registry_name
from service.shape import check_shape


def shown(url: str, **fields: str | None) -> Shown:
    given: dict[str, str | None] = {
        "name": "A server",
        "description": None,
        "homepage": None,
        "created_at": "2025-01-02 03:04:05+00",
        "release": None,
        **fields,
    }
    return Shown(primary_url=url, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://github.com/owner/repo", "io.github.owner/repo"),
        ("https://github.com/Owner/Re.po_1", "io.github.Owner/Re.po_1"),
        ("https://gitlab.com/owner/repo", "io.gitlab.owner/repo"),
        ("https://mcp.example.org/search", "org.example.mcp/search"),
        ("npm://left-pad", "npm.package/left-pad"),
        ("pypi://mcp_tools", "pypi.package/mcp_tools"),
    ],
)
def test_a_name_tells_its_url(url: str, name: str) -> None:
    assert registry_name(url)[0] == name


@pytest.mark.parametrize(
    ("url", "start"),
    [
        ("https://github.com/owner/repo/", "io.github.owner/repo-"),
        ("http://github.com/owner/repo", "io.github.owner/repo-"),
        ("HTTPS://GITHUB.COM/OWNER/REPO", "io.github.OWNER/REPO-"),
        (
            "https://github.com/owner/repo/tree/main/sub",
            "io.github.owner/repo-tree-main-sub-",
        ),
        ("https://github.com/my_owner/repo", "io.github.my-owner/repo-"),
        ("https://github.com/owner", "com.github/owner"),
        ("https://host.example", "example.host/server-"),
        ("npm://@scope/name", "npm.scope/name-"),
        ("https://[::1", ""),
        ("nothing at all", ""),
        ("東京://ラボ", ""),
        ("https://x/" + "a" * 500, "x/aaa"),
    ],
)
def test_every_other_url_gets_a_name_that_nobody_else_has(url: str, start: str) -> None:
    name, digits = registry_name(url)
    assert name.startswith(start)
    document = msgspec.json.decode(
        '{"name":"' + name + '",' + named(shown(url)).document
    )
    assert check_shape(document) == ()
    assert len(digits) == 8


def test_no_two_urls_get_the_same_name() -> None:
    urls = [
        f"{scheme}://{host}/{owner}/repo{end}"
        for scheme in ("https", "http", "HTTPS", "git")
        for host in ("github.com", "GitHub.com", "gitlab.com", "example.org")
        for owner in ("a", "A", "a_b", "a-b", "é", "è", "a/b")
        for end in ("", "/", ".git", "?q=1", "#x")
    ]
    assert len({registry_name(url)[0] for url in urls}) == len(urls)


@pytest.mark.parametrize(
    ("release", "version"),
    [
        ("1.2.3", "1.2.3"),
        ("v2", "v2"),
        (None, "0.0.0"),
        ("", "0.0.0"),
        ("a b", "0.0.0"),
        ("x" * 256, "0.0.0"),
    ],
)
def test_the_version_is_that_of_the_newest_release(
    release: str | None, version: str
) -> None:
    made = named(shown("https://github.com/o/r", release=release))
    assert made.latest_version == version


def test_a_document_says_where_the_server_is_and_breaks_no_rule() -> None:
    made = named(
        shown(
            "https://github.com/o/r",
            name="N" * 300,
            description="word " * 100,
            homepage="https://example.org",
        )
    )
    document = msgspec.json.decode(
        '{"name":"' + made.registry_name + '",' + made.document
    )
    assert check_shape(document) == ()
    assert document["repository"] == {
        "url": "https://github.com/o/r",
        "source": "github",
    }
    assert document["websiteUrl"] == "https://example.org"
    assert len(document["title"]) == len(document["description"]) == 100


def test_a_package_is_named_as_one() -> None:
    made = named(shown("npm://@scope/name"))
    document = msgspec.json.decode('{"name":"a/b",' + made.document)
    assert document["packages"][0]["identifier"] == "@scope/name"
    assert document["packages"][0]["registryType"] == "npm"
    assert check_shape(document) == ()
