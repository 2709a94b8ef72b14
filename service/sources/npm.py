"""Packages of an npm registry, and searches in it.

Asked are the registry (NPM_REGISTRY_URL, or the one that npm on this machine uses) for
the package, the place that it names for the archive of its latest version, and, where
NPM_DOWNLOADS_URL is set, that one for the downloads of the last month.
"""

import re
from collections.abc import AsyncIterator, Iterator
from urllib.parse import quote, unquote, urlencode, urlsplit

import msgspec
from msgspec import UNSET, UnsetType

from service.errors import SourceFailed
from service.models_harvest import (
    Fields,
    FoundRelease,
    FoundTool,
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
from service.sources.package_json import (
    FILE,
    dependencies,
    listed_tools,
    package_risks,
    read_json,
)
from service.sources.packages import fetch_files, read_integrity
from service.sources.readmes import claimed_name
from service.sources.requests import failure, read_object
from service.sources.weights import Weights, unread

SEARCH = "search:"
PAGE = 100
# A search that asks for more is a crawl of the registry.
MOST_FOUND = 1000
MOST_RELEASES = 1000
LONGEST_NAME = 214
_NAME = re.compile(r"(?:@[a-z0-9~-][a-z0-9._~-]*/)?[a-zA-Z0-9~-][a-zA-Z0-9._~-]*")
_MANIFEST = "manifest.json"
_KEPT = frozenset({FILE, _MANIFEST, "binding.gyp"})


class NpmSource:
    """Reads packages; `search:` and words as the target gives packages to read."""

    name: SourceName = "npm"

    def __init__(self, fetcher: Fetcher, settings: Settings) -> None:
        self._fetcher = fetcher
        self._base = settings.npm_registry_url.rstrip("/")
        self._downloads_base = settings.npm_downloads_url.rstrip("/")
        self._weights = Weights(self._size)

    def target_of(self, text: str) -> str | None:
        """The package of a name, `npm:name`, `pkg:npm/name`, or a URL of a registry."""
        if text.startswith(SEARCH):
            return text if text.removeprefix(SEARCH).strip() else None
        name = self._named(text.strip())
        is_name = _NAME.fullmatch(name) and len(name) <= LONGEST_NAME
        return name if is_name else None

    async def harvest(self, order: Order) -> AsyncIterator[Page]:
        """One page for a package, several for a search."""
        base = base_of(self._base, "NPM_REGISTRY_URL")
        if order.target.startswith(SEARCH):
            async for page in self._search(order):
                yield page
            return
        url = f"{base}/{quote(order.target, safe='@')}"
        read = await self._document(url, order)
        if read is not None:
            document, validators = read
            harvest = await self._package(url, order.target, document)
            yield Page(harvests=[harvest], checkpoint=validators)

    async def _document(
        self, url: str, order: Order
    ) -> tuple[Object, dict[str, str]] | None:
        """What the registry says of a package; None when that is unchanged."""
        try:
            answer = await self._fetcher.get(url, validators=order.checkpoint)
        except SourceFailed as error:
            if error.reason != "too_large":
                raise
            return await self._latest_alone(url), {}
        if answer.is_unchanged:
            return None
        return read_object(answer), answer.validators

    async def _latest_alone(self, url: str) -> Object:
        """The document without all of its versions, which make some too large."""
        manifest = read_object(await self._fetcher.get(f"{url}/latest"))
        version = str(manifest.get("version"))
        return {"dist-tags": {"latest": version}, "versions": {version: manifest}}

    async def _package(self, url: str, name: str, document: Object) -> Harvest:
        manifest = _latest(url, document)
        contents = await self._contents(url, manifest)
        own = read_json(contents.files.get(FILE, b"")) or manifest
        findings = await inspect_apart(contents.files)
        needs = await self._weights.told(dependencies(own))
        inside = _Inside(
            own=own,
            contents=contents,
            findings=findings,
            needs=needs + unread(contents.left_out, len(findings.unread)),
            downloads=await self._downloads(name),
        )
        return _harvest(name, document, inside)

    async def _size(self, name: str) -> int | None:
        """What a package weighs when it is installed, in bytes."""
        if not _NAME.fullmatch(name):
            return None
        url = f"{self._base}/{quote(name, safe='@')}/latest"
        answer = await self._fetcher.get(url, may_be=(404,))
        if answer.status != 200:
            return None
        size = mapping(read_object(answer).get("dist")).get("unpackedSize")
        return clean.count(size) or None

    async def _contents(self, url: str, manifest: Object) -> Contents:
        dist = mapping(manifest.get("dist"))
        archive = clean.web_url(dist.get("tarball"))
        if archive is None:
            message = "names no archive of its latest version"
            raise failure(url, message, "bad_answer")
        digest = read_integrity(dist.get("integrity"))
        return await fetch_files(self._fetcher, archive, _is_wanted, digest)

    async def _downloads(self, name: str) -> int | UnsetType:
        """Downloads of the last month; UNSET where nobody counts them."""
        if not self._downloads_base:
            return UNSET
        path = f"/downloads/point/last-month/{quote(name, safe='@/')}"
        answer = await self._fetcher.get(self._downloads_base + path, may_be=(404,))
        if answer.status != 200:
            return UNSET
        return clean.count(read_object(answer).get("downloads"))

    async def _search(self, order: Order) -> AsyncIterator[Page]:
        """Pages of names; goes on where the last stored one ended."""
        start = order.checkpoint.get("from", 0)
        start = start if isinstance(start, int) and 0 <= start < MOST_FOUND else 0
        words = order.target.removeprefix(SEARCH).strip()
        while start < MOST_FOUND:
            query = urlencode({"text": words, "size": PAGE, "from": start})
            url = f"{self._base}/-/v1/search?{query}"
            objects = read_object(await self._fetcher.get(url)).get("objects")
            if not isinstance(objects, list):
                raise failure(url, "no list of packages", "bad_answer")
            start += PAGE
            is_last = len(objects) < PAGE or start >= MOST_FOUND
            targets = list(dict.fromkeys(self._names(objects)))
            yield Page(targets=targets, checkpoint={"from": 0 if is_last else start})
            if is_last:
                return

    def _names(self, objects: list[object]) -> Iterator[str]:
        for item in objects:
            name = mapping(mapping(item).get("package")).get("name")
            target = self.target_of(name) if isinstance(name, str) else None
            if target is not None and not target.startswith(SEARCH):
                yield target

    def _named(self, text: str) -> str:
        """What may be the name of a package in a text; empty for none."""
        if text.startswith("pkg:npm/"):
            return unquote(text.removeprefix("pkg:npm/")).partition("?")[0]
        if "://" not in text:
            return text.removeprefix("npm:")
        try:
            parts = urlsplit(text)
        except ValueError:
            return ""
        path = unquote(parts.path).strip("/")
        if self._base and text.startswith(f"{self._base}/"):
            return unquote(text.removeprefix(f"{self._base}/")).strip("/")
        is_site = "npmjs" in (parts.hostname or "").split(".")
        if not is_site or not path.startswith("package/"):
            return ""
        return path.removeprefix("package/").partition("/v/")[0]


def _is_wanted(path: str) -> bool:
    return path in _KEPT or path.lower() == "readme.md" or is_code(path)


def _latest(url: str, document: Object) -> Object:
    """The manifest of the latest version. Raises SourceFailed."""
    version = mapping(document.get("dist-tags")).get("latest")
    versions = mapping(document.get("versions"))
    manifest = versions.get(version) if isinstance(version, str) else None
    if not isinstance(manifest, dict):
        raise failure(url, "has no latest version", "not_found")
    return manifest


class _Inside(msgspec.Struct, kw_only=True):
    """What was read of the latest version."""

    own: Object
    """The package.json of the archive, or else what the registry has of it."""
    contents: Contents
    findings: Findings
    needs: str
    downloads: int | UnsetType


def _harvest(name: str, document: Object, inside: _Inside) -> Harvest:
    own, contents, findings = inside.own, inside.contents, inside.findings
    readme = _readme(document, contents)
    place = _repository(own) or _repository(document)
    risks = package_risks(own, contents.files, inside.needs)
    return Harvest(
        primary_url=clean.own_url(place, f"pkg:npm/{quote(name, safe='/')}"),
        registry_name=clean.registry_name(own.get("mcpName"))
        or claimed_name(readme or ""),
        fields=_fields(name, inside, readme, place),
        tools=_tools(findings, own, contents),
        resources=findings.resources,
        prompts=findings.prompts,
        dependencies=dependencies(own),
        releases=_releases(document) if "time" in document else UNSET,
        risks=[*risks, *findings.risks],
    )


def _fields(
    name: str, inside: _Inside, readme: str | None, place: str | None
) -> Fields:
    own = inside.own
    author = own.get("author")
    told = author if isinstance(author, str) else mapping(author).get("name")
    license_of = own.get("license")
    if isinstance(license_of, dict):
        license_of = license_of.get("type")
    return Fields(
        name=name,
        host_type=clean.host_type(place, "npm"),
        description=clean.known(clean.text(own.get("description"))),
        author_name=clean.known(_without_address(clean.label(told))),
        homepage=clean.known(clean.web_url(own.get("homepage"))),
        license=clean.known(clean.label(license_of)),
        readme_content=clean.known(readme),
        keywords=clean.words(own.get("keywords")),
        downloads=inside.downloads,
    )


def _without_address(author: str | None) -> str | None:
    """The name of `Name <mail> (url)`."""
    return author.partition("<")[0].partition("(")[0].strip() if author else None


def _tools(findings: Findings, own: Object, contents: Contents) -> list[FoundTool]:
    """What the code registers, and what only a manifest lists."""
    manifest = read_json(contents.files.get(_MANIFEST, b""))
    found = {tool.name: tool for tool in findings.tools}
    for tool in [*listed_tools(own), *listed_tools(manifest)]:
        found.setdefault(tool.name, tool)
    return list(found.values())


def _repository(document: Object) -> str | None:
    said = document.get("repository")
    if isinstance(said, str):
        return clean.repository_url(said)
    place = mapping(said)
    return clean.repository_url(place.get("url"), place.get("directory"))


def _readme(document: Object, contents: Contents) -> str | None:
    found = [path for path in contents.files if path.lower() == "readme.md"]
    inside = contents.text(found[0]) if found else ""
    return clean.readme(inside) or clean.readme(document.get("readme"))


def _releases(document: Object) -> list[FoundRelease]:
    """Every version with the time of its publication, the newest first."""
    times = mapping(document.get("time"))
    found = [
        FoundRelease(version=clean.plain(version)[:256], published_at=at)
        for version in mapping(document.get("versions"))
        if (at := clean.time(times.get(version)))
    ]
    found.sort(key=lambda release: release.published_at, reverse=True)
    return found[:MOST_RELEASES]
