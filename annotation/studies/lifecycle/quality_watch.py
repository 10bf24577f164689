"""Count the exclusions of a study by rule, and raise an alarm if a rule excludes more than before.

These are counts only, which a sealed study may show.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from django.db.models import Count, Exists, OuterRef

from annotation.models import Annotator, Assignment, Study, Vote
from annotation.studies.current import current_manifests
from annotation.voting.quality.broken_rules import rules_in, thresholds
from annotation.voting.rules import QualityRule, VotingRules
from jobs.wording import counted
from scoring.statistics.votes.screening import rise_probability

LATELY = 20  # annotators
WATCHED = (Study.State.OPEN, Study.State.PAUSED)
# The page is opened often and there are four rules: with a chance of one in twenty there would be an alarm each week.
ALARM_PROBABILITY = 0.001


@dataclass(frozen=True, slots=True)
class RuleCount:
    """A rule of the study and its exclusions. `probability`: the chance that an attentive annotator breaks the rule.

    threshold: the count that breaks the rule. annotators, votes: how many it excludes. lately, before: (annotators
    excluded, annotators) among the LATELY who came last and among all before them.
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
        """The chance of at least as many exclusions lately, if their rate had stayed the same."""
        return rise_probability(before=self.before, lately=self.lately)

    @property
    def excluded(self) -> str:
        """The exclusions in words. An annotator who breaks two rules counts for both."""
        who = f"{counted(self.annotators, 'annotator')}, {counted(self.votes, 'vote')}"
        return f"{who} (chance {self.probability:g} if attentive)"

    @property
    def is_alarming(self) -> bool:
        """Whether this rule excludes so many lately that the researcher should look."""
        return self.rise <= ALARM_PROBABILITY

    def __str__(self) -> str:
        (now, count), (then, before) = self.lately, self.before
        chance = f"= {self.rise:.4f}" if self.rise >= 0.0001 else "< 0.0001"
        return (
            f"“{self.rule.words}” excludes {now} of the latest {count} annotators, after {then} of the {before} before "
            f"them (p {chance}). Look at the images, the words and where people come from."
        )


def rule_counts(study: Study) -> tuple[RuleCount, ...]:
    """Return the count of each rule of the study, with two queries; without rules there is no query."""
    return rule_counts_of([study])[study.pk]


def rule_counts_of(studies: Iterable[Study]) -> dict[int, tuple[RuleCount, ...]]:
    """Return the rule counts of several studies, by the study's id, with as many queries as for one."""
    rules_of = {pk: manifest.voting_rules() for pk, manifest in current_manifests(studies).items()}
    ruled = [pk for pk, rules in rules_of.items() if rules.quality.in_force]
    broken, votes = _broken_rules(ruled), _excluded_votes(ruled)
    return {pk: tuple(_counts(rules, broken.get(pk, []), votes.get(pk, Counter()))) for pk, rules in rules_of.items()}


def _counts(rules: VotingRules, broken: list[str], votes: Counter[str]) -> Iterator[RuleCount]:
    limits = thresholds(rules.quality, rules.comparisons_per_annotator)
    for rule in rules.quality.in_force:
        is_broken = [rule in rules_in(rules_broken) for rules_broken in broken]
        lately, before = is_broken[-LATELY:], is_broken[:-LATELY]
        yield RuleCount(
            rule=rule,
            probability=rules.quality.probability(rule),
            threshold=limits[rule],
            annotators=sum(is_broken),
            votes=sum(count for rules_broken, count in votes.items() if rule in rules_in(rules_broken)),
            lately=(sum(lately), len(lately)),
            before=(sum(before), len(before)),
        )


def alarms(study: Study) -> tuple[RuleCount, ...]:
    """Return the rules that lately exclude more, if the study takes votes."""
    return alarms_of([study])[study.pk]


def alarms_of(studies: Sequence[Study]) -> dict[int, tuple[RuleCount, ...]]:
    """Return the alarms of several studies, by the study's id, with as many queries as for one."""
    counts = rule_counts_of(study for study in studies if study.state in WATCHED)
    return {study.pk: alarming(study, counts.get(study.pk, ())) for study in studies}


def alarming(study: Study, counts: Iterable[RuleCount]) -> tuple[RuleCount, ...]:
    """Return those of the study's rule counts that are alarming."""
    return tuple(count for count in counts if count.is_alarming) if study.state in WATCHED else ()


def _broken_rules(studies: Sequence[int]) -> dict[int, list[str]]:
    """Return by study the rules broken by each annotator who has voted, in the order of their arrival."""
    broken_of: dict[int, list[str]] = {}
    if studies:
        voted = Assignment.objects.filter(
            annotator=OuterRef("pk"), kind=Assignment.Kind.MAIN, state=Assignment.State.VOTED
        )
        came = Annotator.objects.filter(Exists(voted), study__in=studies).order_by("pk")
        for study, broken in came.values_list("study_id", "broken_rules"):
            broken_of.setdefault(study, []).append(broken)
    return broken_of


def _excluded_votes(studies: Sequence[int]) -> dict[int, Counter[str]]:
    """Count by study the votes that each combination of broken rules excludes."""
    votes_of: dict[int, Counter[str]] = {}
    if studies:
        standing = Vote.objects.filter(assignment__annotator__study__in=studies, state=Vote.State.STANDING)
        excluded = standing.exclude(assignment__annotator__broken_rules="").exclude(excluded_at=None).order_by()
        rows = excluded.values_list("assignment__annotator__study", "assignment__annotator__broken_rules")
        for study, broken, count in rows.annotate(count=Count("pk")):
            votes_of.setdefault(study, Counter())[broken] = count
    return votes_of
