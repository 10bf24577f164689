"""The claim: the study's result as one sentence that can be pasted into a paper, with each reason to doubt it. Pure."""

from annotation.reports.findings.people.bias import Bias
from annotation.reports.findings.ranking import Ranking
from annotation.reports.findings.results import Results
from annotation.reports.findings.scores.image_noise import ImageNoise
from annotation.reports.findings.study.study_facts import Counts, Facts, StudyFacts
from annotation.reports.printing.blocks import Figure, Numbers, coefficient_row, in_words, share_row
from annotation.reports.printing.evidence import verdict
from annotation.reports.printing.leaks import leaks_of_metric
from annotation.reports.printing.numbers import (
    TIE_RULES,
    coefficient,
    difference,
    directed_metric,
    interval,
    metric_name,
    p_value,
    percent,
)
from annotation.reports.printing.phrases import (
    always_naming,
    beyond_chance,
    constant_choice,
    interval_contradicts,
    person_verdict,
    ranks,
    side_mattered,
    versus_constant,
)
from jobs.wording import counted
from scoring.statistics.agreement.constant_choice import ConstantChoice
from scoring.statistics.inference.estimate import Estimate
from scoring.statistics.people.leave_one_out import Compared
from scoring.statistics.people.non_inferiority import NonInferiority
from scoring.statistics.people.reliability import Reliability
from scoring.statistics.people.single_votes import SingleVotes


def sentence(study: StudyFacts, counts: Counts, results: Results, *, doubts: tuple[str, ...]) -> str:
    """The claim: agreement, tie rule, the constant choice with the verdict, doubts, votes and exclusions.

    If the study stops when its claim is decided, the agreement has its confidence sequence, and the decision follows.
    """
    agreement, found = results.agreement, results.sequential
    each, single = results.people.leave_one_out.by_comparison, results.single_votes
    parts = [
        _agreement(found.agreement if found else agreement.headline, agreement.endpoint, study=study, counts=counts),
        verdict(found, study) if found else _constant_choice(agreement.confirmatory, study=study),
        _ranking(results.ranking),
        agreement.clusters.warning if agreement.clusters else "",
        *((_one_against_the_others(each), _a_new_annotator(single)) if counts.analysed_comparisons else ()),
        _in_a_persons_place(results.non_inferiority, study) if counts.analysed_comparisons else "",
        *(doubts if counts.analysed_comparisons else ()),
        _votes(counts, agreement.with_excluded_votes),
    ]
    interim = "Interim: " if study.is_interim else ""
    return interim + "; ".join(part for part in parts if part) + "."


def _agreement(headline: Estimate, endpoint: str, *, study: StudyFacts, counts: Counts) -> str:
    metric = directed_metric(study.metric, is_lower=study.is_lower_more_consistent)
    if not study.metric:
        return f"No metric was scored, so its agreement with {counts.voters} is undefined"
    if headline.value is None:
        return f"Agreement of {metric} with {counts.voters} is undefined: {headline.reason}"
    planned = f" ({counts.planned_comparisons} planned)" if counts.planned_comparisons != headline.n else ""
    planned += f" of {', '.join(study.models[:-1])} and {study.models[-1]}" if study.are_several else ""
    return (
        f"{metric} chose {counts.their_model} on {percent(headline.value)} "
        f"of {counted(headline.n, 'comparison')}{planned}, {interval(headline)}, {TIE_RULES[endpoint]}"
    )


def _constant_choice(choice: ConstantChoice | None, *, study: StudyFacts) -> str:
    if choice is None or choice.agreement.value is None:
        return ""
    pick = always_naming(choice.models, study)
    share, seen = percent(choice.agreement.value), f"{difference(choice.difference)}, {p_value(choice.test)}"
    decides = ", and the test decides" if interval_contradicts(choice) else ""
    return f"{versus_constant(choice)} {pick}, {share} ({seen}{decides})"


def _ranking(ranking: Ranking | None) -> str:
    """People's ranking of several models, and how far the metric's is the same; empty for two models."""
    if ranking is None:
        return ""
    ranked = ", ".join(f"{model.name} {ranks(model.best_rank, model.worst_rank)}" for model in ranking.models)
    tau, same = ranking.concordance.tau, ""
    if tau.value is not None:
        bounds = "" if tau.low is None else f" ({coefficient(tau.low)} to {coefficient(tau.high or 0.0)})"
        same = f", Kendall's tau of the metric's ranking with it {coefficient(tau.value)}{bounds}"
    return f"the votes rank {ranked} ({100 * ranking.level:g} % sets of ranks){same}"


def _one_against_the_others(compared: Compared) -> str:
    """The agreement of one annotator with the winner of the other votes, and the metric's on the same votes."""
    if compared.people.value is None or compared.metric.value is None:
        return f"agreement of one annotator with the others undefined: {compared.people.reason}"
    return (
        f"one annotator agrees with the winner of the other votes on {percent(compared.people.value)}, "
        f"the metric on the same votes on {percent(compared.metric.value)}, ties counting one half"
    )


def _a_new_annotator(single: SingleVotes | None) -> str:
    """The second headline; empty if no comparison has two votes."""
    if single is None or single.people.value is None:
        return ""
    reasons = ", ".join(dict.fromkeys(one.reason for one in (single.metric, single.people) if one.low is None))
    missing = f" (no interval: {reasons})" if reasons else ""
    with_metric, with_another = (_with_bounds(one) for one in (single.metric, single.people))
    return (
        f"a new annotator on a new prompt agrees with the metric on {with_metric}, with another annotator on "
        f"{with_another}{missing}"
    )


def _in_a_persons_place(found: NonInferiority | None, study: StudyFacts) -> str:
    """The verdict on the metric against one more person; empty if the manifest fixed no margin."""
    return person_verdict(found, metric_name(study.metric)) if found and found.difference.is_defined else ""


def _with_bounds(estimate: Estimate) -> str:
    bounds = "" if estimate.low is None else f" ({100 * estimate.low:.1f} to {percent(estimate.high or 0.0)})"
    return percent(estimate.value or 0.0) + bounds


def _votes(counts: Counts, with_excluded: Estimate | None) -> str:
    if not counts.votes:
        return "no votes"
    voters = counted(counts.annotators, "annotator")
    if counts.simulated_annotators:
        share = "all" if counts.simulated_annotators == counts.annotators else counts.simulated_annotators
        voters += f", {share} of them simulated"
    return f"{counted(counts.votes, 'vote')} by {voters}, {_excluded(counts, with_excluded)}"


def _excluded(counts: Counts, with_them: Estimate | None) -> str:
    if not counts.excluded_votes:
        return "none excluded"
    turned = f" (with them {percent(with_them.value)})" if with_them and with_them.value is not None else ""
    return f"{counts.excluded_votes} excluded{turned}"


# --- reasons to doubt the winners ---------------------------------------------------------------
def reservations(study: StudyFacts, *, reliability: Reliability, bias: Bias, noise: ImageNoise) -> tuple[str, ...]:
    """Each reason to doubt the winners, as a clause; empty if there is none."""
    clauses = (
        _chance(reliability.alpha, study),
        side_mattered(bias.position, level=study.level),
        _other_seeds(noise),
        "" if study.was_sealed_by_design else "not sealed: results could be seen while votes came in",
        *leaks_of_metric(study),
    )
    return tuple(clause for clause in clauses if clause)


def stopped_by_another(metric: str) -> tuple[str, ...]:
    """Return the reservation about a study that stopped by the evidence for another metric; none if empty."""
    said = "the voting stops by the evidence for {}, so tests and intervals of this metric only describe"
    return (said.format(metric_name(metric)),) if metric else ()


def _chance(alpha: Estimate, study: StudyFacts) -> str:
    how = beyond_chance(alpha)
    if how and study.are_several:
        return f"beyond the order of the models annotators {how} (Krippendorff's alpha), so prompts may not matter"
    return f"annotators {how} (Krippendorff's alpha), so the winners of the votes may be noise" if how else ""


def _other_seeds(noise: ImageNoise) -> str:
    if noise.fresh_seeds is None or not noise.fresh_seeds.doubtful:
        return ""
    doubtful = noise.fresh_seeds.doubtful
    return f"a fresh draw of seeds could well change {doubtful} of the metric's {counted(noise.comparisons, 'winner')}"


# --- the figure ---------------------------------------------------------------------------------
def numbers(facts: Facts, results: Results) -> Numbers:
    """The numbers of the claim's figure: agreement, constant choice, people, a new annotator, reliability.

    A report of version 0.2 has no new annotator.
    """
    agreement, single, alpha = results.agreement, results.single_votes, results.reliability.alpha
    pick = (
        "The best fixed order" if facts.study.are_several else f"Always naming {' or '.join(agreement.baseline.models)}"
    )
    shares = [
        (f"Metric agrees with {facts.counts.voters}", agreement.headline),
        (pick, agreement.baseline.agreement),
        ("One annotator agrees with the others", results.people.leave_one_out.by_comparison.people),
    ]
    if single:
        shares += [
            ("A new annotator agrees with the metric", single.metric),
            ("A new annotator agrees with another", single.people),
        ]
    return (
        *((share_row(label, estimate), estimate) for label, estimate in shares),
        (coefficient_row("Reliability, Krippendorff's alpha", alpha), alpha),
    )


def figure(facts: Facts, results: Results) -> Figure:
    """The figure beside the claim."""
    headline, single, alpha = results.agreement.headline, results.single_votes, results.reliability.alpha
    has_none = "without an interval"
    how = has_none if single and single.metric.low is None else "two-way jackknife, for annotators like these"
    new = f"; a new annotator on a new prompt ({how})" if single else ""
    resampled = has_none if alpha.low is None else "bootstrap over clusters"
    caption = (
        f"The claim on one axis with {100 * headline.level:g} % intervals, n = "
        f"{counted(headline.n, 'comparison')}: "
        f"agreement ({headline.method}), {constant_choice(facts.study)} (Wilson; dotted line), one annotator with the "
        f"winner of the other votes (score interval), Krippendorff's alpha ({resampled}){new}."
    )
    said = in_words(numbers(facts, results))
    return Figure("claim", "The claim in numbers", caption, said)
