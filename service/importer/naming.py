"""The registry name and the version document of a server that had neither.

The name is made from `primary_url`, so that a server always gets the same one:

* `https://github.com/owner/repo` is `io.github.owner/repo`, and likewise on gitlab.com;
* `https://host.example/path` is `example.host/path`;
* `npm://package` is `npm.package/package`, and likewise for every other scheme.

From such a name its URL can be told. Any other URL (with another scheme, a longer path,
characters that a name may not hold) is brought into the same form, and eight digits of
its SHA-256 keep the name apart from all others.

The version is that of the newest release, or else 0.0.0. The document says in `_meta`
that it comes from an import, so that a later import may replace it, and nothing else.
"""

import re
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

import msgspec

from service.times import utc_text
from service.versions import precedence

NO_VERSION = "0.0.0"
LONGEST_VERSION = 255
PUBLISHER = "io.modelcontextprotocol.registry/publisher-provided"
LONGEST_TEXT = 100
_FORGES = {"github.com": "io.github", "gitlab.com": "io.gitlab"}
_SOURCES = {"github.com": "github", "gitlab.com": "gitlab"}
_PACKAGES = {"npm": "npm", "pypi": "pypi", "docker": "oci"}
_NOT_IN_SPACE = re.compile(r"[^A-Za-z0-9.-]+")
_NOT_IN_NAME = re.compile(r"[^A-Za-z0-9._-]+")
_VERSION = re.compile(r"[!-~]+")
_PART = 80


class Named(msgspec.Struct, frozen=True):
    """What the registry shows of a server."""

    registry_name: str
    digits: str
    """Follow the name when another entry of the catalog has it."""
    latest_version: str
    precedence: str
    document: str
    """The server.json without its first field, the name."""


class Shown(msgspec.Struct, frozen=True):
    """What name and document are made from."""

    primary_url: str
    name: str
    description: str | None
    homepage: str | None
    created_at: str | None
    release: str | None


def named(server: Shown) -> Named:
    """Name and document of a server."""
    name, digits = registry_name(server.primary_url)
    version = _version(server.release)
    document = {**_document(server), "version": version}
    return Named(
        registry_name=name,
        digits=digits,
        latest_version=version,
        precedence=precedence(version, utc_text(server.created_at) or ""),
        document=msgspec.json.encode(document)[1:].decode(),
    )


def registry_name(url: str) -> tuple[str, str]:
    """The registry name for a URL, and digits that make it one that nobody else has."""
    space, name, is_plain = _parts(url)
    digits = sha256(url.encode()).hexdigest()
    if is_plain:
        return f"{space}/{name}", digits[:8]
    cut = f"{_cut(space, _NOT_IN_SPACE)}/{_cut(name, _NOT_IN_NAME)}"
    return f"{cut}-{digits[:8]}", digits[8:16]


def _parts(url: str) -> tuple[str, str, bool]:
    """Namespace and name, and whether the URL can be told from them."""
    scheme, _, rest = url.partition("://")
    scheme, segments = scheme.lower(), [part for part in rest.split("/") if part]
    if scheme not in {"http", "https"} or not segments:
        words = [scheme, *segments[:-1]] if len(segments) > 1 else [scheme, "package"]
        space, name = ".".join(words), segments[-1] if segments else "server"
        is_plain = url == f"{scheme}://{name}" and len(segments) == 1
        return space, name, is_plain and _is_name(space, name)
    host, path = segments[0].lower(), segments[1:]
    if host in _FORGES and len(path) > 1:
        space, name = f"{_FORGES[host]}.{path[0]}", "-".join(path[1:])
        return (
            space,
            name,
            url == f"https://{host}/{path[0]}/{name}" and _is_name(space, name),
        )
    space = ".".join(reversed(_host(url).split(".")))
    name = "-".join(path) or "server"
    is_plain = len(path) == 1 and url == f"https://{host}/{name}"
    return space, name, is_plain and _is_name(space, name)


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or "unknown"
    except ValueError:
        return "unknown"


def _is_name(space: str, name: str) -> bool:
    is_short = len(space) <= _PART and len(name) <= _PART
    is_clean = not _NOT_IN_SPACE.search(space) and not _NOT_IN_NAME.search(name)
    return is_short and is_clean


def _cut(text: str, odd: re.Pattern[str]) -> str:
    return odd.sub("-", text.replace("@", ""))[:_PART].strip("-.") or "x"


def _version(release: str | None) -> str:
    if not release or len(release) > LONGEST_VERSION:
        return NO_VERSION
    return release if _VERSION.fullmatch(release) else NO_VERSION


def _document(server: Shown) -> dict[str, Any]:
    url, name, homepage = server.primary_url, server.name, server.homepage
    about = " ".join((server.description or "").split()) or name
    document: dict[str, Any] = {
        "description": _short(about),
        "title": _short(" ".join(name.split()) or name),
    }
    scheme, _, rest = url.partition("://")
    host = rest.partition("/")[0]
    if scheme == "https" and host in _SOURCES:
        document["repository"] = {"url": url, "source": _SOURCES[host]}
    elif scheme in _PACKAGES and rest:
        document["packages"] = [
            {
                "registryType": _PACKAGES[scheme],
                "identifier": rest,
                "transport": {"type": "stdio"},
            }
        ]
    if homepage and homepage.startswith(("https://", "http://")):
        document["websiteUrl"] = homepage
    document["_meta"] = {PUBLISHER: {"imported": True}}
    return document


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"
