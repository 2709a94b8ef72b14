"""What a server.json must mean, beyond its shape: one small function a rule.

A rule says nothing about a value of the wrong type: that is the schema's part.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import SplitResult, urlsplit

from service.models_publish import Finding, Severity
from service.older_schemas import DRAFT
from service.shape import CURRENT_SCHEMA, MOST_FINDINGS, PUBLISHER

Object = dict[str, Any]
Rule = Callable[[Object], Iterator[Finding]]

KNOWN_SCHEMAS = (
    "2025-07-09",
    "2025-09-16",
    "2025-09-29",
    "2025-10-11",
    "2025-10-17",
    CURRENT_SCHEMA,
    DRAFT,
)
PACKAGE_TYPES = ("npm", "pypi", "nuget", "oci", "mcpb", "cargo")
META_LIMIT_BYTES = 4096
META_SIZE = "meta-size"
LONGEST_VERSION = 300
DEEPEST = 64

_SCHEMA_URL = re.compile(r".*/schemas/([^/]+)/server\.schema\.json(?:#.*)?")
_NAME_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*[A-Za-z0-9]")
_RANGE = re.compile(
    r"\s*(?:[\^~<>=]|>=|<=)\s*v?[0-9].*"
    r"|.*\S\s+-\s+\S.*"
    r"|.*\|\|.*"
    r"|v?[0-9]+(?:\.[0-9]+)*\.[xX*](?:\..*)?",
    re.DOTALL,
)
_SUBFOLDER = re.compile(r"[A-Za-z0-9_./-]+")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_WORD = re.compile(r"\S+")
_IMAGE_VERSION = re.compile(
    r"(?!.*://)[^@]+(?::[A-Za-z0-9_][A-Za-z0-9._-]*|@sha256:[a-f0-9]{64})"
)
_FORGES = {"github": "github.com", "gitlab": "gitlab.com"}
_LOCAL = re.compile(r"localhost|.*\.localhost|127(?:\.[0-9]+){3}|::1")


def check_meaning(document: object) -> tuple[Finding, ...]:
    """What the semantic rules find, in document order of the rules."""
    if not isinstance(document, dict):
        return ()
    if too_deep := tuple(nesting(document)):
        return too_deep
    found = [finding for rule in RULES for finding in rule(document)]
    return tuple(found[:MOST_FINDINGS])


def declared_schema(document: Object) -> str | None:
    """The version of the schema that a document names, if it is a known one."""
    url = document.get("$schema")
    match = _SCHEMA_URL.fullmatch(url) if isinstance(url, str) else None
    return match[1] if match is not None and match[1] in KNOWN_SCHEMAS else None


def schema_version(document: Object) -> Iterator[Finding]:
    """The schema is named, known, and better the current one."""
    url = document.get("$schema", "")
    if not isinstance(url, str):
        return
    match = _SCHEMA_URL.fullmatch(url)
    if match is None:
        yield _finding("$schema", "must name the schema", "schema-required")
    elif match[1] not in KNOWN_SCHEMAS:
        message = f"is not a known schema; the current one is {CURRENT_SCHEMA}"
        yield _finding("$schema", message, "schema-unknown")
    elif match[1] != CURRENT_SCHEMA:
        message = f"is not the current schema, {CURRENT_SCHEMA}"
        yield _finding("$schema", message, "schema-outdated", "warning")


def name_parts(document: Object) -> Iterator[Finding]:
    """Both parts of the name begin and end with a letter or digit."""
    name = document.get("name")
    if not isinstance(name, str):
        return
    parts = name.split("/")
    if len(parts) != 2 or not all(_NAME_PART.fullmatch(part) for part in parts):
        message = (
            "must be namespace/name, each at least 2 characters that begin and end "
            "with a letter or digit"
        )
        yield _finding("name", message, "name-parts")


def plain_texts(document: Object) -> Iterator[Finding]:
    """Title and description are more than blanks."""
    for key in ("title", "description"):
        text = document.get(key)
        if isinstance(text, str) and text and not text.strip():
            yield _finding(key, "must not be blank", f"{key}-blank")


def versions_exact(document: Object) -> Iterator[Finding]:
    """Versions are single versions: no range, no `latest`."""
    version = document.get("version")
    if version == "latest":
        yield _finding("version", "must not be latest", "version-latest")
    elif isinstance(version, str) and not _is_plain(version):
        message = "must be printable text without blanks around it"
        yield _finding("version", message, "version-text")
    yield from _exact("version", version)
    for path, package in _objects(document, "packages"):
        yield from _exact(f"{path}.version", package.get("version"))


def website_url(document: Object) -> Iterator[Finding]:
    """The website is reached over https."""
    url = document.get("websiteUrl")
    if isinstance(url, str) and not _is_https(url):
        yield _finding("websiteUrl", "must be an absolute https URL", "website-https")


def repository(document: Object) -> Iterator[Finding]:
    """The repository is one of a known forge, the subfolder a clean relative path."""
    place = document.get("repository")
    if not isinstance(place, dict):
        return
    source, url = place.get("source"), place.get("url")
    if isinstance(source, str) and isinstance(url, str):
        yield from _repository_url(source, url)
    subfolder = place.get("subfolder")
    if isinstance(subfolder, str) and not _is_clean_path(subfolder):
        message = "must be a relative path without empty, . or .. parts"
        yield _finding("repository.subfolder", message, "repository-subfolder")


def icons(document: Object) -> Iterator[Finding]:
    """Icons are fetched over https."""
    for path, icon in _objects(document, "icons"):
        source = icon.get("src")
        if isinstance(source, str) and not _is_https(source):
            yield _finding(f"{path}.src", "must be an https URL", "icon-https")


def packages(document: Object) -> Iterator[Finding]:
    """Each package is named in the way of its registry."""
    for path, package in _objects(document, "packages"):
        identifier = package.get("identifier")
        if isinstance(identifier, str) and not _WORD.fullmatch(identifier):
            message = "must not be empty or hold blanks"
            yield _finding(f"{path}.identifier", message, "package-identifier")
        kind = package.get("registryType")
        if isinstance(kind, str) and kind not in PACKAGE_TYPES:
            message = f"is none of {', '.join(PACKAGE_TYPES)}: clients may not run it"
            yield _finding(f"{path}.registryType", message, "package-type", "warning")
        rule = _PACKAGES.get(kind) if isinstance(kind, str) else None
        if rule is not None:
            yield from rule(path, package)


def package_transports(document: Object) -> Iterator[Finding]:
    """A transport over stdio has no URL; other URLs use what the package declares."""
    for path, package in _objects(document, "packages"):
        transport = package.get("transport")
        if not isinstance(transport, dict):
            continue
        where = f"{path}.transport.url"
        if transport.get("type") == "stdio" and transport.get("url"):
            yield _finding(where, "must be left out for stdio", "transport-stdio-url")
            continue
        yield from _resolved(where, transport.get("url"), _declared(package))


def remotes(document: Object) -> Iterator[Finding]:
    """Remotes are reached over https, elsewhere, by variables that they declare."""
    for path, remote in _objects(document, "remotes"):
        url = remote.get("url")
        if not isinstance(url, str):
            continue
        where = f"{path}.url"
        variables = remote.get("variables")
        names = set(variables) if isinstance(variables, dict) else set()
        yield from _resolved(where, url, names)
        # A digit: a port may be a variable too.
        resolved = _PLACEHOLDER.sub("1", url)
        if not _is_https(resolved):
            yield _finding(where, "must be an https URL", "remote-https")
        elif _LOCAL.fullmatch(_split(resolved).hostname or ""):
            yield _finding(where, "must not be a local address", "remote-local")


def arguments(document: Object) -> Iterator[Finding]:
    """The names of arguments are plain and not repeated in their values."""
    for path, package in _objects(document, "packages"):
        for key in ("runtimeArguments", "packageArguments"):
            for place, argument in _objects(package, key):
                yield from _argument(f"{path}.{place}", argument)


def meta(document: Object) -> Iterator[Finding]:
    """Only the publisher's own block, and not too much of it."""
    block = document.get("_meta")
    if not isinstance(block, dict):
        return
    for key in block:
        if key != PUBLISHER:
            yield _finding("_meta", f"may only hold {PUBLISHER}", "meta-keys")
            break
    text = json.dumps(block, ensure_ascii=False, separators=(",", ":"))
    if len(text.encode(errors="surrogatepass")) > META_LIMIT_BYTES:
        message = f"must have at most {META_LIMIT_BYTES} bytes"
        yield _finding("_meta", message, META_SIZE)


def nesting(document: Object) -> Iterator[Finding]:
    """Nothing so deep that readers of JSON give up."""
    level: list[Any] = [document]
    for _ in range(DEEPEST):
        inner = (part.values() if isinstance(part, dict) else part for part in level)
        level = [x for part in inner for x in part if isinstance(x, dict | list)]
    if level:
        yield _finding("", f"must not be nested {DEEPEST} levels deep", "nesting")


RULES: tuple[Rule, ...] = (
    schema_version,
    name_parts,
    plain_texts,
    versions_exact,
    website_url,
    repository,
    icons,
    packages,
    package_transports,
    remotes,
    arguments,
    meta,
)


def _finding(
    path: str, message: str, rule: str, severity: Severity = "error"
) -> Finding:
    return Finding("semantic", path, message, severity, rule)


def _objects(document: Object, key: str) -> Iterator[tuple[str, Object]]:
    """The objects of a list, each with its path."""
    items = document.get(key)
    if not isinstance(items, list):
        return
    for position, item in enumerate(items):
        if isinstance(item, dict):
            yield f"{key}[{position}]", item


def _exact(path: str, version: object) -> Iterator[Finding]:
    if isinstance(version, str) and _RANGE.fullmatch(version[:LONGEST_VERSION]):
        yield _finding(path, "must be one version, not a range", "version-range")


def _is_plain(version: str) -> bool:
    return version.isprintable() and version == version.strip() != ""


def _split(url: str) -> SplitResult:
    """The parts of a URL; nothing of one that is none."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def _is_https(url: str) -> bool:
    parts = _split(url)
    return parts.scheme == "https" and bool(parts.hostname) and _has_port(parts)


def _has_port(parts: SplitResult) -> bool:
    """Whether the port, if any, is one."""
    try:
        return parts.port != 0
    except ValueError:
        return False


def _is_clean_path(path: str) -> bool:
    if not _SUBFOLDER.fullmatch(path):
        return False
    return not {"", ".", ".."} & set(path.split("/"))


def _repository_url(source: str, url: str) -> Iterator[Finding]:
    host = _FORGES.get(source)
    if host is None:
        message = f"must be one of {', '.join(_FORGES)}"
        yield _finding("repository.source", message, "repository-source")
        return
    parts = _split(url)
    names = parts.path.removesuffix("/").split("/")[1:]
    is_there = parts.netloc.lower() in (host, f"www.{host}")
    is_plain = parts.scheme in {"https", "http"} and not parts.query + parts.fragment
    fits = is_there and is_plain and len(names) >= 2 and all(names)
    if not fits or (source == "github" and len(names) != 2):
        message = f"must be https://{host}/owner/repository"
        yield _finding("repository.url", message, "repository-url")


def _needs_version(path: str, package: Object) -> Iterator[Finding]:
    if not package.get("version"):
        yield _finding(f"{path}.version", "is required", "package-version")


def _image(path: str, package: Object) -> Iterator[Finding]:
    identifier = package.get("identifier")
    if isinstance(identifier, str) and not _IMAGE_VERSION.fullmatch(identifier):
        message = "must be an image with a tag or digest, such as host/name:1.0.0"
        yield _finding(f"{path}.identifier", message, "package-image")
    for key in ("version", "registryBaseUrl", "fileSha256"):
        if key in package:
            message = "must be left out: the identifier says it all"
            yield _finding(f"{path}.{key}", message, "package-image-fields")


def _bundle(path: str, package: Object) -> Iterator[Finding]:
    if not package.get("fileSha256"):
        yield _finding(f"{path}.fileSha256", "is required", "package-hash")
    if "registryBaseUrl" in package:
        message = "must be left out: the identifier is the whole URL"
        yield _finding(f"{path}.registryBaseUrl", message, "package-bundle-fields")
    url = package.get("identifier")
    if not isinstance(url, str):
        return
    is_known = _split(url).hostname in _FORGES.values() and _is_https(url)
    if not is_known or "mcp" not in url.lower():
        message = "must be the URL of a release file whose name or path holds mcp"
        yield _finding(f"{path}.identifier", message, "package-bundle-url")


_PACKAGES: dict[str, Callable[[str, Object], Iterator[Finding]]] = {
    "npm": _needs_version,
    "pypi": _needs_version,
    "nuget": _needs_version,
    "oci": _image,
    "mcpb": _bundle,
}


def _declared(package: Object) -> set[str]:
    """What a URL of this package may refer to."""
    parts = [*_objects(package, "environmentVariables")]
    for key in ("runtimeArguments", "packageArguments"):
        parts += _objects(package, key)
    names = [part.get(key) for _, part in parts for key in ("name", "valueHint")]
    return {name for name in names if isinstance(name, str)}


def _resolved(path: str, url: object, names: set[str]) -> Iterator[Finding]:
    if not isinstance(url, str):
        return
    unknown = sorted(set(_PLACEHOLDER.findall(url)) - names)
    if unknown:
        message = f"refers to what is not declared: {', '.join(unknown)[:200]}"
        yield _finding(path, message, "url-template")


def _argument(path: str, argument: Object) -> Iterator[Finding]:
    name = argument.get("name")
    if argument.get("type") != "named" or not isinstance(name, str):
        return
    if re.search(r"[<>$\s]", name):
        message = "must not hold <, >, $ or blanks"
        yield _finding(f"{path}.name", message, "argument-name")
    for key in ("value", "default"):
        value = argument.get(key)
        if name and isinstance(value, str) and value.startswith(name):
            message = "must not begin with the argument's name"
            yield _finding(f"{path}.{key}", message, "argument-value")
