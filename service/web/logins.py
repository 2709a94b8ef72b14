"""Logins through the registry API: each gives a token for the next five minutes."""

from typing import Any

from litestar import Request

from service.errors import Unprocessable
from service.logins import Logins
from service.models_publish import GithubBody, OidcBody, ProofBody, RegistryToken
from service.web.answers import Answer, json_value
from service.web.asked import read_asked
from service.web.bodies import read_body
from service.web.prefixes import Handlers, routes
from service.web.spec import NoQuery, spec

Call = Request[Any, Any, Any]

LIMIT_S = 10.0
_NO_STORE = (b"cache-control", b"no-store")


async def log_in_anonymously(request: Call) -> Answer:
    """Anybody may publish `io.modelcontextprotocol.anonymous/*`; for trials."""
    return _answer(await _logins(request).anonymous())


async def log_in_by_oidc(request: Call) -> Answer:
    """With an ID token of the configured issuer; what it allows is configured too."""
    logins = _logins(request)
    body = await read_body(request, OidcBody, misfit=Unprocessable)
    return _answer(await logins.oidc(body))


async def log_in_by_github_oidc(request: Call) -> Answer:
    """With the ID token of a workflow: publishes `io.github.<repository owner>/*`."""
    logins = _logins(request)
    body = await read_body(request, OidcBody, misfit=Unprocessable)
    return _answer(await logins.github_oidc(body))


async def log_in_by_github(request: Call) -> Answer:
    """With a token of GitHub: publishes for its user and their organisations."""
    logins = _logins(request)
    body = await read_body(request, GithubBody, misfit=Unprocessable)
    return _answer(await logins.github(body))


async def log_in_by_dns(request: Call) -> Answer:
    """With a key in a TXT record of `example.com`: `com.example/*`, `com.example.*`."""
    logins = _logins(request)
    body = await read_body(request, ProofBody, misfit=Unprocessable)
    return _answer(await logins.dns(body))


async def log_in_by_http(request: Call) -> Answer:
    """With a key at `/.well-known/mcp-registry-auth` of the domain: `com.example/*`."""
    logins = _logins(request)
    body = await read_body(request, ProofBody, misfit=Unprocessable)
    return _answer(await logins.http(body))


def _logins(request: Call) -> Logins:
    read_asked(request.scope["query_string"], NoQuery)
    logins: Logins = request.app.state.logins
    return logins


def _answer(token: RegistryToken) -> Answer:
    return json_value(token, headers=[_NO_STORE])


def _spec(summary: str, body: Any = None) -> dict[str, Any]:  # noqa: ANN401 - a type
    failures = ("unauthorized", "forbidden", "not_supported")
    return spec(
        summary=summary,
        answer=RegistryToken,
        body=body,
        role="open",
        tag="registry",
        limit_s=LIMIT_S,
        may_fail=failures if body is None else (*failures, "unprocessable"),
    )


_HANDLERS: Handlers = (
    ("post", "/auth/none", log_in_anonymously, _spec("Log in as nobody")),
    ("post", "/auth/oidc", log_in_by_oidc, _spec("Log in by OpenID Connect", OidcBody)),
    (
        "post",
        "/auth/github-oidc",
        log_in_by_github_oidc,
        _spec("Log in from GitHub Actions", OidcBody),
    ),
    (
        "post",
        "/auth/github-at",
        log_in_by_github,
        _spec("Log in as a user of GitHub", GithubBody),
    ),
    ("post", "/auth/dns", log_in_by_dns, _spec("Log in by a DNS record", ProofBody)),
    ("post", "/auth/http", log_in_by_http, _spec("Log in by a web server", ProofBody)),
)

ROUTES = routes(_HANDLERS)
"""The handlers of this file, below each prefix."""
