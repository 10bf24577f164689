"""How often something may be tried from one network address."""

import hashlib
import logging

from django.core.cache import cache
from django.db import DatabaseError
from django.http import HttpRequest
from redis.exceptions import RedisError

from annotation.web.access import visitors

logger = logging.getLogger(__name__)


def is_allowed(request: HttpRequest, *, action: str, most: int, seconds: int) -> bool:
    """Count one try of `action` from this visitor's address; false once `most` were made within `seconds`.

    The window starts with the first try. All web processes count together. While the counters cannot be reached
    everything is allowed: nobody is kept out of a study because a limit cannot be counted.
    """
    digest = hashlib.sha256(visitors.address(request).encode()).hexdigest()
    try:
        return _count(f"tries:{action}:{digest}", seconds) <= most
    except (DatabaseError, RedisError, OSError) as error:
        logger.warning("the limit of %s is not counted: %s", action, type(error).__name__)
        return True


def _count(key: str, seconds: int) -> int:
    """How many tries there are now, this one included."""
    for _ in range(2):  # a window may begin or end between two of these lines
        try:
            return cache.incr(key)
        except ValueError:
            if cache.add(key, 1, timeout=seconds):
                return 1
    return 1
