"""The methods name each statistic that a report prints, with its reference."""

import numpy as np
import pytest

from annotation.reports.findings.results import AgreementReport
from annotation.reports.report import build_report
from annotation.reports.sections.contents import chapters, sections
from tests.annotation.reports.many_models import Simulated, simulated_data
from tests.annotation.reports.readable import readable
from tests.annotation.reports.voted_studies import Plan, embed, make_study, report_of

# What the methods say of a section's numbers; a section that is missing here has no method.
SAID_OF = {
    "agreement": ("Wilson's", "(Clopper", "(Tango", "Cohen's", "(Matthews", "(Brodersen", "(McNemar"),
    "single-votes": ("new annotator on a new prompt", "score interval with the two-way variance"),
    "non-inferiority": ("in the place of a person",),
    "sensitivity": ("Dawid and Skene's", "(Dawid"),
    "calibration": ("logistic regression", "(Cameron and Miller", "(Brier", "(Hanley", "(Deutsch"),
    "scores": ("(Wilcoxon", "(Kerby", "(Smirnov"),
    "image-noise": ("jackknife over images", "(Snijders", "(Morris"),
    "reliability": ("(Krippendorff", "(Gwet", "(Brennan", "(Fleiss", "jackknife intervals over prompts and annotators"),
    "people": ("(Snow", "(Calderon", "(Benjamini", "beta-binomial", "(Griffiths"),
    "crossed-model": ("(McCullagh", "(Baayen", "(Tierney", "(Shun"),
    "bias": ("t-test of the annotators' shares", "flipping signs", "(Schilling"),
    "fragility": ("fewest votes whose removal", "without each annotator"),
    "planning": ("(Connor", "(Chernick"),
    "metrics": ("(Holm", "exchanging the two"),
    "ranking": ("(Davidson, 1970)", "(Cameron et al.", "(Mogstad", "(Yates", "(Kendall", "(Kocmi", "(Kemeny"),
    # Counts and facts, without a statistic.
    **dict.fromkeys(("disagreements", "exclusions", "study-facts", "design", "quality", "comparisons"), ()),
}


def check(report: AgreementReport) -> str:
    """Look for the method of each section that prints numbers, and return the methods."""
    (methods,) = (chapter for chapter in chapters(report) if chapter.key == "methods")
    said = " ".join(methods.paragraphs)
    printed = [section for section in sections(report) if section.rows or section.tables]
    lacking = [(section.key, words) for section in printed for words in SAID_OF[section.key] if words not in said]
    assert lacking == []
    return said


@pytest.mark.django_db
def test_of_two_models_with_images_and_a_margin() -> None:
    rng = np.random.default_rng(6)
    margin = rng.normal(0.3, 1, 36)
    lean = margin[:, np.newaxis] + rng.normal(0, 0.5, 8) + rng.logistic(size=(36, 8))
    votes = np.array(["A", "B", "tie"])[np.where(lean > 0.2, 0, np.where(lean < -0.2, 1, 2))].tolist()
    margins = {"analysis": {"resamples": 100, "person_margin": 0.1}}
    study = make_study(Plan(votes, [(70 + one, 70) for one in margin.tolist()], manifest=margins))
    for comparison in study.comparisons.all():
        embed(comparison, spread_a=0.1, spread_b=0.2)
    said = check(report_of(study))
    assert "tested by Fisher's exact test (Fisher, 1922)" in said
    assert "clusters," not in said


def test_of_several_models_whose_comparisons_share_prompts() -> None:
    said = check(readable(build_report(simulated_data(Simulated(quality=(1.0, 0.0, -1.0), annotators=6, votes=5)))))
    assert "tested by their covariance, flipping the signs of whole clusters, and" in said
    assert "(Kish, 1965), with Student's t, and tests flip the signs of whole clusters." in said
    assert "(Fisher" not in said
