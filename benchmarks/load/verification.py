"""Compare the database after a run with the responses to the crowd."""

from dataclasses import dataclass
from uuid import UUID

from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from annotation.models import Annotator, Assignment, Study, Vote
from benchmarks.load.crowd import Tally

HOLDING = (Assignment.State.LEASED, Assignment.State.VOTED)
IDS_PER_QUERY = 500


@dataclass(frozen=True, slots=True)
class Verdict:
    """How often each promise was broken, and the number of `stored` votes."""

    stored: int
    over_assigned: int
    wrong_counters: int
    duplicates: int
    lost: int
    false_ends: int

    @property
    def is_clean(self) -> bool:
        """Whether no promise was broken."""
        return not (self.over_assigned or self.wrong_counters or self.duplicates or self.lost or self.false_ends)

    def __str__(self) -> str:
        return (
            f"{self.stored} votes stored; {self.over_assigned} over-assigned, {self.wrong_counters} wrong counters, "
            f"{self.duplicates} duplicates, {self.lost} acknowledged and lost, {self.false_ends} false ends"
        )


def verify(study: Study, tally: Tally) -> Verdict:
    """Count the rows themselves, never the counters under test."""
    main = Assignment.objects.filter(comparison=OuterRef("pk"), kind=Assignment.Kind.MAIN).order_by()
    held = main.filter(state__in=HOLDING).values("comparison").annotate(n=Count("pk")).values("n")
    voted = main.filter(votes__state=Vote.State.STANDING).values("comparison").annotate(n=Count("pk")).values("n")
    comparisons = study.comparisons.annotate(held=Coalesce(Subquery(held), 0), voted=Coalesce(Subquery(voted), 0))
    standing = Vote.objects.filter(assignment__comparison__study=study, state=Vote.State.STANDING)
    return Verdict(
        stored=standing.count(),
        over_assigned=comparisons.filter(Q(held__gt=F("overlap")) | Q(voted__gt=F("overlap"))).count(),
        wrong_counters=comparisons.exclude(slot_count=F("held"), vote_count=F("voted")).count(),
        duplicates=_duplicates(standing),
        lost=_lost(tally),
        false_ends=sum(is_false_end(study, token) for token in tally.done),
    )


def _duplicates(standing: QuerySet[Vote]) -> int:
    """Count pairs of annotator and comparison with more than one vote that counts."""
    pairs = standing.order_by().values("assignment__annotator", "assignment__comparison").annotate(n=Count("pk"))
    return pairs.filter(n__gt=1).count()


def _lost(tally: Tally) -> int:
    """Count acknowledged votes that are missing or stored differently."""
    told = {"accepted": Vote.State.STANDING, "late": Vote.State.LATE}
    ids = list(tally.acknowledged)
    found: dict[UUID, str] = {}
    for start in range(0, len(ids), IDS_PER_QUERY):
        found |= dict(Vote.objects.filter(pk__in=ids[start : start + IDS_PER_QUERY]).values_list("pk", "state"))
    return sum(found.get(one) != told[state] for one, state in tally.acknowledged.items() if state in told)


def is_false_end(study: Study, token: str) -> bool:
    """Whether an annotator got "done" although a comparison without enough votes was left; votes only grow here."""
    annotator = Annotator.objects.get(token=token)
    answered = Assignment.objects.filter(annotator=annotator, state__in=Assignment.ANSWERED).values("comparison")
    return study.comparisons.filter(vote_count__lt=F("overlap")).exclude(pk__in=answered).exists()
