"""Proofs that somebody holds a domain: a time, signed with a key that the domain shows.

The domain shows its keys as records `v=MCPv1; k=<kind>; p=<base64>`: `ed25519` with
the 32 bytes of the key, or `ecdsap384` with the compressed point. What is signed is the
text of an RFC 3339 time that is at most 15 s away; the signature is hexadecimal, for
P-384 the 96 bytes of r and s over SHA-384.
"""

import binascii
import re
from base64 import b64decode
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA384

from service.errors import Unauthorized

Key = Ed25519PublicKey | ec.EllipticCurvePublicKey

CLOCK_LIMIT = timedelta(seconds=15)
MOST_KEYS = 20
_RECORD = re.compile(
    r"\s*v=MCPv1\s*;\s*k=(ed25519|ecdsap384)\s*;\s*p=([A-Za-z0-9+/]{20,100}={0,2})\s*;?\s*\Z"
)
_PART_BYTES = 48
_CURVE = ec.SECP384R1()
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"(?:{_LABEL}\.)+(?=[a-z]){_LABEL}\Z")
LONGEST_DOMAIN = 253


def read_domain(text: str) -> str:
    """A domain in lower case. Raises Unauthorized for an address or any other text."""
    domain = text.lower()
    if len(domain) > LONGEST_DOMAIN or not _DOMAIN.match(domain):
        message = "the domain must be a host name of two labels or more"
        raise Unauthorized(message)
    return domain


def namespace_of(domain: str) -> str:
    """The namespace of a domain: `com.example` of `example.com`."""
    return ".".join(reversed(domain.split(".")))


def read_keys(records: Iterable[str]) -> list[Key]:
    """The keys among some records; all other records are passed over."""
    matches = (_RECORD.match(record) for record in records)
    keys = (_key(match[1], match[2]) for match in matches if match)
    return [key for key in keys if key is not None][:MOST_KEYS]


def require_recent(timestamp: str) -> None:
    """Raise Unauthorized unless a time is within 15 s of now."""
    try:
        at = datetime.fromisoformat(timestamp)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        message = "the timestamp must be an RFC 3339 time with its offset"
        raise Unauthorized(message)
    if abs(datetime.now(UTC) - at) > CLOCK_LIMIT:
        message = (
            f"the timestamp must be within {CLOCK_LIMIT.seconds} s of now: "
            "set the clock of this machine"
        )
        raise Unauthorized(message)


def require_signature(keys: Iterable[Key], timestamp: str, signature: str) -> None:
    """Raise Unauthorized unless one of the keys made the signature of a timestamp."""
    try:
        made = bytes.fromhex(signature)
    except ValueError:
        message = "the signed timestamp must be hexadecimal"
        raise Unauthorized(message) from None
    if not any(_is_made_by(key, made, timestamp.encode()) for key in keys):
        message = "no key of the domain made this signature of the timestamp"
        raise Unauthorized(message)


def _key(kind: str, text: str) -> Key | None:
    try:
        raw = b64decode(text, validate=True)
        if kind == "ed25519":
            return Ed25519PublicKey.from_public_bytes(raw)
        return ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, raw)
    except (binascii.Error, ValueError):
        return None


def _is_made_by(key: Key, signature: bytes, data: bytes) -> bool:
    try:
        if isinstance(key, Ed25519PublicKey):
            key.verify(signature, data)
            return True
        if len(signature) != 2 * _PART_BYTES:
            return False
        r, s = signature[:_PART_BYTES], signature[_PART_BYTES:]
        encoded = encode_dss_signature(int.from_bytes(r), int.from_bytes(s))
        key.verify(encoded, data, ec.ECDSA(SHA384()))
    except InvalidSignature:
        return False
    return True
