"""Sentences that a reader takes in at once: everything that is said in each report that a test makes."""

import re

from annotation.reports.findings.results import AgreementReport
from annotation.reports.formats.html import points
from annotation.reports.printing.drawn_numbers import MOST_SHOWN
from annotation.reports.sections.contents import chapters, figures_of

MOST_WORDS = 35  # of a sentence that a reader takes in at once
_QUOTED = re.compile("“[^”]*”")
_PART = re.compile(r"(?<=[.!?;])\s+")  # a remark beside a number lists what is to be known of it
_ENDS = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9“−])")


def sentences(report: AgreementReport) -> list[str]:
    """Every sentence of the verdict, of the chapters and their sections, and of comparisons that are shown."""
    texts = [text for line in report.verdict for text in (line.sentence, line.numbers)]
    texts += [text for chapter in chapters(report) for text in chapter.paragraphs]
    folded = [section for chapter in chapters(report) for section in chapter.sections if section.key != "references"]
    texts += [text for section in folded for text in section.paragraphs]
    if report.results:
        texts += [one["said"] for one in points(report, most=2 * MOST_SHOWN) if "\\" not in one["said"]]
    texts = [_QUOTED.sub("“prompt”", text) for text in texts]  # a prompt is printed as it is
    return [one for text in texts for one in _ENDS.split(text) if one]


def notes(report: AgreementReport) -> list[str]:
    """Every sentence of the notices, of the captions of figures and tables, and of the remarks beside numbers."""
    printed = [section for chapter in chapters(report) for section in chapter.sections]
    captions = [f"{figure.title}. {figure.caption}" for figure in figures_of(report)]
    captions += [table.caption for section in printed for table in section.tables]
    captions = [one for text in (*report.notices, *captions) for one in _ENDS.split(_QUOTED.sub("“prompt”", text))]
    remarks = [text for section in printed for row in section.rows for text in (row.remark, row.method)]
    return captions + [part for text in remarks for part in _PART.split(text)]


def readable(report: AgreementReport) -> AgreementReport:
    """Return the report after each sentence was looked at: short, ended, and without a gap where a value is missing."""
    assert report.verdict
    for one in sentences(report):
        assert len(one.split()) <= MOST_WORDS, one
        assert one.endswith("."), one
        assert not re.search(r"  |\bNone\b|\bnan\b|\(\)| [.,;:]|\.\.(?!\.)", one), one
    for one in notes(report):
        assert len(one.split()) <= MOST_WORDS, one
    return report
