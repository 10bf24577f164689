"""The claim: what the study found, as one sentence that can be pasted into a paper."""

from annotation.reports.agreement_report import Counts, Results, StudyFacts
from annotation.reports.sections.numbers import interval, p_value, percent
from annotation.reports.sections.reservations import reservations
from jobs.wording import counted
from scoring.statistics.chance import Baseline
from scoring.statistics.estimate import Estimate
from scoring.statistics.leave_one_out import Compared

TIE_RULES = {
    "strict": "a tie on one side only counts as disagreement",
    "half": "a tie on one side only counts one half",
    "dropped": "ties left out",
}


def sentence(*, study: StudyFacts, counts: Counts, results: Results) -> str:
    """The claim line: agreement, baseline, tie rule, doubts, votes and exclusions. It says what was not shown, too."""
    parts = [
        _agreement(results.agreement.headline, results.agreement.endpoint, study=study, counts=counts),
        _baseline(results.baseline, study=study),
        _one_against_the_others(results.leave_one_out.by_comparison) if counts.analysed_comparisons else "",
        *(reservations(study=study, results=results) if counts.analysed_comparisons else ()),
        _votes(counts, results),
    ]
    interim = "Interim: " if study.is_interim else ""
    return interim + "; ".join(part for part in parts if part) + "."


def metric_name(metric: str) -> str:
    """A metric as a reader knows it: SCS with its encoder, the pinned revision shortened.

    >>> metric_name("scs/clip:openai/clip-vit-base-patch32@c237dc49a33fc61debc9276459120b7eac67e7ef")
    'SCS (clip:openai/clip-vit-base-patch32@c237dc49)'
    """
    if not metric.startswith("scs/"):
        return metric
    encoder, _, revision = metric.removeprefix("scs/").partition("@")
    return f"SCS ({encoder}@{revision[:8]})" if revision else f"SCS ({encoder})"


def people(counts: Counts) -> str:
    """Who voted; simulated annotators are never called people."""
    if not counts.simulated_votes:
        return "people"
    return "simulated annotators" if counts.simulated_votes == counts.votes else "people and simulated annotators"


def judges(counts: Counts) -> str:
    """Whose winner the metric is compared with."""
    who = people(counts)
    if counts.annotators != 1:
        return f"the majority of {who}"
    return "the one annotator" if who == "people" else "the one simulated annotator"


def _agreement(headline: Estimate, endpoint: str, *, study: StudyFacts, counts: Counts) -> str:
    metric = metric_name(study.metric)
    if headline.value is None:
        return f"Agreement of {metric} with {people(counts)} is undefined: {headline.reason}"
    planned = f" ({counts.planned_comparisons} planned)" if counts.planned_comparisons != headline.n else ""
    return (
        f"{metric} and {judges(counts)} chose the same model on {percent(headline.value)} "
        f"of {counted(headline.n, 'comparison')}{planned}, {interval(headline)}, {TIE_RULES[endpoint]}"
    )


def _baseline(baseline: Baseline, *, study: StudyFacts) -> str:
    if baseline.agreement.value is None:
        return ""
    names = {"A": study.model_a, "B": study.model_b}
    pick = " or ".join(f"{model} ({names[model]})" for model in baseline.models)
    verdict = "beats" if baseline.is_beaten else "not shown to beat"
    return f"{verdict} always naming {pick}, {percent(baseline.agreement.value)} ({p_value(baseline.mcnemar)})"


def _one_against_the_others(compared: Compared) -> str:
    """How well one annotator does against the majority of the others, and the metric on the same votes."""
    if compared.people.value is None or compared.metric.value is None:
        return f"agreement of one annotator with the others undefined: {compared.people.reason}"
    return (
        f"one annotator agrees with the majority of the others on {percent(compared.people.value)}, "
        f"the metric on the same votes on {percent(compared.metric.value)}, ties counting one half"
    )


def _votes(counts: Counts, results: Results) -> str:
    if not counts.votes:
        return "no votes"
    voters = counted(counts.annotators, "annotator")
    if counts.simulated_annotators:
        share = "all" if counts.simulated_annotators == counts.annotators else counts.simulated_annotators
        voters += f", {share} of them simulated"
    return f"{counted(counts.votes, 'vote')} by {voters}, {_excluded(counts, results.agreement.with_excluded_votes)}"


def _excluded(counts: Counts, with_them: Estimate | None) -> str:
    if not counts.excluded_votes:
        return "none excluded"
    turned = f" (with them {percent(with_them.value)})" if with_them and with_them.value is not None else ""
    return f"{counts.excluded_votes} excluded{turned}"
