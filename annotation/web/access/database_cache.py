"""Django's database cache with counters that lose no count, and writes that stand in line with the votes."""

import base64
import pickle
from typing import Any

from django.core.cache.backends.db import DatabaseCache
from django.utils import timezone

from annotation.models.cache_entry import CacheEntry
from annotation.voting.storage.sqlite_queue import in_turn


class CountingDatabaseCache(DatabaseCache):
    """For deployments without Redis. Django's own `incr` reads and then writes: of two at once one is lost."""

    def incr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        """The number under this key, `delta` higher; its time goes on. Raises ValueError where there is none."""
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
            entry.delete()  # so that of those who add it anew one succeeds
            return None
        value = int(pickle.loads(base64.b64decode(entry.value))) + delta  # noqa: S301 - written by this class alone
        entry.value = base64.b64encode(pickle.dumps(value, self.pickle_protocol)).decode()
        entry.save(update_fields=["value"])
        return value

    # On SQLite a writer of its own would wait behind the line of votes, and they behind it.
    @in_turn
    def _base_set(self, *arguments: Any) -> bool:
        return bool(super()._base_set(*arguments))  # type: ignore[misc]  # missing in django-stubs

    def _base_delete_many(self, keys: Any) -> bool:
        return bool(keys) and self._delete(keys)  # each read asks to delete what is over, most often nothing

    @in_turn
    def _delete(self, keys: Any) -> bool:
        return bool(super()._base_delete_many(keys))  # type: ignore[misc]
