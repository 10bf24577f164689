"""Several metrics on the same votes. Pure."""

from annotation.reports.findings.agreement.metrics import MetricAgreement, MetricNoise, Metrics
from annotation.reports.findings.results import AgreementReport, Results
from annotation.reports.findings.study.study_facts import Facts, StudyFacts
from annotation.reports.printing.blocks import DESCRIPTIVE, UNDEFINED, Section, Table, cells, without_resampling
from annotation.reports.printing.fewer_images import by_images_table
from annotation.reports.printing.numbers import coefficient, metric_name, percent, points, probability, seconds
from annotation.reports.printing.phrases import FIXED_ORDER
from jobs.wording import counted, listed
from scoring.statistics.agreement.metric_pairs import MetricPair

MOST_NAMED = 20  # comparisons that divide the metrics
_MOST_METRICS = 5  # that one sentence names


def section(metrics: Metrics, facts: Facts) -> Section:
    """One row for each metric, one for each pair of metrics; with one metric only, how to add others."""
    title = "Several metrics on the same votes"
    if len(metrics.metrics) < 2:
        text = (
            f"{'Only one' if facts.study.metric else 'No'} metric has scores in this study. "
            f"{'Others' if facts.study.metric else 'Metrics'} are judged by the same votes once they are there: "
            "score_study scores the images by another encoder, import_scores imports a metric computed elsewhere."
        )
        return Section("metrics", title, (text,))
    text = (
        "Strict agreement of every metric with the same votes. Pairs are compared on "
        f"{counted(metrics.common_comparisons, 'comparison')} that all of them scored, with Holm's correction over the "
        "pairs. The tests are an exact one (McNemar's, or the sign-flip of sums over clusters if comparisons share "
        "any) and the exchange of the two metrics within clusters. "
        f"{_margin(metrics.equivalence_margin, facts.study.level)}"
    )
    if metrics.left_out:
        text += f" Without the votes of {', '.join(metrics.left_out)}, whom one of the metrics comes from."
    tables = (
        _agreements(metrics),
        *_lab(metrics, facts.study),
        _pairs(metrics),
        *_noise_tables(metrics.noise),
        *_by_images(metrics, facts.study),
    )
    return Section("metrics", title, (text, *_divided(metrics)), tables=tables)


def _by_images(metrics: Metrics, study: StudyFacts) -> tuple[Table, ...]:
    return tuple(
        by_images_table(f"{metric_name(row.metric)}, had there been fewer images", row.comparisons, row.fewer, study)
        for row in metrics.by_images
    )


def _lab(metrics: Metrics, study: StudyFacts) -> tuple[Table, ...]:
    """Each metric on the common comparisons: against the constant choice, calibration, rank, time."""
    rows, constant = [], ""
    for row in metrics.metrics:
        choice, slope, ranks = row.constant_choice, row.slope, row.ranks
        if choice is None or slope is None or ranks is None:  # a report of version 0.2
            return ()
        constant = FIXED_ORDER if study.are_several else f"always naming {' or '.join(choice.models)}"
        rank = "–".join(str(one) for one in dict.fromkeys(ranks))
        way = "lower" if row.is_lower_more_consistent else "higher"
        numbers = (cells(choice.difference, points)[0], choice.verdict, cells(slope, coefficient)[0])
        rows.append((metric_name(row.metric), way, rank, *numbers, seconds(row.seconds_per_thousand)))
    rival = "fixed order" if study.are_several else "constant choice"
    head = ("Metric", "Consistent is", "Rank", f"Minus {rival}", "Verdict", "Slope", "1,000 images")
    caption = (
        f"Each metric on {counted(metrics.common_comparisons, 'common comparison')}. Rank: those that it can have by "
        f"the tests below. Minus {rival}: its agreement minus that of {constant}, score interval. Slope: log-odds of a "
        f"vote for {study.sides_in_words[0]} for one standard deviation of its margins. 1,000 images: the time where "
        "it was computed"
    )
    return (Table(caption, head, tuple(rows), (3, 5, 6)),)


def _divided(metrics: Metrics) -> tuple[str, ...]:
    """Say which comparisons divide the metrics."""
    divided, common = metrics.divided, metrics.common_comparisons
    if divided is None:
        return ()
    if not divided:
        shared = "the one common comparison" if common == 1 else f"all {common} common comparisons"
        return (f"All metrics name the same model on {shared}.",)
    named = ", ".join(map(str, divided[:MOST_NAMED])) + (", …" if len(divided) > MOST_NAMED else "")
    noun = "comparison" if len(divided) == 1 else "comparisons"
    return (f"The metrics are divided on {len(divided)} of {common} common comparisons ({noun} {named}).",)


def _agreements(metrics: Metrics) -> Table:
    is_clustered = any("clusters" in row.agreement.method for row in metrics.metrics)
    rows = tuple(
        (metric_name(row.metric), *cells(row.agreement, percent), *cells(row.on_common, percent))
        for row in metrics.metrics
    )
    head = ("Metric", "Agreement", "n", "On the common comparisons", "n")
    over = " over clusters" if is_clustered else ""
    return Table(f"Agreement by metric, Wilson's interval{over}", head, rows, (1, 2, 3, 4))


def _pairs(metrics: Metrics) -> Table:
    rows = []
    for pair in metrics.pairs:
        names, adjusted = (metric_name(pair.first), metric_name(pair.second)), _p(pair.adjusted)
        difference, n = cells(pair.difference, points)
        equivalence = (_equivalence(pair),) if metrics.equivalence_margin is not None else ()
        exact = pair.mcnemar if pair.sign_flip.p_value is None else pair.sign_flip
        tests = (_p(exact.p_value), _p(pair.permutation.p_value), adjusted)
        rows.append((*names, difference, n, *tests, *equivalence))
    head: tuple[str, ...] = ("Metric", "Against", "Difference", "n", "p exact", "p exchanged", "p after Holm")
    if metrics.equivalence_margin is not None:
        head = (*head, f"Equivalent within {percent(metrics.equivalence_margin)}")
    reasons = dict.fromkeys(pair.difference.reason for pair in metrics.pairs if pair.difference.low is None)
    method = without_resampling(metrics.pairs[0].difference.method)
    interval = f"interval by {method}" + "".join(f"; rows without one: {reason}" for reason in reasons if reason)
    caption = f"Agreement of the first metric minus that of the second, {interval}; p-values are {DESCRIPTIVE}"
    return Table(caption, head, tuple(rows), (2, 3, 4, 5, 6))


def _p(value: float | None) -> str:
    return UNDEFINED if value is None else probability(value).removeprefix("= ")


def _margin(margin: float | None, level: float) -> str:
    if margin is None:
        return (
            "No margin of equivalence was fixed before the votes, so none is tested: no difference shown is not "
            "equality."
        )
    return (
        f"The study file fixed a margin of equivalence of {percent(margin)}: two metrics are equivalent within it if "
        f"the {100 * (2 * level - 1):g} % interval of their difference lies inside (two one-sided tests)."
    )


def _equivalence(pair: MetricPair) -> str:
    if pair.is_equivalent is None:
        return "undefined: no interval"
    return "shown" if pair.is_equivalent else "not shown"


# --- how much a metric depends on which images there are ----------------------------------------
def _noise_tables(rows: tuple[MetricNoise, ...]) -> tuple[Table, ...]:
    """Print how fresh seeds would change each metric's winners, and fewer images its agreement."""
    if not rows:
        return ()
    fresh = tuple((metric_name(row.metric), str(row.comparisons), str(row.images), *_chances(row)) for row in rows)
    head = ("Metric", "Comparisons", "Images", "Winners changed, expected", "Doubtful")
    caption = (
        "The winners that a fresh draw of seeds would change, the same seeds for both models and all prompts. "
        "Doubtful: changed with a chance above 5 %. By jackknife over seeds, shrunk over comparisons"
    )
    return (Table(caption, head, fresh, (1, 2, 3, 4)), *(_with_fewer(row) for row in rows))


def _chances(row: MetricNoise) -> tuple[str, str]:
    if row.noise.other_winners is None or row.noise.doubtful is None:
        return f"{UNDEFINED}: {row.noise.reason}", UNDEFINED
    return percent(row.noise.other_winners), str(row.noise.doubtful)


def _with_fewer(row: MetricNoise) -> Table:
    caption = (
        f"{metric_name(row.metric)}, had there been fewer images: {counted(row.compared, 'comparison')}, means over "
        f"{counted(row.subsets, 'subset')} without replacement; ± is how far a margin strays from that of all images"
    )
    rows = tuple(
        (str(one.images), percent(one.agreement), percent(one.same_winner), f"± {one.margin_error:.3g}")
        for one in row.fewer
    )
    return Table(caption, ("Images a set", "Agreement", "Winner as with all", "Margin"), rows, (0, 1, 2, 3))


# --- in sentences -------------------------------------------------------------------------------
def paragraphs(report: AgreementReport, results: Results) -> tuple[str, ...]:
    """Return the agreement of each metric, the best first, and how many pairs of them are shown to differ."""
    found = results.metrics
    if len(found.metrics) < 2:
        return ()
    known = [row for row in found.metrics if row.on_common.value is not None]
    if not known:
        return ("No comparison is scored by every metric.",)
    best = sorted(known, key=lambda row: -(row.on_common.value or 0.0))
    said = (
        f"All metrics scored {counted(found.common_comparisons, 'comparison')}. There the agreement with the votes is "
    )
    said += f"{listed([_named(row) for row in best], most=_MOST_METRICS)}."
    return (f"{said} {_pairs_in_words(found, report.study.level)}",)


def _named(row: MetricAgreement) -> str:
    return f"{percent(row.on_common.value or 0.0)} for {metric_name(row.metric)}"


def _pairs_in_words(found: Metrics, level: float) -> str:
    shown = sum(pair.adjusted is not None and pair.adjusted < 1 - level for pair in found.pairs)
    are = "is" if shown == 1 else "are"
    return f"After Holm's correction, {shown} of {counted(len(found.pairs), 'pair')} of metrics {are} shown to differ."
