"""A worker for tests: it does the jobs that were sent, without torch, and runs the tasks that follow them."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.utils import timezone
from PIL import Image

from annotation import tasks
from annotation.studies.lifecycle import pipeline_jobs
from generation.models import GenerationJob, ModelTrial
from generation.recorded_images.records import record_image
from generation.sampling.trials import Outcome, record_outcome
from jobs import claims, messages, work
from jobs.models import LeasedJob
from jobs.refusals import Refused
from scoring.models import ScoringJob
from tests.factories import score

OUTCOME = Outcome(
    pipeline="StableDiffusionXLPipeline",
    dtype="bfloat16",
    vae_dtype="float32",
    device_name="NVIDIA H100",
    load_seconds=21.2,
    image_seconds=1.1,
    memory_gib=9.25,
    size=(768, 768),
    sampled_size=(1024, 1024),
    warnings=("Alpha samples at 1024 x 1024 px.",),
)


@dataclass
class FakeWorker:
    """Messages are (task, id of the job that it was sent for). Jobs of the tasks in `broken` fail with its sentence."""

    messages: list[tuple[str, int]] = field(default_factory=list)
    broken: dict[str, str] = field(default_factory=dict)
    made: list[tuple[int, int]] = field(default_factory=list)
    makes_plain_images: bool = False

    def enqueue(self, sent: Iterable[LeasedJob]) -> None:
        """Do as messages.enqueue, but keep the messages here."""
        for job in sent:
            self.messages.append((job.task_name, job.pk))
            type(job)._default_manager.filter(pk=job.pk).update(enqueued_at=timezone.now())

    def work_off(self) -> int:
        """Do all jobs until no message is left; return how many messages there were."""
        done = 0
        while self.messages:
            name, job_id = self.messages.pop(0)
            self.do(name, job_id)
            tasks.advance_after(name, job_id)
            done += 1
        return done

    def do(self, name: str, job_id: int) -> None:
        """Claim and finish this job, as the real worker does the best one."""
        if name == ModelTrial.task_name:
            if trial := claims.claim_next(ModelTrial.objects.filter(pk=job_id), worker="fake"):
                work.run(trial, self._try)
        elif name == GenerationJob.task_name:
            if job := claims.claim_next(GenerationJob.objects.filter(pk=job_id), worker="fake"):
                work.run(job, self._make)
        elif scoring_job := claims.claim_next(ScoringJob.objects.filter(pk=job_id), worker="fake"):
            work.run(scoring_job, self._score)

    def _try(self, trial: ModelTrial, lease: Any) -> None:
        self._break(trial)
        record_outcome(trial, OUTCOME)

    def _make(self, job: GenerationJob, lease: Any) -> None:
        self._break(job)
        for seed in job.seeds:
            image = Image.new("RGB", (8, 8), (seed % 256, job.image_set_id % 256, 0))
            if not self.makes_plain_images:
                image.putpixel((0, 0), (255, 255, 255))
            record_image(image_set=job.image_set, seed=seed, image=image, provenance={}, job=job)
            self.made.append((job.image_set_id, seed))

    def _score(self, job: ScoringJob, lease: Any) -> None:
        self._break(job)
        score(job.image_set, job.metric, 50.0 + job.image_set_id)

    def _break(self, job: LeasedJob) -> None:
        if sentence := self.broken.get(job.task_name):
            raise Refused(sentence)


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> FakeWorker:
    """Take the place of the queue, without waiting for the commit: a test's transaction never commits."""
    fake = FakeWorker()
    monkeypatch.setattr(messages, "enqueue", fake.enqueue)
    monkeypatch.setattr("generation.admin.enqueue", fake.enqueue)
    monkeypatch.setattr(pipeline_jobs, "request_advance", lambda study: tasks.advance_study(study.pk))
    # Renditions take most of the time, and these tests do not look at them.
    monkeypatch.setattr("generation.pictures.renditions.make", lambda image, pixels: None)
    return fake


@pytest.fixture
def working(worker: FakeWorker, monkeypatch: pytest.MonkeyPatch) -> FakeWorker:
    """While a command sleeps, the worker does one job."""

    def sleep(seconds: float) -> None:
        if worker.messages:
            worker.do(*worker.messages.pop(0))

    monkeypatch.setattr(time, "sleep", sleep)
    return worker
