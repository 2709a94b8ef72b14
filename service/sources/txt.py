"""TXT records of a domain, asked of the configured resolver."""

import dns.asyncresolver
import dns.exception
import dns.name
import dns.resolver

from service.errors import InvalidSettings, SourceFailed

LIFETIME_S = 4.0
_PORT = 53


class TxtResolver:
    """Asks for TXT records; `server` is an address and perhaps a port."""

    def __init__(self, server: str = "") -> None:
        # That of this machine is looked up when it is needed: it may have none.
        self._resolver = _resolver(server) if server else None

    async def texts(self, domain: str) -> list[str]:
        """Every TXT record of a domain as one text; none where it has none.

        Raises SourceFailed when nobody can say.
        """
        try:
            answer = await self._asked().resolve(
                dns.name.from_text(domain), "TXT", lifetime=LIFETIME_S
            )
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return []
        except dns.exception.Timeout as error:
            message = f"{domain}: its name servers did not answer in {LIFETIME_S:g} s"
            raise SourceFailed(message, reason="timeout") from error
        except dns.exception.DNSException as error:
            message = f"{domain}: its TXT records cannot be read"
            raise SourceFailed(message, reason="connection") from error
        return [
            b"".join(record.strings).decode("utf-8", "replace") for record in answer
        ]

    def _asked(self) -> dns.asyncresolver.Resolver:
        if self._resolver is None:
            self._resolver = dns.asyncresolver.Resolver()
        return self._resolver


def _resolver(server: str) -> dns.asyncresolver.Resolver:
    """The resolver at an address. Raises InvalidSettings."""
    host, _, port = server.partition(":")
    resolver = dns.asyncresolver.Resolver(configure=False)
    try:
        resolver.nameservers = [host]
        resolver.port = int(port or _PORT)
    except (ValueError, dns.exception.DNSException) as error:
        message = "DNS_RESOLVER: expected an IPv4 address, perhaps with a port"
        raise InvalidSettings(message) from error
    return resolver
