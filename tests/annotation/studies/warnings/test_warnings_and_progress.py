"""Warnings about a manifest, and the progress of a study."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from annotation.models import Annotator, Comparison
from annotation.studies.lifecycle.creation import create_study
from annotation.studies.lifecycle.progress import progress
from annotation.studies.lifecycle.transitions import drop_seed, launch
from annotation.studies.warnings.manifest_warnings import manifest_warnings
from generation.models import GenerationJob
from scoring.scores import record_imported_scores
from tests.annotation.studies.worker import FakeWorker
from tests.factories import make_manifest, make_study


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        ({}, ""),
        ({"annotation": {"most_annotators": 3}}, ""),
        (
            {"annotation": {"most_annotators": 4, "comparisons_per_annotator": 2}},
            "annotation.overlap asks for 9 votes (3 comparisons, 3 each), but at most 8 can be given (4 annotators, 2 ",
        ),
        ({"annotation": {"most_annotators": 2}}, "no comparison can fill"),
        (
            {"annotation": {"comparisons_per_annotator": 4}},
            "annotation.comparisons_per_annotator An annotator may vote on 4 comparisons, but the study has only 3",
        ),
        ({"analysis": {"primary_endpoint": "half"}}, 'analysis.primary_endpoint is "half", but no tie may be voted'),
        ({"annotation": {"early_stopping": True}}, ""),
        ({"annotation": {"early_stopping": True, "overlap": 2}}, "early_stopping saves nothing at an overlap of 2"),
        ({"analysis": {"primary_endpoint": "half"}, "annotation": {"ties": True}}, ""),
        ({"analysis": {"primary_endpoint": "half"}, "annotation": {"overlap": 4}}, ""),
        (
            {"platform": {"id_parameter": "ID", "complete_code": "C1"}},
            "platform.study_full_code is missing: people whom the platform sends when the study is full",
        ),
        ({"platform": {"id_parameter": "ID", "complete_code": "C1", "study_full_code": "C2"}}, ""),
        ({"encoder": {"checkpoint": "/no/clip"}}, "encoder.checkpoint there is no /no/clip on this machine"),
    ],
)
def test_warnings(changes: dict[str, Any], warning: str) -> None:
    warnings = manifest_warnings(make_manifest(**changes))
    assert len(warnings) == bool(warning)
    assert warning in "".join(f"{'.'.join(map(str, one.key))} {one.sentence}" for one in warnings)


def test_the_same_model_twice_is_warned_of() -> None:
    same = {"name": "Beta", "checkpoint": "/models/alpha"}
    twice = manifest_warnings(make_manifest(source="generated", model_b=same))[-1]
    assert twice.key == ("models", "b")
    assert twice.sentence.startswith("has the same settings as models.a: their images will be the same, seed by seed")


def test_a_quota_beyond_the_prompts_ends_with_the_prompts() -> None:
    assert make_manifest(annotation={"comparisons_per_annotator": 50}).voting_rules().comparisons_per_annotator == 3


@pytest.mark.django_db
def test_progress_counts_what_is_planned_and_what_is_there(worker: FakeWorker) -> None:
    study = create_study(manifest=make_manifest(source="generated"))
    draft = progress(study)
    assert (draft.comparison_count, draft.planned_image_count, draft.image_count, draft.slot_total) == (3, 18, 0, 9)
    launch(study=study)
    worker.do(*worker.messages.pop())
    GenerationJob.objects.filter(state="queued", pk__in=[message[1] for message in worker.messages[:2]]).update(
        state="failed", error="Black image."
    )
    Comparison.objects.get(position=2).image_set_a.jobs.update(state="failed", error="Of a set that is left.")
    drop_seed(study=study, position=2, seed=11)
    Comparison.objects.filter(position=0).update(slot_count=2, vote_count=1)
    for kind in ("personal", "simulated"):
        Annotator.objects.create(study=study, kind=kind)
    counts = progress(study)
    assert (counts.planned_image_count, counts.set_count, counts.scored_set_count) == (16, 6, 0)
    assert (counts.failed_job_count, counts.failures) == (2, ("Black image. (2 jobs)",))
    assert (counts.vote_count, counts.annotator_count, counts.simulated_annotator_count) == (1, 2, 1)
    assert (counts.slot_total, counts.held_count, counts.complete_count) == (9, 1, 0)


@pytest.mark.django_db
def test_progress_counts_what_is_complete_closed_early_and_set_aside() -> None:
    study = make_study(comparisons=4, state="open", annotation={"early_stopping": True})
    comparisons = Comparison.objects.filter(study=study)
    now = timezone.now()
    comparisons.filter(position=0).update(
        slot_count=3, vote_count=3, lead=3, decided_at=now
    )  # the last vote came later
    comparisons.filter(position=1).update(slot_count=3, vote_count=2, lead=2, decided_at=now)  # one is on a screen
    comparisons.filter(position=2).update(slot_count=1, vote_count=1, lead=1, parked_at=now)
    counts = progress(study)
    assert (counts.complete_count, counts.closed_early_count, counts.parked_count) == (2, 1, 1)
    assert (counts.slot_total, counts.vote_count, counts.held_count) == (3 + 2 + 3 + 3, 6, 1)


@pytest.mark.django_db
def test_progress_reads_no_vote() -> None:
    study = make_study(comparisons=4, state="open")
    with CaptureQueriesContext(connection) as asked:
        progress(study)
    assert not [query["sql"] for query in asked if "annotation_vote" in query["sql"]]


@pytest.mark.django_db
def test_scores_that_were_computed_elsewhere_count_in_an_external_study() -> None:
    study = make_study(source="external", comparisons=3, has_scores=False)
    assert progress(study).scored_set_count == 0
    for comparison in Comparison.objects.filter(study=study)[:2]:
        for metric in ("DINO", "LPIPS"):
            record_imported_scores(
                metric=metric, values={comparison.image_set_a_id: 70.0}, higher_is_more_consistent=True
            )
    assert progress(study).scored_set_count == 2


@pytest.mark.django_db
def test_progress_asks_a_constant_number_of_questions(django_assert_max_num_queries: Any) -> None:
    study = make_study(source="external", comparisons=30)
    with django_assert_max_num_queries(14):
        assert progress(study).scored_set_count == 60


@pytest.mark.django_db
@pytest.mark.parametrize(("source", "votes"), [("images", "0 of 9"), ("external", "0")])
def test_only_a_study_that_people_vote_in_wants_votes(source: str, votes: str) -> None:
    study = make_study(source=source)
    assert progress(study).votes_in_words(study) == votes
