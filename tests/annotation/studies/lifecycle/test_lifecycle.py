"""The states of a study: transitions, refusals, and that repeating an action changes nothing."""

import re
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command

from annotation.models import Comparison, Study, StudyEvent
from annotation.studies.current import current_manifest
from annotation.studies.lifecycle.creation import create_study
from annotation.studies.lifecycle.transitions import advance, close, drop_seed, launch, open_study, pause, retry_failed
from annotation.studies.warnings.image_warnings import image_warnings
from generation.models import DiffusionModel, GeneratedImage, GenerationJob, ImageSet
from generation.plans.image_sets import plan_imported_set
from generation.recorded_images.records import record_image
from jobs.models import LeasedJob
from jobs.refusals import Refused
from scoring.models import ScoringJob, SetScore
from tests.annotation.studies.worker import FakeWorker
from tests.factories import import_sets, make_manifest, make_study, put_in_state
from tests.generation.planned_sets import picture

pytestmark = pytest.mark.django_db
State = Study.State
YESTERDAY, TOMORROW = (datetime.now(UTC) + timedelta(days=days) for days in (-1, 1))


@pytest.fixture
def researcher() -> User:
    return User.objects.create_user("researcher")


def a_generated_study(**manifest: Any) -> Study:
    return create_study(manifest=make_manifest(source="generated", **manifest))


def verbs(study: Study) -> list[str]:
    return list(StudyEvent.objects.filter(study=study).values_list("verb", flat=True))


def test_from_draft_to_ready(worker: FakeWorker, researcher: User) -> None:
    study = a_generated_study()
    launch(study=study, actor=researcher)
    assert advance(study) == "6 jobs to do"
    assert (study.state, Comparison.objects.filter(study=study).count()) == (State.GENERATING, 3)
    assert worker.work_off() == 12  # 6 of images, 6 of scores
    study.refresh_from_db()
    assert study.state == State.READY
    assert GeneratedImage.objects.count() == 18
    assert SetScore.objects.filter(metric=current_manifest(study).encoder.metric).count() == 6
    assert verbs(study) == ["created", "launched", "generated", "scored"]
    assert study.events.get(verb="launched").actor == researcher


def test_launching_again_and_advancing_again_make_nothing_twice(worker: FakeWorker) -> None:
    study = a_generated_study()
    for _ in range(2):
        launch(study=study)
        advance(study)
    assert len(worker.messages) == GenerationJob.objects.count() == 6
    worker.work_off()
    launch(study=study)
    assert advance(study) == "nothing to do"
    assert (GeneratedImage.objects.count(), ScoringJob.objects.count(), len(worker.messages)) == (18, 6, 0)
    assert len(worker.made) == 18
    assert verbs(study).count("launched") == 1


def test_scores_come_after_the_last_image_only(worker: FakeWorker) -> None:
    study = a_generated_study()
    launch(study=study)
    worker.do(*worker.messages.pop())
    assert advance(study) == "5 jobs to do"
    assert (study.state, ScoringJob.objects.count()) == (State.GENERATING, 0)


def test_a_study_on_the_same_images_generates_nothing(worker: FakeWorker) -> None:
    launch(study=a_generated_study())
    worker.work_off()
    second = a_generated_study(slug="second")
    launch(study=second)
    second.refresh_from_db()
    assert (second.state, worker.messages) == (State.READY, [])


def test_a_lost_message_strands_nothing(worker: FakeWorker) -> None:
    study = a_generated_study()
    launch(study=study)
    worker.messages.clear()
    GenerationJob.objects.update(enqueued_at=None)  # as the reaper does for messages that seem lost
    advance(study)
    worker.work_off()
    study.refresh_from_db()
    assert study.state == State.READY


def test_images_that_went_away_are_made_again(worker: FakeWorker) -> None:
    study = a_generated_study()
    launch(study=study)
    for _ in range(6):
        worker.do(*worker.messages.pop())
    GeneratedImage.objects.filter(image_set=ImageSet.objects.first()).delete()
    assert advance(study) == "1 job to do"
    worker.work_off()
    study.refresh_from_db()
    assert study.state == State.READY


def test_jobs_that_fail_are_told_and_can_be_tried_again(worker: FakeWorker, researcher: User) -> None:
    study = a_generated_study()
    launch(study=study)
    worker.broken[GenerationJob.task_name] = "The checkpoint /models/alpha is not there."
    worker.work_off()
    assert advance(study) == "6 jobs failed for good"
    assert study.state == State.GENERATING
    worker.broken.clear()
    assert retry_failed(study=study, actor=researcher) == 6
    worker.work_off()
    study.refresh_from_db()
    assert study.state == State.READY
    assert study.events.get(verb="retried").detail == {"jobs": 6}


def test_scoring_that_fails_can_be_tried_again(worker: FakeWorker) -> None:
    study = a_generated_study()
    launch(study=study)
    worker.broken[ScoringJob.task_name] = "The encoder is not there."
    worker.work_off()
    assert advance(study) == "6 jobs failed for good"
    assert study.state == State.SCORING
    worker.broken.clear()
    retry_failed(study=study)
    worker.work_off()
    study.refresh_from_db()
    assert study.state == State.READY


def test_nothing_to_retry() -> None:
    with pytest.raises(Refused, match="Study has no failed jobs"):
        retry_failed(study=make_study(state="draft"))


def test_imported_images_are_waited_for_by_name(worker: FakeWorker) -> None:
    study = make_study(state="draft")
    waiting = 'waits for images: "prompt 1" has no images of Alpha and Beta, and 2 more; import them with import_images'
    launch(study=study)
    assert advance(study) == waiting
    prompts = ["prompt 1", "prompt 2", "prompt 3"]
    import_sets(study.diffusion_models[0], prompts, 2)
    assert "has no images of Beta, and 2 more" in advance(study)
    import_sets(study.diffusion_models[1], prompts, 2)
    assert advance(study) == "every image is there; 6 jobs to do"
    worker.work_off()
    study.refresh_from_db()
    assert study.state == State.READY


def test_sets_of_unequal_size_are_not_compared(worker: FakeWorker) -> None:
    study = make_study(state="draft", comparisons=1)
    import_sets(study.diffusion_models[0], ["prompt 1"], 3)
    import_sets(study.diffusion_models[1], ["prompt 1"], 2)
    launch(study=study)
    assert '"prompt 1" has 3 images of Alpha and 2 of Beta' in advance(study)


def test_single_images_are_not_compared(worker: FakeWorker) -> None:
    study = make_study(state="draft", comparisons=1)
    for model in study.diffusion_models:
        import_sets(model, ["prompt 1"], 1)
    launch(study=study)
    assert '"prompt 1" has fewer than two images of each model' in advance(study)


def import_drawn(model: DiffusionModel, *sizes: tuple[int, int]) -> None:
    """A set for "prompt 1" with one image of each size."""
    seeds = range(1, len(sizes) + 1)
    image_set = plan_imported_set(diffusion_model=model, prompt="prompt 1", seeds=list(seeds))
    for seed, size in zip(seeds, sizes, strict=True):
        record_image(image_set=image_set, seed=seed, image=picture(seed, size), provenance={})


@pytest.mark.parametrize(
    ("of_a", "of_b"),
    [
        ([(64, 64), (64, 64)], [(96, 64), (96, 64)]),
        ([(64, 64), (64, 64)], [(64, 64), (96, 64)]),
        ([(64, 64), (96, 64)], [(64, 64), (96, 64)]),
        ([(64, 64), (64, 64)], [(64, 65), (64, 64)]),
        ([(64, 64), (64, 64)], [(128, 128), (128, 128)]),
    ],
)
def test_sizes_that_differ_are_not_compared(
    worker: FakeWorker, of_a: list[tuple[int, int]], of_b: list[tuple[int, int]]
) -> None:
    study = make_study(state="draft", comparisons=1)
    import_drawn(study.diffusion_models[0], *of_a)
    import_drawn(study.diffusion_models[1], *of_b)
    launch(study=study)
    assert re.search(
        r'"prompt 1" has images of \d+ x \d+ pixels of (Alpha|Beta), but others of the study have 64 x 64, which would '
        r"tell the models apart: take the images back .* with one --size, for example 64x64",
        advance(study),
    )
    assert image_warnings(study)[0].startswith('Waits for images: "prompt 1" has')


def test_every_comparison_has_the_size_of_the_first(worker: FakeWorker) -> None:
    """Practice and attention checks mix the images of prompts."""
    study = make_study(state="draft", comparisons=2)
    for model in study.diffusion_models:
        import_drawn(model, (64, 64), (64, 64))
    launch(study=study)
    assert '"prompt 2" has no images' in advance(study)
    for model in study.diffusion_models:
        image_set = plan_imported_set(diffusion_model=model, prompt="prompt 2", seeds=[1, 2])
        for seed in image_set.seeds:
            record_image(image_set=image_set, seed=seed, image=picture(seed, (96, 64)), provenance={})
    assert '"prompt 2" has images of 96 x 64 pixels of Alpha, but others of the study have 64 x 64' in advance(study)


def test_sizes_that_are_shown_alike_are_compared(worker: FakeWorker) -> None:
    study = make_study(state="draft", comparisons=1)
    import_drawn(study.diffusion_models[0], (1024, 8), (1024, 8))
    import_drawn(study.diffusion_models[1], (2048, 16), (1024, 8))
    launch(study=study)
    assert advance(study) == "2 jobs to do"
    assert image_warnings(study) == []


def test_images_of_one_colour_are_counted_while_sealed_and_then_named(worker: FakeWorker) -> None:
    worker.makes_plain_images = True
    study = a_generated_study(prompts=[{"text": "a cube"}])
    launch(study=study)
    worker.work_off()
    study.refresh_from_db()
    assert study.state == State.READY
    said = image_warnings(study)
    assert said == ["Among the images: 6 of one colour."]
    out = StringIO()
    call_command("study_status", study.slug, stdout=out)
    assert f"{study.slug}: {said[0]}" in out.getvalue()
    assert "Look at Alpha" not in out.getvalue(), "sealed: its contact sheet shows the flags"
    put_in_state(study, "closed")
    assert image_warnings(study) == [
        f"Look at {model} / a cube: 3 of 3 images are of one colour (seeds 11, 22, 33)." for model in ("Alpha", "Beta")
    ]


def test_a_study_is_not_told_of_the_images_of_another(worker: FakeWorker) -> None:
    worker.makes_plain_images = True
    launch(study=a_generated_study(prompts=[{"text": "a cube"}]))
    worker.work_off()
    assert image_warnings(make_study(slug="another", state="ready")) == []


def test_open_pause_open_close(researcher: User) -> None:
    study = make_study(state="ready", source="images", comparisons=1)
    open_study(study=study, actor=researcher)
    opened_at = study.opened_at
    assert study.state == State.OPEN
    pause(study=study, actor=researcher)
    open_study(study=study, actor=researcher)
    assert (study.state, study.opened_at) == (State.OPEN, opened_at)
    close(study=study, actor=researcher)
    assert study.closed_at is not None
    assert verbs(study) == ["created", "opened", "paused", "reopened", "closed"]


REFUSALS = [
    (launch, State.CLOSED, None),
    (open_study, State.DRAFT, "it is a draft; launch it first"),
    (open_study, State.GENERATING, "its images are not all there yet; study_status says what is missing"),
    (open_study, State.SCORING, "its image sets are not all scored yet"),
    (open_study, State.OPEN, "it is open"),
    (open_study, State.CLOSED, "it is closed, which cannot be undone; duplicate the study instead"),
    (pause, State.READY, "it was never opened"),
    (pause, State.PAUSED, "it is paused"),
    (close, State.DRAFT, "it is a draft"),
    (close, State.CLOSED, "it is closed"),
]


@pytest.mark.parametrize(("verb", "state", "reason"), REFUSALS)
def test_what_a_state_does_not_allow_is_refused_with_its_reason(verb: Any, state: str, reason: str | None) -> None:
    study = make_study(state="draft")
    put_in_state(study, state)
    if reason is None:
        verb(study=study)
    else:
        with pytest.raises(Refused, match=reason):
            verb(study=study)
    study.refresh_from_db()
    assert study.state == state
    assert verbs(study) == ["created"]


def test_an_external_study_has_nothing_to_launch() -> None:
    with pytest.raises(Refused, match="nothing to launch: import its votes and scores"):
        launch(study=make_study(source="external"))


def test_a_model_that_was_changed_meanwhile_is_not_launched(worker: FakeWorker) -> None:
    study = a_generated_study()
    DiffusionModel.objects.filter(name="Beta").update(checkpoint="/models/other")
    with pytest.raises(Refused, match="A model called Beta exists already with checkpoint = '/models/other'"):
        launch(study=study)
    study.refresh_from_db()
    assert study.state == State.DRAFT


def test_two_who_open_at_once_open_once() -> None:
    study = make_study(state="draft")
    put_in_state(study, State.READY)
    stale = Study.objects.get(pk=study.pk)
    open_study(study=study)
    with pytest.raises(Refused, match="cannot open: it is open"):
        open_study(study=stale)
    assert verbs(study).count("opened") == 1


@pytest.mark.parametrize(
    ("state", "times", "expected"),
    [
        (State.READY, {}, State.READY),
        (State.READY, {"opens_at": TOMORROW}, State.READY),
        (State.READY, {"opens_at": YESTERDAY}, State.OPEN),
        (State.READY, {"opens_at": YESTERDAY - timedelta(1), "closes_at": YESTERDAY}, State.READY),
        (State.OPEN, {"closes_at": TOMORROW}, State.OPEN),
        (State.OPEN, {"closes_at": YESTERDAY}, State.CLOSED),
        (State.PAUSED, {"closes_at": YESTERDAY}, State.CLOSED),
        (State.DRAFT, {"opens_at": YESTERDAY}, State.DRAFT),
    ],
)
def test_the_clock_opens_and_closes(state: str, times: dict[str, datetime], expected: str) -> None:
    study = make_study(state="draft", annotation=times)
    put_in_state(study, state)
    for _ in range(2):
        advance(study)
    assert study.state == expected


def test_what_was_to_close_already_does_not_open() -> None:
    study = make_study(state="draft", annotation={"closes_at": YESTERDAY})
    put_in_state(study, State.READY)
    with pytest.raises(Refused, match="amend closes_at before opening it"):
        open_study(study=study)


def the_image_fails(image_set: ImageSet, seed: int) -> None:
    """The state after a worker made the other images and gave up this one."""
    image_set.images.filter(seed=seed).delete()
    image_set.jobs.update(state="failed", error="Black image.")


def test_dropping_a_seed_from_both_sets(worker: FakeWorker, researcher: User) -> None:
    study = a_generated_study(seeds=[11, 22, 33])
    launch(study=study)
    worker.work_off()
    put_in_state(study, State.GENERATING)
    the_image_fails(Comparison.objects.get(study=study, position=1).image_set_b, 22)
    drop_seed(study=study, position=1, seed=22, actor=researcher)
    assert [message[0] for message in worker.messages] == [ScoringJob.task_name] * 2
    worker.work_off()
    study.refresh_from_db()
    assert study.state == State.READY
    comparison = Comparison.objects.get(study=study, position=1)
    for image_set in (comparison.image_set_a, comparison.image_set_b):
        assert image_set.seeds == [11, 33]
        assert set(image_set.images.values_list("seed", flat=True)) == {11, 33}
    assert len(worker.made) == 18
    detail = {"position": 1, "prompt": "prompt 2", "seed": 22}
    assert study.events.get(verb="seed dropped").detail == detail


@pytest.mark.parametrize(
    ("broken", "error", "seed"),
    [(GenerationJob, "Black image.", 11), (ScoringJob, "The embedding of seed 22 is zero.", 22)],
)
def test_dropping_the_seed_of_a_failed_job_lets_the_study_go_on(
    worker: FakeWorker, broken: type[LeasedJob], error: str, seed: int
) -> None:
    study = a_generated_study(comparisons=1)
    launch(study=study)
    worker.broken[broken.task_name] = error
    worker.work_off()
    worker.broken.clear()
    drop_seed(study=study, position=0, seed=seed)
    worker.work_off()
    study.refresh_from_db()
    assert study.state == State.READY
    assert set(study.comparisons.values_list("image_set_a__images__seed", flat=True)) == {11, 22, 33} - {seed}


@pytest.mark.parametrize("is_shared", [False, True])
def test_the_jobs_of_the_sets_that_were_left_are_cancelled_unless_another_study_shows_them(
    worker: FakeWorker, is_shared: bool
) -> None:
    study = a_generated_study(comparisons=1)
    launch(study=study)
    advance(study)
    if is_shared:
        other = a_generated_study(comparisons=1, slug="other")
        launch(study=other)
        advance(other)
    image_set_a = Comparison.objects.get(study=study).image_set_a
    image_set_a.jobs.update(state="failed", error="Black image.")
    left_waiting = Comparison.objects.get(study=study).image_set_b.jobs
    drop_seed(study=study, position=0, seed=11)
    assert left_waiting.get().state == ("queued" if is_shared else "cancelled")


def test_no_seed_is_dropped_for_the_looks_of_its_image(worker: FakeWorker) -> None:
    study = a_generated_study(comparisons=1)
    launch(study=study)
    worker.work_off()
    with pytest.raises(Refused, match="Seed 22 of comparison 1 did not fail"):
        drop_seed(study=study, position=0, seed=22)
    the_image_fails(Comparison.objects.get(study=study).image_set_a, 22)
    with pytest.raises(Refused, match="Seed 33 of comparison 1 did not fail"):
        drop_seed(study=study, position=0, seed=33)
    study.refresh_from_db()
    assert study.state == State.READY


def test_what_cannot_be_dropped(worker: FakeWorker) -> None:
    study = a_generated_study(comparisons=1)
    with pytest.raises(Refused, match="has no comparison 1; launch it first"):
        drop_seed(study=study, position=0, seed=11)
    launch(study=study)
    with pytest.raises(Refused, match=r"Seed 99 is not a seed of comparison 1 \(prompt 1\)"):
        drop_seed(study=study, position=0, seed=99)
    worker.broken[GenerationJob.task_name] = "Black image."
    worker.work_off()
    drop_seed(study=study, position=0, seed=11)
    with pytest.raises(Refused, match="would be left with one image in each set"):
        drop_seed(study=study, position=0, seed=22)
    with pytest.raises(Refused, match="generates no images"):
        drop_seed(study=make_study(source="external", slug="external"), position=0, seed=1)


def test_after_opening_no_seed_is_dropped(worker: FakeWorker) -> None:
    study = a_generated_study(comparisons=1)
    launch(study=study)
    worker.work_off()
    open_study(study=study)
    before = Comparison.objects.get(study=study).image_set_a_id
    with pytest.raises(Refused, match="Seed 11 cannot be dropped: it is open"):
        drop_seed(study=study, position=0, seed=11)
    assert Comparison.objects.get(study=study).image_set_a_id == before
