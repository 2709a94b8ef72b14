"""What package.json, METADATA, pyproject.toml and READMEs say."""

import pytest

from service.errors import SourceFailed
from service.models_harvest import FoundDependency, FoundTool
from service.sources import clean
from service.sources.package_json import (
    dependencies,
    line_of,
    listed_tools,
    package_risks,
    read_json,
)
from service.sources.python_metadata import dependencies as python_dependencies
from service.sources.python_metadata import (
    headers,
    latest_version,
    project_requirements,
    project_table,
    sorted_versions,
)
from service.sources.python_metadata import package_risks as python_risks
from service.sources.readmes import claimed_name
from service.sources.weights import MOST_ASKED, Weights

PACKAGE = b"""{
  "name": "x",
  "keywords": ["install"],
  "scripts": {
    "build": "tsc",
    "postinstall": "node setup.js",
    "prepare": "husky"
  },
  "dependencies": {"a": "^1.0.0"},
  "optionalDependencies": {"b": "2"},
  "peerDependencies": {"c": ">=3", "a": "1"},
  "devDependencies": {"d": "workspace:*", "e": 5}
}
"""


def test_dependencies_of_npm_have_their_types() -> None:
    found = dependencies(read_json(PACKAGE))
    assert [(d.library_name, d.version_constraint, d.type) for d in found] == [
        ("a", "^1.0.0", "runtime"),
        ("b", "2", "runtime"),
        ("c", ">=3", "peer"),
        ("d", "workspace:*", "dev"),
        ("e", None, "dev"),
    ]


def test_scripts_that_run_at_installation_are_told_with_their_line() -> None:
    document = read_json(PACKAGE)
    found = list(package_risks(document, {"package.json": PACKAGE}, "2 runtime"))
    assert [(risk.kind, risk.line, risk.detail) for risk in found] == [
        ("install_script", 6, "postinstall: node setup.js"),
        ("dependencies", 9, "2 runtime"),
    ]


def test_a_native_part_that_is_built_at_installation_is_told() -> None:
    files = {"package.json": b"{}", "binding.gyp": b"{}"}
    first, _ = package_risks({}, files, "")
    assert (first.kind, first.file) == ("install_script", "binding.gyp")


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"{", b"\xff", b"[" * 100_000, b'{"scripts": []}', b"null"]
)
def test_a_broken_package_json_says_nothing(text: bytes) -> None:
    document = read_json(text)
    assert dependencies(document) == []
    assert len(list(package_risks(document, {"package.json": text}, ""))) == 1


async def test_the_weight_of_dependencies_is_asked_for_once() -> None:
    asked = []

    async def ask(name: str) -> int | None:
        asked.append(name)
        if name == "broken":
            message = "broken"
            raise SourceFailed(message, reason="unavailable")
        return {"a": 1_000_000, "b": 2_345_000}.get(name)

    weights = Weights(ask)
    found = dependencies(read_json(PACKAGE))
    assert await weights.told(found) == "2 runtime, 1 peer, 2 dev; 3345 kB"
    assert await weights.told(found) == "2 runtime, 1 peer, 2 dev; 3345 kB"
    assert asked == ["a", "b"]
    odd = [
        FoundDependency(library_name=name, ecosystem="npm")
        for name in ("a", "broken", "unheard")
    ]
    assert await weights.told(odd) == "3 runtime; 1000 kB, 2 unknown"
    assert await weights.told(odd[1:]) == "2 runtime"
    assert await weights.told([]) == "0 runtime"
    many = [FoundDependency(library_name=f"m{n}", ecosystem="npm") for n in range(99)]
    await weights.told(many)
    assert len([name for name in asked if name.startswith("m")]) == MOST_ASKED


def test_lines_are_counted_inside_of_their_keys() -> None:
    text = '{\n"install": 1,\n"scripts":\n{"install": 2}}'
    assert line_of(text, "scripts", "install") == 4
    assert line_of(text, "scripts", "none") == 0


def test_the_tools_of_a_manifest_are_read() -> None:
    listed = [{"name": "a", "description": "A."}, {"name": ""}, "b", {"name": "c"}]
    expected = [FoundTool(name="a", description="A."), FoundTool(name="c")]
    assert listed_tools({"tools": listed}) == expected
    assert listed_tools({"mcp": {"tools": listed}}) == expected
    assert listed_tools({"tools": {"a": 1}, "mcp": []}) == []


def test_requirements_of_python_are_read_by_their_standard() -> None:
    found = python_dependencies(
        [
            "mcp<3,>=2.3",
            "Pydantic[email] >= 2; python_version > '3.8'",
            "pytest ; extra == 'dev'",
            "torch ; extra == 'gpu'",
            "mcp==1",
            "not a requirement !!",
            7,
            "x" * 5000,
            "pkg @ https://example.org/pkg.whl",
        ]
    )
    assert found == [
        FoundDependency(
            library_name="mcp", version_constraint="<3,>=2.3", ecosystem="pypi"
        ),
        FoundDependency(
            library_name="Pydantic", version_constraint=">=2", ecosystem="pypi"
        ),
        FoundDependency(library_name="pytest", ecosystem="pypi", type="dev"),
        FoundDependency(library_name="pkg", ecosystem="pypi"),
    ]


def test_a_project_table_gives_the_same_requirements() -> None:
    text = b"""
        [project]
        dependencies = ["mcp>=1", "httpx; sys_platform == 'win32'"]
        [project.optional-dependencies]
        test = ["pytest>=8", "x ; sys_platform == 'linux'"]
        gpu = ["torch"]
    """
    found = python_dependencies(project_requirements(project_table(text)))
    assert [(d.library_name, d.type) for d in found] == [
        ("mcp", "runtime"),
        ("httpx", "runtime"),
        ("pytest", "dev"),
        ("x", "dev"),
    ]
    assert project_table(b"[project") == {}
    assert project_table(b"project = 1") == {}
    assert project_requirements({"dependencies": "x"}) == []


def test_versions_of_python_are_sorted_as_versions() -> None:
    given = ["1.10", "1.9", "2.0rc1", "1.10.post1", "odd one", "1!0.1", "2.0.dev3"]
    assert sorted_versions(given) == [
        *("odd one", "1.9", "1.10", "1.10.post1", "2.0.dev3", "2.0rc1", "1!0.1"),
    ]
    assert latest_version(["1.9", "1.10", "2.0rc1"]) == "1.10"
    assert latest_version(["2.0a1", "2.0rc1"]) == "2.0rc1"
    assert latest_version([]) is None


def test_metadata_is_read_with_its_text() -> None:
    data = (
        "Metadata-Version: 2.4\nName: x\nAuthor: Jörg\nRequires-Dist: a>1\n"
        "Requires-Dist: b\n\n# Größe\n\nmcp-name: io.github.a/b\n"
    ).encode()
    found = headers(data)
    assert found["requires-dist"] == ["a>1", "b"]
    assert found["author"] == ["Jörg"]
    assert found["description"][0].startswith("# Größe")
    assert headers(b"\xff\0 no fields") is not None


def test_what_python_runs_unasked_is_told() -> None:
    files = {
        "setup.py": b"",
        "a.pth": b"/path\nimport os; os.system('x')\n",
        "important.pth": b"important\n",
    }
    found = list(python_risks(files, "0 runtime"))
    assert [(risk.kind, risk.file, risk.line) for risk in found] == [
        ("install_script", "setup.py", 1),
        ("install_script", "a.pth", 2),
        ("dependencies", "", 0),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# A\n\nmcp-name: io.github.a/b\n", "io.github.a/b"),
        ("<!-- mcp-name: io.github.a/b -->", "io.github.a/b"),
        ("<!--mcp-name: io.github.a/b-->", "io.github.a/b"),
        ("`mcp-name:  com.example/x.y_z`", "com.example/x.y_z"),
        ("mcp-name: none", None),
        ("my-mcp-names: a/b", None),
        ("mcp-name:\nio.github.a/b", None),
        ("", None),
    ],
)
def test_a_readme_claims_a_name(text: str, expected: str | None) -> None:
    assert claimed_name(text) == expected


@pytest.mark.parametrize(
    ("url", "folder", "expected"),
    [
        ("git+https://github.com/A/b.git", None, "https://github.com/A/b"),
        ("git://GitHub.com/a/b.git/", None, "https://github.com/a/b"),
        ("git@github.com:a/b.git", None, "https://github.com/a/b"),
        ("ssh://git@github.com/a/b", None, "https://github.com/a/b"),
        ("github:a/b", None, "https://github.com/a/b"),
        ("gitlab:a/b", None, "https://gitlab.com/a/b"),
        ("a/b", "src/x/", "https://github.com/a/b/tree/HEAD/src/x"),
        (
            "https://www.github.com/a/b",
            "./a b",
            "https://github.com/a/b/tree/HEAD/a%20b",
        ),
        ("https://user:pw@host.example/a", None, "https://host.example/a"),
        ("javascript:alert(1)", None, None),
        ("file:///etc/passwd", None, None),
        ("https://[bad", None, None),
        ("https://host.example/a\nb", None, None),
        ("", None, None),
        (7, None, None),
    ],
)
def test_repositories_are_named_in_one_form(
    url: object, folder: object, expected: str | None
) -> None:
    assert clean.repository_url(url, folder) == expected


def test_values_of_others_are_made_fit_or_left_out() -> None:
    assert clean.text("  a\0\ud800b ") == "a\ufffd\ufffdb"
    assert clean.text(["a"]) is None
    assert clean.label("x" * 600) == "x" * 512
    assert clean.words(["a", "a", 1, " b ", ""]) == ["a", "b"]
    assert clean.words("a, b,,c") == ["a", "b", "c"]
    assert clean.words({"a": 1}) == []
    assert [clean.known(clean.count(n)) for n in (5, 0)] == [5, 0]
    assert not any(isinstance(clean.count(n), int) for n in (-1, True, "5", 2**63, 1.5))
    assert clean.time("2026-01-02T03:04:05+02:00") == "2026-01-02T01:04:05.000000Z"
    assert clean.time("2026-01-02T03:04:05Z") == "2026-01-02T03:04:05.000000Z"
    assert [clean.time(t) for t in ("yesterday", 5, "0001-01-01T00:00:00+09:00")] == [
        None
    ] * 3
    assert clean.registry_name("io.github.a/b") == "io.github.a/b"
    assert [clean.registry_name(n) for n in ("a/b/c", "ab", "a b/c", None)] == [
        None
    ] * 4
