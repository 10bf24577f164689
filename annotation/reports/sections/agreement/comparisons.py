"""The comparisons one by one, sealed like every result. Pure."""

from collections.abc import Sequence

from annotation.reports.findings.agreement.comparisons import ComparisonRow
from annotation.reports.findings.scores.image_noise import ImageNoise
from annotation.reports.findings.study.study_facts import Facts
from annotation.reports.printing.blocks import UNDEFINED, Section, Table
from annotation.reports.printing.numbers import probability, score
from annotation.reports.printing.phrases import NEVER


def section(values: tuple[Sequence[ComparisonRow], ImageNoise], facts: Facts) -> Section:
    """Scores, votes and winners of each comparison, and its margin under resampled seeds."""
    (comparisons, noise), study = values, facts.study
    if study.are_several:
        return Section("comparisons", "The comparisons", tables=(_of_several(comparisons), *_noise_tables(noise)))
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


def _of_several(comparisons: Sequence[ComparisonRow]) -> Table:
    """The comparisons of several pairs of models, each model by its name."""
    head = ("No.", "Prompt", "Higher", "Lower", "Score of higher", "of lower", "Margin", "Votes higher", "lower", "tie")
    caption = (
        "One row for each comparison: its models, the one that comes first in the best fixed order before the other, "
        "scores, votes, and who won by the votes and by the metric"
    )
    rows = []
    for row in comparisons:
        number, prompt, *numbers, _people, _metric, agrees = _comparison(row)
        winners = (row.people_model or NEVER, row.metric_model or NEVER)
        rows.append((number, prompt, row.model_a, row.model_b, *numbers, *winners, agrees))
    ends = ("By votes", "By metric", "Agree")
    return Table(caption, (*head, *ends), tuple(rows), (0, 4, 5, 6, 7, 8, 9), is_long=True)


def _comparison(row: ComparisonRow) -> tuple[str, ...]:
    agrees = {True: "yes", False: "no", None: f"no {row.missing}"}[row.agrees]
    votes = (str(row.votes_a), str(row.votes_b), str(row.votes_tie))
    winners = (row.people_winner or NEVER, row.metric_winner or NEVER)
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
