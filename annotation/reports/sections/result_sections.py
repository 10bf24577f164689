"""The sections with results: agreement, reliability, scores, bias, the comparisons one by one. Pure."""

from annotation.reports.agreement_report import AgreementReport, Bounds, ComparisonRow, ModelScores, Results, StudyFacts
from annotation.reports.figures.captions import agreement_figure, agreement_numbers, score_figures
from annotation.reports.sections.blocks import Row, Section, Table, coefficient_row, share_row, significance_row
from annotation.reports.sections.calibration import calibration_section
from annotation.reports.sections.claim import TIE_RULES, judges, metric_name
from annotation.reports.sections.early_stopping import first_votes_note
from annotation.reports.sections.fragility import fragility_section
from annotation.reports.sections.image_noise import image_noise_section, noise_tables
from annotation.reports.sections.metrics import metrics_section
from annotation.reports.sections.numbers import percent, score
from annotation.reports.sections.people import people_section
from annotation.reports.sections.power import power_section
from annotation.reports.sections.reservations import beyond_chance, side_mattered
from annotation.reports.sections.sensitivity import sensitivity_section
from annotation.reports.sections.voters import voter_figures, voter_table, votes_figures
from jobs.wording import counted
from scoring.statistics.estimate import Estimate

FEW_COMPARISONS = 30  # below, no interval is narrower than about 30 points: say so beside the number
PREVALENCE_GAP = 0.2  # alpha and Brennan-Prediger further apart than this: explain why


def result_sections(report: AgreementReport) -> tuple[Section, ...]:
    """The sections that are sealed until the study closes. Raises ValueError for a report without results."""
    if report.results is None:
        raise ValueError("a sealed report has no results")
    found = report.results
    return (
        _agreement(report, found),
        sensitivity_section(report, found),
        _reliability(found),
        people_section(found),
        _scores(report, found),
        image_noise_section(found),
        calibration_section(found),
        _bias(report, found),
    )


def later_sections(report: AgreementReport, found: Results) -> tuple[Section, ...]:
    """What stands behind the exclusions: how little would turn the results, the next study, other metrics."""
    return (
        fragility_section(report, found),
        power_section(found),
        metrics_section(found),
        comparison_section(report.study, found),
    )


def _agreement(report: AgreementReport, found: Results) -> Section:
    agreement, chance = found.agreement, found.chance_corrected
    few = f"only {counted(agreement.headline.n, 'comparison')}" if 0 < agreement.headline.n < FEW_COMPARISONS else ""
    rows = [
        share_row(f"Primary endpoint ({agreement.endpoint})", agreement.headline, remark=few),
        *(row for row, _ in agreement_numbers(found)),
        share_row("Winner of the votes by plurality of A, B, tie", agreement.plurality),
        share_row(_baseline_label(found, report.study), found.baseline.agreement, remark=_verdict(found)),
        significance_row("Metric against that constant choice", found.baseline.mcnemar),
        significance_row("Association of the two choices", found.fisher_exact),
        significance_row("Against one half", found.against_one_half),
        coefficient_row("Cohen's kappa", chance.kappa),
        coefficient_row("Cohen's kappa with ties as a third choice", chance.kappa_with_ties),
        coefficient_row("Matthews correlation", chance.matthews),
        share_row("Balanced accuracy", chance.balanced_accuracy),
    ]
    fallen = report.counts.planned_comparisons - report.counts.analysed_comparisons
    if fallen:
        rows.insert(1, _bounds_row(agreement.bounds, fallen))
    if agreement.with_excluded_votes is not None:
        rows.insert(1, share_row("The same, had no vote been excluded", agreement.with_excluded_votes))
    text = f"How often {metric_name(report.study.metric)} and {judges(report.counts)} choose the same model. "
    text += f"Primary endpoint, fixed in the manifest: {agreement.endpoint} ({TIE_RULES[agreement.endpoint]})."
    return Section(
        "agreement",
        "Agreement",
        (text, _resampling(report.study)),
        tuple(rows),
        (_confusion(found),),
        (agreement_figure(found),),
    )


def _bounds_row(bounds: Bounds, fallen: int) -> Row:
    remark = f"strict agreement over all planned, were the {fallen} that fell out all wrong, or all right"
    interval = f"[{percent(bounds.worst)}, {percent(bounds.best)}]".replace(" %", "")
    return Row("Worst and best of all planned", "", interval, remark=remark)


def _resampling(study: StudyFacts) -> str:
    return (
        f"Bootstrap intervals throughout: percentiles over {study.resamples} resamples of clusters of comparisons, the "
        f"votes within them fixed. Permutation tests: {study.resamples} permutations. Seed {study.seed}."
    )


def _baseline_label(found: Results, study: StudyFacts) -> str:
    names = {"A": study.model_a, "B": study.model_b}
    return "Always naming " + " or ".join(f"{model} ({names[model]})" for model in found.baseline.models)


def _verdict(found: Results) -> str:
    if not found.baseline.agreement.is_defined:
        return ""
    return "the metric beats it" if found.baseline.is_beaten else "the metric is not shown to beat it"


def _confusion(found: Results) -> Table:
    labels, counts = found.confusion.labels, found.confusion.counts
    rows = tuple((f"By votes {label}", *(str(cell) for cell in row)) for label, row in zip(labels, counts, strict=True))
    head = ("Winner", *(f"By metric {label}" for label in labels))
    return Table("How often each winner met each: rows by the votes, columns by the metric", head, rows, (1, 2, 3))


def _reliability(found: Results) -> Section:
    reliability = found.reliability
    rows = (
        share_row("Two annotators agree, every comparison weighing the same", reliability.pairwise_agreement),
        share_row("Two annotators agree, every pair of votes weighing the same", reliability.pooled_agreement),
        coefficient_row("Krippendorff's alpha, nominal", reliability.alpha, remark=_prevalence(found)),
        coefficient_row("Krippendorff's alpha, ordinal (A < tie < B)", reliability.alpha_ordinal),
        coefficient_row("Krippendorff's alpha, tie votes dropped", reliability.alpha_without_ties),
        coefficient_row("Gwet's AC1", reliability.ac1),
        coefficient_row("Brennan-Prediger", reliability.brennan_prediger),
        coefficient_row("Fleiss' kappa", reliability.fleiss_kappa),
    )
    text = "How well annotators agree with each other, votes coded by model."
    texts = (text, *_beyond_chance(reliability.alpha), *first_votes_note(found))
    return Section("reliability", "Reliability of the votes", texts, rows, figures=votes_figures(found))


def _beyond_chance(alpha: Estimate) -> tuple[str, ...]:
    """Said where the votes could as well be noise: then no agreement with their majority means much."""
    how = beyond_chance(alpha)
    if not how:
        return ()
    return (
        f"Annotators {how} (Krippendorff's alpha): the winners of the votes may be noise, and how often a metric meets "
        "them then says little about the metric.",
    )


def _prevalence(found: Results) -> str:
    alpha, uniform = found.reliability.alpha.value, found.reliability.brennan_prediger.value
    if alpha is None or uniform is None or uniform - alpha <= PREVALENCE_GAP:
        return ""
    return (
        "far below Brennan-Prediger: one choice is so frequent that alpha expects most agreement by chance "
        "(the prevalence effect)"
    )


def _scores(report: AgreementReport, found: Results) -> Section:
    scores, study = found.scores, report.study
    table = Table(
        f"Scores by {metric_name(study.metric)}, comparisons with both scores",
        ("Model", "n", "Mean", "Median", "SD", "Least", "Greatest"),
        (_model(f"A ({study.model_a})", scores.model_a), _model(f"B ({study.model_b})", scores.model_b)),
        tuple(range(1, 7)),
    )
    rows = (
        significance_row("Paired scores differ", scores.wilcoxon.test),
        coefficient_row("Rank-biserial effect, 1 is A always higher", scores.wilcoxon.rank_biserial),
        significance_row("Distributions differ", scores.kolmogorov_smirnov, remark="a replication: pairing ignored"),
        significance_row("Distributions differ, pairing kept", scores.kolmogorov_smirnov_sign_flip),
    )
    return Section("scores", "The scores of the two models", (), rows, (table,), score_figures(report, found))


def _model(name: str, scores: ModelScores) -> tuple[str, ...]:
    numbers = (scores.mean, scores.median, scores.standard_deviation, scores.least, scores.greatest)
    return name, str(scores.n), *(score(number) for number in numbers)


def _bias(report: AgreementReport, found: Results) -> Section:
    bias, tables, figures = found.bias, voter_table(report, found), voter_figures(report, found)
    text = "Whether the side mattered: a check for bias. Agreement on sides is never reliability."
    if bias.position is None:
        return Section("bias", "Bias", (text, f"Undefined: {bias.reason}."), tables=tables, figures=figures)
    position = bias.position
    rows = (
        share_row(
            "Left chosen, mean over annotators",
            position.share,
            remark="half means no bias; with A and with B on the left weighing the same",
        ),
        significance_row("Annotators' shares against one half", position.t_test),
        significance_row("The same by sign flips", position.sign_flip),
        share_row("Left chosen, all votes", position.pooled_share),
        significance_row("All votes against one half", position.pooled_test),
        coefficient_row("Krippendorff's alpha of sides", bias.side_coding_alpha, remark="near 0 where sides are drawn"),
    )
    mattered = side_mattered(bias, level=report.study.level)
    texts = (text, f"{mattered[0].upper()}{mattered[1:]}.") if mattered else (text,)
    return Section("bias", "Bias", texts, rows, tables, figures)


def comparison_section(study: StudyFacts, found: Results) -> Section:
    """The comparisons one by one, sealed like every result."""
    head = ("No.", "Prompt", f"A ({study.model_a})", f"B ({study.model_b})", "Margin", "Votes A", "B", "tie")
    table = Table(
        "One row a comparison: scores, votes, and who won by the votes and by the metric",
        (*head, "By votes", "By metric", "Agree"),
        tuple(_comparison(row) for row in found.comparisons),
        (0, 2, 3, 4, 5, 6, 7),
        winners=(8, 9),
        is_long=True,
    )
    return Section("comparisons", "The comparisons", tables=(table, *noise_tables(found)))


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
