"""The question that a plan answers: the design, the assumptions and the goal; pure."""

import math
from collections import Counter
from dataclasses import dataclass, fields, replace
from typing import Any, get_args

from annotation.studies.manifest import Manifest
from annotation.studies.pairs import MOST_MODELS
from annotation.voting.rules import Allocation
from annotation.voting.simulation.dry_run import Collecting, Habits
from jobs.refusals import Refused
from scoring.statistics.agreement.agreement import TieTreatment
from scoring.statistics.inference.clusters import LEAST_CLUSTERS

MOST_PROMPTS, MOST_ANNOTATORS, MOST_IMAGES, MOST_SIMULATIONS = 2_000, 2_000, 1_000, 5_000
LEAST_SIMULATIONS = 20

CHOICES: dict[str, tuple[str, ...]] = {"allocation": get_args(Allocation), "endpoint": get_args(TieTreatment)}
# The meaning of each part of a question, shown on the planning page and in the help of plan_study.
MEANING = {
    "prompts": "Prompts, each one comparison.",
    "images": "Images in each set; 0: there are none, or their number is not known yet.",
    "overlap": "How many annotators judge each comparison.",
    "comparisons_per_annotator": "Comparisons after which an annotator is done.",
    "annotators": "Number of annotators (default: the fewest who can give every vote).",
    "allocation": "Which comparisons are given out first: even (fewest votes), nearly_done, or split (closest votes).",
    "early_stopping": "Whether a comparison takes no more votes once its winner is certain.",
    "endpoint": "How ties count: strict, half or dropped.",
    "level": "Level of the interval, and of the report's test against the constant choice.",
    "cluster_size": "Comparisons that share a cluster (variants of one base prompt); 1: each is its own.",
    "models": "Models. With more than two, prompts counts comparisons, because each prompt has several.",
    "are_uncertain_pairs_first": (
        "Whether the pairs of models whose order is least certain come first; simulated as even (three models or more)."
    ),
    "agreement": "How often the metric names the model that infinitely many people would choose.",
    "baseline": "How often always naming one model is right.",
    "person": "How often one vote goes to the comparison's winner, on average.",
    "unevenness": "How much comparisons differ in clarity: 0, not at all; near 1, each is clear to all or a coin toss.",
    "cluster_correlation": (
        "How alike the comparisons of one cluster are: 0, like any others; 1, a cluster tells no more than one of them."
    ),
    "tie_share": "How many votes are ties.",
    "dropout": "How many annotators leave early, each after a random share of their comparisons.",
    "learning": (
        "How much less clear a comparison is to an annotator at the beginning than at the end of their session: 0, "
        "equally clear; 1, the first vote is a coin toss."
    ),
    "flips": "How often a fresh draw of as many seeds would make the metric name the other model.",
    "power": "The chance wanted.",
    "width": "The width of the agreement's interval wanted, high minus low.",
    "significance_level": "Significance level of the exact one-sided test.",
    "simulations": "Simulated studies at each point of a curve.",
    "seed": "The seed of the simulations.",
}


@dataclass(frozen=True, slots=True)
class Design:
    """The planned study.

    annotators: None means as many as give every vote, on average if some leave early. endpoint: how ties count.
    cluster_size: the mean over comparisons of the size of their cluster. models: with more than two, `prompts` counts
    comparisons, and the constant choice is the best fixed order of the models. are_uncertain_pairs_first: whether
    allocation prefers pairs of models whose order is uncertain, which is simulated as "even".
    """

    prompts: int = 100
    images: int = 20
    overlap: int = 5
    comparisons_per_annotator: int = 60
    annotators: int | None = None
    allocation: Allocation = "even"
    early_stopping: bool = False
    endpoint: TieTreatment = "strict"
    level: float = 0.95
    cluster_size: float = 1.0
    models: int = 2
    are_uncertain_pairs_first: bool = False

    @property
    def rival(self) -> str:
        """The constant choice that the metric must beat, in words."""
        return "always naming one model" if self.models == 2 else "the best fixed order of the models"

    @property
    def quota(self) -> int:
        """The comparisons that an annotator who stays answers; nobody votes twice on one."""
        return min(self.comparisons_per_annotator, self.prompts)


@dataclass(frozen=True, slots=True)
class Assumptions:
    """The assumptions about people and metric.

    The winner of a comparison is the model that infinitely many people would choose. agreement: how often the metric
    names the winner, with the planned number of images. baseline: how often the winner is the model that wins more.
    person: how often one vote goes to the winner, on average over comparisons. unevenness u: that chance is 1/2 + x/2,
    with x from the beta distribution of mean 2 person - 1 and variance u times the largest possible for this mean;
    whether the metric is right does not depend on it. flips: how often a fresh draw of as many seeds as planned names
    the other model than the first draw, as `fresh_seeds.other_winners` of a report. cluster_correlation: of two
    comparisons of one cluster, in whether the metric is right and in which model wins. tie_share, dropout, learning:
    see `Habits`; `person` then is the chance of a vote that is no tie, at the end of a session.
    """

    agreement: float = 0.94
    baseline: float = 0.85
    person: float = 0.85
    unevenness: float = 0.0
    flips: float = 0.03
    cluster_correlation: float = 0.5
    tie_share: float = 0.0
    dropout: float = 0.0
    learning: float = 0.0

    @property
    def habits(self) -> Habits:
        """The way annotators vote."""
        return Habits(self.tie_share, self.dropout, self.learning)


@dataclass(frozen=True, slots=True)
class Goal:
    """The goal: the chance to show that the metric beats the constant choice, and the largest width of the interval."""

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

    @property
    def annotators_needed(self) -> int:
        """The fewest annotators who give every vote, on average if some leave early."""
        quota, dropout = self.design.quota, self.assumptions.dropout
        answered = quota * (1 - dropout) + (quota - 1) / 2 * dropout  # of leavers 0 .. quota - 1, equally likely
        needed = self.design.prompts * self.design.overlap / answered
        return max(self.design.overlap, math.ceil(round(needed, 9)))

    @property
    def annotators(self) -> int:
        """The number of annotators."""
        return self.annotators_needed if self.design.annotators is None else self.design.annotators

    @property
    def collecting(self) -> Collecting:
        """The rules by which votes are collected."""
        design = self.design
        quotas = (design.quota,) * self.annotators
        return Collecting(design.overlap, quotas, design.allocation, design.early_stopping)

    @property
    def collects_alike(self) -> bool:
        """Whether all simulated studies give each comparison the same number of votes."""
        return not (self.collecting.looks_at_votes or self.assumptions.dropout)

    @property
    def design_effect(self) -> float:
        """The factor by which clusters widen the variance of the agreement: Kish's 1 + (size - 1) correlation."""
        return 1 + (self.design.cluster_size - 1) * self.assumptions.cluster_correlation

    @property
    def has_verdict(self) -> bool:
        """Whether there are enough clusters for the report to say that the metric beats the constant choice."""
        return self.design.cluster_size == 1 or self.design.prompts >= LEAST_CLUSTERS * self.design.cluster_size

    def independent(self, prompts: int) -> int:
        """Return how many independent comparisons tell as much as these prompts in their clusters.

        Compared with simulated studies, the power that follows is at most .04 too low with 30 clusters or more. With
        20 clusters of six comparisons and a correlation of one half it is .25, and the simulated power is .38.
        """
        return max(1, round(prompts / self.design_effect))


def design_of(manifest: Manifest) -> Design:
    """Return the design that a manifest describes."""
    plan = manifest.annotation
    return Design(
        prompts=manifest.comparison_count,
        images=len(manifest.seeds),
        overlap=plan.overlap,
        comparisons_per_annotator=plan.comparisons_per_annotator,
        annotators=plan.most_annotators,
        allocation="even" if plan.allocation == "uncertain_pairs" else plan.allocation,
        early_stopping=plan.early_stopping,
        endpoint=manifest.analysis.primary_endpoint,
        level=manifest.analysis.level,
        cluster_size=_cluster_size(_clusters(manifest)),
        models=len(manifest.models),
        are_uncertain_pairs_first=plan.allocation == "uncertain_pairs",
    )


def _clusters(manifest: Manifest) -> list[str]:
    """Return the cluster of each comparison."""
    labels = [prompt.cluster or prompt.text for prompt in manifest.prompts]
    return [labels[planned.prompt] for planned in manifest.comparisons]


def _cluster_size(labels: list[str]) -> float:
    """Return the mean over comparisons of the size of their cluster, which is what the design effect depends on."""
    return sum(size**2 for size in Counter(labels).values()) / len(labels)


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
        ("images", design.images, 2 if design.images else 0, MOST_IMAGES),
        ("votes for each comparison", design.overlap, 1, 1000),
        ("comparisons for each annotator", design.comparisons_per_annotator, 1, 100_000),
        ("comparisons that share a cluster", design.cluster_size, 1, design.prompts),
        ("models", design.models, 2, MOST_MODELS),
        ("simulations", chance.simulations, LEAST_SIMULATIONS, MOST_SIMULATIONS),
        ("seed", chance.seed, 0, 2**63 - 1),
    )
    for limit in limits:
        _refuse_outside(*limit)
    _refuse_shares(question)
    _refuse_outside("annotators", question.annotators, 1, MOST_ANNOTATORS)


def _refuse_outside(name: str, value: float, least: int, most: int) -> None:
    if not least <= value <= most:
        raise Refused(f"The number of {name} must be between {least:,} and {most:,}, not {value:,}.")


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
    shares = (
        ("The unevenness", assumed.unevenness, "below 1", assumed.unevenness < 1),
        ("The share of ties", assumed.tie_share, "below 1", assumed.tie_share < 1),
        ("The share of annotators who leave early", assumed.dropout, "below 1", assumed.dropout < 1),
        ("The learning", assumed.learning, "at most 1", assumed.learning <= 1),
        ("The correlation within clusters", assumed.cluster_correlation, "at most 1", assumed.cluster_correlation <= 1),
    )
    for name, value, limit, is_small in shares:
        if not (value >= 0 and is_small):
            raise Refused(f"{name} must be at least 0 and {limit}, not {value:g}.")
    most = most_flips(assumed.agreement)
    if not 0 <= assumed.flips <= most:
        raise Refused(
            f"A metric whose winner fresh seeds change in {assumed.flips:g} of the comparisons cannot agree on "
            f"{assumed.agreement:g}: the flips must lie between 0 and {math.floor(1e4 * most) / 1e4:g}."
        )


# --- seeds --------------------------------------------------------------------------------------
def turned_by_noise(flips: float) -> float:
    """Return how often a draw of seeds names another model than infinitely many seeds would.

    flips: how often two draws name different ones. With margins and noise both normal, two draws whose margins
    correlate by r name different models in arccos(r) / pi, and one draw another one than its mean in
    arccos(sqrt(r)) / pi of the comparisons (Sheppard, 1899).
    """
    return math.acos(math.sqrt(math.cos(math.pi * flips))) / math.pi


def most_flips(agreement: float) -> float:
    """Return the most flips that leave the agreement possible: those of a metric whose every error is noise."""
    return math.acos(math.cos(math.pi * (1 - agreement)) ** 2) / math.pi
