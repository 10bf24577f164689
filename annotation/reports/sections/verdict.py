"""The verdict: the study's result in lines of one or two sentences, each with its numbers. Pure."""

from collections.abc import Iterator

from annotation.reports.findings.agreement.agreement import Agreement
from annotation.reports.findings.ranking import Ranking
from annotation.reports.findings.results import Results
from annotation.reports.findings.study.sequential import Sequential
from annotation.reports.findings.study.study_facts import Counts, StudyFacts
from annotation.reports.findings.verdict import VerdictLine
from annotation.reports.printing import evidence
from annotation.reports.printing.doubts import doubts
from annotation.reports.printing.numbers import (
    TIE_RULES,
    coefficient,
    difference,
    interval,
    metric_name,
    p_value,
    percent,
    points,
    significant,
)
from annotation.reports.printing.phrases import (
    always_naming,
    interval_contradicts,
    person_verdict,
    ranks,
    right_on,
    versus_constant,
)
from annotation.reports.printing.sentences import around, of_all, sentence, short_metric, within
from annotation.studies.manifest import Manifest
from jobs.wording import counted, listed
from scoring.statistics.people.leave_one_out import Compared
from scoring.statistics.people.single_votes import SingleVotes

SEALED = "Sealed until the study closes: no agreement is computed before then."
_MOST_MODELS = 5  # that one sentence names


def lines(study: StudyFacts, counts: Counts, manifest: Manifest, results: Results | None) -> tuple[VerdictLine, ...]:
    """Return what was found, against what, each reason to doubt it, and who voted; while sealed only the last."""
    if results is None:
        return VerdictLine("sealed", "none", SEALED), _votes(study, counts, None)
    return tuple(_lines(study, counts, manifest, results))


def claim(verdict: tuple[VerdictLine, ...], study: StudyFacts) -> str:
    """Return the verdict as one text that can be pasted into a paper."""
    if study.is_sealed:
        return SEALED
    return ("Interim: " if study.is_interim else "") + " ".join(line.text for line in verdict)


def _lines(study: StudyFacts, counts: Counts, manifest: Manifest, results: Results) -> Iterator[VerdictLine]:
    if results.ranking is not None:
        yield _ranking(results.ranking, study, counts)
    yield _agreement(results, study, counts)
    if results.sequential is not None:
        yield _evidence(results.sequential, study)
        if results.sequential.is_changed:
            yield VerdictLine("doubt", "doubt", sentence(evidence.change(results.sequential, study)))
    else:
        yield from _constant_choice(results.agreement, study, manifest)
    if counts.analysed_comparisons:
        yield from _one_more_annotator(results, study)
    for clause in doubts(study, counts, manifest, results.doubted):
        yield VerdictLine("doubt", "doubt", sentence(clause))
    yield _votes(study, counts, results.agreement)


# --- what was found -----------------------------------------------------------------------------
def _agreement(results: Results, study: StudyFacts, counts: Counts) -> VerdictLine:
    found, agreement = results.sequential, results.agreement
    headline, metric = found.agreement if found else agreement.headline, short_metric(study.metric)
    if not study.metric:
        said = f"No metric was scored, so its agreement with {counts.voters} is undefined."
    elif headline.value is None:
        said = f"Agreement of {metric} with {counts.voters} is undefined: {headline.reason}."
    else:
        planned = counts.planned_comparisons
        fewer = f" ({planned} planned)" if planned != headline.n else ""
        said = f"{metric} chose {counts.their_model} on {right_on(agreement, headline)}{fewer}."
        numbers = f"{percent(headline.value)}, {interval(headline)}; {TIE_RULES[agreement.endpoint]}."
        return VerdictLine("agreement", "none", said, numbers)
    return VerdictLine("agreement", "none", said)


def _ranking(ranking: Ranking, study: StudyFacts, counts: Counts) -> VerdictLine:
    """The order of several models by votes, and how far the metric's is the same."""
    models, level = ranking.models, f"{100 * ranking.level:g} %"
    speak = f", for {ranking.population}" if ranking.population else ""
    if all((model.best_rank, model.worst_rank) == (1, len(models)) for model in models):
        said = f"The votes of {counts.voters} show no order of the {len(models)} models: each may have any rank."
        order = listed([model.name for model in models], most=_MOST_MODELS)
        numbers = f"By estimated strength: {order}. Their {level} sets of ranks are all 1–{len(models)}{speak}."
    else:
        named = [f"{model.name} ({ranks(model.best_rank, model.worst_rank)})" for model in models]
        said = f"The votes of {counts.voters} rank {listed(named, most=_MOST_MODELS)}."
        numbers = f"In brackets: {level} sets of ranks{speak}."
    tau = ranking.concordance.tau
    if tau.value is not None:
        numbers += f" Kendall's tau of this order with that of {short_metric(study.metric)} is "
        numbers += f"{around(tau, coefficient)}."
    return VerdictLine("ranking", "none", said, numbers)


def _constant_choice(agreement: Agreement, study: StudyFacts, manifest: Manifest) -> Iterator[VerdictLine]:
    """The metric against always naming one model; no line if there is nothing to compare."""
    choice = agreement.confirmatory
    if choice is None or choice.agreement.value is None:
        return
    metric, verdict = short_metric(study.metric), versus_constant(choice)
    verb = f"is {verdict}" if choice.verdict == "undecided" else verdict
    fixed = ", the study file's choice" if manifest.analysis.constant_choice else ""
    has_halves = agreement.endpoint == "half" and any(agreement.confusion.counts[-1])  # ties of the votes
    agrees = of_all(choice.agreement, has_halves=has_halves)
    said = f"{metric} {verb} {always_naming(choice.models, study)}{fixed}, which agrees on {agrees}."
    share = percent(choice.agreement.value)
    seen = f"{share}, {difference(choice.difference)}, {p_value(choice.test)}."
    if choice.verdict == "undecided":
        seen += " Undecided is no proof of equality."
    if interval_contradicts(choice):
        seen += " The interval is approximate; the test is exact and decides."
    yield VerdictLine("constant choice", choice.verdict, said, seen)


def _evidence(found: Sequential, study: StudyFacts) -> VerdictLine:
    """The decision of a study that stops when its claim is decided."""
    decision = found.decision
    seen = f"E-values {significant(decision.better.e_value)} for it and {significant(decision.worse.e_value)} for the "
    seen += f"contrary; {significant(found.threshold)} is needed."
    return VerdictLine("evidence", decision.verdict, sentence(evidence.verdict(found, study)), seen)


def _one_more_annotator(results: Results, study: StudyFacts) -> Iterator[VerdictLine]:
    """The metric in the place of one more annotator: a verdict if the manifest fixed a margin, else the difference."""
    single, person = results.single_votes, results.non_inferiority
    if single is None:
        return
    if single.people.value is None:
        said = f"How one more annotator compares with the metric is undefined: {single.people.reason}."
        yield VerdictLine("one more annotator", "none", said)
        return
    metric = short_metric(study.metric)
    both = f"new annotator on a new prompt agrees with {metric} on {percent(single.metric.value or 0.0)}"
    both += f", with another annotator on {percent(single.people.value)}"
    seen = f"{_difference(single)} {_bounds(single)} {_against_the_others(results.people.leave_one_out.by_comparison)}"
    if person is not None and person.difference.is_defined:
        said = f"{person_verdict(person, metric)}."
        yield VerdictLine("one more annotator", person.verdict, said, f"A {both}. {seen}")
    else:
        without = "" if person else " The study file fixed no margin, so there is no verdict."
        yield VerdictLine("one more annotator", "none", f"A {both}.", seen + without)


def _against_the_others(compared: Compared) -> str:
    people, metric = compared.people.value, compared.metric.value
    if people is None or metric is None:
        return f"How one annotator compares with the others is undefined: {compared.people.reason}."
    said = f"By the winner of the other votes, one annotator is right on {percent(people)}"
    return f"{said}, and the metric on {percent(metric)}."


def _difference(single: SingleVotes) -> str:
    """The difference; if it has no interval, `_bounds` says why."""
    if single.difference.low is None and single.difference.value is not None:
        return f"Difference {points(single.difference.value)}."
    return sentence(difference(single.difference))


def _bounds(single: SingleVotes) -> str:
    """The intervals of both agreements, or why they have none."""
    lacking = [one.reason for one in (single.metric, single.people, single.difference) if one.low is None]
    missing = listed(tuple(dict.fromkeys(lacking))) if lacking else ""
    if len(lacking) == 3:
        return f"No interval: {missing}."
    shares = f"The two shares: {within(single.metric)} and {within(single.people)}, for annotators like these."
    return f"{shares} An interval is missing: {missing}." if missing else shares


# --- who voted, on what, when -------------------------------------------------------------------
def _votes(study: StudyFacts, counts: Counts, agreement: Agreement | None) -> VerdictLine:
    said = sentence(f"{_who(counts)}, {_excluded(counts, agreement)}") if counts.votes else "No votes."
    metric = f"Metric: {metric_name(study.metric)}{_direction(study)}." if study.metric else ""
    on = "" if study.are_several else f"A is {study.model_a}, B is {study.model_b}."
    return VerdictLine("votes", "none", said, " ".join(part for part in (on, metric, _when(study)) if part))


def _who(counts: Counts) -> str:
    voters = f"{counted(counts.votes, 'vote')} by {counted(counts.annotators, 'annotator')}"
    if not counts.simulated_annotators:
        return voters
    share = "all" if counts.simulated_annotators == counts.annotators else counts.simulated_annotators
    return f"{voters}, {share} of them simulated"


def _excluded(counts: Counts, agreement: Agreement | None) -> str:
    if not counts.excluded_votes:
        return "none excluded"
    with_them = agreement.with_excluded_votes if agreement else None
    turned = f" (with them {percent(with_them.value)})" if with_them and with_them.value is not None else ""
    return f"{counts.excluded_votes} excluded{turned}"


def _direction(study: StudyFacts) -> str:
    return ", lower is more consistent" if study.is_lower_more_consistent else ""


def _when(study: StudyFacts) -> str:
    if study.opened_at and study.closed_at and study.opened_at.date() == study.closed_at.date():
        return f"The study ran on {study.closed_at:%Y-%m-%d}."
    if study.opened_at and study.closed_at:
        return f"The study ran from {study.opened_at:%Y-%m-%d} to {study.closed_at:%Y-%m-%d}."
    if study.closed_at:
        return f"The study was closed on {study.closed_at:%Y-%m-%d}."
    return f"The study has been open since {study.opened_at:%Y-%m-%d}." if study.opened_at else ""
