"""Proofs of a domain: which keys and signatures count, and for how long."""

from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from service.errors import Unauthorized
from service.proofs import (
    namespace_of,
    read_domain,
    read_keys,
    require_recent,
    require_signature,
)
from tests.proofs.signing import ed25519_record, p384_record, sign

NOW = "2026-11-28T12:00:00Z"


def keys_of_both_kinds() -> list[Any]:
    return [Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP384R1())]


KEYS = keys_of_both_kinds()
OTHERS = keys_of_both_kinds()


def record(key: Any) -> str:
    is_edwards = isinstance(key, Ed25519PrivateKey)
    return ed25519_record(key) if is_edwards else p384_record(key)


@pytest.mark.parametrize("key", KEYS)
def test_a_signature_of_a_shown_key_counts(key: Any) -> None:
    keys = read_keys(["v=spf1 -all", record(key), "x"])
    assert len(keys) == 1
    require_signature(keys, NOW, sign(key, NOW))
    require_signature(keys, NOW, sign(key, NOW).upper())


@pytest.mark.parametrize("key", KEYS)
def test_one_of_several_keys_is_enough(key: Any) -> None:
    require_signature(read_keys(map(record, KEYS)), NOW, sign(key, NOW))


@pytest.mark.parametrize("key", KEYS)
def test_another_signature_does_not_count(key: Any) -> None:
    keys = read_keys([record(key)])
    good = sign(key, NOW)
    other = {
        "of another text": sign(key, NOW + " "),
        "of another key": sign(OTHERS[KEYS.index(key)], NOW),
        "changed": ("0" if good[0] != "0" else "1") + good[1:],
        "too short": good[:-2],
        "too long": good + "00",
        "nothing": "",
        "zero": "00" * 96,
        "ones": "ff" * 96,
        "no hex": "zz" * 64,
    }
    for signature in other.values():
        with pytest.raises(Unauthorized):
            require_signature(keys, NOW, signature)


def test_no_key_no_proof() -> None:
    with pytest.raises(Unauthorized):
        require_signature([], NOW, sign(KEYS[0], NOW))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "v=MCPv1",
        "v=MCPv2; k=ed25519; p=" + b64encode(bytes(32)).decode(),
        "v=MCPv1; k=rsa; p=" + b64encode(bytes(32)).decode(),
        "v=MCPv1; k=ed25519; p=" + b64encode(bytes(31)).decode(),
        "v=MCPv1; k=ed25519; p=" + b64encode(bytes(33)).decode(),
        "v=MCPv1; k=ecdsap384; p=" + b64encode(bytes(49)).decode(),
        "v=MCPv1; k=ecdsap384; p=" + b64encode(b"\x02" + b"\xff" * 48).decode(),
        "v=MCPv1; k=ed25519; p=" + "A" * 5000,
        "v=MCPv1; k=ed25519; p=§§§",
    ],
)
def test_a_record_that_shows_no_key_is_passed_over(text: str) -> None:
    assert read_keys([text]) == []


@pytest.mark.parametrize(
    "text", ["v=MCPv1;k=ed25519;p={}", " v=MCPv1 ; k=ed25519 ; p={} ;", "{full}"]
)
def test_blanks_in_a_record_do_not_matter(text: str) -> None:
    full = ed25519_record(KEYS[0])
    found = read_keys([text.format(full.rpartition("p=")[2], full=full)])
    assert len(found) == 1


@pytest.mark.parametrize("seconds", [-14, 0, 14])
def test_a_time_near_now_counts(seconds: float) -> None:
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    require_recent(at.isoformat())
    require_recent(at.strftime("%Y-%m-%dT%H:%M:%SZ"))


@pytest.mark.parametrize("seconds", [-17, 17, 3600, -86400])
def test_another_time_does_not_count(seconds: float) -> None:
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    with pytest.raises(Unauthorized, match="15 s"):
        require_recent(at.isoformat())


@pytest.mark.parametrize(
    "text", ["", "now", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00+23:59"]
)
def test_what_is_no_time_with_an_offset_does_not_count(text: str) -> None:
    with pytest.raises(Unauthorized):
        require_recent(text)
    with pytest.raises(Unauthorized):
        require_recent(datetime.now(UTC).replace(tzinfo=None).isoformat())


@pytest.mark.parametrize(
    ("domain", "namespace"),
    [
        ("example.com", "com.example"),
        ("Mcp.Example.CO.UK", "uk.co.example.mcp"),
        ("xn--bcher-kva.example", "example.xn--bcher-kva"),
        ("a.b1", "b1.a"),
    ],
)
def test_the_namespace_is_the_domain_the_other_way_round(
    domain: str, namespace: str
) -> None:
    assert namespace_of(read_domain(domain)) == namespace


@pytest.mark.parametrize(
    "text",
    [
        "",
        "localhost",
        "127.0.0.1",
        "[::1]",
        "example.com.",
        ".example.com",
        "exam ple.com",
        "example..com",
        "-a.example",
        "a-.example",
        "a_b.example",
        "example.com:443",
        "example.com/x",
        "user@example.com",
        "bücher.example",
        "*.example.com",
        "example.com\n",
        "a" * 64 + ".example",
        ".".join(["a" * 60] * 5),
    ],
)
def test_what_is_no_domain_is_refused(text: str) -> None:
    with pytest.raises(Unauthorized):
        read_domain(text)
