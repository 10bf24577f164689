"""Votes of simulated annotators, for demonstrations and tests; they are marked as simulated everywhere."""

import io
import math
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial

from django.db.models import F, Sum
from django.utils import timezone
from PIL import Image

from annotation.models import Annotator, Assignment, Comparison, Study, StudyEvent, Vote
from annotation.voting.allocation import stored_chance
from annotation.voting.assignment import Next, NextKind, next_assignment
from annotation.voting.availability import Closure, closure
from annotation.voting.casting import Ballot, vote_and_next
from annotation.voting.rules import VotingRules
from annotation.voting.simulation.perception import Eye, spread, typical
from generation.models import GeneratedImage
from generation.pictures import renditions
from jobs.refusals import Refused
from jobs.wording import counted

_OTHER = {Vote.Choice.LEFT.value: Vote.Choice.RIGHT, Vote.Choice.RIGHT.value: Vote.Choice.LEFT}
# Called with the votes cast so far and how many are expected at most.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Crowd:
    """The simulated annotators: how many, their noise (see `Eye`), and the seed of all that is random.

    The last `careless` of them do not look: they choose the left side, and the wrong side in a check.
    """

    annotators: int
    noise: float
    seed: int
    careless: int = 0


def simulate(
    *,
    study: Study,
    rules: VotingRules,
    crowd: Crowd,
    spreads: Mapping[int, tuple[float, float]] | None = None,
    progress: Progress | None = None,
) -> int:
    """Let simulated annotators vote until nothing is left for them; return how many votes they cast.

    They use the same assignment and the same casting as people, take turns, and look at pixels only; or, if it is
    given, at `spreads`: the spread of set A and of set B by the comparison's id. The same seed gives the same votes. An
    interrupted simulation continues where it stopped, and a complete one casts nothing. Raises `Refused` if the study
    has no images or is not open.
    """
    _refuse_impossible(study, rules, crowd)
    # Simulated annotators need no viewing time, their votes have no times from a browser, and nothing is held ahead.
    rules = replace(rules, minimum_viewing_seconds=0.0, prefetch=0)
    annotators = [_annotator(study, crowd, number) for number in range(crowd.annotators)]
    spreads = spreads or _spreads(study)
    eye = Eye(typical([a - b for a, b in spreads.values()]), crowd.noise, rules.are_ties_allowed)
    careless = {one.pk for one in annotators[crowd.annotators - crowd.careless :]}
    choose = partial(_choice, eye=eye, spreads=spreads, careless=careless)
    expected = _expected(study, rules, crowd)
    count = 0
    try:
        for count, _annotator_id in enumerate(_votes(annotators, rules, choose), start=1):
            if count == 1:  # not only at the end: a killed process does not reach it
                _note(study, "simulation begun", crowd)
            if progress:
                progress(count, max(count, expected))
    finally:
        if count:
            _note(study, "votes simulated", crowd, votes=count)
    return count


def _note(study: Study, verb: str, crowd: Crowd, **counts: int) -> None:
    StudyEvent.objects.create(study=study, verb=verb, detail={**counts, **asdict(crowd)})


def _refuse_impossible(study: Study, rules: VotingRules, crowd: Crowd) -> None:
    if study.source == Study.Source.EXTERNAL:
        raise Refused(f"{study} has no images, and simulated annotators look at images: import votes instead.")
    if crowd.annotators < 1:
        raise Refused(f"The number of annotators must be at least 1, not {crowd.annotators}.")
    if not 0 <= crowd.careless <= crowd.annotators:
        raise Refused(f"Of {counted(crowd.annotators, 'annotator')} {crowd.careless} cannot be careless.")
    if not 0 <= crowd.noise < math.inf:
        raise Refused(f"The noise must be a number from 0 on, not {crowd.noise}.")
    if reason := closure(study=study, rules=rules, now=timezone.now()):
        raise Refused(f"{study} is {reason.replace('_', ' ')}: simulated annotators vote only while it is open.")


def _annotator(study: Study, crowd: Crowd, number: int) -> Annotator:
    """Simulated annotator `number` of this seed; created the first time."""
    annotator, _is_new = Annotator.objects.get_or_create(
        study=study,
        kind=Annotator.Kind.SIMULATED,
        label=f"simulated {number + 1} of seed {crowd.seed}",
        defaults={"seed": stored_chance(crowd.seed, "annotator", number).getrandbits(63)},
    )
    return annotator


def _spreads(study: Study) -> dict[int, tuple[float, float]]:
    """The spread of set A and of set B, by the comparison's id."""
    comparisons = Comparison.objects.filter(study=study).order_by("position")
    return {
        pk: (_spread_of(set_a), _spread_of(set_b))
        for pk, set_a, set_b in comparisons.values_list("pk", "image_set_a", "image_set_b")
    }


def _spread_of(image_set_id: int) -> float:
    return _spread(GeneratedImage.objects.filter(image_set=image_set_id).order_by("seed"))


def _spread(images: Iterable[GeneratedImage]) -> float:
    return spread([Image.open(io.BytesIO(renditions.read(image, "grid"))) for image in images])


def _expected(study: Study, rules: VotingRules, crowd: Crowd) -> int:
    """Return the greatest possible number of votes, checks among them."""
    comparisons = Comparison.objects.filter(study=study, parked_at=None)
    free = comparisons.aggregate(free=Sum(F("overlap") - F("slot_count")))["free"] or 0
    main = min(free, crowd.annotators * min(rules.comparisons_per_annotator, comparisons.count()))
    return main + crowd.annotators * rules.quality.check_count


def _votes(annotators: list[Annotator], rules: VotingRules, choose: Callable[[Assignment], str]) -> Iterator[int]:
    """Let each annotator cast one vote in each round, until a round brings none; yield their id after each vote."""
    screens = {annotator.pk: (annotator, _next(annotator, rules)) for annotator in annotators}
    is_round_idle = False
    while not is_round_idle:
        is_round_idle = True
        for annotator_id, (annotator, screen) in list(screens.items()):
            if screen.assignment is None:
                screen = _next(annotator, rules)
            if screen.assignment is not None:
                is_round_idle = False
                ballot = Ballot(vote_id=uuid.uuid4(), choice=choose(screen.assignment), rendition="grid")
                screens[annotator_id] = (annotator, _cast(ballot, screen.assignment, rules))
                yield annotator_id


def _next(annotator: Annotator, rules: VotingRules) -> Next:
    """Return the next assignment; DONE for an annotator who was screened out."""
    annotator.refresh_from_db(fields=["state"])
    if annotator.state == Annotator.State.SCREENED_OUT:
        return Next(NextKind.DONE, 0, 0)
    return next_assignment(annotator=annotator, rules=rules, now=timezone.now())


def _choice(
    assignment: Assignment, *, eye: Eye, spreads: Mapping[int, tuple[float, float]], careless: Collection[int]
) -> str:
    if assignment.annotator_id in careless:
        return _OTHER.get(assignment.known_choice, Vote.Choice.LEFT)
    if assignment.kind == Assignment.Kind.INSTRUCTED:
        return assignment.known_choice
    purpose: tuple[str | int, ...] = ("perception", assignment.comparison.position)
    if assignment.kind != Assignment.Kind.MAIN:
        purpose += (assignment.kind, assignment.occurrence)
    left, right = _seen(assignment, spreads)
    chance = stored_chance(assignment.annotator.seed, *purpose)
    return eye.choose(left_spread=left, right_spread=right, chance=chance)


def _seen(assignment: Assignment, spreads: Mapping[int, tuple[float, float]]) -> tuple[float, float]:
    """The spreads of the left and of the right set; they are computed again for a mixed set."""
    if assignment.kind == Assignment.Kind.LADDER:
        images = GeneratedImage.objects.in_bulk([*assignment.left_images, *assignment.right_images])
        left, right = ([images[pk] for pk in shown] for shown in (assignment.left_images, assignment.right_images))
        return _spread(left), _spread(right)
    a, b = spreads[assignment.comparison_id]
    return (a, b) if assignment.left_model == Assignment.Side.A else (b, a)


def _cast(ballot: Ballot, assignment: Assignment, rules: VotingRules) -> Next:
    _result, following = vote_and_next(ballot=ballot, assignment=assignment, rules=rules, now=timezone.now())
    if isinstance(following, Closure):
        raise Refused("The study was paused or closed while votes were simulated; the votes cast before are kept.")
    return following
