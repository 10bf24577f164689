"""score_study: a further encoder for existing images and votes."""

from pathlib import Path

import pytest
from django.core.management import CommandError

from annotation.reports.data.metrics import metrics_of
from annotation.reports.explorer.listing import list_comparisons
from annotation.studies.current import current_manifest
from annotation.studies.lifecycle.pipeline_jobs import unscored_sets_of
from scoring.encoder_spec import ComparerSpec
from scoring.metric_spec import MetricSpec
from scoring.models import ScoringJob, SetScore
from scoring.scores import plan_scorings
from scoring.tasks import run_scoring_job
from tests.annotation.studies.test_commands import typed
from tests.annotation.studies.worker import FakeWorker
from tests.factories import make_study
from tests.scoring.embedded_sets import picture
from tests.scoring.perceptual_weights import write_lpips

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


def test_a_relative_folder_is_the_encoder_of_its_whole_path(
    working: FakeWorker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker starts from another folder, and the name of the metric does not depend on where the command ran."""
    make_study(state="closed")
    (tmp_path / "models" / "other").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert typed("score_study", "study", "--checkpoint", "models/other").endswith("by scs/clip:other.\n")
    assert ScoringJob.objects.values_list("encoder__checkpoint").distinct().get() == (str(tmp_path / "models/other"),)


def test_a_failure_is_told_with_its_cause_and_nothing_is_said_to_be_scored(working: FakeWorker) -> None:
    study = make_study(state="closed")
    working.broken["scoring.tasks.run_scoring_job"] = "No such folder."
    with pytest.raises(
        CommandError, match="Correct the cause and retry them in the admin, or give them up there"
    ) as caught:
        typed("score_study", "study", "--checkpoint", "/models/nowhere")
    assert "6 jobs failed for good:\nNo such folder.\nCorrect" in str(caught.value)
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


def test_similarities_are_named_as_encoders_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """LPIPS with drawn weights: a worker's jobs, then another metric of the stored distances without any worker."""
    monkeypatch.setattr(
        "scoring.embeddings.open_images", lambda rows: [picture(row.pk) for row in rows]
    )  # not 16 pixels
    study = make_study(state="closed")
    folder = str(write_lpips(tmp_path / "alex", "alex"))
    spec = MetricSpec.compared("mean_of_pairs", ComparerSpec(checkpoint=folder))
    plan_scorings(image_set_ids=[one.pk for one in unscored_sets_of(study, spec.identity)], spec=spec)
    for _ in range(6):
        run_scoring_job()
    assert not unscored_sets_of(study, spec.identity)
    command = ("score_study", "study", "--kind", "lpips", "--checkpoint", folder)
    assert typed(*command) == "study is scored by mean_of_pairs/pairs:lpips:alex.\n"
    said = typed("score_study", "study", "--similarities", "lpips:alex", "--metric", "worst_pair")
    assert said == "study is scored by worst_pair/pairs:lpips:alex.\n"
    pairs = SetScore.objects.filter(metric__endswith="/pairs:lpips:alex").order_by("image_set", "metric")
    values = list(pairs.values_list("value", flat=True))
    assert len(values) == 12
    assert values[::2] == values[1::2]  # sets of two images have one pair
    for words, sentence in (
        (("--similarities", "nothing"), "has no similarities under nothing: import or compute them first"),
        (("--kind", "lpips"), "Give either --similarities with the name of stored similarities, or --kind"),
        (("--similarities", "lpips:alex", "--metric", "effective_rank"), "is not computed from similarities"),
    ):
        with pytest.raises(CommandError, match=sentence):
            typed("score_study", "study", *words)
