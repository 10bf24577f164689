"""The cached overview of a study, which names the people who vote: forgotten when one of them is erased."""

from django.core.cache import cache


def overview_key(study_id: int) -> str:
    """Return the key of a study's overview in the cache. The number: earlier versions stored fewer fields."""
    return f"overview-2-{study_id}"


def forget_overview(study_id: int) -> None:
    """Delete the cached overview; the next request computes a new one."""
    cache.delete(overview_key(study_id))
