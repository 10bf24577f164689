"""Checks are given out like comparisons, have a known order, hold no slot and count for no winner."""

import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest

from annotation.models import Annotator, Assignment, Comparison, Vote
from annotation.voting.assignment import NextKind, expire_leases, next_assignment, release, release_ahead
from annotation.voting.casting import Ballot, last_vote, undo_vote
from annotation.voting.image_reports import REPORTERS_THAT_PARK, report_image
from annotation.voting.rules import QualityRules, VotingRules
from generation.models import GeneratedImage
from tests.annotation.voting.open_studies import (
    NOON,
    RULES,
    after,
    assert_invariants,
    cast_vote,
    make_annotators,
    make_study,
)

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]
CHECKED = replace(
    RULES,
    comparisons_per_annotator=12,
    quality=QualityRules(ladder=(0.75, 0.5, 0.25), repeats=2, instructed=1, repeat_distance=3),
)
ALL = 12 + 6


def answered(annotator: Annotator, *, choice: str = "left", rules: VotingRules = CHECKED) -> Iterator[Assignment]:
    """The assignments given out, each answered before the next."""
    begin = 300 if Vote.objects.exists() else 0  # after whatever a test did in between
    for second in range(begin, begin + 100):
        following = next_assignment(annotator=annotator, rules=rules, now=after(seconds=second))
        if following.assignment is None:
            assert following.kind == NextKind.DONE
            return
        yield following.assignment
        ballot = Ballot(vote_id=uuid.uuid4(), choice=choice)
        cast_vote(ballot=ballot, assignment=following.assignment, rules=rules, now=after(seconds=second))


def prompts_of(images: list[int]) -> Counter[int]:
    return Counter(GeneratedImage.objects.filter(pk__in=images).values_list("image_set__prompt", flat=True))


def test_an_annotator_meets_every_check_among_the_comparisons_and_they_hold_no_slot() -> None:
    study = make_study(comparisons=12, overlap=2, images=8)
    for annotator in make_annotators(study, 2):
        given = list(answered(annotator))
        kinds = [one.kind for one in given]
        assert Counter(kinds) == {"main": 12, "ladder": 3, "repeat": 2, "instructed": 1}
        assert kinds[:2] == ["main", "main"]
        assert kinds[-1] == "main"
        assert_invariants(study)
    assert set(study.comparisons.values_list("slot_count", "vote_count")) == {(2, 2)}


def test_rungs_go_down_from_the_obvious_and_the_whole_set_is_right() -> None:
    study = make_study(comparisons=12, overlap=5, images=8)
    sides = set()
    for annotator in make_annotators(study, 5):
        rungs = [one for one in answered(annotator) if one.kind == "ladder"]
        assert [one.replaced_count for one in rungs] == [6, 4, 2]
        for one in rungs:
            shown = {"left": one.left_images, "right": one.right_images}
            whole = prompts_of(shown.pop(one.known_choice))
            ((blend),) = (prompts_of(images) for images in shown.values())
            assert whole == {one.comparison.prompt_id: 8}
            assert blend[one.comparison.prompt_id] == 8 - one.replaced_count
            assert max(count for prompt, count in blend.items() if prompt != one.comparison.prompt_id) == 1
            models = GeneratedImage.objects.filter(pk__in=[*one.left_images, *one.right_images])
            assert models.values("image_set__diffusion_model").distinct().count() == 1
            sides.add(one.known_choice)
    assert sides == {"left", "right"}


def test_a_repeat_swaps_the_sides_keeps_the_orders_and_keeps_its_distance() -> None:
    study = make_study(comparisons=12, overlap=5, images=4)
    for annotator in make_annotators(study, 5):
        given = list(answered(annotator))
        for place, one in enumerate(given):
            if one.kind == "repeat":
                (first,) = (n for n, x in enumerate(given) if (x.kind, x.comparison) == ("main", one.comparison))
                original = given[first]
                assert (one.left_images, one.right_images) == (original.right_images, original.left_images)
                assert one.left_model != original.left_model
                assert sum(x.kind == "main" for x in given[first + 1 : place]) >= 3
        repeated = [one.comparison for one in given if one.kind == "repeat"]
        assert len(set(repeated)) == 2


def test_an_instructed_item_shows_two_sets_as_a_comparison_does() -> None:
    study = make_study(comparisons=12, overlap=8, images=4)
    right = set()
    for annotator in make_annotators(study, 8):
        (one,) = (one for one in answered(annotator) if one.kind == "instructed")
        sets = {"a": one.comparison.image_set_a, "b": one.comparison.image_set_b}
        left = sets.pop(one.left_model)
        assert sorted(one.left_images) == sorted(left.images.values_list("pk", flat=True))
        assert len(one.right_images) == 4
        right.add(one.known_choice)
    assert right == {"left", "right"}


@pytest.mark.parametrize("prefetch", [0, 1, 3])
def test_what_is_held_ahead_is_what_comes_and_the_counts_run_through(prefetch: int) -> None:
    study = make_study(comparisons=12, overlap=1, images=4)
    (annotator,) = make_annotators(study, 1)
    rules = replace(CHECKED, prefetch=prefetch)
    ahead: list[Assignment] = []
    seen = Counter[str]()
    for count in range(ALL):
        following = next_assignment(annotator=annotator, rules=rules, now=after(seconds=count))
        assert following.assignment is not None
        assert (following.done_count, following.total) == (count, ALL)
        assert not ahead or following.assignment == ahead[0]
        ahead = list(following.ahead)
        assert len(ahead) == min(prefetch, ALL - count - 1)
        seen[following.assignment.kind] += 1
        ballot = Ballot(vote_id=uuid.uuid4(), choice="right")
        cast_vote(ballot=ballot, assignment=following.assignment, rules=rules, now=after(seconds=count))
        assert_invariants(study)
    assert seen == {"main": 12, "ladder": 3, "repeat": 2, "instructed": 1}
    assert next_assignment(annotator=annotator, rules=rules, now=after(seconds=99)).kind == NextKind.DONE


def come_to_a_check(annotator: Annotator, kind: str = "ladder") -> Assignment:
    return next(one for one in answered(annotator) if one.kind == kind)


def test_a_check_survives_a_reload_a_release_and_the_end_of_its_lease() -> None:
    study = make_study(comparisons=12, overlap=1, images=4)
    (annotator,) = make_annotators(study, 1)
    check = come_to_a_check(annotator)

    def now_due(seconds: float) -> Assignment | None:
        return next_assignment(annotator=annotator, rules=CHECKED, now=after(seconds=seconds)).assignment

    assert now_due(200) == check
    assert release(assignment=check, now=after(seconds=201))
    assert release_ahead(annotator=annotator, now=after(seconds=202)) == 0
    again = now_due(203)
    assert again == check
    assert (again.left_images, again.known_choice) == (check.left_images, check.known_choice)
    assert expire_leases(now=after(seconds=5000)) == 1
    assert now_due(5001) == check
    assert Assignment.objects.filter(kind="ladder").count() == 1
    assert_invariants(study)


def test_a_check_can_be_undone_like_any_vote() -> None:
    study = make_study(comparisons=12, overlap=1, images=4)
    (annotator,) = make_annotators(study, 1)
    check = come_to_a_check(annotator)
    cast_vote(
        ballot=Ballot(vote_id=uuid.uuid4(), choice="left"), assignment=check, rules=CHECKED, now=after(seconds=200)
    )
    vote = last_vote(annotator=annotator, rules=CHECKED)
    assert vote is not None
    assert vote.assignment == check
    counts = list(study.comparisons.values_list("slot_count", "vote_count"))
    assert undo_vote(vote=vote, rules=CHECKED, now=after(seconds=201)) == check
    assert list(study.comparisons.values_list("slot_count", "vote_count")) == counts
    assert_invariants(study)


def test_a_reported_check_gives_way_to_another_of_its_kind() -> None:
    study = make_study(comparisons=12, overlap=1, images=4)
    (annotator,) = make_annotators(study, 1)
    check = come_to_a_check(annotator)
    report_image(assignment=check, image_id=check.left_images[0], kind="offensive", now=after(seconds=100))
    following = next_assignment(annotator=annotator, rules=CHECKED, now=after(seconds=101))
    assert following.assignment is not None
    assert (following.assignment.kind, following.assignment.occurrence) == ("ladder", check.occurrence)
    assert following.assignment.comparison != check.comparison
    assert following.done_count == Vote.objects.count(), "as after the report of a comparison"
    assert Counter(one.kind for one in answered(annotator))["ladder"] == 3 - check.occurrence
    assert_invariants(study)


def test_a_report_on_a_check_parks_the_comparison_that_the_image_belongs_to() -> None:
    study = make_study(comparisons=12, overlap=REPORTERS_THAT_PARK, images=4)
    target = None
    for annotator in make_annotators(study, REPORTERS_THAT_PARK):
        check = come_to_a_check(annotator)
        target = target or next(
            image
            for image in (*check.left_images, *check.right_images)
            if GeneratedImage.objects.get(pk=image).image_set.prompt_id != check.comparison.prompt_id
        )
        if target not in (*check.left_images, *check.right_images):
            Assignment.objects.filter(pk=check.pk).update(left_images=[target, *check.left_images[1:]])
            check.refresh_from_db()
        report_image(assignment=check, image_id=target, kind="offensive", now=NOON)
    assert target is not None
    (parked,) = Comparison.objects.exclude(parked_at=None)
    assert GeneratedImage.objects.get(pk=target).image_set.prompt == parked.prompt


def test_a_check_that_cannot_be_made_holds_nobody_up() -> None:
    study = make_study(comparisons=12, overlap=1, images=4)
    Comparison.objects.filter(study=study, position__gt=0).update(parked_at=NOON)
    (annotator,) = make_annotators(study, 1)
    rules = replace(CHECKED, quality=replace(CHECKED.quality, first_check_after=0))
    given = list(answered(annotator, rules=rules))
    assert "ladder" not in [one.kind for one in given], "there is no other prompt to take images from"
    assert [one.kind for one in given].count("main") == 1


def test_a_study_without_checks_asks_nothing_about_them() -> None:
    study = make_study(comparisons=3, overlap=1, images=2)
    (annotator,) = make_annotators(study, 1)
    assert [one.kind for one in answered(annotator, rules=RULES)] == ["main"] * 3
