"""How often something may be tried from one network address."""

import hashlib

from allauth.account.adapter import get_adapter
from django.core.cache import cache
from django.http import HttpRequest


def is_allowed(request: HttpRequest, *, action: str, most: int, seconds: int) -> bool:
    """Count one try of `action` from this visitor's address; false once `most` were made within `seconds`.

    The window starts with the first try. The count is kept in Django's cache, so it is as shared as the cache is.
    """
    ip = get_adapter().get_client_ip(request)
    key = f"tries:{action}:{hashlib.sha256(ip.encode()).hexdigest()}"
    if cache.add(key, 1, timeout=seconds):
        return True
    try:
        return cache.incr(key) <= most
    except ValueError:  # the window ended between the two lines
        return True
