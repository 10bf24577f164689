from io import StringIO
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from PIL import Image

from annotation.models import Annotator, Study, Vote
from annotation.studies.current import current_manifest
from annotation.voting.simulation.perception import Eye, spread, typical
from annotation.voting.simulation.simulated_votes import Crowd, simulate
from generation.models import GeneratedImage
from generation.recorded_images.records import record_image
from jobs.refusals import Refused
from tests.annotation.voting.open_studies import NOON, assert_invariants, make_study

LOUD, QUIET = 90, 5


def noise_image(chance: np.random.Generator, amplitude: int) -> Image.Image:
    pixels = 128 + chance.integers(-amplitude, amplitude + 1, size=(16, 16, 3))
    return Image.fromarray(pixels.astype(np.uint8)).resize((32, 32), Image.Resampling.NEAREST)


def make_visible(study: Study) -> Study:
    """Real images: in even comparisons set A is more alike, in odd ones set B."""
    chance = np.random.default_rng(7)
    for comparison in study.comparisons.all():
        for image_set, is_quiet in (
            (comparison.image_set_a, comparison.position % 2 == 0),
            (comparison.image_set_b, comparison.position % 2 == 1),
        ):
            image_set.seeds = [0, 1, 2]
            image_set.save()
            for seed in image_set.seeds:
                image = noise_image(chance, QUIET if is_quiet else LOUD)
                record_image(image_set=image_set, seed=seed, image=image, provenance={})
    return study


def make_colourful(study: Study) -> Study:
    """Real images: each prompt has its own brightness, and set B is a little less even than set A."""
    for comparison in study.comparisons.all():
        for image_set, step in ((comparison.image_set_a, 2), (comparison.image_set_b, 4)):
            image_set.seeds = [0, 1, 2, 3]
            image_set.save()
            for seed in image_set.seeds:
                level = 20 + 28 * comparison.position + step * seed
                image = Image.new("RGB", (32, 32), (level, level, level))
                record_image(image_set=image_set, seed=seed, image=image, provenance={})
    return study


def visible_study(*, comparisons: int = 4, overlap: int = 3, slug: str = "weather", **annotation: Any) -> Study:
    return make_visible(make_study(comparisons=comparisons, overlap=overlap, slug=slug, **annotation))


def run(study: Study, *, annotators: int = 3, noise: float = 0.0, seed: int = 1) -> int:
    crowd = Crowd(annotators=annotators, noise=noise, seed=seed)
    return simulate(study=study, rules=current_manifest(study).voting_rules(), crowd=crowd)


def chosen_models(study: Study) -> list[tuple[str, int, str]]:
    """(annotator, position, model chosen or tie), sorted."""
    votes = Vote.objects.filter(assignment__comparison__study=study).select_related(
        "assignment__annotator", "assignment__comparison"
    )
    named = []
    for vote in votes:
        left = vote.assignment.left_model
        model = {"left": left, "right": "b" if left == "a" else "a", "tie": "tie"}[vote.choice]
        named.append((vote.assignment.annotator.label, vote.assignment.comparison.position, model))
    return sorted(named)


def test_spread_is_the_mean_rms_distance_over_pairs() -> None:
    black, grey, white = (Image.new("RGB", (64, 32), (level,) * 3) for level in (0, 51, 255))
    assert spread([black, white]) == pytest.approx(1)
    assert spread([black, grey, white]) == pytest.approx((0.2 + 1 + 0.8) / 3)
    assert spread([grey, grey]) == spread([grey]) == spread([]) == 0


def test_the_more_alike_set_is_chosen_on_either_side() -> None:
    eye = Eye(typical_difference=typical([0.1, -0.1]), noise=0.0, are_ties_allowed=False)
    assert eye.choose(left_spread=0.1, right_spread=0.2, chance=Random(1)) == "left"
    assert eye.choose(left_spread=0.2, right_spread=0.1, chance=Random(1)) == "right"


def test_a_small_difference_is_a_tie_only_where_ties_are_allowed() -> None:
    for are_ties_allowed, expected in ((True, "tie"), (False, "left")):
        eye = Eye(typical_difference=1.0, noise=0.0, are_ties_allowed=are_ties_allowed)
        assert eye.choose(left_spread=0.5, right_spread=0.55, chance=Random(1)) == expected


def test_no_difference_and_no_noise_is_drawn_and_not_always_left() -> None:
    eye = Eye(typical_difference=0.0, noise=0.0, are_ties_allowed=False)
    drawn = {eye.choose(left_spread=0.3, right_spread=0.3, chance=Random(number)) for number in range(20)}
    assert drawn == {"left", "right"}


def test_noise_turns_choices_over() -> None:
    def share(noise: float) -> float:
        eye = Eye(typical_difference=1.0, noise=noise, are_ties_allowed=False)
        chosen = [eye.choose(left_spread=0.0, right_spread=1.0, chance=Random(number)) for number in range(2000)]
        return chosen.count("left") / len(chosen)

    assert share(0.0) == 1
    assert share(1.0) == pytest.approx(0.8413, abs=0.03)  # the normal distribution at one standard deviation


@pytest.mark.django_db
def test_without_noise_everybody_names_the_model_whose_images_look_alike() -> None:
    study = visible_study()
    assert run(study) == 12
    assert [model for _label, _position, model in chosen_models(study)] == ["a", "b", "a", "b"] * 3
    assert list(study.comparisons.values_list("slot_count", "vote_count")) == [(3, 3)] * 4
    assert set(Annotator.objects.values_list("kind", flat=True)) == {"simulated"}
    assert not Vote.objects.exclude(shown_at=None, voted_at=None, response_ms=None).exists()
    assert_invariants(study)


@pytest.mark.django_db
def test_the_same_seed_gives_the_same_votes_and_another_seed_others() -> None:
    studies = [visible_study(slug=slug, comparisons=6) for slug in ("one", "two", "three")]
    for study, seed in zip(studies, (5, 5, 6), strict=True):
        run(study, noise=2.0, seed=seed)
    one, two, three = (chosen_models(study) for study in studies)
    assert one == two
    assert [row[1:] for row in one] != [row[1:] for row in three]


@pytest.mark.django_db
def test_a_simulation_goes_on_where_it_stopped_and_a_complete_one_casts_nothing() -> None:
    study = visible_study()
    whole = visible_study(slug="whole")
    run(whole, noise=1.0)
    stopped = iter(range(5))

    def stop_after_five(done: int, total: int) -> None:
        assert (total, next(stopped)) == (12, done - 1)
        if done == 5:
            raise KeyboardInterrupt

    rules = current_manifest(study).voting_rules()
    with pytest.raises(KeyboardInterrupt):
        simulate(study=study, rules=rules, crowd=Crowd(3, 1.0, 1), progress=stop_after_five)
    assert Vote.objects.filter(assignment__comparison__study=study).count() == 5
    assert run(study, noise=1.0) == 7
    assert chosen_models(study) == chosen_models(whole)
    assert run(study, noise=1.0) == 0
    assert study.annotators.count() == 3
    told = study.events.filter(verb="votes simulated").values_list("detail__votes", "detail__annotators")
    assert list(told) == [(5, 3), (7, 3)]
    assert study.events.filter(verb="simulation begun").count() == 2


@pytest.mark.django_db
def test_a_minimum_viewing_time_does_not_hold_it_up() -> None:
    assert run(visible_study(comparisons=1, overlap=1, minimum_viewing_seconds=60), annotators=1) == 1


@pytest.mark.django_db
def test_what_cannot_be_simulated_is_refused_and_leaves_nothing_behind() -> None:
    study = make_study(comparisons=1, overlap=1)
    for annotators, noise in ((0, 1.0), (1, -1.0), (1, float("nan"))):
        with pytest.raises(Refused, match="must be"):
            run(study, annotators=annotators, noise=noise)
    Study.objects.update(state="paused")
    study.refresh_from_db()
    with pytest.raises(Refused, match="is paused: simulated annotators vote only while it is open"):
        run(study)
    Study.objects.update(source="external", state="closed", closed_at=NOON)
    study.refresh_from_db()
    with pytest.raises(Refused, match="has no images"):
        run(study)
    assert not Annotator.objects.exists()


@pytest.mark.django_db
def test_the_command_says_how_many_votes_were_cast() -> None:
    visible_study(comparisons=2)
    out = StringIO()
    call_command("simulate_votes", "weather", annotators=2, noise=0.5, seed=3, stdout=out)
    assert out.getvalue().endswith("weather: 4 votes of 2 simulated annotators cast.\n")
    with pytest.raises(CommandError, match="There is no study 'sea'"):
        call_command("simulate_votes", "sea")
    with pytest.raises(CommandError, match="must be at least 1"):
        call_command("simulate_votes", "weather", annotators=0)


@pytest.mark.django_db
def test_a_set_without_its_rendition_is_read_from_the_image(media_root: Path) -> None:
    study = visible_study(comparisons=1, overlap=1)
    for rendition in media_root.rglob("*.webp"):
        rendition.unlink()
    assert GeneratedImage.objects.count() == 6
    assert run(study, annotators=1) == 1


@pytest.mark.django_db
def test_the_careless_fail_the_checks_and_the_others_pass_them() -> None:
    quality: dict[str, Any] = {
        "ladder": [0.75, 0.5],
        "repeats": 2,
        "instructed": 1,
        "repeat_distance": 2,
        "checks_failed": 0.01,
    }
    quality["screens_out"] = ["checks_failed"]
    study = make_colourful(make_study(comparisons=8, overlap=4, quality=quality))
    crowd = Crowd(annotators=4, noise=0.0, seed=1, careless=1)
    assert simulate(study=study, rules=current_manifest(study).voting_rules(), crowd=crowd) == 4 * (8 + 5)
    assert list(study.annotators.order_by("pk").values_list("broken_rules", flat=True)) == ["", "", "", "checks_failed"]
    checks = Vote.objects.filter(assignment__kind__in=("ladder", "instructed"))
    careful = checks.exclude(assignment__annotator__broken_rules="checks_failed").select_related("assignment")
    assert {vote.choice == vote.assignment.known_choice for vote in careful} == {True}
    excluded = Vote.objects.exclude(excluded_at=None)
    assert excluded.count() == 8
    assert list(study.annotators.order_by("pk").values_list("state", flat=True))[-1] == "screened_out"
    assert_invariants(study)
    with pytest.raises(Refused, match="Of 2 annotators 3 cannot be careless"):
        simulate(study=study, rules=current_manifest(study).voting_rules(), crowd=Crowd(2, 0.0, 1, 3))
