"""Which addresses a request may go to: public ones, and those the operator allowed.

The check sits where a socket is made for one address, after every name was resolved: so
a name that changes its address, a redirect, and every spelling of an address (decimal,
IPv4 inside IPv6) come to the same place.
"""

import errno
import ipaddress
import socket
from collections.abc import Iterable
from typing import Any

import msgspec

from service.errors import InvalidSettings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class RefusedAddress(OSError):
    """An address that is not public, and that no setting allows."""


class Allowed(msgspec.Struct, frozen=True):
    """What is allowed besides public addresses."""

    networks: tuple[Network, ...] = ()
    places: frozenset[str] = frozenset()
    """Hosts, and `host:port`, whatever their addresses are."""

    def has_place(self, host: str, port: int) -> bool:
        """Whether requests to this place need no look at its address."""
        return not self.places.isdisjoint({host, f"{host}:{port}"})

    def socket(self, found: tuple[Any, ...]) -> socket.socket:
        """A socket for one result of getaddrinfo. Raises RefusedAddress."""
        family, kind, protocol, _name, place = found
        address = ipaddress.ip_address(str(place[0]).partition("%")[0])
        is_allowed = any(address in network for network in self.networks)
        if not is_allowed and not is_public(address):
            raise RefusedAddress(errno.EACCES, "the address is not public")
        made = socket.socket(family=family, type=kind, proto=protocol)
        made.setblocking(False)
        return made


def read_allowed(words: Iterable[str], *, setting: str) -> Allowed:
    """What the words allow: addresses, networks such as 10.0.0.0/8, `host[:port]`.

    Raises InvalidSettings that names the setting.
    """
    networks: list[Network] = []
    places: set[str] = set()
    for word in filter(None, (word.strip().lower() for word in words)):
        try:
            networks.append(ipaddress.ip_network(word))
        except ValueError:
            if "/" in word:
                message = f"{setting}: {word!r} is no network and no host"
                raise InvalidSettings(message) from None
            places.add(word)
    return Allowed(tuple(networks), frozenset(places))


def is_public(address: Address) -> bool:
    """Whether an address belongs to the internet, also one that holds another."""
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not (address.is_multicast or address.is_reserved)
    inner = address.ipv4_mapped or address.sixtofour
    if address in _NAT64:
        inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    if inner is not None:
        return is_public(inner)
    return address.is_global and address in _GLOBAL_UNICAST
