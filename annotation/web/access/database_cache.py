"""Django's database cache with atomic counters, and with writes that take turns with the votes on SQLite."""

import base64
import pickle
from typing import Any

from django.core.cache.backends.db import DatabaseCache
from django.utils import timezone

from annotation.models.cache_entry import CacheEntry
from annotation.voting.storage.sqlite_queue import in_turn


class CountingDatabaseCache(DatabaseCache):
    """The cache of deployments without Redis. Django's own `incr` reads and then writes: two at once count one."""

    def incr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        """Add `delta` to a number and return it; its expiry stays. Raise ValueError if the key does not exist."""
        value = self._increment(self.make_and_validate_key(key, version=version), delta)
        if value is None:
            raise ValueError("no such key")
        return value

    @in_turn
    def _increment(self, full_key: str, delta: int) -> int | None:
        entry = CacheEntry.objects.select_for_update().filter(cache_key=full_key).first()
        if entry is None:
            return None
        if entry.expires <= timezone.now():
            entry.delete()  # so that the first request that adds it again succeeds
            return None
        value = int(pickle.loads(base64.b64decode(entry.value))) + delta  # noqa: S301 - written by this class alone
        entry.value = base64.b64encode(pickle.dumps(value, self.pickle_protocol)).decode()
        entry.save(update_fields=["value"])
        return value

    # On SQLite, a write outside the queue would block the votes, and they would block it.
    @in_turn
    def _base_set(self, *arguments: Any) -> bool:
        return bool(super()._base_set(*arguments))  # type: ignore[misc]  # missing in django-stubs

    def _base_delete_many(self, keys: Any) -> bool:
        return bool(keys) and self._delete(keys)  # each read asks to delete expired keys, most often none

    @in_turn
    def _delete(self, keys: Any) -> bool:
        return bool(super()._base_delete_many(keys))  # type: ignore[misc]
