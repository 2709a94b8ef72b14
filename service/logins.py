"""Logins of publishers that have no API key: each gives a registry token.

What a login may publish: `none` the anonymous namespace; `oidc` the names of the
settings; `github-oidc` and `github-at` the namespaces of a GitHub account; `dns` and
`http` the namespace of a domain, `dns` those below it too. A login that the settings do
not list is off.
"""

import asyncio
from collections.abc import Iterable
from typing import Any, Literal, get_args

import msgspec

from service.errors import (
    InvalidSettings,
    NotSupported,
    Overloaded,
    SourceFailed,
    Unauthorized,
    Unavailable,
)
from service.models_publish import GithubBody, OidcBody, ProofBody, RegistryToken
from service.oidc import Issuer
from service.permissions import Permission
from service.proofs import (
    namespace_of,
    read_domain,
    read_keys,
    require_recent,
    require_signature,
)
from service.settings import Settings, words_of
from service.sources.fetch import Fetcher
from service.sources.options import read_options
from service.sources.requests import Answer, Limits
from service.sources.txt import TxtResolver
from service.tokens import Tokens

Login = Literal["none", "oidc", "github-oidc", "github-at", "dns", "http"]

ANONYMOUS = "io.modelcontextprotocol.anonymous/*"
AUDIENCE = "mcp-registry"
PROOF_URL = "https://{domain}/.well-known/mcp-registry-auth"
PROOF_LIMITS = Limits(body_bytes=4096, total_s=4.0, redirects=0, tries=1)
GITHUB_LIMITS = Limits(body_bytes=1 << 20, total_s=4.0, redirects=1, tries=2)
MOST_AT_ONCE = 32
_PURPOSE = "login"
_NEEDS: dict[Login, tuple[str, ...]] = {
    "oidc": ("oidc_issuer", "oidc_client_id", "oidc_publish"),
    "github-oidc": ("github_oidc_issuer",),
    "github-at": ("github_api_url",),
}

Claims = dict[str, Any]


class Logins:
    """The logins of the settings, with what they ask."""

    def __init__(self, settings: Settings, tokens: Tokens) -> None:
        self._settings = settings
        self._tokens = tokens
        self._on = read_logins(settings)
        self._wanted_claims = _read_claims(settings.oidc_claims)
        # Whose addresses the operator wrote down may be private; all others may not.
        bases = (
            settings.oidc_issuer,
            settings.github_oidc_issuer,
            settings.github_api_url,
        )
        self._trusted = Fetcher(read_options(settings, bases=bases), _PURPOSE)
        self._stranger = Fetcher(read_options(settings), _PURPOSE)
        self._resolver = TxtResolver(settings.dns_resolver)
        self._busy = asyncio.Semaphore(MOST_AT_ONCE)
        self._issuer = Issuer(
            settings.oidc_issuer, settings.oidc_client_id, self._trusted
        )
        self._github = Issuer(settings.github_oidc_issuer, AUDIENCE, self._trusted)

    async def open(self) -> None:
        """Get ready to ask others, where a login does."""
        if self._on:
            await self._trusted.__aenter__()
            await self._stranger.__aenter__()

    async def close(self) -> None:
        """Close every connection."""
        await self._trusted.__aexit__(None, None, None)
        await self._stranger.__aexit__(None, None, None)

    async def anonymous(self) -> RegistryToken:
        """A token for anybody."""
        self._require("none")
        return self._tokens.issue("none", "anonymous", _publish(ANONYMOUS))

    async def oidc(self, body: OidcBody) -> RegistryToken:
        """A token for who has an ID token of the configured issuer.

        Raises Unauthorized, also for a claim that the settings want otherwise.
        """
        self._require("oidc")
        claims = await self._issuer.claims(body.oidc_token)
        for name, wanted in self._wanted_claims.items():
            if claims.get(name) != wanted:
                message = f"the ID token lacks the claim {name} that is needed here"
                raise Unauthorized(message)
        permissions = (
            *_publish(*words_of(self._settings.oidc_publish)),
            *(Permission("edit", name) for name in words_of(self._settings.oidc_edit)),
        )
        return self._tokens.issue("oidc", str(claims.get("sub", "")), permissions)

    async def github_oidc(self, body: OidcBody) -> RegistryToken:
        """A token for a workflow of GitHub Actions, by the owner of its repository."""
        self._require("github-oidc")
        claims = await self._github.claims(body.oidc_token)
        owner = claims.get("repository_owner")
        if not isinstance(owner, str) or not _is_account(owner):
            message = "the ID token names no repository_owner"
            raise Unauthorized(message)
        subject = str(claims.get("sub", ""))
        return self._tokens.issue("github-oidc", subject, _publish(_github(owner)))

    async def github(self, body: GithubBody) -> RegistryToken:
        """A token for a user of GitHub, and for the organisations they show."""
        self._require("github-at")
        user = (await self._ask_github("/user", body)).json(_Account).login
        shown = await self._ask_github(f"/users/{user}/orgs?per_page=100", body)
        accounts = [user, *(found.login for found in shown.json(list[_Account]))]
        names = [_github(account) for account in accounts if _is_account(account)]
        return self._tokens.issue("github-at", user, _publish(*names))

    async def dns(self, body: ProofBody) -> RegistryToken:
        """A token for who holds a domain whose TXT records show their key."""
        self._require("dns")
        domain = self._checked(body)
        async with self._turn():
            try:
                records = await self._resolver.texts(domain)
            except SourceFailed as error:
                raise Unavailable(error.message) from error
        _require_proof(records, body, f"the TXT records of {domain}")
        space = namespace_of(domain)
        return self._tokens.issue("dns", domain, _publish(f"{space}/*", f"{space}.*"))

    async def http(self, body: ProofBody) -> RegistryToken:
        """A token for who holds a domain whose web server shows their key."""
        self._require("http")
        domain = self._checked(body)
        url = PROOF_URL.format(domain=domain)
        async with self._turn():
            try:
                answer = await self._stranger.get(url, limits=PROOF_LIMITS)
            except SourceFailed as error:
                raise Unauthorized(error.message) from error
        _require_proof(answer.text().splitlines(), body, url)
        names = _publish(f"{namespace_of(domain)}/*")
        return self._tokens.issue("http", domain, names)

    def _require(self, login: Login) -> None:
        if login not in self._on:
            message = f"this login is off: REGISTRY_LOGINS does not list {login}"
            raise NotSupported(message)

    def _checked(self, body: ProofBody) -> str:
        """The domain of a proof that is worth asking others about."""
        domain = read_domain(body.domain)
        require_recent(body.timestamp)
        return domain

    def _turn(self) -> asyncio.Semaphore:
        """One of the places for those who make us ask others."""
        if self._busy.locked():
            raise Overloaded
        return self._busy

    async def _ask_github(self, path: str, body: GithubBody) -> Answer:
        url = self._settings.github_api_url.rstrip("/") + path
        headers = {
            "Authorization": f"Bearer {body.github_token}",
            "Accept": "application/vnd.github+json",
        }
        try:
            return await self._trusted.get(url, headers=headers, limits=GITHUB_LIMITS)
        except SourceFailed as error:
            if error.reason == "unauthorized":
                message = "GitHub does not know this token"
                raise Unauthorized(message) from error
            raise Unavailable(error.message) from error


class _Account(msgspec.Struct):
    """A user or an organisation of GitHub."""

    login: str


def check_logins(settings: Settings) -> None:
    """Raise InvalidSettings for logins that cannot work as they are configured."""
    Logins(settings, Tokens(settings))


def read_logins(settings: Settings) -> frozenset[Login]:
    """The logins that are on.

    Raises InvalidSettings for one that does not exist or lacks what it needs.
    """
    known = get_args(Login)
    for word in words_of(settings.registry_logins):
        if word not in known:
            message = f"REGISTRY_LOGINS: {word!r} is none of {', '.join(known)}"
            raise InvalidSettings(message)
    found = frozenset(
        login for login in known if login in words_of(settings.registry_logins)
    )
    for login in sorted(found):
        for name in _NEEDS.get(login, ()):
            if not getattr(settings, name):
                message = f"{name.upper()}: needed for {login} in REGISTRY_LOGINS"
                raise InvalidSettings(message)
    return found


def _read_claims(text: str) -> Claims:
    try:
        return msgspec.json.decode(text or "{}", type=Claims)
    except msgspec.DecodeError as error:
        message = f"OIDC_CLAIMS: expected a JSON object: {error}"
        raise InvalidSettings(message) from error


def _require_proof(records: Iterable[str], body: ProofBody, place: str) -> None:
    keys = read_keys(records)
    if not keys:
        message = f"{place} show no key: expected v=MCPv1; k=ed25519; p=<base64>"
        raise Unauthorized(message)
    require_signature(keys, body.timestamp, body.signed_timestamp)


def _publish(*names: str) -> tuple[Permission, ...]:
    return tuple(Permission("publish", name) for name in names)


def _github(account: str) -> str:
    return f"io.github.{account}/*"


def _is_account(name: str) -> bool:
    """Whether a name can be one of GitHub, and so is no pattern."""
    return name.isascii() and name.replace("-", "").isalnum()
