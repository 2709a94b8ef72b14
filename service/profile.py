"""What the catalog shows of a server, taken from the server.json of its latest version.

The base of `primary_url` is the first of these that there is:

1. the URL of the repository: https, host in lower case, without user, query, `.git` and
   trailing slash, followed by `/tree/HEAD/<subfolder>` when there is a subfolder;
2. the URL of the first remote;
3. the website;
4. `mcp://<registry name>`.

Remote and website count where they are of http or https: people follow these URLs, and
`javascript:` would run in the page of whoever shows them.

Several entries may share a base (one repository, many servers). A server takes the base
when no other server has it; among new ones of the same batch the first by registry
name takes it. Every other one gets `<base>#<registry name>`, which is unique and still
opens. A server that is known keeps its primary_url. A server without registry name that
has the base as its primary_url is the same server: it is adopted, with all that it has.
"""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit

import msgspec

from service.shape import PUBLISHER

Object = dict[str, Any]

LONGEST_TITLE = 1000
LONGEST_TEXT = 10_000
LONGEST_README = 1_000_000
MOST_TOPICS = 100
LONGEST_BASE_BYTES = 1000
LARGEST_COUNT = 2**63 - 1

_WEB = ("https", "http", "git", "ssh")
_WEB_URL = re.compile(r"https?://\S.*", re.IGNORECASE)
_SHORT = re.compile(r"(?:[\w.-]+@)?([\w-]+(?:\.[\w-]+)+)[:/](?![0-9]+(?:/|$))(.+)")
_UNPRINTABLE = re.compile(r"[\s\0-\x1f\x7f]")
_PATH_CHARACTERS = "/:@!$&'()*+,;=~%"
_FORGES = {"github.com": "github", "gitlab.com": "gitlab"}
_PACKAGES = {"npm": "npm", "pypi": "pypi", "oci": "docker"}


class Profile(msgspec.Struct, frozen=True):
    """The fields of a server; None or an empty list where nothing is said."""

    name: str
    base_url: str
    host_type: str
    description: str
    title: str | None
    homepage: str | None
    author_name: str | None
    license: str | None
    readme_content: str | None
    keywords: list[str]
    categories: list[str]
    stars: int | None
    forks: int | None
    open_issues: int | None


def read_profile(registry_name: str, document: Object, meta: Object) -> Profile:
    """The profile of a server.json and of what stands beside it.

    Values of the wrong type count as absent; long texts are cut.
    """
    given = _given(document, meta)
    github = _object(given, "github")
    name = registry_name.rstrip("/").rpartition("/")[2] or registry_name
    title = _text(document, "title", LONGEST_TITLE)
    place = _repository(document)
    return Profile(
        name=name,
        base_url=base_url(registry_name, document),
        host_type=_host_type(place, document),
        description=_text(document, "description", LONGEST_TEXT) or title or name,
        title=title,
        homepage=(_website(document) or "")[:LONGEST_TITLE] or None,
        author_name=_owner(place),
        license=_license(github) or _license(given),
        readme_content=_text(github, "readme", LONGEST_README),
        keywords=_topics(github, "topics") or _topics(given, "keywords"),
        categories=_topics(given, "categories"),
        stars=_count(github, "stargazerCount", "stargazers_count", "stars"),
        forks=_count(github, "forkCount", "forks_count", "forks"),
        open_issues=_count(github, "openIssuesCount", "open_issues_count"),
    )


def base_url(registry_name: str, document: Object) -> str:
    """The first usable URL in the documented order."""
    for url in _candidates(document):
        fits = 0 < len(url.encode()) <= LONGEST_BASE_BYTES
        if fits and not _UNPRINTABLE.search(url):
            return url
    return f"mcp://{registry_name}"


def _candidates(document: Object) -> Iterator[str]:
    place = _repository(document)
    if place is not None:
        subfolder = str(_text(_object(document, "repository"), "subfolder") or "")
        path = "/".join(part for part in subfolder.split("/") if part not in ("", "."))
        url = f"https://{place.netloc}{place.path}"
        yield f"{url}/tree/HEAD/{quote(path, safe=_PATH_CHARACTERS)}" if path else url
    yield from (url for url in _remotes(document) if url and _WEB_URL.fullmatch(url))
    yield _website(document) or ""


def _repository(document: Object) -> SplitResult | None:
    """Host and path of the repository; None when it names no place on the web."""
    url = _text(_object(document, "repository"), "url") or ""
    url = url.removeprefix("git+")
    if "://" not in url and (short := _SHORT.fullmatch(url)):
        url = f"https://{short[1]}/{short[2]}"
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    host = parts.netloc.rpartition("@")[2].lower().removeprefix("www.")
    path = parts.path.rstrip("/").removesuffix(".git").rstrip("/")
    if parts.scheme not in _WEB or not host or not path:
        return None
    return SplitResult("https", host, path, "", "")


def _website(document: Object) -> str | None:
    url = _text(document, "websiteUrl")
    return url if url and _WEB_URL.fullmatch(url) else None


def _remotes(document: Object) -> list[str | None]:
    """The URL of the first remote, in a list that may be empty."""
    remotes = document.get("remotes")
    if not isinstance(remotes, list):
        return []
    return [_text(item, "url") for item in remotes[:1] if isinstance(item, dict)]


def _host_type(place: SplitResult | None, document: Object) -> str:
    if place is not None and place.netloc in _FORGES:
        return _FORGES[place.netloc]
    packages = document.get("packages")
    for package in packages if isinstance(packages, list) else []:
        kind = package.get("registryType") if isinstance(package, dict) else None
        if isinstance(kind, str) and kind in _PACKAGES:
            return _PACKAGES[kind]
    return "http" if any(_remotes(document)) else "unknown"


def _owner(place: SplitResult | None) -> str | None:
    """Whose repository it is, where the path begins with that."""
    if place is None or place.netloc not in _FORGES:
        return None
    return place.path.strip("/").partition("/")[0] or None


def _given(document: Object, meta: Object) -> Object:
    """What the publisher says beyond the schema."""
    inside = _object(_object(document, "_meta"), PUBLISHER)
    return inside or _object(meta, PUBLISHER)


def _object(holder: Object, key: str) -> Object:
    value = holder.get(key)
    return value if isinstance(value, dict) else {}


def _text(holder: Object, key: str, most: int = LONGEST_TEXT) -> str | None:
    value = holder.get(key)
    return value.strip()[:most] or None if isinstance(value, str) else None


def _license(holder: Object) -> str | None:
    """A name, or an object that holds one."""
    inside = _object(holder, "license")
    names = [_text(inside, key, LONGEST_TITLE) for key in ("spdxId", "spdx_id", "name")]
    found = (name for name in names if name)
    return _text(holder, "license", LONGEST_TITLE) or next(found, None)


def _topics(holder: Object, key: str) -> list[str]:
    values = holder.get(key)
    if not isinstance(values, list):
        return []
    texts = [
        value.strip()[:LONGEST_TITLE] for value in values if isinstance(value, str)
    ]
    return list(dict.fromkeys(text for text in texts if text))[:MOST_TOPICS]


def _count(holder: Object, *keys: str) -> int | None:
    for key in keys:
        value = holder.get(key)
        if isinstance(value, int) and not isinstance(value, bool):
            return value if 0 <= value <= LARGEST_COUNT else None
    return None
