"""One annotator against the others, the metric in their place, and the limit set by the votes' noise. Pure."""

from collections.abc import Callable, Mapping

from annotation.reports.findings.people.people import People
from annotation.reports.findings.study.study_facts import Facts, StudyFacts
from annotation.reports.printing.blocks import (
    UNDEFINED,
    Row,
    Section,
    Table,
    cells,
    points_row,
    rows_of_both,
    share_row,
    why_no_others,
)
from annotation.reports.printing.numbers import metric_name, percent
from annotation.reports.printing.phrases import first_votes_note, margin_in_points, person_verdict
from scoring.statistics.people.alternative_annotator import Outcome
from scoring.statistics.people.leave_one_out import Compared, Weighted
from scoring.statistics.people.non_inferiority import NonInferiority
from scoring.statistics.people.one_more_person import OneMorePerson
from scoring.statistics.people.single_votes import SingleVotes

_NAMES = {"metric": "The metric", "always A": "Always A", "always B": "Always B", "random": "A coin"}
_OF_SEVERAL = {"always A": "The best fixed order", "always B": "That order reversed"}


def section(people: People, facts: Facts) -> Section:
    """People against each other, the metric in their place, and the limit that their noise sets."""
    weighted = people.leave_one_out
    others = weighted.annotators_like_these
    rows = (
        *_compared(weighted.by_comparison, others.by_comparison if others else None, ""),
        *_compared(weighted.by_vote, others.by_vote if others else None, ", every vote weighing the same"),
        share_row(
            "Greatest agreement that any metric could reach",
            people.greatest_agreement,
            remark="given the noise of these votes, by a beta-binomial model",
        ),
    )
    text = "Each vote against the winner of the other votes of its comparison (the model with more of them), where a "
    text += "tie on one side counts one half. The metric is judged on the same votes and the same winners, so that the "
    text += "two can be compared."
    texts = (text, *first_votes_note(facts.manifest), *_why_no_others(others), _test(people, facts.study))
    return Section("people", "How well annotators agree with the others", texts, rows, _tables(people, facts.study))


def _compared(these: Compared, others: Compared | None, weights: str) -> tuple[Row, ...]:
    kinds: tuple[tuple[str, Callable[..., Row], str], ...] = (
        ("people", share_row, "One annotator against the others"),
        ("metric", share_row, "The metric in their place"),
        ("difference", points_row, "Metric minus annotator"),
    )
    return tuple(
        row
        for name, kind, label in kinds
        for row in rows_of_both(kind, label + weights, getattr(these, name), getattr(others, name, None))
    )


def _why_no_others(others: Weighted | None) -> tuple[str, ...]:
    if others is None:
        return ()
    each, votes = others.by_comparison, others.by_vote
    return why_no_others((each.people, each.metric, each.difference, votes.people, votes.metric, votes.difference))


def _test(people: People, study: StudyFacts) -> str:
    reason = people.alternative_annotator[0].reason
    if reason:
        return f"Alternative annotator test (Calderon, Reichart and Dror, 2025): {reason}."
    if study.are_several:
        passes = "fixed orders and the coin: if the higher model wins nearly always, naming it always passes too"
    else:
        passes = "constant choices and the coin: if one model wins nearly always, naming it always passes too"
    return (
        "Alternative annotator test (Calderon, Reichart and Dror, 2025): whether a contestant is at least as close to "
        "the other annotators as the one it replaces, within the tolerance that the study file fixed. Read the metric "
        f"beside the {passes}, and if annotators hardly agree with each other, anything does."
        f"{_how_many_are_needed(people.one_more_person)}"
    )


def _how_many_are_needed(person: OneMorePerson | None) -> str:
    """A sentence on what the share of replaceable annotators can be with so many comparisons."""
    if person is None or person.winning_rate.value is None:
        return ""
    needed = person.comparisons_needed
    half = "one half in four draws of five"
    more = f"with about {needed} it is at least {half}" if needed else f"it does not reach {half}: {person.reason}"
    return (
        f" The share that is replaceable grows with the comparisons. With the {person.comparisons} of each annotator "
        f"here, one more person in the metric's place would replace {percent(person.winning_rate.value)} on average; "
        f"{more}."
    )


def _tables(people: People, study: StudyFacts) -> tuple[Table, ...]:
    by_count = Table(
        "By number of votes for each comparison",
        ("Votes", "Comparisons", "Annotator", "Metric"),
        tuple(
            (str(row.votes), str(row.comparisons), percent(row.people), percent(row.metric))
            for row in people.leave_one_out.by_count
        ),
        (0, 1, 2, 3),
    )
    names = _NAMES | (_OF_SEVERAL if study.are_several else {})
    rows = [_contestant(row, names) for row in people.alternative_annotator if not row.reason]
    if rows and people.one_more_person:
        rows.insert(0, _one_more_person(people.one_more_person))
    contestants = Table(
        "Alternative annotator test: share of annotators that could be replaced (one-sided t-tests, corrected by "
        "Benjamini and Yekutieli), and share of comparisons where the contestant is at least as close to the others. "
        "In brackets: for a contestant the interval for annotators like these (two-way jackknife), for one more person "
        "percentiles over draws",
        ("Contestant", "Tolerance", "Annotators", "Replaceable", "At least as close"),
        tuple(rows),
        (1, 2, 3, 4),
    )
    return tuple(table for table in (by_count, contestants) if table.rows)


def _contestant(row: Outcome, names: Mapping[str, str]) -> tuple[str, ...]:
    replaceable, closeness = (
        UNDEFINED if share is None else percent(share) for share in (row.winning_rate, row.advantage)
    )
    if row.advantage_interval is not None:
        closeness = cells(row.advantage_interval, percent)[0]
    constant = sum(duel.is_constant for duel in row.annotators)
    name = names[row.contestant] + (
        f" (differences all equal for {constant}: decided without a test)" if constant else ""
    )
    return name, f"{row.tolerance:g}", str(len(row.annotators)), replaceable, closeness


def _one_more_person(person: OneMorePerson) -> tuple[str, ...]:
    shares = (cells(share, percent)[0] for share in (person.winning_rate, person.advantage))
    return "One more person (drawn)", f"{person.tolerance:g}", str(person.winning_rate.n), *shares


def single_votes_section(found: SingleVotes, facts: Facts) -> Section:
    """One vote against the metric, and against another vote."""
    rows = (
        share_row("A new annotator agrees with the metric", found.metric),
        share_row("A new annotator agrees with another annotator", found.people),
        points_row("Metric minus annotator", found.difference),
    )
    text = (
        "What to expect of one more annotator on one more prompt: the votes one by one, without a majority, so that "
        "the numbers do not depend on how many votes a comparison has. Each comparison has the same weight; a tie on "
        "one side only counts one half. The intervals speak about other prompts and other annotators, like those of "
        "this study."
    )
    texts = (text, *first_votes_note(facts.manifest))
    return Section("single-votes", "A new annotator on a new prompt", texts, rows)


def non_inferiority_section(found: NonInferiority, facts: Facts) -> Section:
    """The verdict, and the difference that it rests on."""
    rows = (
        Row(
            "Verdict",
            found.verdict,
            n=found.difference.n,
            remark=person_verdict(found, metric_name(facts.study.metric)),
        ),
        points_row("Metric minus annotator", found.difference),
    )
    text = (
        "Whether a new annotator on a new prompt agrees with the metric as often as with another annotator, within a "
        f"margin of {margin_in_points(found.margin)}, which the study file fixed. Each end of the interval is a "
        f"one-sided bound at {50 * (1 + found.difference.level):g} %: shown if the lower end is above minus the "
        "margin, shown worse if the upper end is below it, else undecided."
    )
    return Section("non-inferiority", "The metric in the place of a person", (text,), rows, is_part=True)
