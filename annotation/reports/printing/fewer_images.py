"""Agreement and scores had there been fewer images in each set, as a table. Pure."""

from annotation.reports.findings.budgets import FewerImages
from annotation.reports.findings.study.study_facts import StudyFacts
from annotation.reports.printing.blocks import UNDEFINED, Table, cells
from annotation.reports.printing.numbers import percent, score
from jobs.wording import counted
from scoring.statistics.inference.estimate import Estimate
from scoring.statistics.scores.image_count import ScoreAtImages


def by_images_table(title: str, comparisons: int, noise: FewerImages, study: StudyFacts) -> Table:
    """Agreement and scores with fewer images in each set, one row for each number of images."""
    rows = tuple(
        (str(row.images), spread(row.agreement), spread(row.same_winner), *map(_points, (a, b)))
        for row, a, b in zip(noise.by_images, noise.scores_a, noise.scores_b, strict=True)
    )
    scores = (f"Score of {side} ± of one set" for side in study.sides_in_words)
    head = ("Images a set", "Agreement", "Winner as with all", *scores)
    subsets = noise.by_images[0].agreement.method if noise.by_images else ""
    return Table(f"{title}: {counted(comparisons, 'comparison')}, {subsets}", head, rows, (0, 1, 2, 3, 4))


def _points(row: ScoreAtImages) -> str:
    """The mean score, its percentiles, and how far a single set strays."""
    mean = row.score
    bounds = "" if mean.low is None or mean.high is None else f" [{score(mean.low)}, {score(mean.high)}]"
    return f"{score(mean.value)}{bounds} ± {score(row.set_error)}"


def spread(estimate: Estimate) -> str:
    """A share with its percentiles over subsets."""
    return cells(estimate, percent)[0] if estimate.is_defined else UNDEFINED
