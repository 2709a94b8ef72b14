"""The sources that this installation has, and the targets that people type.

A source is one more line in make_sources, and its base URL one in configured_urls.
"""

from collections.abc import Mapping

from service.errors import InvalidInput
from service.jobs import JobName
from service.models_harvest import SourceName
from service.settings import Settings
from service.sources.base import Source
from service.sources.fetch import Fetcher
from service.sources.github import GithubSource
from service.sources.http import HttpSource
from service.sources.npm import NpmSource
from service.sources.oci import OciSource
from service.sources.options import Options
from service.sources.pypi import PypiSource
from service.sources.registry import RegistrySource

# In which order a URL is tried; only its setting tells a registry from an endpoint.
ORDER: tuple[SourceName, ...] = ("github", "npm", "pypi", "oci", "http")

Sources = Mapping[SourceName, Source]


def make_sources(settings: Settings, fetcher: Fetcher) -> Sources:
    """Every source that this installation has."""
    return {
        "registry": RegistrySource(
            fetcher.named("registry"),
            base_url=settings.registry_url,
            api_key=settings.registry_api_key,
            full_every_s=settings.harvest_full_every,
        ),
        "npm": NpmSource(fetcher.named("npm"), settings),
        "pypi": PypiSource(fetcher.named("pypi"), settings),
        "github": GithubSource(fetcher.named("github"), settings),
        "oci": OciSource(fetcher.named("oci"), settings),
        "http": HttpSource(fetcher.named("http")),
    }


def configured_urls(settings: Settings) -> list[str]:
    """The places that the operator named, whose addresses may be private."""
    return [
        settings.registry_url,
        settings.npm_registry_url,
        settings.npm_downloads_url,
        settings.pypi_url,
        settings.github_api_url,
        settings.oci_registry_url,
    ]


def idle_sources(settings: Settings) -> Sources:
    """The sources for telling targets apart alone: these cannot fetch anything."""
    return make_sources(settings, Fetcher(Options(), "idle"))


def name_of(sources: Sources, source: SourceName, text: str) -> JobName:
    """The job for what somebody typed. Raises InvalidInput for what is none."""
    target = sources[source].target_of(text) if source in sources else None
    if target is None:
        message = f"not a target of the source {source}"
        raise InvalidInput.at(text[:100], message)
    return JobName(source, target)


def find_name(sources: Sources, settings: Settings, url: str) -> JobName:
    """The job for a URL, whichever source knows it. Raises InvalidInput."""
    registry = sources["registry"].target_of(settings.registry_url)
    if registry and sources["registry"].target_of(url) == registry:
        return JobName("registry", registry)
    for source in ORDER:
        target = sources[source].target_of(url) if source in sources else None
        if target is not None:
            return JobName(source, target)
    message = f"none of the sources {', '.join(sources)} knows what this is"
    raise InvalidInput.at(url[:100], message)
