"""What no file of the project holds: index hosts, paths of one machine; the README."""

import re

import pytest

from tests.house.tree import ROOT, texts

README_WORDS = 600


def _host(*parts: str) -> str:
    return re.escape(".".join(parts))


# Put together here, so that this file passes its own test.
_HOSTS = [
    _host("pypi", "org"),
    _host("pypi", "python", "org"),
    _host("pythonhosted", "org"),
    _host("npmjs", "org"),
    _host("npmjs", "com"),
    _host("yarnpkg", "com"),
    _host("crates", "io"),
    _host("rubygems", "org"),
    _host("nuget", "org"),
    _host("packagist", "org"),
    _host("anaconda", "org"),
    _host("proxy", "golang", "org"),
    _host("docker", "io"),
    _host("hub", "docker", "com"),
    _host("ghcr", "io"),
    _host("quay", "io"),
]
HOST = re.compile(
    r"(?<![\w-])(?:[\w-]+\.)*(?:" + "|".join(_HOSTS) + r")(?![\w-])", re.IGNORECASE
)
INDEX = re.compile(r"--?(?:extra-)?index-" + r"url|PIP_(?:EXTRA_)?INDEX" + r"_URL")
MACHINE = re.compile(
    r"(?<![\w.$}])/(?:"
    + "|".join(["wo" + "rk/", "ro" + "ot/", "home" + "/", "Users" + "/"])
    + r")\w"
)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+\s+(.*)$", re.MULTILINE)


def foreign(path: str, text: str) -> list[str]:
    """Lines that name a package index or a folder of one machine."""
    return [
        f"{path}:{i}: {match[0]}"
        for i, line in enumerate(text.splitlines(), 1)
        for rule in (HOST, INDEX, MACHINE)
        if (match := rule.search(line))
    ]


def dead_links(path: str, text: str) -> list[str]:
    """Links of a document to files or headings that are not there."""
    found = []
    for target in _LINK.findall(text):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        file = (ROOT / path).parent / name if name else ROOT / path
        if not file.exists():
            found.append(f"{path}: {target} is not there")
        elif anchor and anchor not in anchors(file.read_text(encoding="utf-8")):
            found.append(f"{path}: {target} has no such heading")
    return found


def anchors(text: str) -> set[str]:
    """The names that the headings of a document can be linked by."""
    titles = (title.strip().lower() for title in _HEADING.findall(text))
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in titles}


def unlocked(text: str) -> list[str]:
    """Lines of a lock file that are not a version with hashes."""
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        is_pin = re.match(r"[a-z0-9._-]+(\[[a-z,]+\])?==\S+ ", line)
        if not line.startswith("#") and line.strip() and not is_pin:
            found.append(f"not a version: {line[:60]}")
        elif is_pin and "--hash=sha256:" not in line:
            found.append(f"without a hash: {line[:60]}")
    return [*found, *re.findall(r"\w+://\S+", text)]


def test_no_file_names_a_package_index_or_a_folder_of_one_machine() -> None:
    assert [b for path, text in texts() for b in foreign(path, text)] == []


@pytest.mark.parametrize("name", sorted(p.name for p in ROOT.glob("ops/*.txt")))
def test_every_locked_dependency_has_hashes_and_no_url(name: str) -> None:
    assert unlocked((ROOT / "ops" / name).read_text(encoding="utf-8")) == []


def test_the_readme_is_short() -> None:
    words = (ROOT / "README.md").read_text(encoding="utf-8").split()
    assert len(words) <= README_WORDS


def test_every_link_in_a_document_leads_somewhere() -> None:
    documents = [(p, text) for p, text in texts() if p.endswith(".md")]
    assert documents
    assert [b for path, text in documents for b in dead_links(path, text)] == []


@pytest.mark.parametrize(
    "text",
    [
        "https://registry." + "npmjs" + ".org/x",
        "see " + "PyPI" + ".org",
        "image: " + "ghcr" + ".io/a/b",
        "pip install --index-" + "url x",
        "cd /" + "work/main",
        "open('/" + "home/me/file')",
    ],
)
def test_the_rule_sees_what_does_not_belong_here(text: str) -> None:
    assert foreign("f", text)


@pytest.mark.parametrize(
    "text", ["pypi", "npm", "https://example.org/home/page", "$HOME/x", "a/work/b"]
)
def test_the_rule_allows_what_is_like_it(text: str) -> None:
    assert foreign("f", text) == []


def test_the_rule_sees_a_dead_link() -> None:
    assert dead_links("README.md", "[a](ops/nothing.md)")
    assert dead_links("README.md", "[a](CHANGELOG.md#nothing)")
    assert dead_links("README.md", "[a](CHANGELOG.md#changelog)") == []


@pytest.mark.parametrize(
    "text",
    [
        "click==8.1 \\\n    --hash=md5:00\n",
        "click>=8.1 \\\n    --hash=sha256:00\n",
        "click==8.1 \\\n    --hash=sha256:00\n-e .\n",
        "click @ https://example.org/click.whl\n",
    ],
)
def test_the_rule_sees_what_is_not_locked(text: str) -> None:
    assert unlocked(text)
    assert unlocked("click==8.1 \\\n    --hash=sha256:00\n") == []
