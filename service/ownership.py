"""Whether the packages of a server.json say themselves that they belong to it.

Off unless OWNERSHIP_CHECKS lists a kind of package. Where packages are looked up is a
setting: a package that names another `registryBaseUrl`, or an image of another host,
cannot be proven and is refused. A registry that answers that it is asked too often is
believed to agree: being busy must not stop publishing.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Literal, get_args

from service.errors import InvalidInput, InvalidSettings, SourceFailed, Unavailable
from service.publishing import Publication
from service.settings import Settings, words_of
from service.sources.fetch import Fetcher
from service.sources.image_labels import image_label, read_image
from service.sources.options import read_options
from service.sources.package_claims import npm_claims, nuget_claims, pypi_claims

Kind = Literal["npm", "pypi", "nuget", "oci"]
Claims = Callable[[Fetcher, str, str, str, str], Awaitable[bool]]

LABEL = "io.modelcontextprotocol.server.name"
MOST_PACKAGES = 50
_LOOKUPS: dict[str, Claims] = {
    "npm": npm_claims,
    "pypi": pypi_claims,
    "nuget": nuget_claims,
}
_HOW = {
    "npm": "its package.json needs mcpName: {name}",
    "pypi": "its README needs the line mcp-name: {name}",
    "nuget": "its README needs the line mcp-name: {name}",
    "oci": f"the image needs the label {LABEL}={{name}}",
}

Object = dict[str, Any]


class Ownership:
    """The checks of the settings, with the places that they ask."""

    def __init__(self, settings: Settings) -> None:
        self._bases = read_checks(settings)
        every = [base for bases in self._bases.values() for base in bases]
        self._fetcher = Fetcher(read_options(settings, bases=every), "ownership")

    async def open(self) -> None:
        """Get ready to ask, where there is anything to check."""
        if self._bases:
            await self._fetcher.__aenter__()

    async def close(self) -> None:
        """Close every connection."""
        await self._fetcher.__aexit__(None, None, None)

    async def check(self, publication: Publication) -> None:
        """Raise InvalidInput for a package that does not say whose it is.

        Raises Unavailable when nobody can say.
        """
        if not self._bases:
            return
        packages: list[Object] = publication.document.get("packages") or []
        if len(packages) > MOST_PACKAGES:
            place = "body.packages"
            message = f"of more than {MOST_PACKAGES} packages nobody proves the owner"
            raise InvalidInput.at(place, message)
        checks = (
            self._check(publication.name, f"body.packages[{at}]", package)
            for at, package in enumerate(packages)
            if package["registryType"] in self._bases
        )
        for failure in await asyncio.gather(*checks, return_exceptions=True):
            if failure is not None:
                raise failure

    async def _check(self, name: str, place: str, package: Object) -> None:
        kind: str = package["registryType"]
        try:
            is_ours = await self._says(name, place, package)
        except SourceFailed as error:
            if error.reason == "rate_limited":
                return
            if error.reason in {"not_found", "unauthorized"}:
                where = f"{place}.identifier"
                message = "there is no such package, or not in this version"
                raise InvalidInput.at(where, message) from error
            message = f"{place} cannot be checked: {error.message}"
            raise Unavailable(message) from error
        if not is_ours:
            how = _HOW[kind].format(name=name)
            message = f"does not say that it belongs to this server: {how}"
            raise InvalidInput.at(place, message)

    async def _says(self, name: str, place: str, package: Object) -> bool:
        kind, identifier = package["registryType"], package["identifier"]
        if kind == "oci":
            return await self._image_says(name, place, identifier)
        bases = self._bases[kind]
        base = package.get("registryBaseUrl", bases[0]).rstrip("/")
        if base not in bases:
            where = f"{place}.registryBaseUrl"
            message = f"must be one of {', '.join(bases)} or left out"
            raise InvalidInput.at(where, message)
        lookup = _LOOKUPS[kind]
        return await lookup(self._fetcher, base, identifier, package["version"], name)

    async def _image_says(self, name: str, place: str, identifier: str) -> bool:
        image = read_image(identifier)
        hosts = {base.partition("://")[2]: base for base in self._bases["oci"]}
        if image is None or image.host not in hosts:
            where = f"{place}.identifier"
            message = f"must be an image of one of {', '.join(hosts)}"
            raise InvalidInput.at(where, message)
        label = await image_label(self._fetcher, hosts[image.host], image, LABEL)
        return label == name


def read_checks(settings: Settings) -> dict[str, list[str]]:
    """The kinds of packages that are checked, and where each may be.

    Raises InvalidSettings for a kind that does not exist, or lacks its places.
    """
    places = {
        "npm": settings.ownership_npm_urls,
        "pypi": settings.ownership_pypi_urls,
        "nuget": settings.ownership_nuget_urls,
        "oci": settings.ownership_oci_urls,
    }
    found = {}
    for kind in words_of(settings.ownership_checks):
        if kind not in get_args(Kind):
            message = f"OWNERSHIP_CHECKS: {kind!r} is none of {', '.join(places)}"
            raise InvalidSettings(message)
        found[kind] = [base.rstrip("/") for base in words_of(places[kind])]
        if not found[kind]:
            message = (
                f"OWNERSHIP_{kind.upper()}_URLS: needed for {kind} in "
                "OWNERSHIP_CHECKS: where packages are looked up"
            )
            raise InvalidSettings(message)
    return found
