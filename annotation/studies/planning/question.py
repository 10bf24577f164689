"""The question that a plan answers: the design, the assumptions and the goal; pure."""

import math
from dataclasses import dataclass, fields, replace
from typing import Any, get_args

from annotation.studies.manifest import Manifest
from annotation.voting.rules import Allocation
from annotation.voting.simulation.dry_run import Collecting
from jobs.refusals import Refused
from scoring.statistics.agreement import TieTreatment

MOST_PROMPTS, MOST_ANNOTATORS, MOST_IMAGES, MOST_SIMULATIONS = 2_000, 2_000, 1_000, 5_000

CHOICES: dict[str, tuple[str, ...]] = {"allocation": get_args(Allocation), "endpoint": get_args(TieTreatment)}
# The meaning of each part of a question, shown on the planning page and in the help of plan_study.
MEANING = {
    "prompts": "Prompts, each one comparison.",
    "images": "Images in each set.",
    "overlap": "Votes for each comparison.",
    "comparisons_per_annotator": "Comparisons after which an annotator is done.",
    "annotators": "Number of annotators (default: the fewest who can give every vote).",
    "allocation": "Which comparisons are given out first: even (fewest votes), nearly_done, or split (closest votes).",
    "early_stopping": "Whether a comparison takes no more votes once its winner is certain.",
    "endpoint": "How ties count: strict, half or dropped.",
    "level": "Level of the interval, and of the report's test against the baseline.",
    "agreement": "How often the metric names the model that infinitely many people would choose.",
    "baseline": "How often always naming one model is right.",
    "person": "How often one vote goes to the comparison's winner, on average.",
    "unevenness": "How much comparisons differ in clarity: 0, not at all; near 1, each is clear to all or a coin toss.",
    "flips": "How often other seeds would make the metric name the other model.",
    "power": "The chance wanted.",
    "width": "The width of the agreement's interval wanted, high minus low.",
    "significance_level": "Significance level of the exact one-sided test.",
    "simulations": "Simulated studies at each point of a curve.",
    "seed": "The seed of the simulations.",
}


@dataclass(frozen=True, slots=True)
class Design:
    """The planned study. annotators: None means the fewest who can give every vote. endpoint: how ties count."""

    prompts: int = 100
    images: int = 20
    overlap: int = 5
    comparisons_per_annotator: int = 60
    annotators: int | None = None
    allocation: Allocation = "even"
    early_stopping: bool = False
    endpoint: TieTreatment = "strict"
    level: float = 0.95

    @property
    def annotators_needed(self) -> int:
        """The fewest annotators who can give every vote; nobody votes twice on a comparison."""
        return max(self.overlap, math.ceil(self.prompts * self.overlap / self._quota))

    @property
    def annotators_planned(self) -> int:
        """The number of annotators."""
        return self.annotators_needed if self.annotators is None else self.annotators

    @property
    def collecting(self) -> Collecting:
        """The rules by which votes are collected."""
        quotas = (self._quota,) * self.annotators_planned
        return Collecting(self.overlap, quotas, self.allocation, self.early_stopping)

    @property
    def _quota(self) -> int:
        return min(self.comparisons_per_annotator, self.prompts)


@dataclass(frozen=True, slots=True)
class Assumptions:
    """The assumptions about people and metric.

    The winner of a comparison is the model that infinitely many people would choose. agreement: how often the metric
    names the winner, with the planned number of images. baseline: how often the winner is the model that wins more.
    person: how often one vote goes to the winner, on average over comparisons. unevenness u: that chance is 1/2 + x/2,
    with x from the beta distribution of mean 2 person - 1 and variance u times the largest possible for this mean;
    whether the metric is right does not depend on it. flips: how often other seeds, as many as planned, would make the
    metric name the other model.
    """

    agreement: float = 0.94
    baseline: float = 0.85
    person: float = 0.85
    unevenness: float = 0.0
    flips: float = 0.03


@dataclass(frozen=True, slots=True)
class Goal:
    """The goal: the chance to show that the metric beats the baseline, and the largest width of the interval."""

    power: float = 0.80
    width: float = 0.10
    significance_level: float = 0.05


@dataclass(frozen=True, slots=True)
class Chance:
    """The number of studies simulated at each point, and the seed that makes them repeatable."""

    simulations: int = 400
    seed: int = 20240412


@dataclass(frozen=True, slots=True)
class Question:
    """Everything that a plan depends on."""

    design: Design = Design()
    assumptions: Assumptions = Assumptions()
    goal: Goal = Goal()
    chance: Chance = Chance()


def design_of(manifest: Manifest) -> Design:
    """Return the design that a manifest describes."""
    plan = manifest.annotation
    return Design(
        prompts=len(manifest.prompts),
        images=len(manifest.seeds) or Design().images,
        overlap=plan.overlap,
        comparisons_per_annotator=plan.comparisons_per_annotator,
        annotators=plan.most_annotators,
        allocation=plan.allocation,
        early_stopping=plan.early_stopping,
        endpoint=manifest.analysis.primary_endpoint,
        level=manifest.analysis.level,
    )


def ask(design: Design, **values: Any) -> Question:
    """Return a question about `design`, with values by the field names of Design, Assumptions, Goal and Chance."""
    parts: tuple[Any, ...] = (design, Assumptions(), Goal(), Chance())
    known = [{field.name for field in fields(part)} & values.keys() for part in parts]
    if unknown := values.keys() - set().union(*known):
        raise TypeError(f"a question has no field {', '.join(sorted(unknown))}")
    changed = (
        replace(part, **{name: values[name] for name in names}) for part, names in zip(parts, known, strict=True)
    )
    return Question(*changed)


def refuse_impossible(question: Question) -> None:
    """Raise Refused, with one sentence, for a question that no study can answer."""
    design, chance = question.design, question.chance
    for name, known in CHOICES.items():
        if (chosen := getattr(design, name)) not in known:
            raise Refused(f"The {name} is {', '.join(known[:-1])} or {known[-1]}, not {chosen!r}.")
    limits = (
        ("prompts", design.prompts, 2, MOST_PROMPTS),
        ("images", design.images, 2, MOST_IMAGES),
        ("votes for each comparison", design.overlap, 1, 1000),
        ("comparisons for each annotator", design.comparisons_per_annotator, 1, 100_000),
        ("annotators", design.annotators_planned if design.comparisons_per_annotator > 0 else 1, 1, MOST_ANNOTATORS),
        ("simulations", chance.simulations, 20, MOST_SIMULATIONS),
        ("seed", chance.seed, 0, 2**63 - 1),
    )
    for name, value, least, most in limits:
        if not least <= value <= most:
            raise Refused(f"The number of {name} must be between {least:,} and {most:,}, not {value:,}.")
    _refuse_shares(question)


def _refuse_shares(question: Question) -> None:
    assumed, goal = question.assumptions, question.goal
    limits = (
        ("The agreement", assumed.agreement, 0.5, 1.0),
        ("The baseline", assumed.baseline, 0.5, 1.0),
        ("The share of votes for the winner", assumed.person, 0.5, 1.0),
        ("The power", goal.power, 0.0, 1.0),
        ("The width", goal.width, 0.0, 1.0),
        ("The significance level", goal.significance_level, 0.0, 0.5),
        ("The level", question.design.level, 0.5, 1.0),
    )
    for name, value, least, most in limits:
        if not least < value < most:
            raise Refused(f"{name} must be above {least:g} and below {most:g}, not {value:g}.")
    if not 0 <= assumed.unevenness < 1:
        raise Refused(f"The unevenness must be at least 0 and below 1, not {assumed.unevenness:g}.")
    if not 0 <= assumed.flips < min(0.5, 1 - assumed.agreement + 1e-12):
        raise Refused(
            f"A metric that flips in {assumed.flips:g} of the comparisons cannot agree on {assumed.agreement:g}: "
            "the flips must lie between 0 and 1 minus the agreement."
        )
