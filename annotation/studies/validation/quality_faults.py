"""Faults between keys of a study's checks and quality rules, each of which is valid by itself; pure.

A rule that nobody can break, and a check that fits nowhere, would promise something that never happens.
"""

from collections.abc import Iterator
from itertools import pairwise

from annotation.studies.pairs import planned_count
from annotation.studies.section import Fault, Parts
from annotation.voting.quality.broken_rules import HALF, thresholds
from annotation.voting.rules import MOST_CHANCE, MOST_FAST_SECONDS, QualityRule, QualityRules
from jobs.wording import counted

CHECKS = ("ladder", "repeats", "instructed")
FEWEST_COMPARISONS_WITH_A_REPEAT = 3  # a comparison, another one, the repeat of the first
# With two prompts the other one fills more than half of the set, and the set looks consistent.
FEWEST_PROMPTS_BEYOND_HALF = 3


def quality_faults(parts: Parts) -> Iterator[Fault]:
    """Yield every fault within the section quality, and between it and prompts, source, quota and texts."""
    rules: QualityRules | None = parts.get("quality")
    if rules is None:
        return
    yield from _sources(parts, rules)
    yield from _rungs(parts, rules)
    if "annotation" in parts and "prompts" in parts:
        quota = min(parts["annotation"].comparisons_per_annotator, planned_count(parts) or len(parts["prompts"]))
        yield from _too_many_checks(rules, quota)
        yield from _unbreakable_rules(parts, rules, quota)
        yield from _never_fast(parts, rules)
    yield from _screening_rules(rules)
    yield from _instruction(parts)


def _fault(key: str, sentence: str) -> Fault:
    return Fault(("quality", key), sentence)


def _sources(parts: Parts, rules: QualityRules) -> Iterator[Fault]:
    names = [name for name in CHECKS if getattr(rules, name)]
    if names and parts.get("source") == "external":
        yield _fault(names[0], 'makes checks of images, and source is "external", which has none; leave it out.')
    elif rules.ladder and "prompts" in parts and len(parts["prompts"]) < 2:
        yield _fault(
            "ladder", "needs images of two prompts, but the study has only one; give another prompt, or leave it out."
        )


def _rungs(parts: Parts, rules: QualityRules) -> Iterator[Fault]:
    if any(share < following for share, following in pairwise(rules.ladder)):
        yield _fault("ladder", "must go downward, from the most obvious share to the least, like [0.75, 0.5, 0.25].")
    count = len(parts.get("prompts", ()))
    if max(rules.ladder, default=0) > HALF and 2 <= count < FEWEST_PROMPTS_BEYOND_HALF:
        yield _fault(
            "ladder",
            "a share above 0.5 needs images of three prompts, but the study has two; give another, or begin at 0.5.",
        )


def _too_many_checks(rules: QualityRules, quota: int) -> Iterator[Fault]:
    if rules.check_count > quota:
        checks, comparisons = counted(rules.check_count, "check"), counted(quota, "comparison")
        sentence = f"{checks} among {comparisons} are too many; plan at most {quota} in all."
        yield _fault(next(name for name in CHECKS if getattr(rules, name)), sentence)
    elif rules.repeats and quota - 1 <= rules.repeat_distance:
        both = "repeats" + (" and repeats_contradicted" if rules.repeats_contradicted else "")
        yield _fault(
            "repeat_distance",
            f"is {rules.repeat_distance}, but an annotator has {counted(quota, 'comparison')}: no repeat "
            "fits. " + (f"Give at most {quota - 2}, or leave {both} out." if quota > 2 else f"Leave {both} out."),
        )


def _unbreakable_rules(parts: Parts, rules: QualityRules, quota: int) -> Iterator[Fault]:
    tries = {
        QualityRule.CHECKS_FAILED: (rules.decisive_count, "checks that count (rungs from 0.5 on, instructed items)"),
        QualityRule.TOO_FAST: (quota, "comparisons"),
        QualityRule.SAME_SIDE: (quota, "comparisons"),
        QualityRule.REPEATS_CONTRADICTED: (rules.repeats, "repeats"),
    }
    has_room = parts.get("source") != "external" and rules.check_count < quota
    can_be_more = {"comparisons": True, "repeats": has_room and quota >= FEWEST_COMPARISONS_WITH_A_REPEAT}
    for rule, limit in thresholds(rules, quota).items():
        count, what = tries[rule]
        if limit > count:
            ways = ["Leave the rule out" + (", in screens_out too" if rule in rules.screens_out else "")]
            ways += ["raise its probability"] if rules.probability(rule) < MOST_CHANCE else []
            ways += [f"plan more {what.partition(' ')[0]}"] if can_be_more.get(what, has_room) else []
            yield _fault(
                rule,
                f"nobody can break this rule: with {count} {what}, even the worst result has a chance above "
                f"{rules.probability(rule):g}. {', or '.join(ways)}.",
            )


def _never_fast(parts: Parts, rules: QualityRules) -> Iterator[Fault]:
    minimum = parts["annotation"].minimum_viewing_seconds
    if rules.too_fast and minimum >= rules.fast_seconds:
        longer = "must be more than that, " if minimum < MOST_FAST_SECONDS else ""
        yield _fault(
            "fast_seconds",
            f"nobody votes within annotation.minimum_viewing_seconds ({minimum:g}): {longer}"
            "shorten annotation.minimum_viewing_seconds, or leave too_fast out.",
        )


def _screening_rules(rules: QualityRules) -> Iterator[Fault]:
    for index, rule in enumerate(rules.screens_out):
        if not rules.probability(rule):
            sentence = f"{rule} is no rule of this study; take it off this list, or give quality.{rule} a probability."
            yield Fault(("quality", "screens_out", index), sentence)


def _instruction(parts: Parts) -> Iterator[Fault]:
    if "texts" in parts and "{side}" not in parts["texts"].instructed:
        yield Fault(("texts", "instructed"), "must contain {side}, where the side to choose is named.")
