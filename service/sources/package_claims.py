"""What a package says of the server it belongs to, in each kind of package index."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from service.errors import SourceFailed
from service.sources.fetch import Fetcher
from service.sources.requests import Limits, read_object

LIMITS = Limits(body_bytes=4 << 20, total_s=6.0, redirects=2, tries=2)
_NUGET_FILES = "PackageBaseAddress/3.0.0"


async def npm_claims(
    fetcher: Fetcher, base: str, name: str, version: str, server: str
) -> bool:
    """Whether `mcpName` in the package.json of a version is the server's name.

    Raises SourceFailed, with `not_found` for a version that is not there.
    """
    url = f"{base}/{_segment(name)}/{_segment(version)}"
    found = read_object(await fetcher.get(url, limits=LIMITS))
    return found.get("mcpName") == server


async def pypi_claims(
    fetcher: Fetcher, base: str, name: str, version: str, server: str
) -> bool:
    """Whether the description of a version has the line `mcp-name: <server>`.

    Raises SourceFailed as npm_claims does.
    """
    url = f"{base}/pypi/{_segment(name)}/{_segment(version)}/json"
    found = read_object(await fetcher.get(url, limits=LIMITS))
    info = found.get("info")
    text = info.get("description") if isinstance(info, dict) else None
    return isinstance(text, str) and has_name(text, server)


async def nuget_claims(
    fetcher: Fetcher, base: str, name: str, version: str, server: str
) -> bool:
    """Whether the README of a version has the line `mcp-name: <server>`.

    `base` is the service index. Raises SourceFailed as npm_claims does.
    """
    index = read_object(await fetcher.get(base, limits=LIMITS))
    files = _resource(index, _NUGET_FILES).rstrip("/")
    if not files:
        message = f"{base}: names no {_NUGET_FILES}"
        raise SourceFailed(message, reason="bad_answer")
    place = f"{_segment(name.lower())}/{_segment(version.lower())}"
    readme = await fetcher.get(f"{files}/{place}/readme", limits=LIMITS)
    return has_name(readme.text(), server)


def has_name(text: str, server: str) -> bool:
    """Whether a text has `mcp-name: <server>`, and not only a longer name."""
    pattern = rf"mcp-name:[ \t]*{re.escape(server)}(?![\w./-])"
    return re.search(pattern, text) is not None


def _segment(text: str) -> str:
    """A name as one segment of a path. Raises SourceFailed for one that leads up."""
    if not text.strip("."):
        message = "no package has such a name or version"
        raise SourceFailed(message, reason="not_found")
    return quote(text, safe="@")


def _resource(index: Mapping[str, Any], kind: str) -> str:
    """The address of one resource of a NuGet service index; empty without one."""
    listed = index.get("resources")
    for entry in listed if isinstance(listed, list) else []:
        if isinstance(entry, dict) and entry.get("@type") == kind:
            return str(entry.get("@id", ""))
    return ""
