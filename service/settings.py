"""Settings: environment variables, read once and checked before anything starts.

`env.sample` lists every variable with its default; a test compares the two.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, cast, get_args, get_origin
from urllib.parse import quote, unquote, unquote_to_bytes, urlsplit, urlunsplit

import msgspec
from msgspec import Meta

from service.errors import InvalidSettings

Environment = Literal["development", "production"]
LogFormat = Literal["json", "text"]
LogLevel = Literal["debug", "info", "warning", "error"]
Positive = Annotated[float, Meta(gt=0, le=86_400)]

DEFAULT_PASSWORDS = frozenset({"mcps_password", "postgres", "password", "admin"})
DEVELOPMENT_KEY = "dev_key_12345"
_CHECKED_PREFIXES = ("DB_", "POSTGRES_")
_LAST_PORT = 65_535
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ROOT_PATH = re.compile(r"(?:/[^/?#\s]+)*")
_PLACE = re.compile(r"(?:\[[^\[\]]*\]|[^:\[\]]*)(?::([0-9]{1,5}))?")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Every setting by its environment variable in lower case."""

    environment: Environment = "production"
    data_dir: str = "data"
    # database
    database_url: str = ""
    database_replica_url: str = ""
    database_replica_lag: Positive = 5.0
    postgres_host: str = ""
    postgres_port: Annotated[int, Meta(ge=1, le=65_535)] = 5432
    postgres_user: str = "mcps"
    postgres_password: str = ""
    postgres_db: str = "mcps"
    postgres_bindir: str = ""
    use_sqlite: bool = False
    database_path: str = "data/mcps.db"
    # pool
    db_pool_size: Annotated[int, Meta(ge=1, le=1000)] = 20
    db_max_overflow: Annotated[int, Meta(ge=0, le=1000)] = 10
    db_pool_timeout: Positive = 1.0
    db_pool_recycle: Annotated[float, Meta(ge=1, le=604_800)] = 3600.0
    db_pool_pre_ping: bool = True
    db_echo: bool = False
    db_connect_timeout: Positive = 2.0
    db_probe_timeout: Positive = 0.65
    db_statement_timeout: Positive = 1.5
    db_request_timeout: Positive = 2.5
    # HTTP
    api_host: str = "127.0.0.1"
    api_port: Annotated[int, Meta(ge=0, le=65_535)] = 8000
    api_workers: Annotated[int, Meta(ge=1, le=64)] = 1
    api_reuse_port: bool = False
    root_path: str = ""
    max_body_bytes: Annotated[int, Meta(ge=1024, le=1 << 30)] = 1_048_576
    max_requests_in_flight: Annotated[int, Meta(ge=1, le=100_000)] = 1000
    request_timeout: Positive = 3.0
    cache_max_bytes: Annotated[int, Meta(ge=0, le=1 << 36)] = 67_108_864
    shutdown_delay: Annotated[float, Meta(ge=0, le=60)] = 0.0
    shutdown_timeout: Annotated[float, Meta(ge=1, le=300)] = 10.0
    # keys
    admin_api_key: str = ""
    require_api_key: bool = False
    # registry API
    github_client_id: str = ""
    registry_logins: str = ""
    registry_token_key: str = ""
    registry_denied_namespaces: str = ""
    oidc_issuer: str = ""
    oidc_client_id: str = ""
    oidc_claims: str = ""
    oidc_publish: str = ""
    oidc_edit: str = ""
    github_oidc_issuer: str = ""
    dns_resolver: str = ""
    ownership_checks: str = ""
    ownership_npm_urls: str = ""
    ownership_pypi_urls: str = ""
    ownership_nuget_urls: str = ""
    ownership_oci_urls: str = ""
    # harvester
    registry_url: str = "https://registry.modelcontextprotocol.io"
    registry_api_key: str = ""
    harvest_contact: str = ""
    harvest_allow_hosts: str = ""
    harvest_timeout: Annotated[float, Meta(ge=1, le=600)] = 20.0
    harvest_max_bytes: Annotated[int, Meta(ge=65_536, le=1 << 30)] = 8_388_608
    harvest_max_archive_bytes: Annotated[int, Meta(ge=65_536, le=1 << 32)] = 67_108_864
    harvest_concurrency: Annotated[int, Meta(ge=1, le=256)] = 8
    harvest_host_concurrency: Annotated[int, Meta(ge=1, le=256)] = 4
    harvest_host_rate: Annotated[float, Meta(gt=0, le=1000)] = 5.0
    harvest_jobs: Annotated[int, Meta(ge=1, le=64)] = 4
    harvest_lease: Annotated[float, Meta(ge=1, le=3600)] = 30.0
    harvest_every: Annotated[float, Meta(ge=1, le=31_536_000)] = 86_400.0
    harvest_full_every: Annotated[float, Meta(ge=0, le=31_536_000)] = 86_400.0
    harvest_max_loss: Annotated[float, Meta(ge=0, le=1)] = 0.2
    harvest_pool_size: Annotated[int, Meta(ge=1, le=1000)] = 10
    harvest_max_overflow: Annotated[int, Meta(ge=0, le=1000)] = 5
    harvest_metrics_port: Annotated[int, Meta(ge=0, le=65_535)] = 0
    # sources
    npm_registry_url: str = ""
    npm_downloads_url: str = ""
    pypi_url: str = ""
    github_api_url: str = "https://api.github.com"
    github_token: str = ""
    oci_registry_url: str = ""
    # logs and metrics
    log_format: LogFormat = "json"
    log_level: LogLevel = "info"
    prometheus_multiproc_dir: str = ""

    @property
    def is_sqlite(self) -> bool:
        """Whether the catalog lives in an SQLite file."""
        if self.database_url:
            return is_sqlite_url(self.database_url)
        return self.use_sqlite and not self.postgres_host

    @property
    def is_configured(self) -> bool:
        """Whether any database is named; otherwise the embedded one is used."""
        return bool(self.database_url or self.postgres_host or self.use_sqlite)

    @property
    def postgres_url(self) -> str:
        """The configured PostgreSQL as one URL that asyncpg and psql understand.

        Raises InvalidSettings when no PostgreSQL is configured.
        """
        if self.database_url:
            return plain_url(self.database_url)
        if not self.postgres_host:
            message = "no PostgreSQL is configured: set DATABASE_URL or POSTGRES_HOST"
            raise InvalidSettings(message)
        user = quote(self.postgres_user, safe="")
        secret = quote(self.postgres_password, safe="")
        login = f"{user}:{secret}" if secret else user
        host = self.postgres_host
        if host.startswith("/"):
            query = f"host={quote(host, safe='')}&port={self.postgres_port}"
            return f"postgresql://{login}@/{quote(self.postgres_db, safe='')}?{query}"
        if ":" in host and not host.startswith("["):
            host = f"[{host}]"
        place = f"{host}:{self.postgres_port}"
        return f"postgresql://{login}@{place}/{quote(self.postgres_db, safe='')}"

    @property
    def sqlite_path(self) -> Path:
        """The configured SQLite file. Raises InvalidSettings when none is named."""
        if self.database_url:
            return sqlite_path(self.database_url)
        return Path(self.database_path)


def is_sqlite_url(url: str) -> bool:
    """Whether a URL names an SQLite file."""
    return url.partition(":")[0].split("+", 1)[0] == "sqlite"


def sqlite_path(url: str) -> Path:
    """The file of sqlite:///relative/path or sqlite:////absolute/path.

    Raises InvalidSettings for a URL without a file.
    """
    path = url.partition(":///")[2].partition("?")[0]
    if not path or path == ":memory:":
        message = (
            "DATABASE_URL: expected sqlite:///path, three slashes before a relative "
            "path and four before an absolute one"
        )
        raise InvalidSettings(message)
    return Path(os.fsdecode(unquote_to_bytes(path)))


def plain_url(url: str) -> str:
    """A PostgreSQL URL without the driver suffix that SQLAlchemy puts in the scheme."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.split("+", 1)[0] not in {"postgresql", "postgres"}:
        message = (
            "DATABASE_URL: expected postgresql://user@host:5432/name "
            "or sqlite:///path, found another scheme"
        )
        raise InvalidSettings(message)
    return f"postgresql://{rest}"


def masked_url(url: str) -> str:
    """The URL with its password replaced by `****`."""
    parts = urlsplit(url)
    query = re.sub(r"((?:^|&)(?:ssl)?password=)[^&]*", r"\1****", parts.query)
    login, at, hosts = parts.netloc.rpartition("@")
    user, colon, _ = login.partition(":")
    netloc = f"{user}:****@{hosts}" if colon else f"{login}{at}{hosts}"
    masked = urlunsplit(parts._replace(netloc=netloc, query=query))
    # urlunsplit drops the empty host of `postgresql:///name`.
    return re.sub(r"^postgresql:/(?!/)", "postgresql:///", masked)


def read_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process.

    An empty variable counts as unset. Raises InvalidSettings with one line that
    names the variable.
    """
    source = os.environ if environ is None else environ
    known = {name.upper(): name for name in Settings.__struct_fields__}
    _refuse_unknown(source, known)
    values = {
        name: source[variable].strip()
        for variable, name in known.items()
        if source.get(variable, "").strip()
    }
    for name in list(values):
        values[name] = _converted(name, values[name])
    settings = msgspec.convert(values, Settings)
    if not _ROOT_PATH.fullmatch(settings.root_path):
        message = "ROOT_PATH: expected a path such as /catalog, without a / at its end"
        raise InvalidSettings(message)
    _refuse_wrong_replica(settings)
    _refuse_insecure(settings)
    return settings


def words_of(text: str) -> list[str]:
    """The parts of a setting that lists several, between commas or blanks."""
    return text.replace(",", " ").split()


def export(values: Mapping[str, str]) -> None:
    """Hand settings on to the worker processes that this one starts."""
    os.environ.update(values)


def _refuse_unknown(source: Mapping[str, str], known: Mapping[str, str]) -> None:
    for variable in sorted(source):
        if variable.startswith(_CHECKED_PREFIXES) and variable not in known:
            message = f"{variable}: no such setting; env.sample lists them all"
            raise InvalidSettings(message)


def _converted(name: str, text: str) -> str:
    """Check one value against its type; booleans also as yes/no and on/off."""
    kind = cast("dict[str, object]", Settings.__annotations__)[name]
    plain = _BOOLEANS.get(text.lower(), text) if kind is bool else text
    try:
        return cast("str", msgspec.convert(plain, kind, strict=False))
    except msgspec.ValidationError as error:
        fault = _wanted(kind) or str(error)
        message = f"{name.upper()}: {_shown(name, text)} is not valid: {fault}"
        raise InvalidSettings(message) from None


def _wanted(kind: object) -> str:
    """The words that a setting may have, where they are few."""
    words = get_args(kind) if get_origin(kind) is Literal else ()
    words = ("true", "false") if kind is bool else words
    return f"expected {' or '.join(words)}" if words else ""


def _shown(name: str, text: str) -> str:
    is_secret = any(word in name for word in ("password", "key", "url", "token"))
    return "the value" if is_secret else repr(text)


def _refuse_insecure(settings: Settings) -> None:
    if settings.database_url and settings.is_sqlite:
        sqlite_path(settings.database_url)
    elif settings.database_url:
        plain_url(settings.database_url)
        _refuse_malformed("DATABASE_URL", settings.database_url)
    if settings.environment != "production":
        return
    if settings.registry_logins and not settings.registry_token_key:
        message = (
            "REGISTRY_TOKEN_KEY: needed with REGISTRY_LOGINS, the same for every "
            "process; make one with: openssl rand -hex 32"
        )
        raise InvalidSettings(message)
    if settings.admin_api_key == DEVELOPMENT_KEY:
        message = "ADMIN_API_KEY: the development key is refused in production"
        raise InvalidSettings(message)
    if not settings.is_configured or settings.is_sqlite:
        return
    secret = unquote(urlsplit(settings.postgres_url).password or "")
    if secret in DEFAULT_PASSWORDS:
        variable = "DATABASE_URL" if settings.database_url else "POSTGRES_PASSWORD"
        message = f"{variable}: a default password is refused in production"
        raise InvalidSettings(message)


def _refuse_wrong_replica(settings: Settings) -> None:
    if not settings.database_replica_url:
        return
    if settings.is_sqlite or not settings.is_configured:
        message = "DATABASE_REPLICA_URL: only a configured PostgreSQL has a replica"
        raise InvalidSettings(message)
    try:
        plain_url(settings.database_replica_url)
    except InvalidSettings:
        message = "DATABASE_REPLICA_URL: expected postgresql://user@host:5432/name"
        raise InvalidSettings(message) from None
    _refuse_malformed("DATABASE_REPLICA_URL", settings.database_replica_url)


def _refuse_malformed(variable: str, url: str) -> None:
    """Drivers read a broken URL in different ways, and say pieces of its password."""
    if fault := _fault(url):
        message = (
            f"{variable}: {fault}; in a user or a password @ is written %40, / %2F, "
            "? %3F, # %23 and % %25"
        )
        raise InvalidSettings(message)


def _fault(url: str) -> str:
    """What is wrong with a URL of PostgreSQL, without any piece of it; or nothing."""
    try:
        parts = urlsplit(plain_url(url))
    except ValueError:
        return "it is no URL"
    login, at, places = parts.netloc.rpartition("@")
    ports = [_PLACE.fullmatch(place) for place in places.split(",")]
    has_bad_port = any(found is None or not _is_port(found[1]) for found in ports)
    faults = {
        "it holds a #": "#" in url,
        "it holds a % without two hex digits": _BAD_ESCAPE.search(url),
        "it holds an @ too many": "@" in login or (not at and "@" in parts.path),
        "a parameter has no =": not all("=" in p for p in parts.query.split("&") if p),
        "a port is no number from 1 to 65535": has_bad_port,
    }
    return next((fault for fault, is_so in faults.items() if is_so), "")


def _is_port(text: str | None) -> bool:
    return text is None or 1 <= int(text) <= _LAST_PORT


_BOOLEANS = {
    "1": "true",
    "yes": "true",
    "on": "true",
    "0": "false",
    "no": "false",
    "off": "false",
}
