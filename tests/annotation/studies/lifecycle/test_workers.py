"""Whether a worker runs, and the sentences if none does."""

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Self

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from annotation.models import Study
from annotation.studies.lifecycle.creation import create_study
from annotation.studies.lifecycle.progress import progress
from annotation.studies.lifecycle.transitions import advance, launch
from annotation.studies.lifecycle.workers import missing_worker, served, waits_for
from config.celery import SignOfLife
from generation.machines.workers import FORGOTTEN_AFTER, SILENT_AFTER, leave_sign
from generation.models import GenerationJob, WorkerSign
from jobs import claims, messages
from jobs.wording import command
from tests.annotation.studies.test_commands import typed
from tests.clock import NOON, Clock
from tests.factories import import_sets, make_manifest, make_study

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]
NOW = timezone.now()
NONE = f"No worker is running: start one with `{command('worker')}`."


def planned(slug: str) -> Study:
    study = create_study(manifest=make_manifest(source="generated", slug=slug, prompts=[{"text": slug}]))
    launch(study=study)
    advance(study)
    return study


def test_each_queue_is_missed_until_its_worker_shows_itself(database_clock: Clock) -> None:
    study = create_study(manifest=make_manifest(source="generated"))
    waits = "Once the study is launched, its images and scores wait for it."
    assert missing_worker(study, served()) == f"{NONE} {waits}"
    leave_sign(name="control@here")
    typed_so = f"start one with `{command('worker', '--queues', 'gpu')}`."
    said = f"No worker is running that makes and scores images: {typed_so} {waits}"
    assert missing_worker(study, served()) == said
    leave_sign(name="gpu@elsewhere")
    assert missing_worker(study, served()) == ""
    database_clock.time += SILENT_AFTER * 2
    assert missing_worker(study, served()) == f"{NONE} {waits}"


LATER = {"opens_at": "2126-01-01T00:00Z", "closes_at": "2126-02-01T00:00Z"}


@pytest.mark.parametrize(
    ("state", "annotation", "waits"),
    [
        ("generating", {}, "The study's scores wait for it."),
        ("scoring", {}, "The study's scores wait for it."),
        ("ready", {}, "The study can be opened without one; reports wait for it."),
        ("ready", LATER, "The study can be opened without one; reports and the opening on its date wait for it."),
        ("open", {}, "Votes are taken and saved without one; reports wait for it."),
        ("paused", {}, "Reports wait for it."),
        ("open", LATER, "Votes are taken and saved without one; reports and the closing on its date wait for it."),
    ],
)
def test_what_waits_for_the_worker_is_said_in_every_state(state: str, annotation: dict[str, str], waits: str) -> None:
    study = make_study(state="open", annotation=annotation)
    Study.objects.update(state=state)
    study.refresh_from_db()
    assert missing_worker(study, ()) == f"{NONE} {waits}"
    is_made = state in ("generating", "scoring")
    assert bool(missing_worker(study, {"control"})) == is_made, "later nothing is made"
    assert missing_worker(study, {"gpu"}).endswith(waits)
    Study.objects.update(state="closed", closed_at=NOW)
    study.refresh_from_db()
    assert missing_worker(study, ()) == ""


def test_one_row_for_each_process_and_none_for_those_long_gone(database_clock: Clock) -> None:
    leave_sign(name="gpu@here", has_started=True)
    database_clock.pass_by(minutes=1)
    leave_sign(name="gpu@here")
    sign = WorkerSign.objects.get()
    assert (sign.started_at, sign.seen_at) == (NOON, database_clock.time)
    database_clock.time += FORGOTTEN_AFTER * 2
    leave_sign(name="gpu@next")
    assert WorkerSign.objects.get().name == "gpu@next"


def test_a_worker_that_is_busy_with_another_study_is_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "_enqueue_one", lambda job: None)
    busy, waiting = planned("busy"), planned("waiting")
    first = GenerationJob.objects.earliest("pk")
    before = progress(busy)
    assert waits_for(waiting, progress(waiting)).startswith(NONE)
    assert claims.claim_next(GenerationJob.objects.filter(pk=first.pk), worker="gpu")
    assert waits_for(busy, progress(busy)) == ""
    # The heartbeat of its job shows that it runs, even if its own sign of life is late.
    leave_sign(name="control@here")
    assert waits_for(waiting, progress(waiting)) == "The worker is busy with another study; this one follows."
    assert waits_for(busy, before) == ""  # it was counted between two jobs


class Timer:
    """The part of Celery's timer that is used."""

    def __init__(self) -> None:
        self.repeated: list[Callable[[], None]] = []
        self.cancelled = 0

    def call_repeatedly(self, _seconds: float, call: Callable[..., None], arguments: tuple[str, ...]) -> Self:
        self.repeated.append(partial(call, *arguments))
        return self

    def cancel(self) -> None:
        self.cancelled += 1


def test_one_that_is_idle_or_loads_a_model_shows_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("config.celery.connection.close", lambda: None)  # the connection belongs to the test
    timer = Timer()
    for queue in ("gpu", "control"):
        step = SignOfLife(SimpleNamespace())
        step.start(SimpleNamespace(hostname=f"{queue}@host", timer=timer))
    assert set(WorkerSign.objects.values_list("name", flat=True)) == {"gpu@host", "control@host"}
    assert served() == {"gpu", "control"}
    WorkerSign.objects.update(seen_at=NOW)
    for repeated in timer.repeated:
        repeated()
    assert served() == {"gpu", "control"}
    step.stop(SimpleNamespace())
    assert timer.cancelled == 1


def test_status_and_page_say_what_was_imported_and_that_no_worker_runs(client: Client) -> None:
    study = make_study(state="draft", comparisons=3)
    client.force_login(User.objects.create_superuser("researcher"))

    def page() -> str:
        return client.get(reverse("study", args=[study.slug])).content.decode()

    assert "study: imported for Alpha: 0 sets with 0 images" in typed("study_status")
    import_sets(study.diffusion_models[0], ["prompt 1", "prompt 2", "of no study"], images_per_set=2)
    import_sets(study.diffusion_models[1], ["prompt 3"], images_per_set=3)
    said = typed("study_status")
    assert "study: imported for Alpha: 2 sets with 4 images" in said
    assert "study: imported for Beta: 1 set with 3 images" in said
    assert "7 imported" in said
    assert NONE in said
    assert "Imported for Alpha: 2 sets with 4 images." in page()
    assert f"start one with <code>{command('worker')}</code>." in page()
    for queue in ("gpu", "control"):
        leave_sign(name=f"{queue}@here")
    cache.clear()  # as if five seconds had passed
    assert NONE not in typed("study_status") + page()


def test_a_study_that_is_over_needs_no_worker() -> None:
    make_study(source="external")
    assert "worker" not in typed("study_status")
