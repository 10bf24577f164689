"""Every number in the sentences of a report is one of its JSON document, or a recount of the comparisons in it."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from annotation.reports.data.study_data import Similarities, UnsealedData
from annotation.reports.findings.results import AgreementReport
from annotation.reports.formats.document import to_json
from annotation.reports.report import build_report
from annotation.reports.sections.contents import chapters
from benchmarks.simulated_study import simulated_study
from tests.annotation.reports.many_models import Simulated, simulated_data

DECIMALS = re.compile(r"(?<![\w.])−?\d+\.\d+")


def texts(report: AgreementReport) -> list[str]:
    """The verdict and the paragraphs of the results."""
    lines = [line.text for line in report.verdict]
    return lines + [text for chapter in chapters(report) if chapter.key != "methods" for text in chapter.paragraphs]


def numbers(value: Any) -> Iterator[float]:
    """Every number of a document but those of the sentences."""
    if isinstance(value, dict):
        for name, element in value.items():
            if name not in ("claim", "verdict"):
                yield from numbers(element)
    elif isinstance(value, list):
        for element in value:
            yield from numbers(element)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield float(value)


def printed(document: Any) -> set[str]:
    """Every number of the document as a sentence may print it, signs left out where a sentence has a word for them."""
    found = set()
    for number in numbers(document):
        for text in (f"{100 * number:.1f}", f"{number:.3f}", f"{number:.2f}", f"{number:.4g}"):
            found |= {text.replace("-", "−"), text.removeprefix("-")}
    return found


def by_hand(document: dict[str, Any]) -> set[str]:
    """The margins over their seed errors, which the document holds as two numbers."""
    noise = document["results"]["image_noise"]["margins"]
    return {f"{abs(row['margin']['value']) / row['standard_error']:.2f}" for row in noise if row["standard_error"]}


def with_images(data: UnsealedData, *, images: int = 6) -> UnsealedData:
    """The study with similarities of images that vary around the scores of their sets."""
    rng, rows = np.random.default_rng(3), data.comparisons
    n = len(rows)
    noise = rng.normal(0, 1.5, (2, n, images, images))
    a, b = np.array([rows.score_a, rows.score_b])[:, :, np.newaxis, np.newaxis] + noise + noise.transpose(0, 1, 3, 2)
    for similar in (a, b):
        similar[:, range(images), range(images)] = 0
    return replace(data, similarities=Similarities(np.arange(n), a, b, ""))


@pytest.fixture(scope="module", params=["two models", "with images", "several models"])
def report(request: pytest.FixtureRequest) -> AgreementReport:
    if request.param == "several models":
        return build_report(simulated_data(Simulated(prompts=8, quality=(-0.5, 1.2, 0.2, -1.0), annotators=7)))
    data = simulated_study(comparisons=40, votes=5, annotators=8)
    return build_report(with_images(data) if request.param == "with images" else data)


def test_every_decimal_is_one_of_the_document(report: AgreementReport) -> None:
    document = json.loads(to_json(report))
    known, said = printed(document) | by_hand(document), 0
    for text in texts(report):
        for number in DECIMALS.findall(text):
            said += 1
            assert number in known, f"{number} in: {text}"
    assert said > 25


def test_a_wrong_decimal_would_be_found(report: AgreementReport) -> None:
    document = json.loads(to_json(report))
    known = printed(document) | by_hand(document)
    of_intervals = [one for text in texts(report) for one in re.findall(r"(?<![\w.])0\.\d{3}\b", text)]
    assert of_intervals
    wrong = [f"{float(one) + 0.001:.3f}" for one in of_intervals]
    assert [one for one in wrong if one not in known]


def test_the_counts_are_those_of_the_comparisons(report: AgreementReport) -> None:
    document = json.loads(to_json(report))
    rows = document["results"]["comparisons"]
    decided = [row for row in rows if {row["people_winner"], row["metric_winner"]} <= {"A", "B"}]
    differ = sum(row["people_winner"] != row["metric_winner"] for row in decided)
    whole = " ".join(texts(report))
    assert f"name different models on {differ} of {len(decided)} comparisons that both decide." in whole
    analysed = [row for row in rows if row["agrees"] is not None]
    agreeing = sum(row["agrees"] for row in analysed)
    assert whole.count(f" on {agreeing} of {len(analysed)} comparisons") == 2
    votes = [[row["votes_a"], row["votes_b"], row["votes_tie"]] for row in rows]
    shared = [counts for counts in votes if sum(counts) > 1]
    unanimous = sum(sorted(counts)[:2] == [0, 0] for counts in shared)
    assert f"unanimous on {unanimous} of {len(shared)} comparisons" in whole
    total = sum(map(sum, votes))
    assert f" {total} votes by {document['counts']['annotators']} annotators" in whole
