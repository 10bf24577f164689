"""The network addresses that may be connected to: public ones, and private ones that the admin lists."""

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from generation.endpoints.outcomes import TemporaryFailure
from jobs.refusals import Refused

Network = IPv4Network | IPv6Network
Resolve = Callable[[str, int], Sequence[str]]
# Networks of IPv6 whose addresses hold one of IPv4: in the last 32 bits, or from the 17th bit on. The first kind is how
# a network that has only IPv6 reaches public addresses of IPv4.
_NAT64, _COMPATIBLE, _SIX_TO_FOUR = (ip_network(text) for text in ("64:ff9b::/96", "::/96", "2002::/16"))


@dataclass(frozen=True)
class Place:
    """A host and port as they are named, and the address to connect to."""

    host: str
    port: int
    address: str


def resolved(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a name, as the system resolves it."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def find_place(
    host: str, port: int, *, allowed: Sequence[Network], owner: str, resolve: Resolve | None = None
) -> Place:
    """Return the address to connect to for a host. The caller connects to it and asks for no name again.

    Raises Refused if any address of the name is private, loopback, link-local or otherwise not public, and not listed;
    TemporaryFailure if the name cannot be resolved.
    """
    try:
        addresses = (resolve or resolved)(host, port)
    except (OSError, UnicodeError):
        raise TemporaryFailure(f"{owner}: the host's name cannot be resolved", was_refused=True) from None
    if not addresses:
        raise TemporaryFailure(f"{owner}: the host's name has no address", was_refused=True)
    for address in addresses:
        if not is_allowed(address, allowed):
            raise Refused(
                f"{owner}: it leads to an address that is not public, and private_addresses in the file of endpoints "
                "does not list it."
            )
    return Place(host, port, addresses[0])


def is_allowed(text: str, allowed: Sequence[Network]) -> bool:
    """Return whether an address is public or listed.

    >>> is_allowed("93.184.215.14", ()), is_allowed("169.254.169.254", ()), is_allowed("::ffff:10.0.0.1", ())
    (True, False, False)
    """
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return False
    meant = _meant(address)
    if any(one in network for one in (address, meant) for network in allowed if network.version == one.version):
        return True
    return _is_public(meant) and (address in _NAT64 or _is_public(address))


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    is_site_local = isinstance(address, IPv6Address) and address.is_site_local
    return address.is_global and not (address.is_multicast or address.is_reserved or is_site_local)


def _meant(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address that an IPv6 address leads to, if it is of that kind."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped:
        return address.ipv4_mapped
    if address in _SIX_TO_FOUR:
        return IPv4Address((int(address) >> 80) & 0xFFFFFFFF)
    if address.teredo:
        return address.teredo[1]
    if address in _NAT64 or address in _COMPATIBLE:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address
