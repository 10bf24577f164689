"""Several metrics on the same votes: direction, ranks, constant choice, time, and the comparisons that divide them."""

from pathlib import Path

import numpy as np
import pytest
from django.test import Client

from annotation.models import Study
from annotation.reports.bundle.replay import replay, write_bundle
from annotation.reports.explorer.listing import list_comparisons
from annotation.reports.explorer.orders import select_comparisons
from annotation.reports.formats.plain_text import to_text
from annotation.reports.report import build_report
from annotation.studies.current import current_manifest
from scoring.embeddings import embeddings_of
from scoring.metric_spec import MetricSpec, score_of_embeddings
from scoring.models import Encoder, SetScore
from scoring.pairs import matrix_bytes
from scoring.scores import score_pairs
from tests.annotation.reports.voted_studies import crossed, embed, make_study, report_of

pytestmark = pytest.mark.django_db
ENCODER = "clip:tiny"
DISTANCE = f"vendi/{ENCODER}"


@pytest.fixture
def study() -> Study:
    """40 comparisons, A by people: the study's metric names B on 20, a distance names B on the first only."""
    made = make_study(crossed([[20, 20], [0, 0]]))
    Encoder.objects.create(identity=ENCODER, fingerprint="f" * 64, timed_images=100, timed_seconds=5.0)
    shared = {"metric": DISTANCE, "image_count": 10, "source": "computed", "seconds": 0.01}
    for comparison in made.comparisons.exclude(position=39):
        low, high = (2.0, 1.0) if comparison.position == 0 else (1.0, 2.0)
        for image_set, value in ((comparison.image_set_a, low), (comparison.image_set_b, high)):
            SetScore.objects.create(image_set=image_set, value=value, higher_is_more_consistent=False, **shared)
    return made


def test_each_metric_has_its_direction_rank_and_time(study: Study) -> None:
    report = report_of(study)
    assert report.results is not None
    found = report.results.metrics
    own, distance = found.metrics
    assert (own.is_lower_more_consistent, distance.is_lower_more_consistent) == (False, True)
    assert found.common_comparisons == 39
    assert distance.on_common.value == 38 / 39
    assert (distance.ranks, own.ranks) == ((1, 1), (2, 2))
    assert distance.constant_choice is not None
    assert own.constant_choice is not None
    assert distance.constant_choice.models == ("A",)
    assert distance.constant_choice.difference.value == pytest.approx(-1 / 39)
    assert own.constant_choice.verdict == "shown worse"
    assert distance.seconds_per_thousand == pytest.approx(1000 * (0.05 + 0.001))
    assert own.seconds_per_thousand is None


def test_the_report_says_which_comparisons_divide_the_metrics(study: Study) -> None:
    report = report_of(study)
    assert report.results is not None
    rows = report.results.comparisons
    divided = report.results.metrics.divided
    assert divided is not None
    assert divided == tuple(row.position for row in rows if row.metrics_differ)
    names = {row.position: row.metric_winner for row in rows}
    assert divided == tuple(at for at in range(1, 40) if (names[at] == "A") == (at == 1))
    assert rows[39].metrics_differ is None
    printed = " ".join(to_text(report).split())
    assert f"The metrics are divided on {len(divided)} of 39 common comparisons" in printed
    assert "51.0 s" in printed
    assert "with Holm's correction (Holm, 1979)." in printed


def test_the_explorer_shows_where_metrics_disagree(study: Study, admin_client: Client) -> None:
    seen = list_comparisons(study, manifest=current_manifest(study))
    report = report_of(study)
    assert report.results is not None
    assert seen.rows == report.results.comparisons
    chosen = select_comparisons(seen.rows, show="divided", by="position")
    assert tuple(row.position for row in chosen) == report.results.metrics.divided
    page = admin_client.get(f"/studies/{study.slug}/comparisons/?show=divided").content.decode()
    assert f"where the metrics disagree ({len(chosen)})" in page
    SetScore.objects.filter(metric=DISTANCE).delete()
    assert "where the metrics disagree" not in admin_client.get(f"/studies/{study.slug}/comparisons/").content.decode()


def test_seed_noise_of_further_metrics_from_the_study_and_from_its_bundle(tmp_path: Path) -> None:
    """Vendi of the embeddings; mean and worst pair of imported distances, of which the latter has no jackknife."""
    study = make_study(crossed([[6, 2], [1, 3]]))
    encoder = current_manifest(study).encoder.identity
    rng = np.random.default_rng(3)
    for place, comparison in enumerate(study.comparisons.order_by("position")):
        embed(comparison, spread_a=0.1 + 0.02 * place, spread_b=0.2, images=5)
        for image_set in (comparison.image_set_a, comparison.image_set_b):
            distances = rng.uniform(0.1, 0.5, (5, 5))
            distances = np.triu(distances, 1) + np.triu(distances, 1).T
            stored = {"name": "d", "seeds": [0, 1, 2, 3, 4], "are_distances": True, "file_sha256": "a" * 64}
            image_set.similarities.create(values=matrix_bytes(distances), **stored)
            for name in ("mean_of_pairs", "worst_pair"):
                score_pairs(image_set, MetricSpec(name, None, "d"))
            vectors = embeddings_of(image_set, encoder)
            value, spec = score_of_embeddings("vendi", vectors), MetricSpec("vendi", current_manifest(study).encoder)
            shared = {"image_count": 5, "source": "computed", "higher_is_more_consistent": False}
            image_set.scores.create(metric=spec.identity, value=value, **shared)
    report = report_of(study)
    assert report.results is not None
    noise = {row.metric.partition("/")[0]: row for row in report.results.metrics.noise}
    assert set(noise) == {"mean_of_pairs", "worst_pair", "vendi"}
    assert {(row.comparisons, row.images, row.compared) for row in noise.values()} == {(12, 5, 12)}
    assert noise["worst_pair"].noise.other_winners is None
    assert 0 < (noise["mean_of_pairs"].noise.other_winners or 0) < 1
    for row in report.results.metrics.metrics:
        short = row.metric.partition("/")[0]
        if short in noise:  # from matrices as from the stored scores
            assert noise[short].fewer[-1].agreement == row.agreement.value
    printed = " ".join(to_text(report).split())
    assert "The winners that a fresh draw of seeds would change, the same seeds for both models" in printed
    assert "undefined: leaving out each image in turn gives no valid standard error" in printed
    write_bundle(study, tmp_path / "study.zip")
    again = build_report(replay(tmp_path / "study.zip").data)
    assert again.results is not None
    assert again.results.metrics.noise == report.results.metrics.noise
    assert report_of(study, metric="mean_of_pairs/pairs:d").results is not None
