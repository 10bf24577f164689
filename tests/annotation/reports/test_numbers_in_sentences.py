"""Every number in the sentences of a report is one of its JSON document, or a recount of the comparisons in it."""

import json
import re

import pytest
from django.template.loader import render_to_string
from django.utils.html import escape

from annotation.reports.findings.results import AgreementReport
from annotation.reports.formats.document import to_json
from annotation.reports.formats.html import MOST_ROWS, page_context
from annotation.reports.report import build_report
from annotation.reports.report_jobs.downloads import render
from annotation.reports.sections.contents import chapters
from benchmarks.simulated_study import simulated_study
from tests.annotation.reports.imagined_images import with_images
from tests.annotation.reports.many_models import Simulated, simulated_data
from tests.annotation.reports.printed_numbers import WORDS, decimals, printed, strange


def texts(report: AgreementReport) -> list[str]:
    """The verdict and the paragraphs of the results."""
    lines = [line.text for line in report.verdict]
    return lines + [text for chapter in chapters(report) if chapter.key != "methods" for text in chapter.paragraphs]


@pytest.fixture(scope="module", params=["two models", "with images", "several models"])
def report(request: pytest.FixtureRequest) -> AgreementReport:
    if request.param == "several models":
        return build_report(simulated_data(Simulated(prompts=8, quality=(-0.5, 1.2, 0.2, -1.0), annotators=7)))
    data = simulated_study(comparisons=40, votes=5, annotators=8)
    return build_report(with_images(data) if request.param == "with images" else data)


def test_every_decimal_is_one_of_the_document(report: AgreementReport) -> None:
    document = json.loads(to_json(report))
    known, said = printed(document), 0
    for text in texts(report):
        for number in decimals(text, "txt"):
            said += 1
            assert number in known, f"{number} in: {text}"
    assert said > 25


@pytest.mark.parametrize("report_format", WORDS)
def test_so_is_every_decimal_of_each_format(report: AgreementReport, report_format: str) -> None:
    """With tables, captions, appendix and the words in place of a drawing."""
    if report_format == "html":
        context = page_context(report, drawing=lambda figure: escape(figure.words), most_rows=MOST_ROWS)
        text: str = render_to_string("reports/file.html", context)
    else:
        text = render(report, report_format)
    assert strange(text, report_format, json.loads(to_json(report))) == []
    assert len(decimals(text, report_format)) > 50


def test_each_interval_of_how_well_people_agree_names_its_annotators(report: AgreementReport) -> None:
    (text,) = [" ".join(chapter.paragraphs) for chapter in chapters(report) if chapter.key == "the-votes"]
    of_intervals = [sentence for sentence in re.split(r"(?<=\.) ", text) if " % interval " in sentence]
    assert len(of_intervals) >= 2
    assert all(re.search("for (these annotators|annotators like these)", sentence) for sentence in of_intervals)


def test_a_wrong_decimal_would_be_found(report: AgreementReport) -> None:
    document = json.loads(to_json(report))
    known = printed(document)
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
