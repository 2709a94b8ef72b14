"""The labels of a container image, read from its registry without a login."""

import re
from typing import Any
from urllib.parse import urlencode

import msgspec

from service.errors import SourceFailed
from service.sources.fetch import Fetcher
from service.sources.requests import Answer, Limits, failure, read_object

LIMITS = Limits(body_bytes=4 << 20, total_s=6.0, redirects=3, tries=1)
_MANIFESTS = (
    "application/vnd.oci.image.index.v1+json, "
    "application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.docker.distribution.manifest.v2+json"
)
_PART = r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"([a-zA-Z0-9.-]+(?::[0-9]+)?)/({_PART}(?:/{_PART})*)"
    r"(?::([A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?(?:@(sha256:[a-f0-9]{64}))?\Z"
)
_DIGEST = re.compile(r"sha256:[a-f0-9]{64}\Z")
_PARAMETER = re.compile(r'(realm|service|scope)="([^"]*)"')


class Image(msgspec.Struct, frozen=True):
    """An image as its reference names it."""

    host: str
    name: str
    version: str
    """A tag or a digest."""


def read_image(reference: str) -> Image | None:
    """The parts of `host/name:tag` or `host/name@sha256:…`; None for anything else."""
    match = _REFERENCE.match(reference)
    if match is None or not (version := match[4] or match[3]):
        return None
    return Image(match[1].lower(), match[2], version)


async def image_label(fetcher: Fetcher, base: str, image: Image, label: str) -> str:
    """One label of an image; empty without it.

    `base` is the URL of the registry. Raises SourceFailed.
    """
    reader = _Reader(fetcher, f"{base}/v2/{image.name}")
    manifest = await reader.get(f"manifests/{image.version}", _MANIFESTS)
    if isinstance(manifest.get("manifests"), list):
        digest = _first_image(manifest["manifests"])
        manifest = await reader.get(f"manifests/{digest}", _MANIFESTS)
    digest = _digest(manifest.get("config"))
    described = await reader.get(f"blobs/{digest}", "*/*")
    config = described.get("config")
    labels = config.get("Labels") if isinstance(config, dict) else None
    found = labels.get(label) if isinstance(labels, dict) else None
    return found if isinstance(found, str) else ""


class _Reader:
    """Reads one repository, with the token that it hands out to everybody."""

    def __init__(self, fetcher: Fetcher, base: str) -> None:
        self._fetcher = fetcher
        self._base = base
        self._token = ""

    async def get(self, path: str, accept: str) -> dict[str, Any]:
        answer = await self._ask(path, accept)
        if answer.status == 401 and not self._token:
            self._token = await self._log_in(answer)
            answer = await self._ask(path, accept)
        if answer.status == 401:
            raise failure(answer.url, "wants a login", "unauthorized")
        return read_object(answer)

    async def _ask(self, path: str, accept: str) -> Answer:
        headers = {"Accept": accept}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        url = f"{self._base}/{path}"
        return await self._fetcher.get(
            url, headers=headers, limits=LIMITS, may_be=(401,)
        )

    async def _log_in(self, answer: Answer) -> str:
        said = dict(_PARAMETER.findall(answer.headers.get("WWW-Authenticate", "")))
        realm = said.pop("realm", "")
        if not realm:
            raise failure(answer.url, "wants a login", "unauthorized")
        found = read_object(
            await self._fetcher.get(f"{realm}?{urlencode(said)}", limits=LIMITS)
        )
        return str(found.get("token") or found.get("access_token") or "")


def _first_image(manifests: list[Any]) -> str:
    """The digest of the first image of an index, past its attestations."""
    for entry in manifests:
        platform = entry.get("platform") if isinstance(entry, dict) else None
        if not isinstance(platform, dict) or platform.get("os") != "unknown":
            return _digest(entry)
    return _digest(None)


def _digest(entry: object) -> str:
    digest = entry.get("digest") if isinstance(entry, dict) else None
    if not isinstance(digest, str) or not _DIGEST.match(digest):
        message = "the manifest of the image names no digest"
        raise SourceFailed(message, reason="bad_answer")
    return digest
