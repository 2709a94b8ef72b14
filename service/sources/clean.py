"""What others sent, made fit for the columns of the catalog.

A value of the wrong type counts as absent, a long text is cut, and what PostgreSQL
refuses in a text, NUL characters and halves of surrogate pairs, becomes U+FFFD.
"""

import re
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

from msgspec import UNSET, UnsetType

T = TypeVar("T")
Object = dict[str, Any]

LONGEST_LABEL = 512
LONGEST_TEXT = 10_000
LONGEST_README = 1_000_000
LONGEST_WORD = 256
MOST_WORDS = 100
LONGEST_URL_BYTES = 2048
LARGEST_COUNT = 2**63 - 1

_ODD = re.compile("[\0\ud800-\udfff]")
_SHORT = re.compile(r"(?:(github|gitlab|bitbucket):)?([\w.-]+/[\w.-]+)")
_UNPRINTABLE = re.compile(r"[\s\0-\x1f\x7f]")
_HOSTS = {"github": "github.com", "gitlab": "gitlab.com", "bitbucket": "bitbucket.org"}
_FORGES = {"github.com": "github", "gitlab.com": "gitlab"}
_NAME = re.compile(r"[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+")


def plain(text: str) -> str:
    """The text without what cannot be stored."""
    return _ODD.sub("\ufffd", text)


def text(value: object, most: int = LONGEST_TEXT) -> str | None:
    """A text of at most so many letters; None for another type or only blanks."""
    return plain(value.strip()[:most]) or None if isinstance(value, str) else None


def label(value: object) -> str | None:
    """A text of one line's length."""
    return text(value, LONGEST_LABEL)


def readme(value: object) -> str | None:
    """A long text."""
    return text(value, LONGEST_README)


def words(value: object) -> list[str]:
    """The texts of a list, or of a text with commas, each once."""
    listed = value.split(",") if isinstance(value, str) else value
    if not isinstance(listed, list):
        return []
    found = (text(item, LONGEST_WORD) for item in listed)
    return list(dict.fromkeys(word for word in found if word))[:MOST_WORDS]


def count(value: object) -> int | UnsetType:
    """A number that is not negative; UNSET for anything else."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return value if is_number and 0 <= value <= LARGEST_COUNT else UNSET  # type: ignore[operator, return-value]


def known(value: T | None) -> T | UnsetType:
    """The value, or UNSET where there is none: a source then says nothing of it."""
    return UNSET if value is None else value


def mapping(value: object) -> Object:
    """A JSON object; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def time(value: object) -> str | None:
    """A time in UTC; None when it is none."""
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value.strip())
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return at.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def web_url(value: object) -> str | None:
    """A URL of http or https with a host; None for anything else."""
    url = value.strip() if isinstance(value, str) else ""
    is_long = len(url.encode("utf-8", "replace")) > LONGEST_URL_BYTES
    if is_long or _UNPRINTABLE.search(plain(url)):
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return url if parts.scheme in {"https", "http"} and parts.hostname else None


def registry_name(value: object) -> str | None:
    """A name such as `io.github.someone/server`; None for anything else."""
    is_name = isinstance(value, str) and 3 <= len(value) <= 200
    return str(value) if is_name and _NAME.fullmatch(str(value)) else None


def repository_url(value: object, folder: object = None) -> str | None:
    """Where a repository is seen on the web, in the form that the catalog compares.

    Takes `git+https://host/a/b.git`, `git@host:a/b`, `github:a/b` and `a/b`; gives
    https, host in lower case, no `.git`, and `/tree/HEAD/<folder>` with a folder.
    """
    url = plain(value.strip()) if isinstance(value, str) else ""
    if _UNPRINTABLE.search(url):
        return None
    if short := _SHORT.fullmatch(url):
        url = f"https://{_HOSTS[short[1] or 'github']}/{short[2]}"
    elif "://" not in url and url.startswith("git@"):
        url = "https://" + url.removeprefix("git@").replace(":", "/", 1)
    try:
        parts = urlsplit(url.removeprefix("git+"))
    except ValueError:
        return None
    host = parts.netloc.rpartition("@")[2].lower().removeprefix("www.")
    path = parts.path.rstrip("/").removesuffix(".git").rstrip("/")
    if parts.scheme not in {"https", "http", "git", "ssh"} or not host or not path:
        return None
    inner = "/".join(p for p in str(folder or "").split("/") if p not in {"", "."})
    tail = f"/tree/HEAD/{quote(inner, safe='/@!$&()*+,;=~')}" if inner else ""
    return web_url(f"https://{host}{path}{tail}")


def host_type(url: str | None, otherwise: str) -> Any:  # noqa: ANN401 - a HostType
    """What kind of place a repository URL is; another kind for any other URL."""
    host = urlsplit(url).netloc if url else ""
    return _FORGES.get(host, otherwise)


def own_url(place: str | None, package: str) -> str:
    """The primary URL of a package: its repository, marked as only this package's.

    Whoever publishes may name any repository, and must not become its server by that.
    `package` is a URL such as `pkg:npm/name`, which stands alone without a repository.
    """
    return f"{place}#{package}" if place else package
