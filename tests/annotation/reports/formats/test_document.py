"""The JSON document against its documentation."""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from annotation.models import Annotator, StudyEvent
from annotation.reports.exports.votes import columns
from annotation.reports.figures.draw import DRAWINGS
from annotation.reports.findings.analysed import analyse
from annotation.reports.findings.ranking import compute
from annotation.reports.findings.sides import by_order, fixed_order
from annotation.reports.formats.document import as_document, from_json, to_json
from annotation.reports.report import SCHEMA_VERSION
from annotation.studies.current import current_manifest
from annotation.studies.documents import sha256
from annotation.studies.manifest import Manifest
from tests.annotation.reports.many_models import Simulated, simulated_data
from tests.annotation.reports.voted_studies import Plan, crossed, embed, make_study, report_of

pytestmark = pytest.mark.django_db

DOCUMENTATION = (Path(settings.BASE_DIR) / "docs" / "report.md").read_text()
KEYS = DOCUMENTATION.partition("## The JSON document")[2].partition("\n## ")[0]
DOCUMENTED = dict(re.findall(r"^\| `([^`]+)` \| ([^|]+?) \|", KEYS, re.MULTILINE))
FREE = {"manifest", "events[].detail"}  # described elsewhere, or by the verb
ESTIMATE = {"value", "low", "high", "level", "n", "method", "reason", "population"}
TEST = {"statistic", "p_value", "n", "method", "reason"}


def keys(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every path of the document with its kind."""
    if path in FREE:
        yield path, "object"
    elif isinstance(value, list):
        for element in value:
            yield from keys(element, f"{path}[]")
    elif isinstance(value, dict) and value.keys() in (ESTIMATE, TEST):
        yield path, "estimate" if value.keys() == ESTIMATE else "test"
    elif isinstance(value, dict):
        for name, element in value.items():
            yield from keys(element, f"{path}.{name}" if path else name)
    else:
        yield path, {bool: "yes/no", int: "number", float: "number", str: "text"}.get(type(value), "null")


def test_every_figure_has_its_data_in_the_document() -> None:
    table = DOCUMENTATION.partition("## The data behind each figure")[2].partition("\n## ")[0]
    rows = [
        [re.findall(r"`([^`]+)`", cell) for cell in line.split("|")[1:3]] for line in table.splitlines()[4:] if line
    ]
    assert {name for names, _ in rows for name in names} == set(DRAWINGS)
    assert [key for _, found in rows for key in found if key not in DOCUMENTED] == []
    assert all(found for _, found in rows)


def full_document() -> dict[str, Any]:
    """A document in which every list has an entry and everything optional is there."""
    plan = replace(
        crossed([[16, 2], [1, 15]]),
        manifest={
            "source": "images",
            "quality": {"same_side": 0.001},
            "annotation": {"early_stopping": True, "stop_when_decided": "metric"},
            "analysis": {"resamples": 200, "person_margin": 0.1, "leaks_from": {"lpips": {"annotators": ["person 1"]}}},
        },
        clusters=[f"c{number // 2}" for number in range(34)],
    )
    dissent = {"A": "B", "B": "A"}
    votes = [[*row[:-1], dissent[row[-1]]] if index % 3 == 0 else row for index, row in enumerate(plan.votes)]
    study = make_study(replace(plan, votes=votes))
    annotator = study.annotators.earliest("pk")
    annotator.broken_rules = "same_side"
    annotator.save()
    rung = annotator.assignments.create(
        comparison=study.comparisons.earliest("pk"),
        kind="ladder",
        state="voted",
        left_model="a",
        left_images=[1, 2],
        right_images=[3, 4],
        known_choice="left",
        replaced_count=1,
        leased_at=timezone.now(),
    )
    rung.votes.create(choice="left")
    StudyEvent.objects.create(study=study, verb="open", detail={"from": "ready"})
    vote = study.annotators.earliest("pk").assignments.earliest("pk").votes.get()
    vote.excluded_at, vote.exclusion_reason = study.closed_at, "failed the check"
    vote.save()
    first = study.comparisons.earliest("pk")
    lower = {"source": "imported", "higher_is_more_consistent": False}
    first.image_set_a.scores.create(metric="lpips", value=0.5, **lower)
    embed(first, spread_a=0.1, spread_b=0.5)
    embed(first, spread_a=0.2, spread_b=0.4, metric="scs/other")
    for comparison in study.comparisons.order_by("position")[:3]:
        if comparison != first:
            embed(comparison, spread_a=0.2, spread_b=0.4, metric="scs/other")
        for image_set, value in ((comparison.image_set_a, 2.0), (comparison.image_set_b, 1.5)):
            image_set.scores.create(metric="vendi/other", value=value, source="imported")
    for image_set, value in ((first.image_set_a, 80.0), (first.image_set_b, 70.0)):
        image_set.scores.create(metric="scs/other", value=value, source="imported")
    Annotator.objects.create(
        study=study, kind="personal", state="withdrawn", withdrawn_at=study.closed_at, withdrawn_vote_count=2
    )
    document: dict[str, Any] = json.loads(to_json(report_of(study)))
    document["notices"].append("a notice")
    document["results"]["sensitivity"]["dawid_skene"][0]["warnings"].append("a warning")
    document["results"]["metrics"]["divided"].append(1)
    document["results"]["crossed_model"]["warnings"].append("a warning")
    return document


@pytest.fixture(scope="module")
def ranked() -> dict[str, str]:
    """The keys of the ranking of several models with their kinds."""
    data = simulated_data(Simulated(quality=(0.5, 0.0, -0.5), prompts=8, annotators=6))
    order = fixed_order(data)
    assert order
    return dict(
        keys(json.loads(json.dumps(as_document(compute(analyse(by_order(data, order)), order)))), "results.ranking")
    )


def test_every_key_is_documented_with_its_kind(ranked: dict[str, str]) -> None:
    found = dict(keys(full_document())) | ranked
    for path, kind in found.items():
        assert path in DOCUMENTED, f"docs/report.md does not explain {path}"
        assert kind in {"null", DOCUMENTED[path], *({"text"} if DOCUMENTED[path] == "time" else ())}, path


def test_nothing_is_documented_that_is_not_there(ranked: dict[str, str]) -> None:
    found = dict(keys(full_document())) | ranked
    documented = {path for path in DOCUMENTED if "." in path or path in found}
    assert documented - found.keys() == {"results.bias.position"}  # documented because it may be null


def test_the_version_is_the_documented_one() -> None:
    assert f"schema version {SCHEMA_VERSION}" in DOCUMENTATION
    assert full_document()["schema_version"] == SCHEMA_VERSION


def test_the_manifest_in_the_document_has_the_hash_that_the_document_gives() -> None:
    document = full_document()
    assert sha256(Manifest.model_validate(document["manifest"])) == document["manifest_versions"][-1]["sha256"]


@pytest.mark.parametrize("state", ["open", "paused", "closed"])
def test_completion_codes_stay_out_of_every_report(state: str) -> None:
    """Accounts that may only look read reports, and a platform pays for a code."""
    platform = {"id_parameter": "PID", "complete_code": "C0MPLETE", "study_full_code": "FVLL"}
    plan = replace(crossed([[5, 1], [1, 5]]), state=state, manifest={"platform": platform})
    text = to_json(report_of(make_study(plan)))
    assert ["C0MPLETE" in text, "FVLL" in text, "PID" in text, text.count('"left-out"')] == [False, False, True, 2]


def test_a_number_that_json_cannot_write_is_refused_in_both_directions() -> None:
    report = report_of(make_study(crossed([[3, 1], [1, 3]])))
    share = replace(report.quality.tie_share, value=math.nan)
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_json(replace(report, quality=replace(report.quality, tie_share=share)))
    text = to_json(report)
    with pytest.raises(ValueError, match=r"line \d+ column"):
        from_json(text.replace('"tie_share": {\n   "value": 0.0', '"tie_share": {\n   "value": NaN'))


@pytest.mark.parametrize("key", ["headline", "leave_one_out", "results"])
def test_a_document_without_a_key_is_no_report(key: str) -> None:
    text = to_json(report_of(make_study(crossed([[3, 1], [1, 3]]))))
    with pytest.raises(ValueError, match=key):
        from_json(text.replace(f'"{key}"', '"other"'))


def test_times_are_written_with_their_offset() -> None:
    study = make_study(crossed([[3, 1], [1, 3]]))
    document = json.loads(to_json(report_of(study)))
    assert study.closed_at is not None
    assert document["study"]["closed_at"] == study.closed_at.isoformat()
    assert document["manifest_versions"][0]["created_at"].endswith("+00:00")


def test_a_sealed_document_has_no_results_and_no_winner_anywhere() -> None:
    text = to_json(report_of(make_study(crossed([[5, 1], [1, 5]], state="open"))))
    document = json.loads(text)
    assert document["results"] is None
    assert document["study"]["is_sealed"]
    assert any("sealed until the study closes" in notice for notice in document["notices"])
    assert document["counts"]["votes"] == 36
    assert "_winner" not in text


def test_every_column_of_the_export_is_documented() -> None:
    study = make_study(Plan([["A"]], [(1, 2)]))
    named = set(re.findall(r"`(\w+)`", DOCUMENTATION.partition("## The export of votes")[2]))
    assert set(columns(study, manifest=current_manifest(study))) <= named
