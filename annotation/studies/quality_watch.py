"""Exclusions of a study by rule, and the alarm where a rule begins to exclude more. Counts: nothing here is sealed."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Count, Exists, OuterRef

from annotation.models import Assignment, Study, Vote
from annotation.studies.current import current_manifest
from annotation.voting.exclusion import rules_in
from annotation.voting.quality import thresholds
from annotation.voting.rules import QualityRule
from scoring.statistics.screening import rise_probability

LATELY = 20  # annotators
# The page is looked at often and there are four rules: a chance of one in twenty would ring every week.
ALARM_PROBABILITY = 0.001


@dataclass(frozen=True, slots=True)
class RuleCount:
    """A rule of the study: its chance for somebody attentive, the count that breaks it, and whom it excluded.

    lately, before: (annotators excluded, annotators) among the latest LATELY to come and among all before.
    """

    rule: QualityRule
    probability: float
    threshold: int
    annotators: int
    votes: int
    lately: tuple[int, int]
    before: tuple[int, int]

    @property
    def rise(self) -> float:
        """The chance of as many exclusions lately, had their rate stayed the same."""
        return rise_probability(before=self.before, lately=self.lately)

    @property
    def excluded(self) -> str:
        """Whom the rule excluded; somebody who breaks two rules stands with both."""
        annotators, votes = "annotator" + "s" * (self.annotators != 1), "vote" + "s" * (self.votes != 1)
        return f"{self.annotators} {annotators}, {self.votes} {votes} (chance {self.probability:g} if attentive)"

    @property
    def is_alarming(self) -> bool:
        """Whether exclusions by this rule have become so frequent that somebody should look."""
        return self.rise <= ALARM_PROBABILITY

    def __str__(self) -> str:
        (now, count), (then, before) = self.lately, self.before
        chance = f"= {self.rise:.4f}" if self.rise >= 0.0001 else "< 0.0001"
        return (
            f"“{self.rule.words}” excludes {now} of the latest {count} annotators, after {then} of the {before} before "
            f"them (p {chance}). Look at the images, the words and where people come from."
        )


def rule_counts(study: Study) -> tuple[RuleCount, ...]:
    """One for each rule that the study has; two queries, none where it has no rule."""
    rules = current_manifest(study).voting_rules()
    limits = thresholds(rules.quality, rules.comparisons_per_annotator)
    if not limits:
        return ()
    voted = Assignment.objects.filter(annotator=OuterRef("pk"), kind=Assignment.Kind.MAIN, state=Assignment.State.VOTED)
    broken = list(study.annotators.filter(Exists(voted)).order_by("pk").values_list("broken_rules", flat=True))
    votes = _excluded_votes(study)
    return tuple(
        _count(rule, rules.quality.probability(rule), limits[rule], [rule in rules_in(one) for one in broken], votes)
        for rule in rules.quality.in_force
    )


def alarms(study: Study) -> tuple[RuleCount, ...]:
    """The rules that exclude more of late, in a study that takes votes."""
    if study.state not in (Study.State.OPEN, Study.State.PAUSED):
        return ()
    return tuple(count for count in rule_counts(study) if count.is_alarming)


def _excluded_votes(study: Study) -> Counter[str]:
    """How many votes each combination of broken rules excludes."""
    excluded = Vote.objects.filter(assignment__annotator__study=study, state=Vote.State.STANDING)
    of_broken = excluded.exclude(assignment__annotator__broken_rules="").exclude(excluded_at=None).order_by()
    rows = of_broken.values_list("assignment__annotator__broken_rules").annotate(Count("pk"))
    return Counter(dict(rows))


def _count(
    rule: QualityRule, probability: float, threshold: int, is_broken: Sequence[bool], votes: Counter[str]
) -> RuleCount:
    lately, before = is_broken[-LATELY:], is_broken[:-LATELY]
    return RuleCount(
        rule=rule,
        probability=probability,
        threshold=threshold,
        annotators=sum(is_broken),
        votes=sum(count for broken, count in votes.items() if rule in rules_in(broken)),
        lately=(sum(lately), len(lately)),
        before=(sum(before), len(before)),
    )
