"""Metrics of one's own: the documentation's file as it stands, the admin's list, and each fault in one sentence."""

import re
import signal
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from billiard import common
from django.conf import settings
from django.core.management import CommandError

from annotation.models import Study
from annotation.reports.formats.plain_text import to_text
from annotation.studies.current import current_manifest
from generation.models import ImageSet
from jobs.refusals import Refused
from scoring import own_code
from scoring.encoders.checkpoints import encoder_needs
from scoring.metric_spec import MetricSpec
from scoring.models import Encoder, ImageEmbedding, MetricSource, ScoringJob, SetScore
from scoring.own_metrics import OwnMetric, metric_in_file, own_metric
from scoring.scores import plan_scorings, score_set
from scoring.tasks import jobs_to_score, run_scoring_job
from tests.annotation.reports.voted_studies import report_of
from tests.annotation.studies.test_commands import typed
from tests.factories import make_study

GUIDE = Path(settings.BASE_DIR) / "docs" / "metrics.md"


def written(folder: Path, text: str, name: str = "mine.py") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


def embedded() -> Study:
    """A closed study whose images have embeddings by the study's encoder, random ones."""
    study = make_study(state="closed", slug="kites")
    encoder = current_manifest(study).encoder.identity
    Encoder.objects.create(identity=encoder, fingerprint="f" * 64)
    rng = np.random.default_rng(3)
    for score in SetScore.objects.select_related("image_set"):
        for image in score.image_set.images.all():
            vector = rng.normal(size=4).astype("<f4").tobytes()
            ImageEmbedding.objects.create(image=image, encoder_id=encoder, dimension=4, vector=vector)
    return study


@pytest.mark.django_db
def test_the_documented_metric_appears_in_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = embedded()
    source, _ = (one for one in re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL) if "def " in one)
    typed_and_said = re.findall(r"\$ \.venv/bin/python manage\.py (.*)\n(.*)\n```", GUIDE.read_text())
    ((command, said),) = (one for one in typed_and_said if "--metric-file" in one[0])
    monkeypatch.chdir(tmp_path)
    written(tmp_path, source, "spread.py")
    assert typed(*command.split()) == f"{said}\n"
    assert typed(*command.split()) == f"{said}\n"
    stored = SetScore.objects.filter(metric__startswith="own:spread/")
    assert stored.count() == 6
    assert not stored.filter(higher_is_more_consistent=True).exists()
    printed = " ".join(to_text(report_of(study)).split())
    assert "own:spread" in printed
    event = study.events.get(verb="further scoring begun", detail__metric__startswith="own:spread/")
    assert event.detail["source_sha256"] == MetricSource.objects.get().sha256
    written(tmp_path, source + "\n", "spread.py")
    with pytest.raises(CommandError, match="The source of own:spread is not the one that it had before"):
        typed(*command.split())


@pytest.mark.django_db
def test_a_worker_knows_what_its_admin_lists(tmp_path: Path, settings: Any) -> None:
    text = "def count(images):\n    return images[0].width\ncount.higher_is_more_consistent = True\n"
    settings.OWN_METRICS_FILE = written(tmp_path, f'width = "{written(tmp_path, text)}:count"', "list.toml")
    study = make_study(state="closed")
    image_set = study.comparisons.earliest("position").image_set_a
    score = score_set(image_set=image_set, spec=MetricSpec("own:width", None))
    assert (score.metric, score.value, score.image_count) == ("own:width", 16.0, 2)
    with pytest.raises(Refused, match="This machine knows no metric own:height"):
        own_metric("own:height")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("def score(x):\n    return 1\n", "takes x: call its parameter embeddings, or images"),
        ("def score(embeddings):\n    return 1\n", "does not say which way it points"),
        ("score = 3\n", "has no function score"),
        ("import nothing_like_it\n", "cannot be run: ModuleNotFoundError: No module named"),
    ],
)
def test_a_file_that_holds_no_metric(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        metric_in_file(f"{written(tmp_path, text)}:score", name="own:score")


@pytest.mark.parametrize(
    ("returned", "sentence"),
    [
        ("1 / 0", "failed with ZeroDivisionError: division by zero"),
        ("float('nan')", "returned nan, which is not a score"),
        ("-float('inf')", "returned -inf, which is not a score"),
        ("embeddings", "failed with TypeError: "),
        ("None", "failed with TypeError: "),
        ("__import__('nothing_like_it')", "failed with ModuleNotFoundError: No module named 'nothing_like_it'"),
    ],
)
def test_an_error_of_the_function_is_one_sentence(tmp_path: Path, returned: str, sentence: str) -> None:
    text = f"def score(embeddings):\n    return {returned}\nscore.higher_is_more_consistent = True\n"
    own = metric_in_file(f"{written(tmp_path, text)}:score", name="own:score")
    with pytest.raises(Refused, match=f"^The metric own:score {sentence}"):
        own.score(np.eye(2))


def test_a_place_names_a_file_and_a_function(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="names no function"):
        metric_in_file("metric.py", name="own:x")
    with pytest.raises(Refused, match="There is no Python file"):
        metric_in_file(f"{tmp_path}/none.py:score", name="own:x")


def width(images: list[Any]) -> float:
    return float(images[0].width)


width.higher_is_more_consistent = True  # type: ignore[attr-defined]


@pytest.mark.django_db
def test_a_worker_scores_by_the_metric_of_an_installed_package(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("width", f"{__name__}:width", "semblance.metrics")
    monkeypatch.setattr(own_code, "entry_points", lambda **asked: [entry] if asked["name"] == "width" else [])
    study = make_study(state="closed")
    image_set = study.comparisons.earliest("position").image_set_a
    for name in ("own:width", "own:height"):
        plan_scorings(image_set_ids=[image_set.pk], spec=MetricSpec(name, None))
    for _ in range(3):
        run_scoring_job()
    jobs = {job.metric: job for job in ScoringJob.objects.filter(metric__startswith="own:")}
    assert jobs["own:width"].state == "done"
    assert SetScore.objects.get(metric="own:width").value == 16.0
    assert jobs["own:height"].state == "failed"
    assert jobs["own:height"].error.startswith("This machine knows no metric own:height")
    assert MetricSource.objects.get().name == "own:width"


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("nothing_like_it:score", "cannot be loaded: ModuleNotFoundError: No module named 'nothing_like_it'"),
        (f"{__name__}:height", "cannot be loaded: AttributeError: "),
        ("math:sqrt", "cannot be loaded: TypeError: "),
    ],
)
def test_an_installed_metric_that_cannot_be_loaded(monkeypatch: pytest.MonkeyPatch, value: str, sentence: str) -> None:
    monkeypatch.setattr(own_code, "entry_points", lambda **_: [EntryPoint("mine", value, "semblance.metrics")])
    with pytest.raises(Refused, match=f"^mine, installed as {value}, {sentence}"):
        own_metric("own:mine")


def test_a_name_that_two_places_have_is_refused(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    functions = ("width", "width", "breadth")
    installed = [EntryPoint("width", f"{__name__}:{name}", "semblance.metrics") for name in functions]
    monkeypatch.setattr(own_code, "entry_points", lambda **_: installed[:2])  # one of them, found on two paths
    assert own_metric("own:width").function is width
    settings.OWN_METRICS_FILE = written(tmp_path, 'width = "mine.py:width"', "list.toml")
    with pytest.raises(Refused, match=r"knows width twice: .*list\.toml lists mine\.py:width, and a package installs"):
        own_metric("own:width")
    settings.OWN_METRICS_FILE = ""
    monkeypatch.setattr(own_code, "entry_points", lambda **_: installed)
    with pytest.raises(Refused, match=rf"knows width twice: a package installs {__name__}:width, and a package"):
        own_metric("own:width")
    settings.OWN_METRICS_FILE = written(tmp_path, 'width = "a.py:x"\nwidth = "b.py:x"\n', "list.toml")
    with pytest.raises(Refused, match=r"list\.toml, which cannot be read as TOML: .*line 2"):
        own_metric("own:width")


def test_a_file_may_hold_dataclasses_that_are_annotated_by_texts(tmp_path: Path) -> None:
    text = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n\n\n@dataclass\nclass Part:\n"
        "    size: int\n\n\ndef score(images):\n    return Part(3).size\n\n\nscore.higher_is_more_consistent = True\n"
    )
    assert metric_in_file(f"{written(tmp_path, text)}:score", name="own:score").score([]) == 3.0


@pytest.mark.django_db
def test_an_error_in_the_function_stands_on_the_job_in_one_sentence(tmp_path: Path, settings: Any) -> None:
    text = "def score(images):\n    return images[9].width\nscore.higher_is_more_consistent = True\n"
    settings.OWN_METRICS_FILE = written(tmp_path, f'far = "{written(tmp_path, text)}:score"', "list.toml")
    image_set = make_study(state="closed").comparisons.earliest("position").image_set_a
    plan_scorings(image_set_ids=[image_set.pk], spec=MetricSpec("own:far", None))
    run_scoring_job()
    job = ScoringJob.objects.get(metric="own:far")
    assert job.state == "failed"
    assert job.error == "The metric own:far failed with IndexError: list index out of range."
    assert not SetScore.objects.filter(metric__startswith="own:far").exists()


@pytest.mark.django_db
def test_stored_embeddings_need_no_worker_and_no_encoder(tmp_path: Path) -> None:
    """An encoder of the hub that is not on this host, whose embeddings are: only a set that lacks one waits for it."""
    study = embedded()
    assert typed("score_study", "kites", "--metric", "vendi").startswith("kites is scored by vendi/clip:openai/")
    SetScore.objects.all().delete()
    path = written(tmp_path, "def low(embeddings):\n    return 1.0\n\n\nlow.higher_is_more_consistent = True\n")
    assert typed("score_study", "kites", "--metric-file", f"{path}:low").startswith("kites is scored by own:low/clip:")
    assert not ScoringJob.objects.exists()
    encoder = current_manifest(study).encoder
    whole, lacking = ImageSet.objects.order_by("pk")[:2]
    plan_scorings(image_set_ids=[whole.pk, lacking.pk], spec=MetricSpec("worst_pair", encoder))
    plan_scorings(image_set_ids=[whole.pk], spec=MetricSpec("scs", encoder))
    ImageEmbedding.objects.filter(image__image_set=lacking).first().delete()  # type: ignore[union-attr]
    taken = [(job.image_set, job.metric.partition("/")[0]) for job in jobs_to_score()]
    assert taken == [(whole, "worst_pair")]
    waiting = {(job.image_set_id, job.metric.partition("/")[0]) for need in encoder_needs() for job in need.jobs}  # type: ignore[attr-defined]
    assert waiting == {(lacking.pk, "worst_pair"), (whole.pk, "scs")}


@pytest.mark.django_db
def test_what_only_failed_may_be_mended_under_its_name(tmp_path: Path) -> None:
    """A function that ends the process fails like any other, and its name stands for nothing yet."""
    embedded()
    low, mood = tmp_path / "low.py", tmp_path / "mood.py"
    for code, words in (("import sys; sys.exit(3)", "SystemExit: 3"), ("return embeddings", "TypeError")):
        low.write_text(f"def low(embeddings):\n    {code}\n\n\nlow.higher_is_more_consistent = True\n")
        with pytest.raises(CommandError, match=f"The metric own:low failed with {words}"):
            typed("score_study", "kites", "--metric-file", f"{low}:low")
    low.write_text("def low(embeddings):\n    return 1.0\n\n\nlow.higher_is_more_consistent = True\n")
    assert typed("score_study", "kites", "--metric-file", f"{low}:low").startswith("kites is scored by own:low")
    mood.write_text("def mood(images):\n    raise SystemExit(1)\n")
    with pytest.raises(CommandError, match="The encoder own:mood failed with SystemExit: 1"):
        typed("score_study", "kites", "--encoder-file", f"{mood}:mood")
    mood.write_text("def mood(images):\n    return [[1.0, 2.0] for one in images]\n")
    assert typed("score_study", "kites", "--encoder-file", f"{mood}:mood") == "kites is scored by scs/own:mood.\n"
    mood.write_text("raise SystemExit(2)\nmood = int\n")
    with pytest.raises(CommandError, match=r"mood\.py cannot be run: SystemExit: 2"):
        typed("score_study", "kites", "--encoder-file", f"{mood}:mood")
    mood.write_text("mood = int\n")
    with pytest.raises(CommandError, match="The encoder own:mood takes nothing: call its one parameter images"):
        typed("score_study", "kites", "--encoder-file", f"{mood}:mood")


def test_a_worker_that_is_told_to_stop_is_no_fault_of_the_function(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common, "_should_have_exited", [False])
    monkeypatch.setattr(common, "maybe_setsignal", lambda *_: None)
    stop = common._shutdown_cleanup  # type: ignore[attr-defined]
    metric = OwnMetric("own:low", lambda _: stop(signal.SIGTERM, None), "embeddings", True, "")
    with pytest.raises(SystemExit):
        metric.score([])
