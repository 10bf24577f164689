"""The same files give the same report to the last digit, in whatever study and however often they are imported."""

import csv
import json
import random
from collections.abc import Iterator, Sequence
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import call_command

from annotation.models import Study, Vote
from annotation.models.assignment import IN_ORDER
from annotation.reports.exports.writers import FORMATS
from annotation.reports.findings.analysed import votes_for_reliability
from annotation.reports.formats.document import to_json
from annotation.studies.manifest import Manifest
from generation.models import GeneratedImage
from scoring.models import Encoder, ImageEmbedding
from tests.annotation.reports.voted_studies import Plan, report_of, unsealed
from tests.annotation.reports.voted_studies import make_study as make_voted_study
from tests.annotation.voting.open_studies import NOON
from tests.factories import make_study

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

IDENTITY = Manifest.model_fields["encoder"].default.metric.removeprefix("scs/")
PROMPTS = [f"prompt {number}" for number in range(1, 13)]
PEOPLE = [f"person {number}" for number in range(7)]
EARLY = {"overlap": 5, "early_stopping": True, "ties": True}
Row = tuple[str, str, str]


def rows() -> list[Row]:
    """Votes of people who agree in part, in no order of people or prompts."""
    chance = random.Random(5)
    voted = [(who, prompt) for prompt in PROMPTS for who in chance.sample(PEOPLE, 5)]
    chance.shuffle(voted)
    return [(who, prompt, chance.choice(("Alpha", "Alpha", "Beta", "tie"))) for who, prompt in voted]


def write(path: Path, head: str, lines: Sequence[Sequence[object]]) -> Path:
    path.write_text("\n".join([head, *(",".join(map(str, line)) for line in lines)]) + "\n")
    return path


def study_of(slug: str, *files: Path, scores: Path | None = None) -> Study:
    study = make_study(
        slug=slug,
        source="external",
        state="closed",
        comparisons=12,
        has_scores=False,
        annotation=EARLY,
        analysis={"resamples": 100},
    )
    for path in files:
        call_command("import_votes", slug, path, same_people=len(files) > 1, stdout=StringIO())
    if scores:
        call_command("import_scores", slug, scores, metric="lpips", higher_is_more_consistent=True, stdout=StringIO())
    study.refresh_from_db()
    return study


@pytest.fixture
def scores(tmp_path: Path) -> Path:
    chance = random.Random(6)
    table = [(prompt, chance.random(), chance.random()) for prompt in PROMPTS]
    return write(tmp_path / "scores.csv", "prompt,score_a,score_b", table)


def leaves(document: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each value with its key, except names, hashes and times of a study and of its files."""
    if isinstance(document, dict):
        for name, value in document.items():
            if name not in ("slug", "name", "sha256", "manifest", "manifests", "file") and not name.endswith("_at"):
                yield from leaves(value, f"{key}.{name}")
    elif isinstance(document, list):
        for place, value in enumerate(document):
            yield from leaves(value, f"{key}.{place}")
    else:
        yield key, document


def content(study: Study) -> dict[str, Any]:
    found = dict(leaves(json.loads(to_json(report_of(study)))))
    assert len(found) > 500  # else nothing was compared
    return found


def test_a_file_imported_three_times_gives_one_report(tmp_path: Path, scores: Path) -> None:
    path = write(tmp_path / "votes.csv", "annotator,prompt,choice", rows())
    head, *lines = scores.read_text().splitlines()
    backwards = write(tmp_path / "backwards.csv", head, [line.split(",") for line in reversed(lines)])
    studies = (("one", scores), ("two", scores), ("three", backwards))
    first, *others = (content(study_of(slug, path, scores=table)) for slug, table in studies)
    for other in others:
        assert [(key, value, other.get(key)) for key, value in first.items() if other.get(key) != value] == []


def timed(seed: int) -> list[tuple[str, str, str, str]]:
    """The same votes with times: sessions that begin together, one vote in ten seconds each, in any order of lines."""
    counts = dict.fromkeys(PEOPLE, 0)
    lines = []
    for who, prompt, choice in rows():
        lines.append((who, prompt, choice, (NOON + timedelta(seconds=10 * counts[who])).isoformat()))
        counts[who] += 1
    random.Random(seed).shuffle(lines)
    return lines


def test_the_order_of_the_lines_does_not_matter_if_they_have_times(tmp_path: Path, scores: Path) -> None:
    head = "annotator,prompt,choice,voted_at"
    files = [write(tmp_path / f"{seed}.csv", head, timed(seed)) for seed in (1, 2)]
    one, two = (content(study_of(f"s-{path.stem}", path, scores=scores)) for path in files)
    assert one == two
    halves = [write(tmp_path / f"half-{part}.csv", head, timed(1)[part::2]) for part in (0, 1)]
    three, four = (content(study_of(slug, *halves, scores=scores)) for slug in ("three", "four"))
    assert three == four
    agreement = ".results.reliability.pairwise_agreement.value"
    assert three[agreement] == one[agreement]  # the first votes are the first in time, whichever file they come from


def test_first_votes_and_runs_follow_the_lines_and_with_times_the_times(tmp_path: Path) -> None:
    by_line = study_of("by-line", write(tmp_path / "lines.csv", "annotator,prompt,choice", rows()))
    by_time = study_of("by-time", write(tmp_path / "times.csv", "annotator,prompt,choice,voted_at", timed(3)))
    in_time = sorted(timed(3), key=lambda line: (line[3], line[0]))
    for study, lines in ((by_line, rows()), (by_time, [line[:3] for line in in_time])):
        first = [[choice for _, prompt, choice in lines if prompt == one][:3] for one in PROMPTS]
        counts = [[choices.count(name) for name in ("Alpha", "Beta", "tie")] for choices in first]
        assert votes_for_reliability(unsealed(study)).counts(len(PROMPTS)).tolist() == counts
        assert given(study) == lines


def given(study: Study) -> list[Row]:
    votes = Vote.objects.filter(assignment__comparison__study=study).order_by(*IN_ORDER)
    names = {"a": "Alpha", "b": "Beta", "": "tie"}
    return [
        (vote.assignment.annotator.label, vote.assignment.comparison.prompt.text, names[vote.chosen_model])
        for vote in votes.select_related("assignment__annotator", "assignment__comparison__prompt")
    ]


def test_an_export_comes_back_in_its_order(tmp_path: Path, scores: Path) -> None:
    original = study_of("original", write(tmp_path / "v.csv", "annotator,prompt,choice", rows()), scores=scores)
    for export_format in FORMATS:
        out = tmp_path / f"export.{export_format}"
        call_command("export_votes", "original", format=export_format, out=out, stdout=StringIO())
        copy = study_of(f"copy-{export_format}", out, scores=scores)
        assert [row[1:] for row in given(copy)] == [row[1:] for row in given(original)]
    assert content(copy) == content(original)


def test_images_stored_in_another_order_give_the_same_report() -> None:
    one, two = (embedded(slug, order) for slug, order in (("one", 1), ("two", -1)))
    found = content(one)
    assert found[".results.image_noise.fresh_seeds.agreement.n"] == 4
    assert found == content(two)


def embedded(slug: str, order: int) -> Study:
    """A study whose images are stored by rising seeds (order 1) or by falling ones (-1)."""
    votes, images = [["A", "B", "A"], ["A", "A", "A"], ["B", "tie", "B"], ["A", "B", "B"]], [(2.0, 1.0)] * 4
    study = make_voted_study(Plan(votes, images, slug=slug, manifest={"analysis": {"resamples": 100}}))
    encoder, _ = Encoder.objects.get_or_create(identity=IDENTITY, fingerprint="e" * 64)
    for comparison in list(study.comparisons.order_by("position"))[::order]:
        for side, image_set in enumerate((comparison.image_set_a, comparison.image_set_b)):
            for seed in range(6)[::order]:
                facts = {"path": "", "sha256": "a" * 64, "width": 8, "height": 8, "byte_count": 1}
                image = GeneratedImage.objects.create(image_set=image_set, seed=seed, **facts)
                vector = 1 + np.random.default_rng([comparison.position, side, seed]).normal(size=8)
                stored = vector.astype("<f4").tobytes()
                ImageEmbedding.objects.create(image=image, encoder=encoder, dimension=8, vector=stored)
    return study


def test_votes_imported_before_there_was_an_order_have_one(tmp_path: Path) -> None:
    study = study_of("old", write(tmp_path / "votes.csv", "annotator,prompt,choice", rows()))
    votes = Vote.objects.filter(assignment__comparison__study=study)
    votes.update(ordered_at=None, received_at=NOON + timedelta(microseconds=1))
    ids = [vote.pk for vote in votes.order_by(*IN_ORDER)]
    assert ids == sorted(ids)
    call_command("export_votes", "old", format="csv", out=tmp_path / "export.csv", stdout=StringIO())
    with (tmp_path / "export.csv").open(newline="") as file:
        assert {row["ordered_at"] for row in csv.DictReader(file)} == {(NOON + timedelta(microseconds=1)).isoformat()}
