"""The network address that a visitor's tries are counted by, seen through the proxies that the operator names."""

import re
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from django.conf import settings
from django.http import HttpRequest

Address = IPv4Address | IPv6Address
# Some proxies add the port; RFC 7239 writes IPv6 in brackets.
_WITH_PORT = re.compile(r"\[([^\]]*)\](?::\d{1,5})?|([\d.]+):\d{1,5}")
LONGEST = 64  # letters of an address with a port and a zone
UNKNOWN = "unknown"  # one count for all whose address cannot be read


def address(request: HttpRequest) -> str:
    """The visitor's address; of IPv6 its /64, since one line has all addresses of it.

    TRUSTED_PROXIES says how many proxies stand in front, or the networks that they are in. Each adds the address that
    it was reached from to the end of X-Forwarded-For; what stands before that, anybody may have written. A header that
    is missing, too short or unreadable counts as the connection's own address.
    """
    peer = request.META.get("REMOTE_ADDR", "")
    hops = [peer, *reversed(request.META.get("HTTP_X_FORWARDED_FOR", "").split(","))]
    return _counted(_behind_proxies(hops) or _parsed(peer))


def _behind_proxies(hops: list[str]) -> Address | None:
    """The first hop that no named proxy has, the nearest hop first; None where there is no such hop."""
    trusted = settings.TRUSTED_PROXIES
    if isinstance(trusted, int):
        return _parsed(hops[trusted]) if trusted < len(hops) else None
    for hop in hops:
        found = _parsed(hop)
        if found is None or not any(found in network for network in trusted):
            return found
    return None


def _parsed(hop: str) -> Address | None:
    text = hop.strip()
    if len(text) > LONGEST:
        return None
    if match := _WITH_PORT.fullmatch(text):
        text = match[1] or match[2] or ""
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found


def _counted(found: Address | None) -> str:
    if isinstance(found, IPv6Address):
        return str(IPv6Network((found, 64), strict=False).network_address)
    return str(found or UNKNOWN)
