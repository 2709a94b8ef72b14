"""One DATABASE_URL for two drivers: asyncpg serves, libpq (psycopg, psql) migrates.

Each of them takes parameters that the other refuses; both take the plain URL forms.
"""

import re
from collections.abc import Iterable
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from service.settings import plain_url

_LIBPQ = frozenset(
    """
    application_name channel_binding client_encoding connect_timeout dbname
    fallback_application_name gssdelegation gssencmode gsslib host hostaddr keepalives
    keepalives_count keepalives_idle keepalives_interval krbsrvname load_balance_hosts
    max_protocol_version min_protocol_version options passfile password port
    replication require_auth requirepeer service sslcert sslcertmode sslcompression
    sslcrl sslcrldir sslkey sslmode sslnegotiation sslpassword sslrootcert sslsni
    ssl_max_protocol_version ssl_min_protocol_version target_session_attrs
    tcp_user_timeout user
    """.split()  # noqa: SIM905 - a table of names reads better than a list
)
# Comfort that asyncpg lacks. What guards a login (require_auth, requirepeer) is not
# here: it has to fail rather than be ignored.
_NOT_ASYNCPG = frozenset(
    """
    channel_binding connect_timeout fallback_application_name gssdelegation gssencmode
    keepalives keepalives_count keepalives_idle keepalives_interval load_balance_hosts
    sslcertmode sslcompression sslsni tcp_user_timeout
    """.split()  # noqa: SIM905 - a table of names reads better than a list
)
# What SQLAlchemy's asyncpg dialect reads from a URL for itself.
_DIALECT = frozenset({"async_fallback", "prepared_statement_cache_size"})
_SSL = {"true": "require", "false": "disable"}

Parameters = list[tuple[str, str]]


def asyncpg_url(url: str) -> str:
    """The URL as asyncpg takes it, which would let the path win over `dbname`."""
    kept = [(name, value) for name, value in _read(url) if name not in _NOT_ASYNCPG]
    path = urlsplit(plain_url(url)).path
    for name, value in kept:
        if name == "dbname":
            path = f"/{quote(value, safe='')}"
    return _with(url, [pair for pair in kept if pair[0] != "dbname"], path)


def host_urls(url: str) -> list[str]:
    """One URL for each host, where several are named and any of them may be used.

    Whoever says by target_session_attrs which one it has to be leaves it to the driver.
    """
    parts = urlsplit(plain_url(url))
    login, at, places = parts.netloc.rpartition("@")
    wanted = dict(parse_qsl(parts.query)).get("target_session_attrs", "read-write")
    if "," not in places or wanted not in {"primary", "read-write"}:
        return [url]
    kept = [pair for pair in _read(url) if pair[0] != "target_session_attrs"]
    return [
        _with(
            urlunsplit(parts._replace(netloc=f"{login}{at}{place}")), kept, parts.path
        )
        for place in places.split(",")
    ]


def libpq_url(url: str) -> str:
    """The URL as libpq takes it: server settings travel in `options`."""
    kept: Parameters = []
    options: list[str] = []
    for name, value in _read(url):
        if name == "options":
            options.append(value)
        elif name in _LIBPQ:
            kept.append((name, value))
        else:
            options.append(f"-c {name}={_escaped(value)}")
    if options:
        kept.append(("options", " ".join(options)))
    has_several = "," in urlsplit(plain_url(url)).netloc.rpartition("@")[2]
    if has_several and "target_session_attrs" not in dict(kept):
        kept.append(("target_session_attrs", "read-write"))
    return _with(url, kept, urlsplit(plain_url(url)).path)


def _read(url: str) -> Iterable[tuple[str, str]]:
    query = urlsplit(plain_url(url)).query
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name == "ssl":
            yield "sslmode", _SSL.get(value.lower(), value)
        elif name == "database":
            yield "dbname", value
        elif name not in _DIALECT:
            yield name, value


def _with(url: str, parameters: Parameters, path: str) -> str:
    query = urlencode(parameters, quote_via=quote, safe="/,:")
    parts = urlsplit(plain_url(url))
    changed = urlunsplit(parts._replace(path=path, query=query))
    # urlunsplit drops the empty host of `postgresql:///name`.
    return re.sub(r"^postgresql:/(?!/)", "postgresql:///", changed)


def _escaped(value: str) -> str:
    return re.sub(r"([\\\s])", r"\\\1", value)
