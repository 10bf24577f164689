"""The costs of a study: images and the time to make them, votes, annotators, pay, and the precision to expect."""

import math
from dataclasses import dataclass
from statistics import median

from django.db.models import QuerySet

from annotation.models import Annotator, Assignment, Vote
from annotation.studies.manifest import Manifest
from generation.models import GenerationJob
from jobs.models import LeasedJob
from scoring.statistics.inference.intervals import wilson

SECONDS_PER_VOTE = 15.0  # assumed as long as this installation has no votes to measure it by
LAST_PEOPLE, MOST_MEASURED = 50, 500
EXPECTED_AGREEMENT = 0.8  # of the metric with people, of which the interval is shown


@dataclass(frozen=True, slots=True)
class Costs:
    """The costs of a study. seconds_per_image: by the last images of its models here; None before there is one.

    is_measured: whether seconds_per_vote is the median of people's votes on this installation.
    """

    image_count: int
    seconds_per_image: float | None
    vote_count: int
    annotator_count: int
    seconds_per_vote: float
    is_measured: bool
    comparison_count: int

    @property
    def machine_minutes(self) -> float | None:
        """The time that one card needs to make the images."""
        return None if self.seconds_per_image is None else self.image_count * self.seconds_per_image / 60

    @property
    def annotator_minutes(self) -> float:
        """The time that one annotator votes, without reading and practising."""
        return self.vote_count / max(1, self.annotator_count) * self.seconds_per_vote / 60

    def pay(self, per_hour: float) -> float:
        """Return what all votes cost at a pay per hour."""
        return self.vote_count * self.seconds_per_vote / 3600 * per_hour

    @property
    def interval(self) -> tuple[float | None, float | None]:
        """The 95 % interval of an agreement of EXPECTED_AGREEMENT over all comparisons."""
        found = wilson(round(EXPECTED_AGREEMENT * self.comparison_count), self.comparison_count)
        return found.low, found.high


def costs_of(manifest: Manifest) -> Costs:
    """Return the costs of a study with this manifest. Votes and images of an external study exist already."""
    comparisons, plan = manifest.comparison_count, manifest.annotation
    is_collected = manifest.source != "external"
    votes = comparisons * plan.overlap if is_collected else 0
    each = min(plan.comparisons_per_annotator, comparisons)
    response = median_response(Annotator.objects.all())
    names = [model.name for model in manifest.models.values()]
    sets = {(one.prompt, model) for one in manifest.comparisons for model in (one.model_a, one.model_b)}
    return Costs(
        image_count=len(sets) * len(manifest.seeds),
        seconds_per_image=_seconds_per_image(names) if manifest.seeds else None,
        vote_count=votes,
        annotator_count=max(math.ceil(votes / each), plan.overlap) if votes else 0,
        seconds_per_vote=response or SECONDS_PER_VOTE,
        is_measured=response is not None,
        comparison_count=comparisons,
    )


def median_response(annotators: QuerySet[Annotator], *, least: int = 1) -> float | None:
    """Return the median seconds of votes of the last of these people who came; None for fewer votes than `least`.

    Of people and not of votes, because the latest of all votes would be found by sorting every vote.
    """
    came = annotators.filter(kind__in=("personal", "open"), instructions_read_at__isnull=False)
    people = list(came.order_by("-pk").values_list("pk", flat=True)[:LAST_PEOPLE])
    given = Vote.objects.filter(assignment__annotator__in=people, assignment__kind=Assignment.Kind.MAIN)
    times = list(given.filter(response_ms__gt=0).order_by().values_list("response_ms", flat=True)[:MOST_MEASURED])
    return median(float(time) for time in times if time) / 1000 if len(times) >= least else None


def _seconds_per_image(names: list[str]) -> float | None:
    """Return the mean over the models of the seconds for one image in their last jobs; None if one has none."""
    found = [_speed(name) for name in names]
    known = [seconds for seconds in found if seconds is not None]
    return sum(known) / len(known) if len(known) == len(names) else None


def _speed(name: str) -> float | None:
    done = GenerationJob.objects.filter(image_set__diffusion_model__name=name, state=LeasedJob.State.DONE)
    rows = done.order_by("-finished_at").values_list("started_at", "finished_at", "seeds")[:50]
    times = [((ended - began).total_seconds(), len(seeds)) for began, ended, seeds in rows if began and ended]
    images = sum(count for _seconds, count in times)
    return sum(seconds for seconds, _count in times) / images if images else None
