"""Limit the tries of an action from one network address, also behind the proxies that the operator names."""

import hashlib
import logging
import re
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError
from django.http import HttpRequest
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

Address = IPv4Address | IPv6Address
# Some proxies add the port; RFC 7239 writes IPv6 in brackets.
_WITH_PORT = re.compile(r"\[([^\]]*)\](?::\d{1,5})?|([\d.]+):\d{1,5}")
LONGEST = 64  # letters of an address with a port and a zone
UNKNOWN = "unknown"  # all visitors whose address cannot be read share one count


def is_allowed(request: HttpRequest, *, action: str, most: int, seconds: int, account: int | None = None) -> bool:
    """Count one try of `action` from this visitor's address, or of the account with this id if one is given.

    Return False after `most` tries within `seconds`.

    The window starts with the first try. All web processes share the counters. If the counters cannot be reached, every
    try is allowed, so that no annotator is kept out of a study by a limit that cannot be counted.
    """
    who = visitor_address(request) if account is None else f"account {account}"
    digest = hashlib.sha256(who.encode()).hexdigest()
    try:
        return _count(f"tries:{action}:{digest}", seconds) <= most
    except (DatabaseError, RedisError, OSError) as error:
        logger.warning("the limit of %s is not counted: %s", action, type(error).__name__)
        return True


def _count(key: str, seconds: int) -> int:
    """Count this try and return the number of tries in the window."""
    for _ in range(2):  # a window may begin or end between the two calls
        try:
            return cache.incr(key)
        except ValueError:
            if cache.add(key, 1, timeout=seconds):
                return 1
    return 1


def visitor_address(request: HttpRequest) -> str:
    """Return the visitor's address; for IPv6 its /64 network, because one subscriber owns all addresses in it.

    TRUSTED_PROXIES is the number of proxies in front of the server, or their networks. Each proxy appends the address
    that connected to it to X-Forwarded-For; anyone may have written the entries before. If the header is missing, too
    short or unreadable, the address of the connection counts.
    """
    peer = request.META.get("REMOTE_ADDR", "")
    hops = [peer, *reversed(request.META.get("HTTP_X_FORWARDED_FOR", "").split(","))]
    return _counted(_behind_proxies(hops) or _parsed(peer))


def _behind_proxies(hops: list[str]) -> Address | None:
    """Return the first hop, from the nearest on, that is not a trusted proxy; None if there is none."""
    trusted = settings.TRUSTED_PROXIES
    if isinstance(trusted, int):
        return _parsed(hops[trusted]) if trusted < len(hops) else None
    for hop in hops:
        parsed = _parsed(hop)
        if parsed is None or not any(parsed in network for network in trusted):
            return parsed
    return None


def _parsed(hop: str) -> Address | None:
    text = hop.strip()
    if len(text) > LONGEST:
        return None
    if match := _WITH_PORT.fullmatch(text):
        text = match[1] or match[2] or ""
    try:
        parsed = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (parsed.ipv4_mapped or parsed) if isinstance(parsed, IPv6Address) else parsed


def _counted(visitor: Address | None) -> str:
    if isinstance(visitor, IPv6Address):
        return str(IPv6Network((visitor, 64), strict=False).network_address)
    return str(visitor or UNKNOWN)
