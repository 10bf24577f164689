"""The numbers that each figure is drawn from, as a CSV file. Pure."""

import csv
import io
from collections.abc import Callable, Iterable, Sequence

from annotation.reports.findings.results import AgreementReport, Results
from annotation.reports.printing.blocks import FigureName, Numbers
from annotation.reports.printing.drawn_numbers import agreement_numbers, claim_numbers, disagreements, timed_annotators
from scoring.statistics.inference.estimate import Estimate

Cell = str | int | float | None
Table = tuple[tuple[str, ...], Iterable[Sequence[Cell]]]  # the head, and the rows below it
_BOUNDS = ("value", "low", "high")


def to_csv(report: AgreementReport, results: Results, name: FigureName) -> bytes:
    """Return the numbers of a figure as CSV in UTF-8; shares lie between 0 and 1, a missing number is empty."""
    head, rows = TABLES[name](report, results)
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return buffer.getvalue().encode()


def _bounds(estimate: Estimate) -> tuple[float | None, float | None, float | None]:
    return estimate.value, estimate.low, estimate.high


def _claim(report: AgreementReport, results: Results) -> Table:
    return _forest(claim_numbers(report, results.claimed))


def _forest(numbers: Numbers) -> Table:
    return ("number", *_BOUNDS, "n"), [(row.label, *_bounds(found), found.n) for row, found in numbers]


def _bootstrap(_report: AgreementReport, results: Results) -> Table:
    return ("low", "high", "resamples"), [(bar.low, bar.high, bar.resamples) for bar in results.sensitivity.bootstrap]


def _margin(_report: AgreementReport, results: Results) -> Table:
    head = ("margin_from", "margin_to", *(f"agreement_{bound}" for bound in _BOUNDS), "n")
    rows = results.margins.by_margin
    return head, [(row.low, row.high, *_bounds(row.agreement), row.agreement.n) for row in rows]


def _scores(_report: AgreementReport, results: Results) -> Table:
    head = ("comparison", "score_a", "score_b", "more_votes_for")
    rows = results.comparisons
    return head, [(row.position, row.score_a, row.score_b, row.people_winner) for row in rows]


def _votes(_report: AgreementReport, results: Results) -> Table:
    head = ("comparison", "margin", "votes_a", "votes_tie", "votes_b")
    rows = results.comparisons
    return head, [(row.position, row.margin, row.votes_a, row.votes_tie, row.votes_b) for row in rows]


def _disagreements(_report: AgreementReport, results: Results) -> Table:
    head = (
        "comparison",
        "margin",
        "votes_a",
        "votes_b",
        "votes_tie",
        "by_votes",
        "by_metric",
        "margin_over_seed_error",
    )
    errors = {one.row.position: one.seed_errors for one in disagreements(results.comparisons, results.image_noise)}
    return head, [
        (
            row.position,
            row.margin,
            row.votes_a,
            row.votes_b,
            row.votes_tie,
            row.people_winner,
            row.metric_winner,
            errors.get(row.position),
        )
        for row in results.comparisons
    ]


def _annotators(report: AgreementReport, results: Results) -> Table:
    return ("median_response_seconds", "agreement_with_others", "votes"), timed_annotators(results.bias, report)


def _images(_report: AgreementReport, results: Results) -> Table:
    head = ("images", *(f"agreement_{bound}" for bound in _BOUNDS), *(f"same_winner_{bound}" for bound in _BOUNDS))
    rows = results.image_noise.by_images
    return head, [(row.images, *_bounds(row.agreement), *_bounds(row.same_winner)) for row in rows]


def _scores_by_images(_report: AgreementReport, results: Results) -> Table:
    head = ("model", "images", *(f"score_{bound}" for bound in _BOUNDS), "set_error")
    noise = results.image_noise
    models = (("A", noise.scores_a), ("B", noise.scores_b))
    return head, [(name, row.images, *_bounds(row.score), row.set_error) for name, rows in models for row in rows]


def _ranking(_report: AgreementReport, results: Results) -> Table:
    means = (f"mean_score_{bound}" for bound in _BOUNDS)
    ranks = ("best_rank", "worst_rank", "metric_best_rank", "metric_worst_rank")
    head = ("model", *(f"log_strength_{bound}" for bound in _BOUNDS), *means, *ranks)
    rows = results.ranking.models if results.ranking else ()
    return head, [
        (row.name, *_bounds(row.strength), *_bounds(row.mean_score), *(getattr(row, rank) for rank in ranks))
        for row in rows
    ]


def _pairs(_report: AgreementReport, results: Results) -> Table:
    head = ("a", "b", "wins_a", "wins_b", "votes")
    rows = results.ranking.pairs if results.ranking else ()
    return head, [(row.a, row.b, row.wins_a, row.wins_b, row.votes) for row in rows]


TABLES: dict[FigureName, Callable[[AgreementReport, Results], Table]] = {
    "claim": _claim,
    "ranking": _ranking,
    "pairs": _pairs,
    "agreement": lambda _report, results: _forest(agreement_numbers(results.agreement)),
    "bootstrap": _bootstrap,
    "margin": _margin,
    "scores-paired": _scores,
    "scores-box": _scores,
    "scores-density": _scores,
    "images": _images,
    "scores-images": _scores_by_images,
    "votes": _votes,
    "calibration": _votes,
    "disagreements": _disagreements,
    "annotators": _annotators,
}
