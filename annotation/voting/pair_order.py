"""Several models in the voting: which pair of them comes first, and how often an annotator had each on the left."""

import math
from collections import Counter
from collections.abc import Mapping

from django.db.models import Count, Sum

from annotation.models import Annotator, Assignment, Comparison

Pair = tuple[str, str]  # the manifest's keys of two models
Votes = tuple[int, int]  # for the first and for the second


def uncertain_first(votes: Mapping[Pair, Votes]) -> list[Pair]:
    """Return the pairs in order of the difference in votes beside its standard error, the least certain first; pure.

    A pair without votes for either model comes before all others; of equal pairs, the one with fewer votes.

    >>> uncertain_first({("a", "b"): (9, 1), ("a", "c"): (6, 4), ("b", "c"): (0, 0)})
    [('b', 'c'), ('a', 'c'), ('a', 'b')]
    """

    def certainty(pair: Pair) -> tuple[float, int, Pair]:
        first, second = votes[pair]
        return abs(first - second) / math.sqrt(max(1, first + second)), first + second, pair

    return sorted(votes, key=certainty)


def votes_of_pairs(study_id: int) -> dict[Pair, Votes]:
    """Return the counted votes for the first and for the second model of each pair, by one query over the counters."""
    rows = Comparison.objects.filter(study=study_id).order_by().values_list("model_a", "model_b")
    return {(a, b): (for_a, for_b) for a, b, for_a, for_b in rows.annotate(Sum("votes_a"), Sum("votes_b"))}


def left_lead_of(annotator: Annotator, comparison: Comparison) -> int:
    """Return how much more often the annotator had side A's model on the left than on the right, less the same of B's.

    Over all comparisons with either model, whichever the other one was.
    """
    main = Assignment.objects.filter(annotator=annotator, kind=Assignment.Kind.MAIN).order_by()
    leads: Counter[str] = Counter()
    sides = main.values_list("comparison__model_a", "comparison__model_b", "left_model").annotate(Count("pk"))
    for model_a, model_b, left, count in sides:
        lead = count if left == Assignment.Side.A else -count
        leads.update({model_a: lead, model_b: -lead})
    return leads[comparison.model_a] - leads[comparison.model_b]
