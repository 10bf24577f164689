"""The table of Django's database cache, as a model, so that a migration creates it instead of `createcachetable`."""

from django.db import models


class CacheEntry(models.Model):
    """A counter that all web processes share if there is no Redis. The columns are those that Django expects."""

    cache_key = models.CharField(max_length=255, primary_key=True)
    value = models.TextField()
    expires = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.cache_key
