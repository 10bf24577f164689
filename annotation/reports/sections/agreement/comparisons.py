"""The comparisons one by one, sealed like every result. Pure."""

from collections.abc import Sequence

from annotation.reports.findings.agreement.comparisons import ComparisonRow
from annotation.reports.findings.scores.image_noise import ImageNoise
from annotation.reports.findings.study.study_facts import Facts
from annotation.reports.printing.blocks import UNDEFINED, Section, Table
from annotation.reports.printing.numbers import probability, score


def section(values: tuple[Sequence[ComparisonRow], ImageNoise], facts: Facts) -> Section:
    """Scores, votes and winners of each comparison, and its margin under resampled seeds."""
    (comparisons, noise), study = values, facts.study
    head = ("No.", "Prompt", f"A ({study.model_a})", f"B ({study.model_b})", "Margin", "Votes A", "B", "tie")
    caption = "One row for each comparison: scores, votes, and who won by the votes and by the metric"
    if study.is_lower_more_consistent:
        caption += "; lower is more consistent, so the margin is the score of B minus that of A"
    table = Table(
        caption,
        (*head, "By votes", "By metric", "Agree"),
        tuple(_comparison(row) for row in comparisons),
        (0, 2, 3, 4, 5, 6, 7),
        winners=(8, 9),
        is_long=True,
    )
    return Section("comparisons", "The comparisons", tables=(table, *_noise_tables(noise)))


def _comparison(row: ComparisonRow) -> tuple[str, ...]:
    agrees = {True: "yes", False: "no", None: f"no {row.missing}"}[row.agrees]
    votes = (str(row.votes_a), str(row.votes_b), str(row.votes_tie))
    winners = (row.people_winner or "–", row.metric_winner or "–")
    return (
        str(row.position),
        row.prompt,
        score(row.score_a),
        score(row.score_b),
        score(row.margin),
        *votes,
        *winners,
        agrees,
    )


def _noise_tables(noise: ImageNoise) -> tuple[Table, ...]:
    """Each comparison's margin under resampled seeds; no table without images."""
    if noise.images is None:
        return ()
    rows = tuple(
        (
            str(row.position),
            score(row.margin.value),
            UNDEFINED if row.margin.low is None else f"[{score(row.margin.low)}, {score(row.margin.high)}]",
            score(row.standard_error),
            UNDEFINED if row.other_winner is None else probability(row.other_winner).removeprefix("= "),
        )
        for row in noise.margins
    )
    head = ("No.", "Margin", "Interval", "SE (jackknife)", "P(fresh seeds name another winner)")
    caption = f"Margins under resampled seeds, n = {noise.images} images"
    method = noise.margins[0].margin.method if noise.margins else ""
    caption += f", {method.replace('clusters', 'seeds')}"
    return (Table(caption, head, rows, (0, 1, 2, 3, 4), is_long=True),)
