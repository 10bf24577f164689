"""Which way a metric points: told, declared or known, and never guessed; and what follows for the winners."""

from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from pydantic import ValidationError

from annotation.reports.data.gathering import gather
from annotation.reports.data.study_data import UnsealedData
from annotation.reports.explorer.listing import list_comparisons
from annotation.reports.formats.plain_text import to_text
from annotation.reports.report import build_report
from annotation.studies.current import current_manifest
from annotation.studies.documents import document, sha256
from annotation.studies.imports.score_import import import_scores
from annotation.studies.manifest import Manifest
from annotation.studies.study_file.reading import StudyFileFault, parse
from annotation.studies.study_file.writing import write_study_file
from jobs.refusals import Refused
from scoring.encoder_spec import ComparerSpec, EncoderSpec
from scoring.models import SetScore
from tests.factories import make_manifest, make_study

SCORES = "prompt,score_a,score_b\nprompt 1,0.2,0.5\nprompt 2,0.2,0.4\nprompt 3,0.6,0.5\n"
HEAD = 'name = "X"\nsource = "external"\n[models.a]\nname = "A1"\n[models.b]\nname = "B1"\n[prompts]\nlist = ["p"]\n'


def scores_file(folder: Path) -> Path:
    path = folder / "scores.csv"
    path.write_text(SCORES)
    return path


@pytest.mark.django_db
def test_a_lower_score_names_the_more_consistent_model(tmp_path: Path) -> None:
    study = make_study(source="external", has_scores=False)
    call_command("import_scores", "study", scores_file(tmp_path), "--metric", "lpips", "--lower-is-more-consistent")
    manifest = current_manifest(study)
    data = gather(study, manifest=manifest)
    assert isinstance(data, UnsealedData)
    assert data.margin().round(9).tolist() == [0.3, 0.2, -0.1]
    report = build_report(data)
    assert report.results is not None
    assert [row.metric_winner for row in report.results.comparisons] == ["A", "A", "B"]
    assert [row.metric_winner for row in list_comparisons(study, manifest=manifest).rows] == ["A", "A", "B"]
    printed = to_text(report)
    assert "lpips (lower is more consistent)" in printed
    assert "1 is A always lower" in printed
    assert "the margin is the score of B minus that of A" in printed
    event = study.events.get(verb="scores imported")
    assert event.detail["more_consistent"] == "lower"


@pytest.mark.django_db
def test_a_direction_is_never_guessed_and_never_changes(tmp_path: Path) -> None:
    study, path = make_study(source="external", has_scores=False), scores_file(tmp_path)
    with pytest.raises(Refused, match=r"not known which way lpips points.*--lower-is-more-consistent"):
        import_scores(study=study, path=path, metric="lpips")
    assert not SetScore.objects.exists()
    import_scores(study=study, path=path, metric="lpips", higher_is_more_consistent=False)
    assert import_scores(study=study, path=path, metric="lpips").unchanged_count == 3
    with pytest.raises(Refused, match="lpips is a metric of which lower is more consistent"):
        import_scores(study=study, path=path, metric="lpips", higher_is_more_consistent=True)


@pytest.mark.django_db
def test_scores_that_point_both_ways_make_no_report(tmp_path: Path) -> None:
    study = make_study(source="external", has_scores=False)
    import_scores(study=study, path=scores_file(tmp_path), metric="m", higher_is_more_consistent=False)
    other = SetScore.objects.first()
    assert other
    SetScore.objects.filter(pk=other.pk).update(higher_is_more_consistent=True)
    with pytest.raises(Refused, match="Scores by m point both ways"):
        gather(study, manifest=current_manifest(study))


@pytest.mark.django_db
def test_the_study_file_may_say_it(tmp_path: Path) -> None:
    metrics = [{"name": "lpips", "higher_is_more_consistent": False, "tuned_on_prompts": True}]
    study = make_study(source="external", has_scores=False, metrics=metrics)
    import_scores(study=study, path=scores_file(tmp_path), metric="lpips")
    data = gather(study, manifest=current_manifest(study))
    assert data.lower_metrics == ("lpips",)
    assert [row.metric for row in data.leaks if row.is_of_prompts] == ["lpips"]


def test_a_study_without_further_metrics_is_as_before() -> None:
    assert "metrics" not in document(make_manifest())
    assert "metrics" not in write_study_file(make_manifest())


def test_metrics_come_back_from_their_study_file() -> None:
    metrics: list[dict[str, Any]] = [
        {"name": "lpips", "higher_is_more_consistent": False, "version": "0.1.4"},
        {"name": "vendi:order=2", "needs": "embeddings"},
        {"name": "worst_pair", "needs": "similarities", "similarities": "dreamsim"},
        {"name": "scs", "needs": "embeddings", "encoder": {"kind": "dinov2", "checkpoint": "/models/dino"}},
        {"name": "scs", "needs": "embeddings", "encoder": {"kind": "own", "checkpoint": "mine"}},
        {"name": "mean_of_pairs", "needs": "similarities", "comparer": {"kind": "lpips", "checkpoint": "/models/alex"}},
    ]
    manifest = make_manifest(metrics=metrics)
    again = parse(write_study_file(manifest), None)
    assert again == manifest
    assert sha256(again) == sha256(Manifest.model_validate(document(manifest)))
    assert [plan.identity(manifest.encoder).split("/")[0] for plan in again.metrics] == [
        "lpips",
        "vendi:order=2",
        "worst_pair",
        "scs",
        "scs",
        "mean_of_pairs",
    ]
    assert [spec.identity for spec in again.computed_metrics()[1:]] == [
        f"vendi:order=2/{manifest.encoder.identity}",
        "scs/dinov2:dino",
        "scs/own:mine",
        "mean_of_pairs/pairs:lpips:alex",
    ]


def test_a_metric_without_a_comparer_has_the_hash_that_it_had_before_there_were_any() -> None:
    """Stored manifests of studies with [[metrics]] lack the key."""
    manifest = make_manifest(metrics=[{"name": "lpips", "higher_is_more_consistent": False}])
    (stored,) = document(manifest)["metrics"]
    assert "comparer" not in stored


def test_a_comparers_folder_starts_from_the_study_file_and_an_own_encoder_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "alex").mkdir()
    metrics = (
        '[[metrics]]\nname = "worst_pair"\nneeds = "similarities"\ncomparer = {checkpoint = "alex"}\n'
        '[[metrics]]\nname = "scs"\nneeds = "embeddings"\nencoder = {kind = "own", checkpoint = "mine"}\n'
    )
    plans = parse(HEAD.replace('source = "external"', 'source = "images"') + metrics, tmp_path).metrics
    found = [plan for plan in plans if plan.comparer or plan.encoder]
    assert found[0].comparer == ComparerSpec(checkpoint=str(tmp_path / "alex"))
    assert found[1].encoder == EncoderSpec(kind="own", checkpoint="mine")


@pytest.mark.parametrize(
    ("metric", "sentence"),
    [
        ('name = "lpips"', r"metrics\[1\].higher_is_more_consistent: is missing, and is never guessed"),
        ('name = "vendi"\nhigher_is_more_consistent = false', r"metrics\[1\].name: is the name of a metric that is"),
        ('name = "vendy"\nneeds = "embeddings"', r'"vendy" is no metric that is computed here; known are scs, mean'),
        ('name = "vendi:clamped=1"\nneeds = "embeddings"', "vendi takes order=NUMBER and bandwidth=NUMBER"),
        ('name = "quantile:share=2"\nneeds = "embeddings"', "a share from 0 to 1, not of 2"),
        ('name = "vendi"\nneeds = "embeddings"\nhigher_is_more_consistent = true', "of which lower is more consistent"),
        ('name = "own:x"\nneeds = "images"\nhigher_is_more_consistent = true', "is said by the function of"),
        ('name = "scs"\nneeds = "embeddings"', "is the study's own metric, or an earlier one"),
        ('name = "worst_pair"\nneeds = "similarities"', r"metrics\[1\].similarities: is missing"),
        (
            'name = "worst_pair"\nneeds = "similarities"\nsimilarities = "x"\ncomparer = {checkpoint = "/y"}',
            "is given beside comparer: give either the name",
        ),
        ('name = "scs"\nneeds = "embeddings"\ncomparer = {checkpoint = "/y"}', 'belongs to needs = "similarities"'),
        ('name = "worst_pair"\nneeds = "similarities"\ncomparer = {checkpoint = "a/b"}', "must be a local folder"),
        (
            'name = "vendi"\nneeds = "embeddings"\nencoder = {kind = "own", checkpoint = "/x.py"}',
            r"metrics\[1\].encoder.checkpoint: must be the name under which a worker knows the encoder, and never",
        ),
        ('name = "effective_rank"\nneeds = "similarities"\nsimilarities = "x"', "from embeddings and not from simil"),
        ('name = "m"\nhigher_is_more_consistent = true\nencoder = {kind = "clip"}', 'belongs to needs = "embeddings"'),
        ('nam = "m"', r"metrics\[1\].nam: is not a key of a study file"),
    ],
)
def test_a_fault_in_a_metric_has_its_line(metric: str, sentence: str) -> None:
    text = HEAD.replace('source = "external"', 'source = "images"') + f"[[metrics]]\n{metric}\n"
    with pytest.raises(StudyFileFault, match=sentence):
        parse(text, None)


def test_an_external_study_computes_no_metric() -> None:
    with pytest.raises(StudyFileFault, match='source is "external", which has none here'):
        parse(HEAD + '[[metrics]]\nname = "vendi"\nneeds = "embeddings"\n', None)


def test_a_manifest_with_a_faulty_metric_is_refused() -> None:
    with pytest.raises(ValidationError, match="never guessed"):
        make_manifest(metrics=[{"name": "lpips"}])
