"""ID tokens of one OpenID Connect issuer, checked with the keys that it publishes.

The keys are fetched when the first token comes, and again when they are old or a token
names an unknown one, at most once in `AGAIN_S`, because anybody may send such a token.
Keys that are known stay while the issuer does not answer.
"""

import asyncio
import math
import time
from typing import Any

import jwt
import msgspec
import structlog

from service.errors import SourceFailed, Unauthorized, Unavailable
from service.sources.fetch import Fetcher
from service.sources.requests import Limits

log = structlog.get_logger("login")

AGAIN_S = 60.0
SOON_S = 5.0
KEPT_S = 3600.0
LEEWAY_S = 30.0
# Signatures with a public key alone: a shared secret or none would let anybody sign.
ALGORITHMS = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"}
)
LIMITS = Limits(body_bytes=1 << 20, total_s=4.0, redirects=2, tries=2)
_DISCOVERY = "/.well-known/openid-configuration"
_NEEDED = ["exp", "iat", "iss", "aud"]

Claims = dict[str, Any]


class Discovery(msgspec.Struct, frozen=True):
    """What an issuer says of itself."""

    issuer: str
    jwks_uri: str


class Issuer:
    """One issuer and its keys."""

    def __init__(self, url: str, audience: str, fetcher: Fetcher) -> None:
        self._url = url
        self._audience = audience
        self._fetcher = fetcher
        self._keys: dict[str, jwt.PyJWK] = {}
        self._asked_at = -math.inf
        self._fetched_at = -math.inf
        self._turn = asyncio.Lock()

    async def claims(self, token: str) -> Claims:
        """What a token says.

        Raises Unauthorized for one that is expired, forged, or meant for others;
        Unavailable when the keys cannot be fetched.
        """
        try:
            header = jwt.get_unverified_header(token)
            key = await self._key(str(header.get("kid", "")))
            if key is None or header.get("alg") not in ALGORITHMS & {
                key.algorithm_name
            }:
                raise jwt.InvalidKeyError
            found: Claims = jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                audience=self._audience,
                issuer=self._url,
                leeway=LEEWAY_S,
                options={"require": _NEEDED, "enforce_minimum_key_length": True},
            )
        except jwt.ExpiredSignatureError:
            message = "the ID token has expired"
            raise Unauthorized(message) from None
        except jwt.PyJWTError as error:
            reason = str(error) or "its key or algorithm is not one of the issuer"
            message = f"the ID token is not valid here: {reason[:200]}"
            raise Unauthorized(message) from None
        return found

    async def _key(self, name: str) -> jwt.PyJWK | None:
        async with self._turn:
            now = time.monotonic()
            is_due = name not in self._keys or now - self._fetched_at > KEPT_S
            if is_due and now - self._asked_at > (AGAIN_S if self._keys else SOON_S):
                await self._fetch()
        if not self._keys:
            message = "the keys of the issuer could not be fetched just now"
            raise Unavailable(message, retry_after_s=round(SOON_S))
        return self._keys.get(name)

    async def _fetch(self) -> None:
        self._asked_at = time.monotonic()
        try:
            base = self._url.rstrip("/")
            found = await self._fetcher.get(f"{base}{_DISCOVERY}", limits=LIMITS)
            said = found.json(Discovery)
            if said.issuer != self._url:
                log.error("another issuer", wanted=self._url, found=said.issuer[:200])
                return
            answer = await self._fetcher.get(said.jwks_uri, limits=LIMITS)
            self._keys = _read_keys(answer.json(dict[str, Any]))
            self._fetched_at = self._asked_at
        except SourceFailed as error:
            log.warning("keys of the issuer not fetched", error=error.message)


def _read_keys(found: Claims) -> dict[str, jwt.PyJWK]:
    """The keys for signatures; those of unknown kinds are passed over."""
    listed = found.get("keys")
    keys = {}
    for entry in listed if isinstance(listed, list) else []:
        if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
            continue
        try:
            keys[str(entry.get("kid", ""))] = jwt.PyJWK(entry)
        except jwt.PyJWTError:
            continue
    return keys
