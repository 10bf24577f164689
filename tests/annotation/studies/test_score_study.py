"""score_study: a further encoder for existing images and votes."""

import pytest
from django.core.management import CommandError

from annotation.reports.data.gathering import metrics_of
from annotation.reports.explorer.listing import list_comparisons
from annotation.studies.current import current_manifest
from scoring.models import SetScore
from tests.annotation.studies.test_commands import typed
from tests.annotation.studies.worker import FakeWorker
from tests.factories import make_study

pytestmark = pytest.mark.django_db


def test_a_closed_study_gets_a_second_metric_beside_its_own(working: FakeWorker) -> None:
    study = make_study(state="closed")
    before = set(SetScore.objects.values_list("pk", "value"))
    said = typed("score_study", "study", "--checkpoint", "/models/other")
    assert "6 sets to score (6 jobs to do)" in said
    assert said.endswith("study is scored by scs/clip:other.\n")
    assert set(metrics_of(study)) == {"scs/clip:other", current_manifest(study).encoder.metric}
    assert before <= set(SetScore.objects.values_list("pk", "value"))
    assert list_comparisons(study, manifest=current_manifest(study)).metric == current_manifest(study).encoder.metric
    assert "sets to score" not in typed("score_study", "study", "--checkpoint", "/models/other")
    assert study.events.get(verb="further scoring begun").detail == {"metric": "scs/clip:other", "sets": 6}


def test_a_failure_is_told_with_its_cause_and_nothing_is_said_to_be_scored(working: FakeWorker) -> None:
    study = make_study(state="closed")
    working.broken["scoring.tasks.run_scoring_job"] = "No such folder."
    with pytest.raises(
        CommandError, match="Mend the cause and retry them in the admin, or give them up there"
    ) as caught:
        typed("score_study", "study", "--checkpoint", "/models/nowhere")
    assert "6 jobs failed for good:\nNo such folder.\nMend" in str(caught.value)
    assert study.events.get(detail__metric="scs/clip:nowhere").verb == "further scoring begun"
    status = typed("study_status", "study")
    assert "6 failed" in status
    assert "study: scs/clip:nowhere: No such folder. (6 jobs)" in status


def test_without_images_there_is_nothing_to_score(working: FakeWorker) -> None:
    make_study(source="external", slug="external")
    with pytest.raises(CommandError, match="import_scores"):
        typed("score_study", "external", "--checkpoint", "/models/other")
    make_study(state="draft", slug="draft")
    with pytest.raises(CommandError, match="still lacks images"):
        typed("score_study", "draft", "--checkpoint", "/models/other")
    with pytest.raises(CommandError, match="There is no study 'nowhere'"):
        typed("score_study", "nowhere", "--checkpoint", "/models/other")
