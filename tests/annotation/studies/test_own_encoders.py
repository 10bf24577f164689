"""Image encoders of one's own: the documentation's file as it stands, the admin's list, entry points, and faults."""

import re
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.conf import settings
from django.core.management import CommandError

from jobs.refusals import Refused
from scoring import own_code
from scoring.encoder_spec import EncoderSpec
from scoring.encoders import loading
from scoring.metric_spec import SCS, MetricSpec
from scoring.models import ImageEmbedding, ScoringJob, SetScore
from scoring.own_code import encoder_in_file, own_encoder
from scoring.scores import plan_scorings
from scoring.set_metrics import vendi_score_of_embeddings
from scoring.tasks import run_scoring_job
from tests.annotation.studies.test_commands import typed
from tests.factories import make_study

GUIDE = Path(settings.BASE_DIR) / "docs" / "metrics.md"
OWN = EncoderSpec(kind="own", checkpoint="colours")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The documented encoder in a file."""
    (text,) = (one for one in re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL) if "images)" in one)
    (tmp_path / "colours.py").write_text(text)
    return tmp_path / "colours.py"


@pytest.mark.django_db
def test_the_documented_encoder_scores_a_study_from_the_shell(source: Path) -> None:
    study = make_study(state="closed", slug="kites")
    command = ("score_study", "kites", "--encoder-file", f"{source}:colours")
    assert typed(*command) == "kites is scored by scs/own:colours.\n"
    assert typed(*command, "--metric", "vendi") == "kites is scored by vendi/own:colours.\n"
    image_set = study.comparisons.earliest("position").image_set_a
    vectors = ImageEmbedding.objects.filter(image__image_set=image_set).order_by("image__seed")
    embeddings = np.stack([np.frombuffer(row.vector, "<f4") for row in vectors])
    assert embeddings.shape == (2, 3)
    score = SetScore.objects.get(metric="vendi/own:colours", image_set=image_set)
    assert score.value == pytest.approx(vendi_score_of_embeddings(embeddings))
    source.write_text(source.read_text() + "\n")
    with pytest.raises(CommandError, match="are not those that own:colours stood for before"):
        typed(*command)


@pytest.mark.django_db
def test_a_worker_knows_the_encoder_that_its_admin_lists(source: Path, settings: Any) -> None:
    (source.parent / "list.toml").write_text(f'other = "x.py:y"\n[encoders]\ncolours = "{source}:colours"\n')
    settings.OWN_METRICS_FILE = str(source.parent / "list.toml")
    loading.load.cache_clear()
    image_set = make_study(state="closed").comparisons.earliest("position").image_set_a
    plan_scorings(image_set_ids=[image_set.pk], spec=MetricSpec(SCS, OWN))
    run_scoring_job()
    run_scoring_job()
    assert ScoringJob.objects.get(metric="scs/own:colours").state == "done"
    assert SetScore.objects.get(metric="scs/own:colours").image_count == 2
    with pytest.raises(Refused, match=r"This machine knows no encoder other: install it as an entry point"):
        own_encoder(EncoderSpec(kind="own", checkpoint="other"))
    loading.load.cache_clear()


def test_an_installed_package_names_an_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("colours", "tests.annotation.studies.test_own_encoders:installed", "semblance.encoders")

    def entry_points(*, group: str, name: str) -> list[EntryPoint]:
        return [entry] if (group, name) == (entry.group, entry.name) else []

    monkeypatch.setattr(own_code, "entry_points", entry_points)
    assert own_encoder(OWN).embed([]).shape == (0, 2)


def installed(images: list[Any]) -> Any:
    return np.ones((len(images), 2))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("returned", "sentence"),
    [
        ("[[float('nan')]] * len(images)", r"gave embeddings that are not finite for .*: check its function\."),
        ("[[1e300]] * len(images)", r"gave embeddings that are not finite for .*: check its function\."),
        ("[[1.0]]", r"returned an array \(1, 1\) for 2 images: return one row for each image\."),
        ("'words'", "failed with ValueError: could not convert string to float"),
        ("__import__('nothing_like_it')", "failed with ModuleNotFoundError: No module named 'nothing_like_it'"),
        ("next(WIDTHS)", r"gave embeddings of 3 dimensions for .*, and of 2 for others: check its function\."),
    ],
)
def test_embeddings_that_are_none_are_refused_in_one_sentence(tmp_path: Path, returned: str, sentence: str) -> None:
    make_study(state="closed", slug="kites")
    widths = "WIDTHS = iter([[[1.0] * width] * 2 for width in (2, 3)])"
    (tmp_path / "mine.py").write_text(f"{widths}\n\n\ndef encode(images):\n    return {returned}\n")
    with pytest.raises(CommandError, match=f"^The encoder own:encode {sentence}|^own:encode {sentence}") as refused:
        typed("score_study", "kites", "--encoder-file", f"{tmp_path / 'mine.py'}:encode")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("def encode(pictures): ...", "takes pictures: call its one parameter images"),
        ("def encode(images):\n    return 1 / 0", "failed with ZeroDivisionError: division by zero"),
        ("def encode(images):\n    return [1.0]", r"returned an array \(1,\) for 0 images: return one row for each"),
    ],
)
def test_a_fault_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(Refused, match=f"^The encoder own:encode {sentence}"):
        encoder_in_file(f"{tmp_path / 'mine.py'}:encode").embed([])
