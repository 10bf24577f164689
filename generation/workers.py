"""Signs of life of the worker processes: rows that say which queues are served, also during long tasks.

They do not tell whether a process makes images, loads a model or is idle, only that it is running.
"""

from datetime import datetime, timedelta

from generation.models import WorkerSign

SECONDS_BETWEEN_SIGNS = 10
SILENT_AFTER = timedelta(seconds=60)
FORGOTTEN_AFTER = timedelta(days=1)


def leave_sign(*, name: str, now: datetime) -> None:
    """Record that the process `<queue>@<host>` is running, and delete the rows of processes that are gone for good."""
    _, is_new = WorkerSign.objects.update_or_create(
        name=name[:255], defaults={"queue": name.partition("@")[0][:50], "seen_at": now}
    )
    if is_new:  # each start in a container has a new name
        WorkerSign.objects.filter(seen_at__lt=now - FORGOTTEN_AFTER).delete()


def served_queues(now: datetime) -> set[str]:
    """Return the queues with a recent sign of life of a worker."""
    return set(WorkerSign.objects.filter(seen_at__gte=now - SILENT_AFTER).values_list("queue", flat=True))
