"""Messages: they wake workers. A message names a kind of job, never a job; `claims.claim_next` chooses one."""

import logging
from collections.abc import Iterable
from functools import partial

from celery import current_app
from celery.canvas import Signature
from django.conf import settings
from django.db import transaction
from kombu.exceptions import OperationalError

from jobs import clock
from jobs.models import LeasedJob

logger = logging.getLogger(__name__)


def enqueue(jobs: Iterable[LeasedJob]) -> None:
    """Send a message for each job after the transaction is committed: as many workers wake as there are jobs.

    Sending twice is harmless. If the broker is down, `enqueued_at` stays empty and the next tick sends the message.
    """
    for job in jobs:
        transaction.on_commit(partial(_enqueue_one, job))


def send(message: Signature) -> bool:
    """Send a message. Return False if the broker does not answer; what the message was to start is done by the tick."""
    try:
        message.apply_async()
    except OperationalError:
        logger.warning("no message sent for %s: the broker does not answer", message.task)
        return False
    return True


def wake_another(job: LeasedJob) -> None:
    """Pass a message on: it found this job due, which this worker may not take."""
    send(current_app.signature(job.message_name))


def announce_end(job: LeasedJob) -> None:
    """Send the message that settings.TASKS_AFTER_JOBS names for this kind of job; its arguments are kind and id.

    So a study goes on as soon as one of its jobs ends, and generation and scoring know no study.
    """
    if follow_up := settings.TASKS_AFTER_JOBS.get(job.task_name):
        send(current_app.signature(follow_up, args=(job.task_name, job.pk)))


def _enqueue_one(job: LeasedJob) -> None:
    if send(current_app.signature(job.message_name)):
        type(job)._default_manager.filter(pk=job.pk).update(enqueued_at=clock.now())
