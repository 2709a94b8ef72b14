"""Keys, and what is signed with them."""

import json
import time
from base64 import b64encode
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def ed25519_record(key: Ed25519PrivateKey) -> str:
    """The record of a domain that shows this key."""
    raw = key.public_key().public_bytes_raw()
    return f"v=MCPv1; k=ed25519; p={b64encode(raw).decode()}"


def p384_record(key: ec.EllipticCurvePrivateKey) -> str:
    """The record of a domain that shows this key."""
    public = key.public_key()
    raw = public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    return f"v=MCPv1; k=ecdsap384; p={b64encode(raw).decode()}"


def sign(key: Any, text: str) -> str:
    """The signature of a timestamp as publishing tools make it."""
    if isinstance(key, Ed25519PrivateKey):
        return key.sign(text.encode()).hex()
    made = key.sign(text.encode(), ec.ECDSA(SHA384()))
    return "".join(part.to_bytes(48).hex() for part in decode_dss_signature(made))


class SigningKey:
    """A key of an issuer, with its name."""

    def __init__(self, name: str, algorithm: str = "RS256") -> None:
        self.name = name
        self.algorithm = algorithm
        kinds = {
            "RS256": lambda: rsa.generate_private_key(65_537, 2048),
            "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
            "EdDSA": Ed25519PrivateKey.generate,
        }
        self.key: Any = kinds[algorithm]()

    @property
    def jwk(self) -> dict[str, Any]:
        """What the issuer publishes."""
        maker: Any = jwt.get_algorithm_by_name(self.algorithm)
        public = json.loads(maker.to_jwk(self.key.public_key()))
        return {**public, "kid": self.name, "use": "sig", "alg": self.algorithm}

    def token(self, **claims: Any) -> str:
        """An ID token with these claims."""
        now = int(time.time())
        said = {"iat": now, "exp": now + 60, "sub": "someone", **claims}
        kept = {name: value for name, value in said.items() if value is not None}
        headers = {"kid": self.name}
        return jwt.encode(kept, self.key, algorithm=self.algorithm, headers=headers)
