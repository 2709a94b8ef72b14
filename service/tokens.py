"""Registry tokens: who logged in how, and what they may write for the next minutes.

A token is a JWT signed with Ed25519. Every process that has the same key makes and
takes the same tokens; nothing of them is stored.
"""

import re
import secrets
import time
from collections.abc import Sequence

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from service.errors import Forbidden, InvalidSettings, Unauthorized
from service.models_publish import RegistryToken
from service.permissions import EVERY_NAME, Caller, Permission
from service.settings import Settings, words_of

ISSUER = "mcp-registry"
LASTS_S = 300
# How far the clocks of two processes may be apart.
CLOCKS_DIFFER_S = 15
LONGEST_TOKEN = 8192
_ALGORITHM = "EdDSA"
_NEEDED = ["exp", "iat", "iss"]
_SEED = re.compile(r"[0-9a-fA-F]{64}\Z")


class Claims(msgspec.Struct, frozen=True):
    """What stands in a token beside its times."""

    auth_method: str
    auth_method_sub: str
    permissions: tuple[Permission, ...]


class Tokens:
    """Makes and reads the tokens of one key."""

    def __init__(self, settings: Settings) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(_seed(settings))
        self._public = self._key.public_key()
        self._denied = words_of(settings.registry_denied_namespaces)

    def issue(
        self, method: str, subject: str, permissions: Sequence[Permission]
    ) -> RegistryToken:
        """A token for who logged in. Raises Forbidden for a denied namespace."""
        self._refuse_denied(permissions)
        now = int(time.time())
        claims = Claims(method, subject, tuple(permissions))
        end = now + LASTS_S
        said = {
            "iss": ISSUER,
            "iat": now,
            "nbf": now - CLOCKS_DIFFER_S,
            "exp": end,
            **msgspec.to_builtins(claims),
        }
        text = jwt.encode(said, self._key, algorithm=_ALGORITHM)
        return RegistryToken(registry_token=text, expires_at=end)

    def read(self, token: bytes) -> Caller:
        """Who a token stands for.

        Raises Unauthorized for one that is expired, not ours, or no token at all.
        """
        try:
            if len(token) > LONGEST_TOKEN:
                raise jwt.InvalidTokenError  # noqa: TRY301 - treated as any other
            found = jwt.decode(
                token,
                self._public,
                algorithms=[_ALGORITHM],
                issuer=ISSUER,
                options={"require": _NEEDED, "verify_iat": False},
            )
            claims = msgspec.convert(found, Claims)
        except jwt.ExpiredSignatureError:
            message = "this registry token has expired: log in again"
            raise Unauthorized(message) from None
        except (jwt.InvalidTokenError, msgspec.ValidationError):
            message = "this is no registry token of this catalog: log in here"
            raise Unauthorized(message) from None
        subject = f"{claims.auth_method} {claims.auth_method_sub}"
        return Caller(subject, claims.permissions)

    def _refuse_denied(self, permissions: Sequence[Permission]) -> None:
        limited = [p for p in permissions if p.resource != EVERY_NAME]
        for namespace in self._denied:
            if any(p.covers(p.action, f"{namespace}/") for p in limited):
                message = f"nobody may publish below {namespace} here"
                raise Forbidden(message)


def is_token(key: bytes) -> bool:
    """Whether what a request brings looks like a JWT, not like an API key."""
    return key.startswith(b"eyJ") and key.count(b".") >= 2


def _seed(settings: Settings) -> bytes:
    """The configured key; without one, which only development allows, a random one."""
    text = settings.registry_token_key
    if not text:
        return secrets.token_bytes(32)
    if not _SEED.match(text):
        message = "REGISTRY_TOKEN_KEY: expected 64 hex digits: openssl rand -hex 32"
        raise InvalidSettings(message)
    return bytes.fromhex(text)
