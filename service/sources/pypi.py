"""Packages of a Python package index, by its JSON API, or else by its simple one.

Asked are the index (PYPI_URL, or the one that pip on this machine uses) for the
package, and the place that it names for one archive of the latest version: a wheel, or
without one the source. Nothing of it is installed or run.
"""

import re
from collections.abc import AsyncIterator
from urllib.parse import quote, urljoin, urlsplit

import msgspec

from service.models_harvest import (
    Fields,
    FoundDependency,
    FoundRelease,
    Harvest,
    Order,
    Page,
    SourceName,
)
from service.settings import Settings
from service.sources import clean
from service.sources.archives import Contents
from service.sources.clean import Object, mapping
from service.sources.clients import base_of
from service.sources.fetch import Fetcher
from service.sources.inspection import Findings, inspect_apart, is_code
from service.sources.packages import Digest, fetch_files
from service.sources.python_metadata import (
    PROJECT,
    dependencies,
    headers,
    latest_version,
    package_risks,
    project_requirements,
    project_table,
    sorted_versions,
)
from service.sources.readmes import claimed_name
from service.sources.requests import failure, read_object
from service.sources.simple_index import ACCEPT, info_of, releases_of
from service.sources.weights import Weights, unread

MOST_RELEASES = 1000
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?")
_SEPARATORS = re.compile(r"[-_.]+")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ARCHIVES = (".whl", ".tar.gz", ".zip")
_REPOSITORY_WORDS = ("repository", "source", "sourcecode", "github", "code", "gitlab")
_HOMEPAGE_WORDS = ("homepage", "home", "documentation", "docs")


class PypiSource:
    """Reads packages."""

    name: SourceName = "pypi"

    def __init__(self, fetcher: Fetcher, settings: Settings) -> None:
        self._fetcher = fetcher
        self._base = settings.pypi_url.rstrip("/").removesuffix("/simple")
        self._weights = Weights(self._size)

    def target_of(self, text: str) -> str | None:
        """The package of a name, `pypi:name`, `pkg:pypi/name`, or a URL of an index.

        In the one spelling of all that mean the same (PEP 503).
        """
        name = self._named(text.strip())
        return _SEPARATORS.sub("-", name).lower() if _NAME.fullmatch(name) else None

    async def harvest(self, order: Order) -> AsyncIterator[Page]:
        """One page; none when the index has nothing new."""
        base = base_of(self._base, "PYPI_URL")
        url = f"{base}/pypi/{quote(order.target, safe='')}/json"
        answer = await self._fetcher.get(
            url, validators=order.checkpoint, may_be=(404,)
        )
        if answer.status == 404:
            url = f"{base}/simple/{quote(order.target, safe='')}/"
            answer = await self._fetcher.get(
                url, headers={"Accept": ACCEPT}, validators=order.checkpoint
            )
        if answer.is_unchanged:
            return
        harvest = await self._package(url, order.target, read_object(answer))
        yield Page(harvests=[harvest], checkpoint=dict(answer.validators))

    async def _package(self, url: str, name: str, document: Object) -> Harvest:
        is_simple = "files" in document
        releases = releases_of(document) if is_simple else _listed(document)
        releases = _kept(releases)
        version = latest_version(releases)
        if version is None:
            message = "has no version that was not taken back"
            raise failure(url, message, "not_found")
        contents = await self._contents(url, releases[version])
        if is_simple:
            info = info_of(_metadata(contents))
        else:
            info = await self._info(url, version, document)
        found = _dependencies(info, contents)
        findings = await inspect_apart(contents.files)
        needs = await self._weights.told(found)
        inside = _Inside(
            info=info,
            contents=contents,
            findings=findings,
            dependencies=found,
            needs=needs + unread(contents.left_out, len(findings.unread)),
        )
        return _harvest(name, releases, inside)

    async def _info(self, url: str, version: str, document: Object) -> Object:
        """What is said of one version; the document has it of the one it shows."""
        info = mapping(document.get("info"))
        if version == info.get("version"):
            return info
        exact = f"{url.removesuffix('/json')}/{quote(version, safe='')}/json"
        return mapping(read_object(await self._fetcher.get(exact)).get("info"))

    async def _size(self, name: str) -> int | None:
        """What the best archive of a package weighs, in bytes."""
        url = f"{self._base}/pypi/{quote(name, safe='')}/json"
        answer = await self._fetcher.get(url, may_be=(404,))
        files = read_object(answer).get("urls") if answer.status == 200 else []
        listed = [mapping(file) for file in (files if isinstance(files, list) else [])]
        return clean.count((_best(listed) or {}).get("size")) or None

    async def _contents(self, url: str, files: list[Object]) -> Contents:
        """What is in the best archive of a version; nothing when there is none."""
        archive = _best(files)
        if archive is None:
            return Contents()
        # Mirrors give a place relative to this one.
        place = clean.web_url(urljoin(url, str(archive.get("url") or ":")))
        if place is None:
            message = "names no place of an archive"
            raise failure(url, message, "bad_answer")
        told = mapping(archive.get("digests")).get("sha256")
        is_digest = isinstance(told, str) and _SHA256.fullmatch(told)
        digest = Digest("sha256", str(told)) if is_digest else None
        return await fetch_files(self._fetcher, place, _is_wanted, digest)

    def _named(self, text: str) -> str:
        """What may be the name of a package in a text; empty for none."""
        if "://" not in text:
            return text.removeprefix("pkg:pypi/").removeprefix("pypi:")
        try:
            parts = urlsplit(text)
        except ValueError:
            return ""
        is_ours = self._base and text.startswith(f"{self._base}/")
        if not is_ours and "pypi" not in (parts.hostname or "").split("."):
            return ""
        start = urlsplit(self._base).path if is_ours else ""
        kind, _, rest = parts.path.removeprefix(start).strip("/").partition("/")
        is_page = kind in {"project", "pypi", "simple"}
        return rest.partition("/")[0] if is_page else ""


def _is_wanted(path: str) -> bool:
    name = path.rpartition("/")[2]
    is_metadata = name in {"METADATA", "PKG-INFO", PROJECT}
    return is_metadata or path == "setup.py" or name.endswith(".pth") or is_code(path)


def _listed(document: Object) -> dict[str, list[Object]]:
    """The files of each version."""
    return {
        version: [file for file in files if isinstance(file, dict)]
        for version, files in mapping(document.get("releases")).items()
        if isinstance(files, list)
    }


def _kept(releases: dict[str, list[Object]]) -> dict[str, list[Object]]:
    """The versions with files that were not taken back."""
    kept = {
        version: [file for file in files if not file.get("yanked")]
        for version, files in releases.items()
    }
    return {version: files for version, files in kept.items() if files}


def _best(files: list[Object]) -> Object | None:
    """A wheel for every machine, another wheel, or the source; the smallest of each."""

    def rank(file: Object) -> tuple[int, int]:
        name = str(file.get("filename"))
        size = file.get("size")
        order = 2 if not name.endswith(".whl") else not name.endswith("-any.whl")
        return order, size if isinstance(size, int) else 0

    fit = [file for file in files if str(file.get("filename")).endswith(_ARCHIVES)]
    return min(fit, key=rank, default=None)


class _Inside(msgspec.Struct, kw_only=True):
    """What was read of the latest version."""

    info: Object
    contents: Contents
    findings: Findings
    dependencies: list[FoundDependency]
    needs: str


def _harvest(name: str, releases: dict[str, list[Object]], inside: _Inside) -> Harvest:
    contents, findings = inside.contents, inside.findings
    readme = clean.readme(inside.info.get("description")) or _readme(contents)
    place = _repository(_urls(inside.info))
    risks = package_risks(contents.files, inside.needs)
    return Harvest(
        primary_url=clean.own_url(place, f"pkg:pypi/{name}"),
        registry_name=claimed_name(readme or ""),
        fields=_fields(name, inside.info, readme, place),
        tools=findings.tools,
        resources=findings.resources,
        prompts=findings.prompts,
        dependencies=inside.dependencies,
        releases=_dated(releases),
        risks=[*risks, *findings.risks],
    )


def _fields(name: str, info: Object, readme: str | None, place: str | None) -> Fields:
    author = clean.label(info.get("author")) or clean.label(info.get("author_email"))
    told = clean.label(info.get("license_expression"))
    told = told or clean.label(info.get("license"))
    # Some put the whole text of their licence here.
    license_of = None if told is None or "\n" in told else told
    return Fields(
        name=name,
        host_type=clean.host_type(place, "pypi"),
        description=clean.known(clean.text(info.get("summary"))),
        author_name=clean.known(author.partition("<")[0].strip() if author else None),
        homepage=clean.known(_first(_urls(info), _HOMEPAGE_WORDS)),
        license=clean.known(license_of),
        readme_content=clean.known(readme),
        keywords=clean.words(info.get("keywords")),
    )


def _urls(info: Object) -> dict[str, str]:
    """The links of a package by their labels, in small letters alone."""
    found = {}
    for said, value in mapping(info.get("project_urls")).items():
        if url := clean.web_url(value):
            found["".join(filter(str.isalpha, said.lower()))] = url
    if url := clean.web_url(info.get("home_page")):
        found.setdefault("homepage", url)
    return found


def _first(urls: dict[str, str], words: tuple[str, ...]) -> str | None:
    return next((urls[word] for word in words if word in urls), None)


def _repository(urls: dict[str, str]) -> str | None:
    """The link that is said to lead to the code, or any that leads to a forge."""
    told = [urls[word] for word in _REPOSITORY_WORDS if word in urls]
    places = [clean.repository_url(url) for url in (*told, *urls.values())]
    forges = (p for p in places if p and clean.host_type(p, "") and p.count("/") > 3)
    return next(forges, clean.repository_url(told[0]) if told else None)


def _dependencies(info: Object, contents: Contents) -> list[FoundDependency]:
    """What the index says, else the archive's METADATA, else its pyproject.toml."""
    told = info.get("requires_dist")
    if isinstance(told, list):
        return dependencies(told)
    fields = _metadata(contents)
    if "requires-dist" in fields:
        return dependencies(fields["requires-dist"])
    project = project_table(contents.files.get(PROJECT, b""))
    return dependencies(project_requirements(project))


def _metadata(contents: Contents) -> dict[str, list[str]]:
    names = ("METADATA", "PKG-INFO")
    found = [path for path in contents.files if path.rpartition("/")[2] in names]
    shortest = min(found, key=len, default=None)
    return headers(contents.files[shortest]) if shortest else {}


def _readme(contents: Contents) -> str | None:
    return clean.readme(next(iter(_metadata(contents).get("description", [])), None))


def _dated(releases: dict[str, list[Object]]) -> list[FoundRelease]:
    """Versions in their order, the newest first, with the time of their first file."""
    found = []
    for version in reversed(sorted_versions(releases)):
        said = [
            clean.time(file.get("upload_time_iso_8601") or file.get("upload_time"))
            for file in releases[version]
        ]
        times = [at for at in said if at]
        if times:
            name = clean.plain(version)[:256]
            found.append(FoundRelease(version=name, published_at=min(times)))
    return found[:MOST_RELEASES]
