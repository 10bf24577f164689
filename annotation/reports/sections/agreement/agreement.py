"""The agreement with its intervals, beside a constant choice and chance. Pure."""

from annotation.reports.findings.agreement.agreement import Agreement, Bounds, Confusion, Winners
from annotation.reports.findings.agreement.margins import Margins
from annotation.reports.findings.results import AgreementReport, Results
from annotation.reports.findings.study.study_facts import Counts, Facts, StudyFacts
from annotation.reports.printing.blocks import (
    DESCRIPTIVE,
    UNDEFINED,
    Figure,
    Row,
    Section,
    Table,
    bracketed,
    coefficient_row,
    in_words,
    points_row,
    share_row,
    significance_row,
)
from annotation.reports.printing.drawn_numbers import agreement_numbers
from annotation.reports.printing.numbers import (
    TIE_RULES,
    coefficient,
    directed_metric,
    metric_name,
    p_value,
    percent,
    score,
)
from annotation.reports.printing.phrases import (
    always_naming,
    capitalised,
    constant_choice,
    constant_models,
    interval_contradicts,
    right_on,
    versus_constant,
)
from annotation.reports.printing.sentences import around, of_all, short_metric, within
from jobs.wording import counted
from scoring.statistics.agreement.constant_choice import ConstantChoice
from scoring.statistics.inference.clusters import FEW_CLUSTERS, LEAST_CLUSTERS, Clustering
from scoring.statistics.inference.estimate import Estimate

_TEST_DECIDES = "the verdict is the test's, although the interval, which is approximate, says otherwise"
FEW_COMPARISONS = 30  # with fewer, an interval spans about 30 points or more: the number gets a remark


def section(agreement: Agreement, facts: Facts) -> Section:
    """The headline, the three treatments of ties, the constant choice, and chance-corrected coefficients."""
    chance, study = agreement.chance_corrected, facts.study
    rows = [
        share_row(f"Primary endpoint ({agreement.endpoint})", agreement.headline, remark=_few(agreement)),
        *(row for row, _ in agreement_numbers(agreement)),
        share_row(f"Winner of the votes by plurality of {', '.join(study.sides)}, tie", agreement.plurality),
        *_winners_rows(agreement.winners, study),
        *_constant_rows(agreement, facts),
        significance_row("Association of the two choices", agreement.fisher_exact),
        significance_row("Against one half", agreement.against_one_half),
        coefficient_row("Cohen's kappa", chance.kappa),
        coefficient_row("Cohen's kappa with ties as a third choice", chance.kappa_with_ties),
        coefficient_row("Matthews correlation", chance.matthews),
        share_row("Balanced accuracy", chance.balanced_accuracy),
    ]
    fallen = facts.counts.planned_comparisons - facts.counts.analysed_comparisons
    if fallen:
        rows.insert(1, _bounds_row(agreement.bounds, fallen))
    if agreement.with_excluded_votes is not None:
        rows.insert(1, share_row("The same, had no vote been excluded", agreement.with_excluded_votes))
    tables, figures = (_confusion(agreement.confusion, study),), (_figure(agreement, study),)
    texts = (_endpoint(agreement, facts), *_sides(study), _resampling(study), *_clusters(agreement.clusters))
    return Section("agreement", "Agreement", texts, tuple(rows), tables, figures)


def _bounds_row(bounds: Bounds, fallen: int) -> Row:
    remark = f"strict agreement over all planned, if the {fallen} without votes or scores were all wrong, or all right"
    return Row("Worst and best of all planned", "", bracketed(bounds.worst, bounds.best, percent), remark=remark)


def _resampling(study: StudyFacts) -> str:
    return (
        f"Bootstrap intervals throughout: percentiles over {study.resamples} resamples of clusters of comparisons, the "
        f"votes within them fixed. Permutation tests: {study.resamples} permutations. Seed {study.seed}."
    )


def _constant_rows(agreement: Agreement, facts: Facts) -> tuple[Row, ...]:
    """The constant choice, the metric's difference to it under each endpoint, and the confirmatory test."""
    study, is_fixed = facts.study, not facts.manifest.annotation.stop_when_decided
    old, choice, all_of = agreement.baseline, agreement.confirmatory, agreement.constant_choice
    label = capitalised(always_naming(old.models, study))
    if choice is None or all_of is None:  # a report of version 0.2
        verdict = "the metric beats it" if old.is_beaten else "the metric is not shown to beat it"
        test = significance_row("Metric against that constant choice", old.mcnemar, is_confirmatory=True)
        return share_row(label, old.agreement, remark=verdict), test
    against = "Metric against that fixed order" if study.are_several else "Metric against that constant choice"
    differences = (("strict", all_of.strict), ("half credit", all_of.half), ("ties dropped", all_of.dropped))
    return (
        share_row(label, choice.agreement),
        *(_difference_row(ties, one, study, is_confirmatory=one is choice) for ties, one in differences),
        significance_row(against, choice.test, is_confirmatory=is_fixed),
    )


def _difference_row(ties: str, choice: ConstantChoice, study: StudyFacts, *, is_confirmatory: bool) -> Row:
    verdict, remark = versus_constant(choice), ""
    if choice.difference.is_defined:
        names = constant_models(choice.models, study)
        kind = "" if is_confirmatory else f"; {p_value(choice.test)}, {DESCRIPTIVE}"
        kind += f"; {_TEST_DECIDES}" if interval_contradicts(choice) else ""
        remark = f"{choice.verdict}: the metric {'is ' if verdict.startswith('not') else ''}{verdict} {names}{kind}"
    rival = "fixed order" if study.are_several else "constant choice"
    return points_row(f"Metric minus {rival}, {ties}", choice.difference, remark=remark)


def _winners_rows(winners: Winners | None, study: StudyFacts) -> tuple[Row, ...]:
    if winners is None:
        return ()
    label = "Winners with more than half of all votes of their comparison"
    if not winners.named:
        return (Row(label, UNDEFINED, n=0, remark="the votes name no model on any comparison"),)
    differ = "differs" if winners.plurality_differs == 1 else "differ"
    a, b = study.sides
    remark = (
        f"{counted(winners.plurality_differs, 'winner')} by plurality of {a}, {b}, tie {differ} from that by {a} − {b}"
    )
    return (Row(label, str(winners.with_majority), n=winners.named, remark=remark),)


def _few(agreement: Agreement) -> str:
    """Return a remark if the headline rests on few comparisons or few clusters; else empty."""
    n = agreement.headline.n
    few = f"only {counted(n, 'comparison')}" if 0 < n < FEW_COMPARISONS else ""
    return "; ".join(filter(None, (few, agreement.clusters.warning if agreement.clusters else "")))


def _evidence(facts: Facts) -> str:
    is_of_metric = facts.manifest.annotation.stop_when_decided == "metric"
    return f"the evidence for {metric_name(facts.manifest.encoder.metric)}" if is_of_metric else "the evidence"


def _endpoint(agreement: Agreement, facts: Facts) -> str:
    text = "No metric was scored, so no agreement is defined. "
    if facts.study.metric:
        metric = directed_metric(facts.study.metric, is_lower=facts.study.is_lower_more_consistent)
        text = f"How often {metric} chooses {facts.counts.their_model}. "
    tests = (
        f"Its test against {constant_choice(facts.study)} is the study's one confirmatory test; all other p-values "
        "of this report are descriptive."
    )
    if facts.manifest.annotation.stop_when_decided:
        evidence = _evidence(facts)
        tests = f"The study's one confirmatory test is {evidence} as the votes came in; all p-values are descriptive."
    return (
        f"{text}Primary endpoint, fixed in the study file: {agreement.endpoint} ({TIE_RULES[agreement.endpoint]}). "
        f"{tests} A verdict is one of three: shown, shown worse, or undecided, which is no proof of equality."
    )


def _sides(study: StudyFacts) -> tuple[str, ...]:
    """Say what the sides of a comparison are if there are several pairs of models."""
    if not study.are_several:
        return ()
    return (
        "All pairs of models together. In each comparison the higher model is the one that comes first in the best "
        "fixed order of the models, which the section on the ranking names, the lower model the other. Coefficients "
        "and tests that need two choices take these two; the page of each pair has them for its two models.",
    )


def _clusters(clusters: Clustering | None) -> tuple[str, ...]:
    if clusters is None:
        return ()
    return (
        f"Comparisons share clusters: {clusters.count}, with up to {counted(clusters.largest, 'comparison')} each; "
        f"design effect of the agreement {clusters.design_effect:.2f}. Intervals divide the number of comparisons by "
        "the design effect and use Student's t, tests flip whole clusters, and a number that cannot do so says that it "
        f"treats comparisons as independent. Below {FEW_CLUSTERS} clusters these are rough, below {LEAST_CLUSTERS} "
        "there is no verdict.",
    )


def _confusion(confusion: Confusion, study: StudyFacts) -> Table:
    labels = (*study.sides, confusion.labels[-1])
    rows = tuple((f"By votes {label}", *map(str, row)) for label, row in zip(labels, confusion.counts, strict=True))
    head = ("Winner", *(f"By metric {label}" for label in labels))
    return Table("How often each winner met each: rows by the votes, columns by the metric", head, rows, (1, 2, 3))


def _figure(agreement: Agreement, study: StudyFacts) -> Figure:
    """The three treatments of ties."""
    caption = (
        "Agreement under the three treatments of ties with the intervals of Wilson (half credit: score interval), of "
        "Clopper and Pearson, and by bootstrap over clusters; "
        f"n = {counted(agreement.strict.wilson.n, 'comparison')}, ties dropped "
        f"n = {agreement.dropped.wilson.n}. The dotted line is {constant_choice(study)}."
    )
    return Figure("agreement", "Agreement by treatment of ties", caption, in_words(agreement_numbers(agreement)))


# --- in sentences -------------------------------------------------------------------------------
def paragraphs(report: AgreementReport, results: Results) -> tuple[str, ...]:
    """Return the agreement, what ties and chance make of it, and how it grows with the margin."""
    agreement, metric = results.agreement, short_metric(report.study.metric)
    if agreement.headline.value is None:
        return (f"The agreement is undefined: {agreement.headline.reason}.",)
    found = f"{metric} chose {report.counts.their_model} on {right_on(agreement, agreement.headline)}, "
    found += f"{within(agreement.headline)}."
    said = (found, *_fallen(agreement, report.counts), *_ties(agreement), *_chance(agreement))
    more = (*_margins(results.margins, metric), *_greatest(results.people.greatest_agreement))
    return tuple(" ".join(part) for part in (said, more) if part)


def _fallen(agreement: Agreement, counts: Counts) -> tuple[str, ...]:
    """The bounds of the agreement if some comparisons have no votes or lack a score."""
    fallen = counts.planned_comparisons - counts.analysed_comparisons
    if not fallen:
        return ()
    lack, each = ("has no counted vote or lacks", "it") if fallen == 1 else ("have no counted vote or lack", "all")
    return (
        f"{counted(fallen, 'planned comparison')} {lack} a score: if {each} were wrong, the strict agreement would be "
        f"{percent(agreement.bounds.worst)}; if {each} were right, {percent(agreement.bounds.best)}.",
    )


def _ties(agreement: Agreement) -> tuple[str, ...]:
    """Return sentences with the agreement under the other treatments of ties."""
    strict, half, dropped = (one.headline for one in (agreement.strict, agreement.half, agreement.dropped))
    if dropped.n == strict.n:
        return ("No winner is tied, so the treatment of ties makes no difference.",)
    if dropped.value is None:
        without = "and no comparison is left without ties"
    else:
        without = f"and {_plain(dropped)} of {counted(dropped.n, 'comparison')} without ties"
    return (
        f"The agreement is {_plain(strict)} if a tie on one side is a disagreement, {_plain(half)} if it counts one "
        f"half, {without}.",
    )


def _chance(agreement: Agreement) -> tuple[str, ...]:
    kappa = agreement.chance_corrected.kappa
    if kappa.value is None:
        return (f"Cohen's kappa, the agreement beyond chance, is undefined: {kappa.reason}.",)
    return (f"Beyond chance, Cohen's kappa is {around(kappa, coefficient)}.",)


def _margins(margins: Margins, metric: str) -> tuple[str, ...]:
    """How often they agree where the metric is least and most sure."""
    if len(margins.by_margin) < 2:
        return ()
    first, last = margins.by_margin[0], margins.by_margin[-1]
    if first.agreement.value is None or last.agreement.value is None:
        return ()
    return (
        f"Where the margin of {metric} is smallest ({_span(first.low, first.high)} points), it agrees with the votes "
        f"on {of_all(first.agreement)}; where it is largest ({_span(last.low, last.high)}), on "
        f"{of_all(last.agreement)}.",
    )


def _span(low: float, high: float) -> str:
    """Return the margins of a bin in words; one margin if the bin holds one comparison."""
    return score(low) if score(low) == score(high) else f"{score(low)} to {score(high)}"


def _greatest(greatest: Estimate) -> tuple[str, ...]:
    if greatest.value is None:
        return ()
    return (f"With votes as noisy as these, no metric is expected to agree on more than about {within(greatest)}.",)


def _plain(estimate: Estimate) -> str:
    return percent(estimate.value or 0.0)
