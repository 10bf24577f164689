"""The dry run against the real thing: the same comparisons get the same votes."""

from uuid import uuid4

import pytest
from django.utils import timezone

from annotation.models import Annotator, Comparison
from annotation.studies.current import current_manifest
from annotation.voting.assignment import next_assignment
from annotation.voting.casting import Ballot, cast_vote
from annotation.voting.dry_run import dry_run
from tests.factories import make_study

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(("annotators", "quota"), [(2, 3), (5, 4), (9, 4)])
def test_a_dry_run_gives_the_votes_that_annotators_one_after_the_other_give(annotators: int, quota: int) -> None:
    study = make_study(comparisons=7, annotation={"overlap": 3, "comparisons_per_annotator": quota})
    rules = current_manifest(study).voting_rules()
    seeds = [1000 + number for number in range(annotators)]
    for seed in seeds:
        annotator = Annotator.objects.create(study=study, kind=Annotator.Kind.PERSONAL, seed=seed)
        while assignment := next_assignment(annotator=annotator, rules=rules, now=timezone.now()).assignment:
            ballot = Ballot(vote_id=uuid4(), choice="left")
            cast_vote(ballot=ballot, assignment=assignment, rules=rules, now=timezone.now())
    given = list(Comparison.objects.filter(study=study).order_by("position").values_list("vote_count", flat=True))
    assert dry_run(comparisons=7, overlap=3, quotas=[quota] * annotators, seeds=seeds).tolist() == given


def test_no_comparison_gets_more_than_its_overlap_and_all_fill_evenly() -> None:
    votes = dry_run(comparisons=30, overlap=4, quotas=[13] * 5, seeds=list(range(5)))
    assert votes.sum() == 65
    assert votes.max() - votes.min() <= 1
    assert dry_run(comparisons=3, overlap=2, quotas=[3] * 9, seeds=list(range(9))).tolist() == [2, 2, 2]
