"""Several studies together, from their replay bundles."""

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from zipfile import ZipFile

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from annotation.models import Study, StudyEvent
from annotation.reports.bundle.replay import write_bundle
from annotation.reports.pooling.studies import pool
from annotation.reports.printing.numbers import percent
from annotation.studies.manifest import Manifest
from jobs.refusals import Refused
from scoring.statistics.studies.pooling import pooled_proportion
from tests.annotation.reports.voted_studies import Plan, make_study

pytestmark = pytest.mark.django_db
Bundle = Callable[..., Path]
OWN = Manifest.model_fields["encoder"].default.metric


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    """Write the bundle of a study of `right` of `n` comparisons in which people agree with the metric."""

    def write(slug: str, *, right: int, n: int = 20, prefix: str = "", shift: float = 0.0, **plan: object) -> Path:
        study = make_study(
            Plan(
                slug=slug,
                votes=["AAA" if number < right else "BBB" for number in range(n)],
                scores=[(70.0 + number + shift, 60.0 + shift) for number in range(n)],
                prompts=[f"{prefix or slug} {number}" for number in range(n)],
                **plan,  # type: ignore[arg-type]
            )
        )
        path = tmp_path / f"{slug}.zip"
        write_bundle(study, path)
        return path

    return write


def pooled_text(*paths: Path, **options: object) -> str:
    out = StringIO()
    call_command("pool", *map(str, paths), stdout=out, **options)
    return out.getvalue()


def test_independent_studies_are_pooled(bundle: Bundle) -> None:
    paths = [bundle("fog", right=18), bundle("sea", right=15), bundle("sky", right=19)]
    found = pool(paths, level=0.95)
    assert found.pooled == pooled_proportion([18, 15, 19], [20, 20, 20])
    assert [study.agreement.value for study in found.studies] == [0.9, 0.75, 0.95]
    text = pooled_text(*paths)
    assert text.startswith("3 studies together, SCS (")
    assert f"Mean agreement {percent(found.pooled.mean.value or 0)}, 95 % interval " in text
    assert "Weather  sea.zip  20 comparisons  group 2  75.0 % [" in text
    assert "No interval for a further study: 3 independent studies, at least 5 are needed." in text


def test_studies_with_common_prompts_count_as_one(bundle: Bundle) -> None:
    paths = [bundle("fog", right=18), bundle("sea", right=15), bundle("again", right=17, prefix="fog", shift=0.5)]
    found = pool(paths, level=0.95)
    assert [study.group for study in found.studies] == [1, 2, 1]
    assert found.pooled.mean.reason == "2 independent studies, at least 3 are needed"
    assert "Studies that share prompts or annotators count as one: 2 independent groups." in pooled_text(*paths)


def test_studies_with_common_annotators_are_named_by_the_caller(bundle: Bundle) -> None:
    paths = [bundle(slug, right=right) for slug, right in (("fog", 18), ("sea", 15), ("sky", 19), ("sun", 16))]
    found = pool(paths, same_annotators=[(paths[0], paths[3])], level=0.95)
    assert [study.group for study in found.studies] == [1, 2, 3, 1]
    assert found.pooled == pooled_proportion([34, 15, 19], [40, 20, 20])
    with pytest.raises(Refused, match="which is none of the bundles"):
        pool(paths, same_annotators=[(paths[0], Path("moon.zip"))], level=0.95)


def test_a_path_may_be_written_in_any_way(bundle: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names = [f"./{bundle(slug, right=right).name}" for slug, right in (("fog", 18), ("sea", 15), ("sky", 19))]
    monkeypatch.chdir(tmp_path)
    out = StringIO()
    call_command("pool", *names, "--same-annotators", names[0], names[1], stdout=out)
    assert "count as one: 2 independent groups." in out.getvalue()


def test_clusters_count_by_their_design_effect(bundle: Bundle) -> None:
    clusters = [str(number // 5) for number in range(20)]
    paths = [bundle("fog", right=15, clusters=clusters), bundle("sea", right=15), bundle("sky", right=19)]
    assert pool(paths, level=0.95).pooled.shares[0] < pool(paths, level=0.95).pooled.shares[1] / 2


def test_the_same_evidence_twice_is_refused(bundle: Bundle) -> None:
    one, other = bundle("fog", right=18), bundle("sea", right=15)
    with pytest.raises(Refused, match="are the same bundle; give each study once"):
        pool([one, other, one], level=0.95)
    single = bundle("single", right=1, n=1, prefix="fog")
    with pytest.raises(Refused, match="share 2 image sets"):
        pool([one, other, single], level=0.95)
    copy = bundle("copy", right=17, prefix="fog")
    with pytest.raises(Refused, match=r"share 40 image sets .* no independent evidence"):
        pool([one, other, copy], level=0.95)


def test_other_endpoints_need_a_common_one(bundle: Bundle) -> None:
    manifest = {"analysis": {"resamples": 100, "primary_endpoint": "half"}}
    paths = [bundle("fog", right=18), bundle("sea", right=15), bundle("sky", right=19, manifest=manifest)]
    with pytest.raises(Refused, match=r"differ in their primary endpoint: strict and half; --endpoint takes one"):
        pool(paths, level=0.95)
    assert pool(paths, endpoint="strict", level=0.95).endpoint == "strict"


def test_the_document_and_the_plot(bundle: Bundle, tmp_path: Path) -> None:
    slugs = ("fog", "sea", "sky", "sun", "ice")
    paths = [bundle(slug, right=15 + number) for number, slug in enumerate(slugs)]
    document = json.loads(pooled_text(*paths, format="json"))
    assert document["pooled"]["prediction"]["low"] < document["pooled"]["mean"]["low"]
    out = tmp_path / "forest.svg"
    pooled_text(*paths, format="svg", out=out)
    drawing = out.read_text()
    assert all(words in drawing for words in ("Weather", "All together", "A further study"))


def test_simulated_votes_are_named(bundle: Bundle) -> None:
    paths = [bundle(slug, right=15, shift=shift) for slug, shift in (("fog", 0.0), ("sea", 0.1))]
    paths.append(bundle("sky", right=15, kind="simulated"))
    assert "Weather: Simulated votes: 60 of 60 votes were made by a program, not by a person." in pooled_text(*paths)


def test_what_a_metric_has_seen_and_a_stop_by_its_evidence_are_said(bundle: Bundle) -> None:
    leaks = {"resamples": 100, "leaks_from": {OWN: {"annotators": ["person 0", "nobody"], "prompts": True}}}
    paths = [bundle("fog", right=15, manifest={"analysis": leaks}), bundle("sea", right=16, shift=0.1)]
    stopped = {"source": "images", "annotation": {"overlap": 3, "stop_when_decided": "metric"}}
    bundle("sky", right=17, shift=0.2, manifest=stopped)
    StudyEvent.objects.create(study=Study.objects.get(slug="sky"), verb="closed", detail={"decided_after_clusters": 9})
    write_bundle(Study.objects.get(slug="sky"), paths[0].with_name("sky.zip"))
    assert pool([*paths, paths[0].with_name("sky.zip")], level=0.95).notices == (
        "Weather: The metric comes from P001, whose votes are left out.",
        "Weather: The metric comes from “nobody”, a name that no annotator has: nobody is left out.",
        "Weather: The metric was tuned on these prompts, so its agreement on other prompts may be lower.",
        "Weather: The voting ended when the claim was decided: the agreement of such studies is too extreme on "
        "average.",
    )


def test_a_file_that_is_no_bundle_is_named(tmp_path: Path, bundle: Bundle) -> None:
    wrong = tmp_path / "votes.csv"
    wrong.write_text("annotator,prompt,choice\n")
    with pytest.raises(CommandError, match=r"votes\.csv"):
        pooled_text(bundle("fog", right=18), wrong)
    with pytest.raises(CommandError, match="--level must lie between"):
        pooled_text(wrong, level=1.5)


def test_bundles_of_two_metrics_are_refused_with_the_way_out(bundle: Bundle, tmp_path: Path) -> None:
    fog, sea = bundle("fog", right=18), bundle("sea", right=15)
    study = Study.objects.get(slug="fog")
    for comparison in study.comparisons.all():
        comparison.image_set_a.scores.create(metric="lpips", value=2.0, source="imported")
        comparison.image_set_b.scores.create(metric="lpips", value=1.0, source="imported")
    other = tmp_path / "lpips.zip"
    write_bundle(study, other, metric="lpips")
    with pytest.raises(Refused, match=r"differ in their metric: lpips and scs/.*; make the bundles of one metric"):
        pool([other, sea], level=0.95)
    assert fog.exists()


def test_a_bundle_of_version_0_2_and_an_altered_one(bundle: Bundle, tmp_path: Path) -> None:
    """The former is pooled with those of today, by the metric that all of them have; the latter is named."""
    earlier = Path(settings.BASE_DIR, "tests", "fixtures", "0.2.0", "bundle.zip")
    alone = pool([earlier], level=0.95)
    assert alone.studies[0].comparisons > 0
    assert alone.pooled.mean.reason == "1 independent study, at least 3 are needed"
    good = bundle("fog", right=18)
    altered = tmp_path / "altered.zip"
    with ZipFile(good) as source, ZipFile(altered, "w") as target:
        for name in source.namelist():
            raw = source.read(name)
            target.writestr(name, raw.replace(b"fog 3", b"fog 4") if name.startswith("comparisons") else raw)
    with pytest.raises(Refused, match=r"altered\.zip.*changed"):
        pool([good, altered], level=0.95)


@pytest.mark.slow
def test_two_hundred_studies_are_pooled(bundle: Bundle) -> None:
    rights = [12 + number % 8 for number in range(200)]
    paths = [bundle(f"study-{number}", right=right) for number, right in enumerate(rights)]
    found = pool(paths, level=0.95)
    assert found.pooled == pooled_proportion(rights, [20] * 200)
    assert len({study.group for study in found.studies}) == 200
