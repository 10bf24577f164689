"""Exclusions of a study by rule, and the alarm where a rule begins to exclude more. Counts: nothing here is sealed."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from django.db.models import Count, Exists, OuterRef

from annotation.models import Annotator, Assignment, Study, Vote
from annotation.studies.current import current_manifests
from annotation.voting.quality.broken_rules import thresholds
from annotation.voting.quality.exclusion import rules_in
from annotation.voting.rules import QualityRule, VotingRules
from jobs.wording import counted
from scoring.statistics.screening import rise_probability

LATELY = 20  # annotators
WATCHED = (Study.State.OPEN, Study.State.PAUSED)
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
        whom, votes = counted(self.annotators, "annotator"), counted(self.votes, "vote")
        return f"{whom}, {votes} (chance {self.probability:g} if attentive)"

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
    return rule_counts_of([study])[study.pk]


def rule_counts_of(studies: Iterable[Study]) -> dict[int, tuple[RuleCount, ...]]:
    """The rules of several studies with what they exclude, by the study's id: as many queries as for one."""
    rules = {pk: manifest.voting_rules() for pk, manifest in current_manifests(studies).items()}
    ruled = [pk for pk, one in rules.items() if one.quality.in_force]
    broken, votes = _broken_rules(ruled), _excluded_votes(ruled)
    return {pk: tuple(_counts(one, broken.get(pk, []), votes.get(pk, Counter()))) for pk, one in rules.items()}


def _counts(rules: VotingRules, broken: list[str], votes: Counter[str]) -> Iterator[RuleCount]:
    limits = thresholds(rules.quality, rules.comparisons_per_annotator)
    for rule in rules.quality.in_force:
        is_broken = [rule in rules_in(one) for one in broken]
        yield _count(rule, rules.quality.probability(rule), limits[rule], is_broken, votes)


def alarms(study: Study) -> tuple[RuleCount, ...]:
    """The rules that exclude more of late, in a study that takes votes."""
    return alarms_of([study])[study.pk]


def alarms_of(studies: Sequence[Study]) -> dict[int, tuple[RuleCount, ...]]:
    """The alarms of several studies, by the study's id: as many queries as for one."""
    counts = rule_counts_of(study for study in studies if study.state in WATCHED)
    return {study.pk: alarming(study, counts.get(study.pk, ())) for study in studies}


def alarming(study: Study, counts: Iterable[RuleCount]) -> tuple[RuleCount, ...]:
    """Those of a study's `rule_counts` that are an alarm."""
    return tuple(one for one in counts if one.is_alarming) if study.state in WATCHED else ()


def _broken_rules(studies: Sequence[int]) -> dict[int, list[str]]:
    """The rules broken by each annotator who has voted, in the order in which they came, by study."""
    found: dict[int, list[str]] = {}
    if studies:
        voted = Assignment.objects.filter(
            annotator=OuterRef("pk"), kind=Assignment.Kind.MAIN, state=Assignment.State.VOTED
        )
        came = Annotator.objects.filter(Exists(voted), study__in=studies).order_by("pk")
        for study, broken in came.values_list("study_id", "broken_rules"):
            found.setdefault(study, []).append(broken)
    return found


def _excluded_votes(studies: Sequence[int]) -> dict[int, Counter[str]]:
    """How many votes each combination of broken rules excludes, by study."""
    found: dict[int, Counter[str]] = {}
    if studies:
        standing = Vote.objects.filter(assignment__annotator__study__in=studies, state=Vote.State.STANDING)
        excluded = standing.exclude(assignment__annotator__broken_rules="").exclude(excluded_at=None).order_by()
        rows = excluded.values_list("assignment__annotator__study", "assignment__annotator__broken_rules")
        for study, broken, count in rows.annotate(count=Count("pk")):
            found.setdefault(study, Counter())[broken] = count
    return found


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
