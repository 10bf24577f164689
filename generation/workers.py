"""Signs of life of the worker's processes: rows that say which queues are served, also during long tasks.

A process that makes images, loads a model or has nothing to do looks alike here; only one that is gone does not.
"""

from datetime import datetime, timedelta

from generation.models import WorkerSign

SECONDS_BETWEEN_SIGNS = 10
SILENT_AFTER = timedelta(seconds=60)
FORGOTTEN_AFTER = timedelta(days=1)


def leave_sign(*, name: str, now: datetime) -> None:
    """Note that the process `<queue>@<host>` is there, and forget processes that are gone for good."""
    _, is_new = WorkerSign.objects.update_or_create(
        name=name[:255], defaults={"queue": name.partition("@")[0][:50], "seen_at": now}
    )
    if is_new:  # each start in a container has a new name
        WorkerSign.objects.filter(seen_at__lt=now - FORGOTTEN_AFTER).delete()


def served_queues(now: datetime) -> set[str]:
    """The queues whose worker showed lately that it runs."""
    return set(WorkerSign.objects.filter(seen_at__gte=now - SILENT_AFTER).values_list("queue", flat=True))
