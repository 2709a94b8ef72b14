"""GitHub's two ways to tell of a repository, REST and GraphQL, in one form."""

from collections.abc import Mapping

import msgspec
from msgspec import UNSET, UnsetType

from service.errors import SourceFailed
from service.models_harvest import Fields, FoundContributor, FoundRelease
from service.sources import clean
from service.sources.clean import Object, mapping
from service.sources.requests import failure

README = "readme"
RATE_LIMITED_S = 600.0
# The files that are read, by their names in lower case.
FILES = {
    "readme.md": README,
    "readme.rst": README,
    "readme": README,
    "server.json": "server.json",
    "package.json": "package.json",
    "pyproject.toml": "pyproject.toml",
}
_ALIASES = {
    "readmeMd": README,
    "readmeLower": README,
    "readmeRst": README,
    "serverJson": "server.json",
    "packageJson": "package.json",
    "pyproject": "pyproject.toml",
}
QUERY = """
query($owner: String!, $name: String!) {
  repository(owner: $owner, name: $name) {
    nameWithOwner
    url
    name
    owner { login }
    description
    homepageUrl
    stargazerCount
    forkCount
    issues(states: OPEN) { totalCount }
    pullRequests(states: OPEN) { totalCount }
    licenseInfo { spdxId name }
    repositoryTopics(first: 50) { nodes { topic { name } } }
    releases(first: 100, orderBy: {field: CREATED_AT, direction: DESC}) {
      nodes { tagName description publishedAt isDraft }
    }
    readmeMd: object(expression: "HEAD:README.md") { ...text }
    readmeLower: object(expression: "HEAD:readme.md") { ...text }
    readmeRst: object(expression: "HEAD:README.rst") { ...text }
    serverJson: object(expression: "HEAD:server.json") { ...text }
    packageJson: object(expression: "HEAD:package.json") { ...text }
    pyproject: object(expression: "HEAD:pyproject.toml") { ...text }
  }
}
fragment text on Blob { text isTruncated }
"""
_NO_LICENSES = frozenset({"NOASSERTION", ""})


class Repository(msgspec.Struct, frozen=True):
    """What GitHub says of a repository."""

    full_name: str
    """`owner/repo` as GitHub writes it."""
    url: str
    fields: Fields
    releases: list[FoundRelease]
    files: Mapping[str, str]
    """Texts by the names that FILES gives them."""
    contributors: list[FoundContributor] | UnsetType = UNSET


def by_rest(
    url: str, document: Object, releases: object, files: Mapping[str, str]
) -> Repository:
    """The repository of `/repos/owner/repo` and `/releases`. Raises SourceFailed."""
    full_name = clean.label(document.get("full_name"))
    if full_name is None:
        message = "no repository"
        raise failure(url, message, "bad_answer")
    owner = clean.label(mapping(document.get("owner")).get("login"))
    listed = releases if isinstance(releases, list) else []
    return Repository(
        full_name=full_name,
        url=_url(document.get("html_url"), full_name),
        fields=Fields(
            name=clean.known(clean.label(document.get("name"))),
            host_type="github",
            description=clean.known(clean.text(document.get("description"))),
            author_name=clean.known(owner),
            homepage=clean.known(clean.web_url(document.get("homepage"))),
            license=_license(document.get("license"), "spdx_id"),
            readme_content=clean.known(clean.readme(files.get(README))),
            keywords=clean.words(document.get("topics")),
            stars=clean.count(document.get("stargazers_count")),
            forks=clean.count(document.get("forks_count")),
            open_issues=clean.count(document.get("open_issues_count")),
        ),
        releases=_releases(listed, ("tag_name", "body", "published_at", "draft")),
        files=files,
    )


def by_graphql(url: str, answer: Object) -> Repository:
    """The repository of an answer to QUERY. Raises SourceFailed when it has none."""
    document = mapping(mapping(answer.get("data")).get("repository"))
    full_name = clean.label(document.get("nameWithOwner"))
    if full_name is None:
        raise _refused(url, answer)
    files: dict[str, str] = {}
    for alias, name in _ALIASES.items():
        blob = mapping(document.get(alias))
        if isinstance(blob.get("text"), str) and not blob.get("isTruncated"):
            files.setdefault(name, str(blob["text"]))
    topics = mapping(document.get("repositoryTopics")).get("nodes")
    names = [
        mapping(mapping(node).get("topic")).get("name")
        for node in (topics if isinstance(topics, list) else [])
    ]
    listed = mapping(document.get("releases")).get("nodes")
    keys = ("tagName", "description", "publishedAt", "isDraft")
    owner = clean.label(mapping(document.get("owner")).get("login"))
    return Repository(
        full_name=full_name,
        url=_url(document.get("url"), full_name),
        fields=Fields(
            name=clean.known(clean.label(document.get("name"))),
            host_type="github",
            description=clean.known(clean.text(document.get("description"))),
            author_name=clean.known(owner),
            homepage=clean.known(clean.web_url(document.get("homepageUrl"))),
            license=_license(document.get("licenseInfo"), "spdxId"),
            readme_content=clean.known(clean.readme(files.get(README))),
            keywords=clean.words(names),
            stars=clean.count(document.get("stargazerCount")),
            forks=clean.count(document.get("forkCount")),
            open_issues=_open(document),
        ),
        releases=_releases(listed if isinstance(listed, list) else [], keys),
        files=files,
    )


def contributors_of(answer: object) -> list[FoundContributor]:
    """The contributors of `/repos/owner/repo/contributors`."""
    found = []
    for item in map(mapping, answer if isinstance(answer, list) else []):
        login = clean.label(item.get("login"))
        commits = clean.count(item.get("contributions"))
        if login and isinstance(commits, int):
            found.append(
                FoundContributor(username=login, platform="github", commits=commits)
            )
    return found


def _open(document: Object) -> int | UnsetType:
    """Open issues as REST counts them: pull requests are issues too."""
    counts = [
        clean.count(mapping(document.get(key)).get("totalCount"))
        for key in ("issues", "pullRequests")
    ]
    known = [number for number in counts if isinstance(number, int)]
    return sum(known) if len(known) == len(counts) else UNSET


def _license(said: object, key: str) -> str | UnsetType | None:
    """The SPDX name, or what GitHub calls it; None for none."""
    if said is None:
        return None
    place = mapping(said)
    name = clean.label(place.get(key))
    if name is None or name in _NO_LICENSES:
        name = clean.label(place.get("name"))
    return clean.known(name)


def _releases(
    listed: list[object], keys: tuple[str, str, str, str]
) -> list[FoundRelease]:
    tag, body, published, draft = keys
    found = []
    for item in map(mapping, listed):
        version = clean.text(item.get(tag), clean.LONGEST_WORD)
        at = clean.time(item.get(published))
        if version and at and not item.get(draft):
            changes = clean.text(item.get(body))
            found.append(
                FoundRelease(version=version, changelog=changes, published_at=at)
            )
    return found


def _url(said: object, full_name: str) -> str:
    return clean.repository_url(said) or f"https://github.com/{full_name}"


def _refused(url: str, answer: Object) -> SourceFailed:
    """Why GraphQL, which answers 200 to everything, gave no repository."""
    errors = answer.get("errors")
    first = mapping(errors[0]) if isinstance(errors, list) and errors else {}
    kind = first.get("type")
    message = clean.label(first.get("message")) or "no repository and no reason"
    if kind == "NOT_FOUND":
        return failure(url, message, "not_found")
    if kind == "RATE_LIMITED":
        return failure(url, message, "rate_limited", retry_after_s=RATE_LIMITED_S)
    return failure(url, message, "bad_answer")
