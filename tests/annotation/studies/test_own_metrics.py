"""Metrics of one's own: the documentation's file as it stands, the admin's list, and each fault in one sentence."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.conf import settings
from django.core.management import CommandError

from annotation.models import Study
from annotation.reports.formats.plain_text import to_text
from annotation.studies.current import current_manifest
from jobs.refusals import Refused
from scoring.metric_spec import MetricSpec
from scoring.models import Encoder, ImageEmbedding, MetricSource, SetScore
from scoring.own_metrics import metric_in_file, own_metric
from scoring.scores import score_set
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
    (source,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    (command, said) = re.findall(r"\$ \.venv/bin/python manage\.py (.*)\n(.*)\n```", GUIDE.read_text())[0]
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
    SetScore.objects.filter(pk=stored.earliest("pk").pk).delete()
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
    [("1 / 0", "failed with ZeroDivisionError: division by zero"), ("float('nan')", "returned nan, which is no score")],
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
