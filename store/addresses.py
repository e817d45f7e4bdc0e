"""Which addresses are public, so that nothing that a client names leads into somebody's own network.

What counts is the address that a connection goes to, never its spelling: `127.1`, `0x7f000001` and a name that resolves to
127.0.0.1 are one thing to the system's resolver. `ipaddress.is_global` alone will not do: it is true for multicast, for
addresses that carry another one inside (NAT64, 6to4) and for some that a cloud uses within itself.
"""

import ipaddress
import socket
from collections.abc import Iterable

from store.webhook_errors import AddressRefused

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_REFUSED = tuple(
    map(
        ipaddress.ip_network,
        (
            "192.0.0.0/24",  # protocol assignments; Oracle's cloud has its metadata there
            "192.88.99.0/24",  # anycast relay of 6to4
            "168.63.129.16/32",  # Azure's own services, on every machine there
            "2001::/23",  # protocol assignments, with Teredo among them
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4: an IPv4 address inside
            "3fff::/20",  # documentation
        ),
    )
)
_UNICAST = ipaddress.ip_network("2000::/3")  # of IPv6 nothing else is public; NAT64 and addresses of one link lie outside
_ISATAP = (0x00005EFE, 0x02005EFE)  # an IPv4 address follows


def refuse_literal(host: str, allowed: Iterable[Network]) -> None:
    """Raises `AddressRefused` for a host that is an address in any spelling, and not a public one; asks no name server."""
    if host.rstrip(".") == "localhost" or host.rstrip(".").endswith(".localhost"):
        host = "127.0.0.1"
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return  # a name: what it resolves to counts when the call is made
    check_addresses((str(entry[4][0]) for entry in found), allowed)


def check_addresses(texts: Iterable[str], allowed: Iterable[Network]) -> list[Address]:
    """The addresses. Raises `AddressRefused` unless every one is public or in a network that is `allowed`."""
    networks = tuple(allowed)
    addresses = [parse_address(text) for text in texts]
    if not addresses or not all(is_public(a) or any(a in network for network in networks) for a in addresses):
        raise AddressRefused(AddressRefused.__doc__)
    return addresses


def parse_address(text: str) -> Address:
    """IPv4 that is written as IPv6 is IPv4; that is how the system connects to it."""
    address = ipaddress.ip_address(text)
    return getattr(address, "ipv4_mapped", None) or address


def is_public(address: Address) -> bool:
    """Whether the address belongs to the internet, and to nobody's own network."""
    if not address.is_global or address.is_multicast or any(address in network for network in _REFUSED):
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return True
    return address in _UNICAST and not address.scope_id and (int(address) >> 32) & 0xFFFFFFFF not in _ISATAP


def parse_networks(text: str | None) -> tuple[Network, ...]:
    """Networks that are separated by commas or spaces. Raises `ValueError`."""
    return tuple(ipaddress.ip_network(part) for part in (text or "").replace(",", " ").split())
