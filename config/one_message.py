"""RabbitMQ: a worker holds no message while a job runs.

RabbitMQ closes the channel of a consumer that leaves a message unacknowledged for 30 minutes, and Celery's worker ends
with it. A job may take longer, and so does the message behind it that Celery has fetched already. So a message is
acknowledged when its job begins (the job table is the truth, a lost message only a delay), and the worker takes none
until the job ends. Redis and the embedded queue have no such limit.
"""

from typing import Any, ClassVar

from celery.bootsteps import StartStopStep
from celery.utils.log import get_logger
from celery.worker import state
from celery.worker.request import Request

logger = get_logger(__name__)


class Line:
    """Where this process gets its messages. consumer: None unless the broker speaks AMQP; pool: of its processes."""

    consumer: ClassVar[Any] = None
    pool: ClassVar[Any] = None

    @classmethod
    def pause(cls) -> None:
        """Take no more messages."""
        if cls.consumer is not None and cls.consumer.task_consumer:
            cls.consumer.task_consumer.cancel()

    @classmethod
    def resume(cls) -> None:
        """Take messages again. If the connection is lost, the consumer opens another one and takes them itself."""
        if cls.consumer is None or not cls.consumer.task_consumer:
            return
        try:
            cls.consumer.task_consumer.consume()
        except cls.consumer.connection_errors as error:
            logger.warning("the broker does not answer: %s", error)


class OneMessageAtATime(StartStopStep):
    """Notes the consumer once it is connected."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, parent: Any) -> None:
        """Note it, or that its broker needs nothing of this."""
        Line.pool = parent.pool
        Line.consumer = parent if parent.connection.transport.driver_type == "amqp" else None

    def stop(self, parent: Any) -> None:
        """Forget it."""
        Line.consumer = None


class JobRequest(Request):
    """A request whose message is acknowledged to RabbitMQ when it begins; `acknowledge` is called when it has ended."""

    is_acknowledged_early = False

    def on_accepted(self, pid: str, time_accepted: float) -> None:
        """Stop taking messages first: the acknowledgement would bring the next one."""
        super().on_accepted(pid, time_accepted)
        if Line.consumer is not None and not self.acknowledged:
            try:
                Line.pause()
                super().acknowledge()
            except Line.consumer.connection_errors as error:
                logger.warning("the broker does not answer: %s", error)
            self.acknowledged, self.is_acknowledged_early = False, True
        is_ending: Any = state.should_terminate  # celery-types knows only None
        if is_ending:  # it began after the running jobs were told to stop
            self.cancel(Line.pool, emit_retry=False)

    def acknowledge(self) -> None:
        """Take messages again, or acknowledge this one."""
        if self._has_ended_early():
            return
        super().acknowledge()

    def reject(self, requeue: bool = False) -> None:
        """Take messages again, or reject this one."""
        if self._has_ended_early():
            return
        super().reject(requeue=requeue)

    def _has_ended_early(self) -> bool:
        if not self.is_acknowledged_early:
            return False
        self.acknowledged, self.is_acknowledged_early = True, False
        Line.resume()
        return True
