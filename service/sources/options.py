"""How this process fetches, as the settings say it."""

from collections.abc import Iterable
from importlib.metadata import version

import msgspec
from yarl import URL

from service.settings import Settings, words_of
from service.sources.addresses import Allowed, read_allowed
from service.sources.requests import Limits


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of one call, of one host and of all together, and where calls may go."""

    user_agent: str = "mcps"
    allowed: Allowed = Allowed()
    limits: Limits = Limits()
    archive_bytes: int = 64 << 20
    at_once: int = 8
    at_once_per_host: int = 4
    per_second_per_host: float = 5.0


def read_options(settings: Settings, *, bases: Iterable[str] = ()) -> Options:
    """What the settings say.

    `bases` are URLs that the operator configured, such as that of a private registry:
    their hosts may be private. Raises InvalidSettings.
    """
    contact = settings.harvest_contact
    words = words_of(settings.harvest_allow_hosts)
    places = [f"{url.host}:{url.port}" for url in map(URL, filter(None, bases))]
    return Options(
        user_agent=f"mcps/{version('mcps')}" + (f" (+{contact})" if contact else ""),
        allowed=read_allowed([*words, *places], setting="HARVEST_ALLOW_HOSTS"),
        limits=Limits(
            body_bytes=settings.harvest_max_bytes, total_s=settings.harvest_timeout
        ),
        archive_bytes=settings.harvest_max_archive_bytes,
        at_once=settings.harvest_concurrency,
        at_once_per_host=settings.harvest_host_concurrency,
        per_second_per_host=settings.harvest_host_rate,
    )
