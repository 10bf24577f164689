"""The workers' activity and the speed of a study's images, for the study's page, study_status and /metrics."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Min, Q
from django.utils import timezone

from annotation.models import Study
from annotation.studies.comparisons import image_sets_of
from annotation.studies.lifecycle.progress import StudyProgress
from generation.machines.card_failures import refused_cards
from generation.machines.workers import live_signs
from generation.models import GeneratedImage, GenerationJob, ModelTrial, WorkerSign
from jobs.models import LeasedJob
from jobs.wording import command, duration
from scoring.models import ScoringJob

WINDOW = timedelta(minutes=10)  # over which speed and idle share are taken
GIB = 2**30
OF_ANOTHER_STUDY = "of another study"
RUNNING = LeasedJob.State.RUNNING
WORDS = {GenerationJob: "images", ScoringJob: "scores", ModelTrial: "trial of a model"}
Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Pace:
    """Return the speed at which images of the study were made in the last ten minutes; None if none was made."""

    images_per_second: float | None
    seconds_left: float | None

    def __str__(self) -> str:
        if not self.images_per_second or self.seconds_left is None:
            return ""
        per_second = self.images_per_second
        speed = f"{per_second:.2f} images a second" if per_second >= 0.05 else f"{60 * per_second:.1f} images a minute"
        return f"{speed}, about {duration(self.seconds_left)} of images left"


@dataclass(frozen=True, slots=True)
class WorkerView:
    """A worker process that was seen lately. idle_share: of the last ten minutes; None on the control queue.

    memory: of its device, in bytes, after its last job. note: why it takes no jobs. seen_at: its last sign of life.
    """

    name: str
    queue: str
    version: str
    card: str
    model: str
    memory_used: int
    memory_total: int
    job: str
    last_job_at: datetime | None
    idle_share: float | None
    note: str
    seen_at: datetime

    def as_document(self) -> dict[str, Any]:
        """Return the facts as JSON."""
        times = {"last_job_at": self.last_job_at, "seen_at": self.seen_at}
        return asdict(self) | {name: at.isoformat() if at else None for name, at in times.items()}

    @property
    def host(self) -> str:
        """The host that the process runs on."""
        return self.name.partition("@")[2]

    @property
    def memory(self) -> str:
        """The memory in words; empty before the first job."""
        used, total = self.memory_used / GIB, self.memory_total / GIB
        return f"{used:.1f} of {total:.1f} GiB" if self.memory_total else ""

    @property
    def idle_percent(self) -> str:
        """The idle share in percent; empty on the control queue."""
        return "" if self.idle_share is None else f"{100 * self.idle_share:.0f} %"


def pace(study: Study, counts: StudyProgress) -> Pace:
    """Return how fast the images of a study come, and when the last one does; nothing if no job waits or runs."""
    if study.state != Study.State.GENERATING or not counts.waiting_job_count + counts.running_job_count:
        return Pace(None, None)
    now = timezone.now()
    jobs = GenerationJob.objects.filter(image_set__in=image_sets_of(study)).order_by()
    recent = jobs.filter(Q(state=RUNNING) | Q(finished_at__gte=now - WINDOW))
    began = recent.aggregate(began=Min("started_at"))["began"]
    if began is None:
        return Pace(None, None)
    since = max(began, now - WINDOW)
    made = GeneratedImage.objects.filter(image_set__in=recent.values("image_set"), created_at__gte=since).count()
    if not made:
        return Pace(None, None)
    per_second = made / max(1.0, (now - since).total_seconds())
    return Pace(per_second, (counts.planned_image_count - counts.image_count) / per_second)


def workers() -> list[WorkerView]:
    """Return the worker processes that were seen lately, by name."""
    now, signs = timezone.now(), list(live_signs().select_related("card"))
    if not signs:
        return []
    done = _Done.since(now - WINDOW, now)
    return [_view(sign, done, now) for sign in signs]


def workers_for(study: Study) -> list[WorkerView]:
    """Return the workers as the people of a study may see them: without the names of other studies' models."""
    own = {str(model) for model in study.diffusion_models}
    return [one if one.model in own | {""} else replace(one, model=OF_ANOTHER_STUDY) for one in workers()]


def refusals() -> list[str]:
    """Return a sentence for each card that takes no more jobs, and for each worker that rests for another reason."""
    sentences = [
        f"{card} ({card.name}) failed on different jobs and takes no more: "
        f"{'; '.join(card.failures.order_by('pk').values_list('error', flat=True))}. "
        f"`{command('gpus', '--readmit', card)}` lets it take jobs again."
        for card in refused_cards().prefetch_related("failures")
    ]
    resting = live_signs().exclude(note="").exclude(card__refused_at__isnull=False)
    return sentences + [f"{sign.name}: {sign.note}" for sign in resting]


@dataclass(frozen=True, slots=True)
class _Done:
    """Return each worker's activity since a time: seconds in jobs, the running job, and when the last job ended."""

    busy_seconds: dict[str, float]
    running: dict[str, str]
    last: dict[str, datetime]

    @classmethod
    def since(cls, start: datetime, now: datetime) -> "_Done":
        spans: defaultdict[str, list[Span]] = defaultdict(list)
        running: dict[str, str] = {}
        last: dict[str, datetime] = {}
        for kind, words in WORDS.items():
            recent = kind._default_manager.filter(Q(state=RUNNING) | Q(finished_at__gte=start)).order_by()
            for pk, claim, began, ended in recent.values_list("pk", "claimed_by", "started_at", "finished_at"):
                worker = claim.rpartition(":")[0]
                if began is not None:
                    spans[worker].append((max(began, start), ended or now))
                if ended is None:
                    running[worker] = f"{words}, job {pk}"
                else:
                    last[worker] = max(ended, last.get(worker, ended))
        return cls({worker: covered_seconds(its_spans) for worker, its_spans in spans.items()}, running, last)


def covered_seconds(spans: Iterable[Span]) -> float:
    """Return how much time the spans cover. A job may begin while another one is recorded, and counts once.

    >>> nine, second = datetime(2026, 11, 29, 9), timedelta(seconds=1)
    >>> covered_seconds((nine + first * second, nine + last * second) for first, last in [(4, 7), (0, 5), (9, 10)])
    8.0
    """
    total, until = timedelta(0), None
    for began, ended in sorted(spans):
        begins = began if until is None else max(began, until)
        if ended > begins:
            total += ended - begins
            until = ended
    return total.total_seconds()


def _view(sign: WorkerSign, done: _Done, now: datetime) -> WorkerView:
    window = max(1.0, min(WINDOW.total_seconds(), (now - sign.started_at).total_seconds()))
    idle = min(1.0, max(0.0, 1 - done.busy_seconds.get(sign.name, 0.0) / window))
    return WorkerView(
        name=sign.name,
        queue=sign.queue,
        version=sign.version,
        card=f"{sign.card.name}, {sign.card}" if sign.card else "",
        model=sign.model,
        memory_used=sign.memory_used,
        memory_total=sign.memory_total,
        job=done.running.get(sign.name, ""),
        last_job_at=done.last.get(sign.name),
        idle_share=idle if sign.queue == "gpu" else None,
        note=sign.note,
        seen_at=sign.seen_at,
    )
