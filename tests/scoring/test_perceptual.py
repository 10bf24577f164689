"""DreamSim and LPIPS against their authors' packages, and the worker's way to similarities and scores by them."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from generation.models import ImageSet
from jobs.refusals import Refused
from scoring.encoder_spec import ComparerSpec, EncoderSpec, source_of
from scoring.encoders import loading, lpips
from scoring.encoders.lpips import SHORTER_SIDE, load
from scoring.metric_spec import MetricSpec
from scoring.models import Encoder, PairwiseSimilarities, ScoringJob, SetScore
from scoring.pairs import STORED_TYPE
from scoring.scores import plan_scorings
from scoring.set_metrics import cosine_similarities
from scoring.tasks import run_scoring_job
from tests.scoring.embedded_sets import make_set, picture
from tests.scoring.perceptual_weights import write_lpips

# Of the pictures 1 and 2, 1 and 3, 2 and 3, by lpips 0.1.4 and dreamsim 0.2.1 (tests/scoring/perceptual_weights.py).
BY_LPIPS = {
    "alex": (0.017165610566735268, 0.0174041036516428, 0.003940541762858629),
    "vgg": (0.011922779493033886, 0.010940754786133766, 0.002829886507242918),
}
BY_DREAMSIM = (0.7921510338783264, 0.8332275152206421, 0.04353690147399902)
PAIRS = ((0, 1), (0, 2), (1, 2))


@pytest.fixture(autouse=True)
def _forget_what_was_loaded() -> Iterator[None]:
    load.cache_clear()
    yield
    load.cache_clear()


@pytest.fixture(scope="module")
def alex(tmp_path_factory: pytest.TempPathFactory) -> ComparerSpec:
    return ComparerSpec(checkpoint=str(write_lpips(tmp_path_factory.mktemp("lpips") / "alex", "alex")))


@pytest.mark.parametrize("net", BY_LPIPS)
def test_lpips_is_that_of_the_authors_package(net: str, tmp_path: Path) -> None:
    found = load(ComparerSpec(checkpoint=str(write_lpips(tmp_path / net, net)))).distances(
        [picture(seed, size=(72, 64)) for seed in (1, 2, 3)]
    )
    assert [found[pair] for pair in PAIRS] == pytest.approx(BY_LPIPS[net], abs=1e-6)
    np.testing.assert_array_equal(found, found.T)
    assert not np.diagonal(found).any()


def test_dreamsim_is_that_of_the_authors_package(tiny_encoders: Path) -> None:
    spec = EncoderSpec(kind="dreamsim", checkpoint=str(tiny_encoders / "dreamsim"))
    cosines = cosine_similarities(loading.load(spec).embed([picture(seed) for seed in (1, 2, 3)]))
    assert [1 - cosines[pair] for pair in PAIRS] == pytest.approx(BY_DREAMSIM, abs=1e-6)


def test_lpips_reduces_large_images_and_refuses_two_sizes(alex: ComparerSpec) -> None:
    loaded = load(alex)
    side = 2 * SHORTER_SIDE
    large = [picture(seed, size=(side, side)) for seed in (1, 2)]
    small = [image.resize((SHORTER_SIDE, SHORTER_SIDE), 3) for image in large]
    np.testing.assert_array_equal(loaded.distances(large), loaded.distances(small))
    with pytest.raises(Refused, match="compares images of one size only"):
        loaded.distances([picture(1, size=(72, 64)), picture(2, size=(64, 72))])
    with pytest.raises(Refused, match="needs images of at least 32 pixels a side"):
        loaded.distances([picture(1, size=(72, 31))])


def test_a_folder_that_is_no_lpips_is_one_sentence(alex: ComparerSpec, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(alex.checkpoint, tmp_path / "copy"))
    spec = ComparerSpec(checkpoint=str(copy))
    with pytest.raises(Refused, match=r"There is no folder .*nowhere on this machine"):
        load(ComparerSpec(checkpoint=str(tmp_path / "nowhere")))
    (copy / "config.json").write_text(json.dumps({"model_type": "lpips-vgg"}))
    with pytest.raises(Refused, match=r"lack net\.slice1\.2\.weight: the file is not whole"):
        load(spec)
    (copy / "config.json").write_text(json.dumps({"model_type": "clip"}))
    with pytest.raises(Refused, match="is of the architecture clip, not LPIPS"):
        load(spec)
    (copy / "config.json").write_text(json.dumps({"model_type": "lpips-alex"}))
    (copy / "model.safetensors").write_bytes(b"half a file")
    with pytest.raises(Refused, match="cannot be loaded"):
        load(spec)


def planned(image_set: ImageSet, name: str, comparer: ComparerSpec) -> ScoringJob:
    spec = MetricSpec.compared(name, comparer)
    plan_scorings(image_set_ids=[image_set.pk], spec=spec)
    return ScoringJob.objects.get(metric=spec.identity)


@pytest.mark.django_db
def test_a_worker_compares_a_set_once_and_scores_it_by_two_metrics(alex: ComparerSpec) -> None:
    image_set = make_set()
    jobs = [planned(image_set, name, alex) for name in ("mean_of_pairs", "worst_pair")]
    for _ in range(3):
        run_scoring_job()
    assert {job.state for job in ScoringJob.objects.all()} == {"done"}
    stored = PairwiseSimilarities.objects.get()
    assert (stored.name, stored.seeds, stored.are_distances) == ("lpips:alex", [3, 5, 9], True)
    expected = load(alex).distances([picture(seed) for seed in (3, 5, 9)])
    assert np.frombuffer(bytes(stored.values), STORED_TYPE).reshape(3, 3) == pytest.approx(expected, abs=1e-9)
    similar = [100 * (1 - expected[pair]) for pair in PAIRS]
    values = {score.metric: score.value for score in SetScore.objects.all()}
    assert values == pytest.approx({jobs[0].metric: np.mean(similar), jobs[1].metric: min(similar)}, abs=1e-6)
    assert jobs[0].metric == "mean_of_pairs/pairs:lpips:alex"
    assert Encoder.objects.get(identity="lpips:alex").timed_images == 3
    assert source_of(jobs[0].encoder) == alex
    assert source_of(asdict(EncoderSpec())) == EncoderSpec()


@pytest.mark.django_db
def test_other_weights_under_the_same_name_are_refused(alex: ComparerSpec, tmp_path: Path) -> None:
    planned(make_set(), "mean_of_pairs", alex)
    run_scoring_job()
    other = ComparerSpec(checkpoint=str(write_lpips(tmp_path / "alex", "vgg")))
    lpips.load.cache_clear()
    job = planned(make_set(prompt="a dog"), "worst_pair", other)
    run_scoring_job()
    job.refresh_from_db()
    assert job.state == "failed"
    assert "are not those that lpips:alex stood for before" in job.error
