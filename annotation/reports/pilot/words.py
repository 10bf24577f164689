"""A pilot's result as sentences; pure."""

from collections.abc import Callable, Iterator

from annotation.reports.pilot.result import HIGH, PilotPlan, PilotResult, possible_flips
from annotation.reports.printing.numbers import coefficient, percent, seconds
from jobs.wording import counted
from scoring.statistics.inference.estimate import Estimate


def answer(result: PilotResult) -> str:
    """Return the answer in one sentence: the study to plan if people agree as little as the interval allows."""
    if not result.plans:
        return f"No sample size follows: {result.plans_reason}."
    safe = min(result.plans, key=lambda plan: plan.end == HIGH)
    return plan_sentence(safe)


def plan_sentence(plan: PilotPlan) -> str:
    """Return the study to plan at one end of the interval, or why there is none."""
    if plan.comparisons is None or plan.annotators is None:
        return f"No sample size follows: {plan.reason.rstrip('.')}."
    hours = "" if plan.hours is None else f", about {hours_in_words(plan.hours)} of voting"
    return (
        f"Plan {counted(plan.comparisons, 'comparison')}, {counted(plan.overlap, 'vote')} each, "
        f"{counted(plan.annotators, 'annotator')}{hours}."
    )


def hours_in_words(hours: float) -> str:
    """Return a time as hours, or as minutes below one hour."""
    return counted(max(1, round(hours * 60)), "minute") if hours < 1 else counted(round(hours), "hour")


def facts(result: PilotResult) -> Iterator[tuple[str, str, str]]:
    """Yield what the pilot saw: a name, a value, and a remark."""
    pace = result.pace
    middle = f"middle half {pace.middle_half[0]:.1f} to {pace.middle_half[1]:.1f} s" if pace.middle_half else ""
    people = f"medians of the annotators {pace.of_people[0]:.1f} to {pace.of_people[1]:.1f} s" if pace.of_people else ""
    how_many = f"{counted(pace.votes, 'vote')} of {counted(pace.voters, 'annotator')}"
    yield "Median time of a vote", seconds(pace.seconds), "; ".join(one for one in (middle, people, how_many) if one)
    yield "Left before the end", f"{pace.left_early} of {counted(pace.voters, 'annotator')}", ""
    if result.reliability is None:
        yield "Reliability", "sealed", "shown once the pilot is closed"
        return
    seen = result.reliability
    yield "Two annotators agree", *_estimate(seen.pairwise_agreement, percent)
    yield "Krippendorff's alpha", *_estimate(seen.alpha, coefficient)
    yield "Gwet's AC1", *_estimate(seen.ac1, coefficient)
    ties = "undefined" if seen.tie_share is None else percent(seen.tie_share)
    yield "Ties", ties, f"of {counted(seen.counted_votes, 'counted vote')}"
    flips = "unknown" if result.flips is None else percent(result.flips)
    yield "Winners of the metric that fresh seeds would change", flips, result.flips_reason


def assumptions(result: PilotResult) -> tuple[str, ...]:
    """Return what the plans take from the pilot, and what they assume."""
    seen = result.flips is not None
    fresh = f"fresh seeds change {percent(possible_flips(result.flips, result.agreement))} of the metric's winners"
    return (
        f"The size is the smallest with which {percent(result.power_wanted)} of simulated studies show that a metric "
        f"that agrees with people in {percent(result.agreement)} of the comparisons beats always naming one model, "
        f"which is right in {percent(result.baseline)}. These two numbers are assumptions: a pilot is too small to "
        "say how often the metric is right."
        + ("" if seen else f" That {fresh} is an assumption, too: this pilot does not know it."),
        "From the pilot come the noise of the votes (both ends of the interval of how often two annotators agree; each "
        "comparison is taken for equally clear), the ties, the annotators who left early, "
        + ("the metric's winners that fresh seeds would change, " if seen else "")
        + "and the time of a vote.",
    )


def to_text(result: PilotResult) -> str:
    """Return the result as text for a terminal."""
    lines = [f"{name}: {value}{f' ({remark})' if remark else ''}" for name, value, remark in facts(result)]
    plans = [f"At the {plan.end} end of the interval: {plan_sentence(plan)}" for plan in result.plans]
    return "\n".join([answer(result), "", *lines, "", *plans, *(assumptions(result) if result.plans else ())]) + "\n"


def _estimate(estimate: Estimate, shown: Callable[[float], str]) -> tuple[str, str]:
    if estimate.value is None:
        return "undefined", estimate.reason
    if estimate.low is None or estimate.high is None:
        return shown(estimate.value), f"no interval: {estimate.reason}"
    whose = f", for {estimate.population}" if estimate.population else ""
    bounds = f"{100 * estimate.level:g} % interval {shown(estimate.low)} to {shown(estimate.high)}{whose}"
    return shown(estimate.value), bounds
