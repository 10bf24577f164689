"""Jobs one after another: a card samples one while the one before is recorded and the one after is prepared."""

import threading
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from django.db import OperationalError
from pytest_django.fixtures import Settings

from generation.models import DiffusionModel, GenerationJob, ImageSet, ModelTrial
from generation.pipelines import loading
from generation.pipelines.loaded import Loaded
from generation.plans.image_sets import is_complete
from generation.recorded_images.records import prepared
from generation.sampling import job_row, recording, sampling
from generation.sampling.recording import Recorder
from generation.sampling.sampling import Sampled
from generation.tasks import run_generation_job
from jobs import claims, clock, messages, work
from jobs.leases import Lease
from tests.generation.planned_sets import diffusion_model, files_below, only_job, planned

pytestmark = pytest.mark.django_db
STATES = GenerationJob.State
PROMPTS = ("a cube", "a ring", "a ball", "a cone")


@pytest.fixture
def model(tiny_models: Path) -> DiffusionModel:
    return diffusion_model(checkpoint=str(tiny_models / "sdxl"))


@pytest.fixture
def sets(model: DiffusionModel) -> list[ImageSet]:
    return [planned(model, seeds=[1, 2], prompt=prompt) for prompt in PROMPTS]


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process behaves as on a card."""
    monkeypatch.setattr(job_row, "overlaps", lambda: True)


def states(sets: Sequence[ImageSet]) -> list[tuple[str, int]]:
    jobs = [only_job(image_set) for image_set in sets]
    return [(job.state, job.attempt_count) for job in jobs]


@pytest.mark.usefixtures("card")
def test_a_job_is_sampled_while_one_is_recorded_and_the_next_is_claimed(
    sets: list[ImageSet], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, write, take, finish = sampling._run, Recorder._write, Recorder.take, claims.finish
    samplings: list[str] = []
    is_second_sampled = threading.Event()
    running: list[int] = []
    finished: list[int] = []

    def sampled(loaded: Any, order: Any, *rest: Any) -> Any:
        samplings.append(order.prompt)
        if len(samplings) == 2:
            is_second_sampled.set()
        return run(loaded, order, *rest)

    def slow(recorder: Recorder, one: Sampled) -> Any:
        assert is_second_sampled.wait(600)
        return write(recorder, one)

    def taken(recorder: Recorder, batch: Sequence[Sampled]) -> None:
        running.append(GenerationJob.objects.filter(state=STATES.RUNNING).count())
        take(recorder, batch)

    def noted(job: GenerationJob) -> bool:
        finished.append(job.pk)
        return finish(job)

    monkeypatch.setattr(sampling, "_run", sampled)
    monkeypatch.setattr(Recorder, "_write", slow)
    monkeypatch.setattr(Recorder, "take", taken)
    monkeypatch.setattr(claims, "finish", noted)
    run_generation_job()
    assert all(is_complete(image_set) for image_set in sets)
    assert states(sets) == [(STATES.DONE, 1)] * 4
    assert samplings == list(PROMPTS)
    assert running[0] == 2  # the second job was claimed before the first had an image
    assert finished == [only_job(image_set).pk for image_set in sets]  # each as soon as it is recorded


def test_on_a_cpu_no_jobs_overlap(sets: list[ImageSet]) -> None:
    run_generation_job()
    assert states(sets) == [(STATES.DONE, 1)] + [(STATES.QUEUED, 0)] * 3


@pytest.mark.usefixtures("card")
def test_other_kinds_of_jobs_have_their_turn(
    sets: list[ImageSet], model: DiffusionModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_row, "SECONDS_BESIDE_OTHERS", 0.0)
    trial = ModelTrial.objects.create(diffusion_model=model, prompt="a cube", parameters={}, fingerprint="1")
    run_generation_job()
    assert states(sets) == [(STATES.DONE, 1)] + [(STATES.QUEUED, 0)] * 3
    trial.delete()
    run_generation_job()
    assert states(sets) == [(STATES.DONE, 1)] * 4


@pytest.mark.usefixtures("card")
def test_a_job_that_cannot_be_recorded_does_not_stop_the_next(
    sets: list[ImageSet], monkeypatch: pytest.MonkeyPatch, media_root: Path
) -> None:
    def fail(path: str, image: Any) -> Any:
        if str(sets[0].uid) in path:
            raise OSError("disk full")
        return prepared(path, image)

    monkeypatch.setattr(recording, "prepared", fail)
    for _ in range(claims.MOST_ATTEMPTS):  # one that is tried again is made alone
        run_generation_job()
    assert states(sets) == [(STATES.FAILED, claims.MOST_ATTEMPTS)] + [(STATES.DONE, 1)] * 3
    assert only_job(sets[0]).error == "Given up after 3 attempts: OSError: disk full"
    assert not [name for name in files_below(media_root) if str(sets[0].uid) in name]


@pytest.mark.usefixtures("card")
def test_a_refused_job_does_not_stop_the_next(sets: list[ImageSet], monkeypatch: pytest.MonkeyPatch) -> None:
    ImageSet.objects.filter(pk=sets[1].pk).update(rendered_prompt="a ring " * 200)
    run_generation_job()
    assert states(sets) == [(STATES.DONE, 1), (STATES.FAILED, 1), (STATES.DONE, 1), (STATES.DONE, 1)]


@pytest.mark.usefixtures("card")
def test_a_worker_that_is_told_to_stop_gives_all_its_jobs_back(
    sets: list[ImageSet], monkeypatch: pytest.MonkeyPatch, media_root: Path
) -> None:
    def stop(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "take", stop)
        with pytest.raises(SystemExit):
            run_generation_job()
    assert states(sets) == [(STATES.QUEUED, 0)] * 4
    assert files_below(media_root) == []
    run_generation_job()
    assert states(sets) == [(STATES.DONE, 1)] * 4


@pytest.mark.usefixtures("card")
def test_a_sick_card_gives_the_prepared_job_back(sets: list[ImageSet], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    ended: list[list[tuple[str, int]]] = []
    monkeypatch.setattr(sampling, "_run", fail)
    monkeypatch.setattr(work, "end_process", lambda: ended.append(states(sets)))
    run_generation_job()
    assert ended[0] == [(STATES.QUEUED, 1)] + [(STATES.QUEUED, 0)] * 3
    assert only_job(sets[0]).failed_on


@pytest.mark.usefixtures("card")
def test_a_card_that_breaks_after_the_end_of_its_job_ends_the_process(
    model: DiffusionModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    image_set = planned(model, seeds=range(8))  # two batches
    set_back, is_over = claims.set_back, threading.Event()
    ended: list[str] = []

    def sampled(loaded: Any, order: Any, seeds: Sequence[int], *_: object) -> Any:
        if 0 in seeds:
            return np.zeros((4, 64, 64, 3), np.float32)
        assert is_over.wait(600)
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    def unwritable(*_: object) -> Any:
        raise OSError("a disk that fails")

    def noted(*arguments: Any, **named: Any) -> bool:
        is_queued = set_back(*arguments, **named)
        is_over.set()
        return is_queued

    monkeypatch.setattr(sampling, "_run", sampled)
    monkeypatch.setattr(recording, "prepared", unwritable)
    monkeypatch.setattr(claims, "set_back", noted)
    monkeypatch.setattr(work, "end_process", lambda: ended.append(only_job(image_set).state))
    monkeypatch.setattr(job_row._Row, "_goes_on", lambda _: False)
    run_generation_job()
    assert ended == [STATES.QUEUED]


@pytest.mark.usefixtures("card")
def test_a_database_that_is_away_while_the_next_job_is_claimed_stops_no_sampling(
    sets: list[ImageSet], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[None] = []

    def away(*arguments: Any, **named: Any) -> GenerationJob | None:
        calls.append(None)
        if len(calls) == 2:
            raise OperationalError("the connection is closed")
        return work.claim(*arguments, **named)

    monkeypatch.setattr(job_row, "claim", away)
    monkeypatch.setattr("django.db.connection.close", lambda: None)
    run_generation_job()
    assert states(sets)[0] == (STATES.DONE, 1)


@pytest.mark.usefixtures("card")
def test_all_prompts_are_encoded_first_and_the_sampling_thread_has_no_database(
    sets: list[ImageSet], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.KEEP_TEXT_ENCODERS_GIB = 0
    Loaded.cached = None
    loads: list[str] = []
    load = loading._load

    def counted(model: DiffusionModel, key: tuple[str, ...]) -> Any:
        loads.append(threading.current_thread().name)
        return load(model, key)

    monkeypatch.setattr(loading, "_load", counted)
    run_generation_job()
    Loaded.cached = None
    assert states(sets) == [(STATES.DONE, 1)] * 4
    assert loads == ["sampling_0"]  # once, for the prompts of all four jobs


@pytest.mark.usefixtures("card")
def test_jobs_beside_one_that_ends_its_process_are_made(sets: list[ImageSet], monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    run = sampling._run

    def die(loaded: Any, order: Any, *rest: Any) -> Any:
        if order.prompt == PROMPTS[0]:
            raise Killed
        return run(loaded, order, *rest)

    monkeypatch.setattr(sampling, "_run", die)
    for _ in range(claims.MOST_ATTEMPTS):
        with monkeypatch.context() as patch:
            patch.setattr(work.RunningJob, "give_back", lambda running: running._resources.close())  # as if killed
            with pytest.raises(Killed):
                run_generation_job()
        GenerationJob.objects.filter(state=STATES.RUNNING).update(lease_expires_at=clock.ago(timedelta(seconds=1)))
        claims.reap(GenerationJob)
    assert states(sets) == [(STATES.FAILED, claims.MOST_ATTEMPTS), (STATES.QUEUED, 1)] + [(STATES.QUEUED, 0)] * 2
    run_generation_job()
    run_generation_job()
    assert states(sets)[1:] == [(STATES.DONE, 2), (STATES.DONE, 1), (STATES.DONE, 1)]


def test_the_next_task_begins_when_the_sampling_thread_has_left_the_job(
    model: DiffusionModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned(model, seeds=range(1, 7))
    run, announce = sampling._run, messages.announce_end
    is_over, left = threading.Event(), threading.Event()

    def sampled(loaded: Any, order: Any, seeds: Sequence[int], check: Any) -> Any:
        if 6 in seeds:
            assert is_over.wait(600)
            run(loaded, order, seeds, lambda: None)
            left.set()
        return run(loaded, order, seeds, check)

    def fail(*_: object) -> None:
        raise OSError("disk full")

    def announced(job: GenerationJob) -> None:
        announce(job)
        is_over.set()

    monkeypatch.setattr(sampling, "_run", sampled)
    monkeypatch.setattr(recording, "prepared", fail)
    monkeypatch.setattr(messages, "announce_end", announced)
    run_generation_job()
    assert left.is_set()


@pytest.mark.parametrize("seeds", [[1, 2], range(1, 13)], ids=["the last batch", "a batch before"])
def test_a_process_whose_files_hang_is_ended(
    model: DiffusionModel, seeds: Sequence[int], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned(model, seeds=seeds)
    is_ended = threading.Event()
    hung: list[bool] = []
    write = Recorder._write

    def hang(recorder: Recorder, one: Sampled) -> Any:
        if not hung:
            settings.JOB_STUCK_SECONDS = 0.2
            hung.append(is_ended.wait(20))
        return write(recorder, one)

    settings.JOB_HEARTBEAT_SECONDS = 0.05
    monkeypatch.setattr(job_row, "SECONDS_BETWEEN_CHECKS", 0.05)
    monkeypatch.setattr(Lease, "_beat_once", lambda _lease: None)
    monkeypatch.setattr(work, "_end_stuck", lambda _job: is_ended.set())
    monkeypatch.setattr(Recorder, "_write", hang)
    run_generation_job()
    assert hung == [True]
