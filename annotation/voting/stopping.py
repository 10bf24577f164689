"""Early stopping: a comparison takes no more votes once no further vote can change its winner."""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Count, F, QuerySet
from django.db.models.functions import Abs

from annotation.models import Comparison, Study
from annotation.voting.rules import VotingRules, is_decided
from annotation.voting.slots import FOR_A, FOR_B, FOR_TIE, counted_votes

COMPARISONS_PER_TRANSACTION = 500


def close_decided(comparisons: QuerySet[Comparison], *, rules: VotingRules, now: datetime) -> int:
    """Close the comparisons that are decided, up to COMPARISONS_PER_TRANSACTION; return how many there were.

    A vote that its annotator may still undo counts as a vote that may still come, and so does an excluded vote,
    because its exclusion may be taken back. A comparison that another transaction has locked is left to it. Runs in a
    transaction.
    """
    if not rules.stops_early:
        return 0
    locked = _likely(comparisons).order_by("pk").select_for_update(no_key=True, skip_locked=True, of=("self",))
    overlaps = dict(locked.values_list("pk", "overlap")[:COMPARISONS_PER_TRANSACTION])
    if not overlaps:
        return 0
    settled = counted_votes().filter(received_at__lt=now - timedelta(seconds=rules.undo_seconds))
    tallies = (
        settled.filter(assignment__comparison__in=overlaps)
        .order_by()
        .values(comparison=F("assignment__comparison"))
        .annotate(for_a=Count("id", filter=FOR_A), for_b=Count("id", filter=FOR_B), ties=Count("id", filter=FOR_TIE))
    )
    decided = [
        row["comparison"]
        for row in tallies
        if is_decided(for_a=row["for_a"], for_b=row["for_b"], ties=row["ties"], overlap=overlaps[row["comparison"]])
    ]
    return Comparison.objects.filter(pk__in=decided).update(decided_at=now)


def close_all_decided(*, study: Study, rules: VotingRules, now: datetime) -> int:
    """Close all decided comparisons of the study, a batch in each transaction; return how many there were."""
    if not rules.stops_early:
        return 0
    unfinished = Comparison.objects.filter(study=study, vote_count__lt=F("overlap"), parked_at=None)
    ids = list(_likely(unfinished).order_by("pk").values_list("pk", flat=True))
    count = 0
    for start in range(0, len(ids), COMPARISONS_PER_TRANSACTION):
        batch = Comparison.objects.filter(pk__in=ids[start : start + COMPARISONS_PER_TRANSACTION])
        with transaction.atomic():
            count += close_decided(batch, rules=rules, now=now)
    return count


def _likely(comparisons: QuerySet[Comparison]) -> QuerySet[Comparison]:
    """The comparisons that may be decided: their lead would be large enough if all their votes counted."""
    return comparisons.filter(decided_at=None, overlap__lt=Abs("lead") + F("vote_count"))
