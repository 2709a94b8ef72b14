"""Images of an OCI registry: manifest and configuration, never a layer.

The registry is the host that an image's name begins with, or OCI_REGISTRY_URL for a
name without one. Asked are the manifest, of one platform where there are several, and
the configuration; both have to match the digests they are asked by. A registry that
wants a token says where it is had, and gives it to everybody.
"""

import re
from collections.abc import AsyncIterator, Mapping
from hashlib import sha256
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

import msgspec

from service.models_harvest import Harvest, Order, Page, SourceName
from service.settings import Settings
from service.sources import clean
from service.sources.clean import Object, mapping, own_url
from service.sources.clients import base_of
from service.sources.fetch import Fetcher
from service.sources.image_config import entry_of, fields_of, server_name_of, source_of
from service.sources.requests import Answer, Limits, failure, read_object

MANIFEST_BYTES = 4 << 20
_KINDS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_SCHEMES = ("oci://", "docker://", "oci:", "docker:", "pkg:docker/", "pkg:oci/")
_PART = r"[a-z0-9]+(?:(?:\.|_{1,2}|-{1,10})[a-z0-9]+)*"
_PATH = re.compile(rf"{_PART}(?:/{_PART}){{0,15}}")
_HOST = re.compile(r"[a-zA-Z0-9.-]{1,255}(?::[0-9]{1,5})?")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_PARAMETER = re.compile(r'([a-z]{1,20})="([^"]{0,1000})"')
# Where there is a choice, the platform that most servers run on.
_PREFERRED = ("linux", "amd64")


class Image(NamedTuple):
    """The name of an image in its parts."""

    host: str
    """Empty for the registry of the settings."""
    path: str
    tag: str
    """A tag, or a digest."""

    @property
    def target(self) -> str:
        """The name in one notation."""
        joint = "@" if _DIGEST.fullmatch(self.tag) else ":"
        start = f"{self.host}/" if self.host else ""
        return f"{start}{self.path}{joint}{self.tag}"


class OciSource:
    """Reads images."""

    name: SourceName = "oci"

    def __init__(self, fetcher: Fetcher, settings: Settings) -> None:
        self._fetcher = fetcher
        self._base = settings.oci_registry_url.rstrip("/")
        self._tokens: dict[str, str] = {}

    def target_of(self, text: str) -> str | None:
        """`host/path:tag` of that, without a tag, or behind `oci:` or `docker:`."""
        image = read_image(text)
        return image.target if image else None

    async def harvest(self, order: Order) -> AsyncIterator[Page]:
        """One page; none when the image is still the same."""
        image = read_image(order.target)
        if image is None:
            message = "not the name of an image"
            raise failure(order.target, message, "bad_url")
        base = self._root(image)
        answer = await self._manifest(base, image.path, image.tag)
        digest = f"sha256:{sha256(answer.body).hexdigest()}"
        if order.checkpoint.get("digest") == digest:
            return
        manifest = await self._of_platform(base, image, read_object(answer))
        config = await self._config(base, image.path, manifest)
        yield _page(image, config, {"digest": digest})

    def _root(self, image: Image) -> str:
        """Where the registry of an image is. Raises InvalidSettings."""
        if not image.host:
            return base_of(self._base, "OCI_REGISTRY_URL")
        if self._base and urlsplit(self._base).netloc == image.host:
            return self._base
        return f"https://{image.host}"

    async def _of_platform(self, base: str, image: Image, answer: Object) -> Object:
        """The manifest, or the one of a platform where the answer lists several."""
        listed = answer.get("manifests")
        if not isinstance(listed, list):
            return answer
        chosen = _chosen([mapping(item) for item in listed])
        if chosen is None:
            message = "lists no manifest of any platform"
            raise failure(base, message, "bad_answer")
        return read_object(await self._manifest(base, image.path, chosen))

    async def _config(self, base: str, path: str, manifest: Object) -> Object:
        digest = mapping(manifest.get("config")).get("digest")
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
            message = "its manifest names no configuration"
            raise failure(base, message, "bad_answer")
        answer = await self._get(f"{base}/v2/{path}/blobs/{digest}", path, {})
        return read_object(_checked(answer, digest))

    async def _manifest(self, base: str, path: str, reference: str) -> Answer:
        url = f"{base}/v2/{path}/manifests/{reference}"
        answer = await self._get(url, path, {"Accept": ", ".join(_KINDS)})
        return _checked(answer, reference)

    async def _get(self, url: str, path: str, headers: Mapping[str, str]) -> Answer:
        """An answer, with a token where the registry wants one."""
        limits = self._limits()
        key = f"{urlsplit(url).netloc}/{path}"
        if token := self._tokens.get(key):
            headers = {**headers, "Authorization": f"Bearer {token}"}
        answer = await self._fetcher.get(
            url, headers=headers, limits=limits, may_be=(401,)
        )
        if answer.status != 401:
            return answer
        self._tokens[key] = token = await self._token(answer, path)
        headers = {**headers, "Authorization": f"Bearer {token}"}
        return await self._fetcher.get(url, headers=headers, limits=limits)

    async def _token(self, answer: Answer, path: str) -> str:
        """A token for reading, from where the registry says. Raises SourceFailed."""
        kind, _, rest = answer.headers.get("WWW-Authenticate", "").partition(" ")
        told = dict(_PARAMETER.findall(rest[:4000]))
        realm = clean.web_url(told.get("realm"))
        if kind.lower() != "bearer" or realm is None:
            message = "wants a login, and gives no token to everybody"
            raise failure(answer.url, message, "unauthorized")
        if answer.url.startswith("https:") and not realm.startswith("https:"):
            message = "sends for its token to a place without https"
            raise failure(answer.url, message, "unauthorized")
        scope = told.get("scope") or f"repository:{path}:pull"
        query = urlencode({"service": told.get("service", ""), "scope": scope})
        joint = "&" if "?" in realm else "?"
        given = read_object(await self._fetcher.get(f"{realm}{joint}{query}"))
        token = given.get("token") or given.get("access_token")
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            message = "no token"
            raise failure(realm, message, "bad_answer")
        return token

    def _limits(self) -> Limits:
        limits = self._fetcher.options.limits
        return msgspec.structs.replace(limits, body_bytes=MANIFEST_BYTES)


def read_image(text: str) -> Image | None:
    """The parts of the name of an image; None when it is none."""
    name = text.strip()
    scheme = next((start for start in _SCHEMES if name.startswith(start)), "")
    name = name.removeprefix(scheme)
    first, slash, rest = name.partition("/")
    has_host = bool(slash) and ("." in first or ":" in first or first == "localhost")
    host, path = (first.lower(), rest) if has_host else ("", name)
    path, _, digest = path.partition("@")
    head, colon, tag = path.rpartition(":")
    path, tag = (head, tag) if colon else (path, "latest")
    tag = digest or tag
    is_reference = _DIGEST.fullmatch(tag) if digest else _TAG.fullmatch(tag)
    is_place = _PATH.fullmatch(path) and (not host or _HOST.fullmatch(host))
    return Image(host, path, tag) if is_reference and is_place else None


def _chosen(listed: list[Object]) -> str | None:
    """The digest of the manifest to read: of the preferred platform, or the first."""

    def rank(item: Object) -> bool:
        platform = mapping(item.get("platform"))
        return (platform.get("os"), platform.get("architecture")) != _PREFERRED

    # Attestations stand among the manifests as those of an unknown platform.
    fit = [
        item
        for item in listed
        if _DIGEST.fullmatch(str(item.get("digest")))
        and mapping(item.get("platform")).get("os") != "unknown"
    ]
    found = min(fit, key=rank, default=None)
    return str(found["digest"]) if found else None


def _checked(answer: Answer, reference: str) -> Answer:
    """The answer, if it is what its digest says. Raises SourceFailed."""
    is_digest = reference.startswith("sha256:")
    if is_digest and f"sha256:{sha256(answer.body).hexdigest()}" != reference:
        message = "is not what its digest says"
        raise failure(answer.url, message, "bad_answer")
    return answer


def _page(image: Image, config: Object, checkpoint: dict[str, Any]) -> Page:
    entry = entry_of(config, image.target)
    harvest = Harvest(
        primary_url=own_url(source_of(config), f"oci:{image.host}/{image.path}"),
        registry_name=server_name_of(config),
        fields=fields_of(config, image.path),
    )
    return Page(
        harvests=[harvest], entries=[entry] if entry else [], checkpoint=checkpoint
    )
