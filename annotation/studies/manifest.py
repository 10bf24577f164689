"""The manifest: the researcher's decisions about a study as a frozen value.

`study_file` reads and writes it as TOML. The database stores `documents.document(manifest)` in ManifestVersion.
"""

import hashlib
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Any, Literal, Self
from unicodedata import normalize

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from annotation.studies.metric_plan import MetricPlan, metric_faults
from annotation.studies.onboarding_plan import FramePlan, PlatformPlan
from annotation.studies.pairs import (
    MOST_MODELS,
    ModelKey,
    Pair,
    PairsPlan,
    PlannedComparison,
    pairs_of,
    planned_comparisons,
)
from annotation.studies.section import Fault, Moment, Parts, Section
from annotation.studies.validation.manifest_faults import manifest_faults
from annotation.studies.validation.pair_faults import pair_faults
from annotation.studies.validation.quality_faults import quality_faults
from annotation.voting.allocation import stored_chance
from annotation.voting.rules import QualityRules, StudyAllocation, VotingRules
from generation.endpoints import ENDPOINT_NAME
from generation.plans.parameters import SamplingParameters
from scoring.encoder_spec import EncoderSpec
from scoring.metric_spec import SCS, MetricSpec

AnnotatorSkill = Literal["crowd", "skilled", "expert"]
# Calderon, Reichart and Dror (2025): the costlier the annotators, the more a metric may fall short of them.
TOLERANCES: dict[AnnotatorSkill, float] = {"crowd": 0.1, "skilled": 0.15, "expert": 0.2}
# The document of a study of the models a and b, all of whose comparisons are between these two, as in version 0.1.
TWO_MODELS = {"model_a": "a", "model_b": "b"}
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
# One line, in one Unicode form: a prompt is also a line of a file, a cell of a table and the name of a folder.
PromptText = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, pattern=r"^[^\r\n]*$"),
    AfterValidator(partial(normalize, "NFC")),
]
# torch and the database take at most 63 bits.
Seed = Annotated[int, Field(ge=0, lt=2**63)]


def faults_between(parts: Parts) -> list[Fault]:
    """Return every fault between keys that are valid by themselves. parts: the sections that are valid, by name."""
    return [*pair_faults(parts), *manifest_faults(parts), *metric_faults(parts), *quality_faults(parts)]


class ModelPlan(Section):
    """One of the diffusion models. A model without a checkpoint and an endpoint generates nothing here."""

    name: Name
    checkpoint: str = Field(default="", max_length=500)
    revision: str = Field(default="", max_length=100)
    variant: str = Field(default="", max_length=50, pattern=r"^[A-Za-z0-9_]*$")
    lora: str = Field(default="", max_length=500)
    lora_revision: str = Field(default="", max_length=100)
    lora_file: str = Field(default="", max_length=500)
    lora_scale: float | None = Field(default=None, ge=-10, le=10)
    endpoint: str = Field(default="", max_length=100, pattern=rf"^$|{ENDPOINT_NAME}")
    dtype: Literal["float32", "float16", "bfloat16", "auto"] = "float32"
    vae_dtype: Literal["", "float32", "float16", "bfloat16"] = ""
    compile: bool = False
    channels_last: bool = False
    fused_qkv: bool = False
    options: dict[str, Any] = Field(default={}, max_length=20)
    prompt_template: str = Field(default="{prompt}", max_length=500)


class PromptPlan(Section):
    """One base prompt. Prompts of one cluster are resampled together; by default each prompt is its own cluster."""

    text: PromptText
    cluster: Annotated[str, StringConstraints(strip_whitespace=True, max_length=64)] = ""


class AnnotationPlan(Section):
    """The rules by which votes are collected."""

    overlap: int = Field(default=5, ge=1, le=1000)
    early_stopping: bool = False
    stop_when_decided: Literal["", "metric", "models"] = ""
    allocation: StudyAllocation = "even"
    floor: int | None = Field(default=None, ge=1, le=1000)
    comparisons_per_annotator: int = Field(default=60, ge=1, le=100_000)
    most_annotators: int | None = Field(default=None, ge=1, le=1_000_000)
    ties: bool = False
    show_prompt: bool = False
    opens_at: Moment | None = None
    closes_at: Moment | None = None
    withdrawal_until: Moment | None = None
    lease_minutes: float = Field(default=30.0, gt=0, le=24 * 60)
    minimum_viewing_seconds: float = Field(default=0.0, ge=0, le=600)
    undo_seconds: int = Field(default=30, ge=0, le=3600)
    prefetch: int = Field(default=1, ge=0, le=3)


class PrivacyPlan(Section):
    """When the personal data of annotators is erased; votes stay, under pseudonyms. By default nothing is erased."""

    erase_days_after_closing: int | None = Field(default=None, ge=0, le=36_500)
    erase_at: Moment | None = None

    def moment(self, closed_at: datetime) -> datetime | None:
        """Return when the data of a study that closed at this time is erased; None: when its owner does it."""
        if self.erase_days_after_closing is not None:
            return closed_at + timedelta(days=self.erase_days_after_closing)
        return self.erase_at and max(self.erase_at, closed_at)


class Texts(Section):
    """The texts that annotators read, in Markdown. If a text is empty, its page shows the default wording."""

    language: str = Field(default="en", pattern=r"^[a-z]{2}(-[A-Z]{2})?$")
    question: str = Field(default="Which set is more consistent?", min_length=1)
    definition: str = "Consistent: the images of a set look alike in what they show and how."
    welcome: str = ""
    consent: str = ""
    instructions: str = ""
    instructed: str = "To show that you are reading this, please choose the set called “{side}”, whatever it shows."
    debrief: str = ""

    @property
    def has_welcome(self) -> bool:
        """Whether the annotator first sees a page with the welcome or the consent."""
        return bool(self.welcome or self.consent)

    @property
    def consent_sha256(self) -> str:
        """The hash of the consent text; empty if no consent is asked."""
        return hashlib.sha256(self.consent.encode()).hexdigest() if self.consent else ""


class Leak(Section):
    """The data of this study that a metric was made with: votes of annotators by name, or the prompts."""

    annotators: tuple[Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)], ...] = ()
    prompts: bool = False


class AnalysisPlan(Section):
    """The choices of the analysis, fixed before the first vote."""

    primary_endpoint: Literal["strict", "half", "dropped"] = "strict"
    level: float = Field(default=0.95, gt=0.5, lt=1)
    resamples: int = Field(default=2000, ge=100, le=100_000)
    seed: int = Field(default=20240412, ge=0, lt=2**63)
    annotator_skill: AnnotatorSkill = "crowd"
    constant_choice: Literal["", "A", "B"] = ""
    equivalence_margin: float | None = Field(default=None, gt=0, lt=1)
    assumed_difference: float | None = Field(default=None, gt=0, lt=1)
    person_margin: float | None = Field(default=None, gt=0, lt=1)
    leaks_from: dict[Name, Leak] = Field(default={}, max_length=50)

    @property
    def annotator_tolerance(self) -> float:
        """The share by which a metric may fall short of an annotator and still replace one: the test's epsilon."""
        return TOLERANCES[self.annotator_skill]


class Manifest(Section):
    """A study as its researcher wrote it. `prompts` keep their order; `seeds` are already drawn."""

    name: Name
    slug: str = Field(pattern=r"^[a-z0-9]+(?:-[a-z0-9]+)*$", max_length=100)
    source: Literal["generated", "images", "external"] = "generated"
    notice: str = Field(default="", description="Printed on every page and in every file of the report.")
    sealed: bool = True
    models: dict[ModelKey, ModelPlan] = Field(max_length=MOST_MODELS)
    pairs: PairsPlan = PairsPlan()
    prompts: tuple[PromptPlan, ...] = Field(min_length=1)
    seeds: tuple[Seed, ...] = ()
    sampling: SamplingParameters = SamplingParameters()
    encoder: EncoderSpec = EncoderSpec()
    metrics: tuple[MetricPlan, ...] = Field(default=(), max_length=50)
    annotation: AnnotationPlan = AnnotationPlan()
    texts: Texts = Texts()
    frame: FramePlan = FramePlan()
    quality: QualityRules = QualityRules()
    platform: PlatformPlan = PlatformPlan()
    privacy: PrivacyPlan = PrivacyPlan()
    analysis: AnalysisPlan = AnalysisPlan()

    @model_validator(mode="before")
    @classmethod
    def _without_unused_sampling(cls, plan: Any) -> Any:
        """Drop the sampling parameters that older manifests and study files hold although they generate nothing."""
        if isinstance(plan, dict) and plan.get("source", "generated") != "generated":
            return {key: value for key, value in plan.items() if key != "sampling"}
        return plan

    @model_validator(mode="before")
    @classmethod
    def _with_models_by_key(cls, plan: Any) -> Any:
        """Read the models of a stored document: a list with keys, or those of two models under names of their own."""
        if not isinstance(plan, dict):
            return plan
        if isinstance(models := plan.get("models"), list):
            by_key = {model["key"]: {name: value for name, value in model.items() if name != "key"} for model in models}
            return plan | {"models": by_key}
        if isinstance(models, dict) and models.keys() == set(TWO_MODELS.values()):
            return plan | {"models": {key: models[key] for key in TWO_MODELS.values()}}
        of_two = {key: plan[name] for name, key in TWO_MODELS.items() if name in plan}
        kept = {key: value for key, value in plan.items() if key not in TWO_MODELS}
        return kept | {"models": of_two} if of_two else plan

    @model_validator(mode="after")
    def _has_no_faults(self) -> Self:
        parts = {name: getattr(self, name) for name in type(self).model_fields}
        if faults := faults_between(parts):
            raise ValueError("; ".join(f"{'.'.join(map(str, fault.key))}: {fault.sentence}" for fault in faults))
        return self

    @property
    def model_a(self) -> ModelPlan:
        """The first model of the study file: in a study of two models, the one on side A of every comparison."""
        return next(iter(self.models.values()))

    @property
    def model_b(self) -> ModelPlan:
        """The second model of the study file: in a study of two models, the one on side B of every comparison."""
        return list(self.models.values())[1]

    @property
    def has_two_models(self) -> bool:
        """Whether the study compares two models, so that each comparison is between the same ones."""
        return len(self.models) == 2

    @property
    def comparison_count(self) -> int:
        """The number of comparisons planned."""
        return self.pairs.total(models=len(self.models), prompts=len(self.prompts))

    @property
    def image_set_count(self) -> int:
        """The number of image sets planned: one for each model and prompt that are in a comparison."""
        if self.pairs.design == "all":
            return len(self.models) * len(self.prompts)
        return len({(one.prompt, key) for one in self.comparisons for key in (one.model_a, one.model_b)})

    @property
    def comparisons(self) -> tuple[PlannedComparison, ...]:
        """The comparisons planned, by position."""
        return planned_comparisons(tuple(self.models), len(self.prompts), self.pairs)

    @property
    def compared_pairs(self) -> tuple[Pair, ...]:
        """The keys of the models of each pair that is compared, in the order of the study file."""
        return pairs_of(tuple(self.models), len(self.prompts), self.pairs)

    def turns(self) -> list[int] | None:
        """Return the turn of each comparison, by position: the place of its cluster in the drawn order, from 0.

        The order follows from the seed of the analysis, which is fixed before the first vote. None if the study does
        not stop by its evidence: its comparisons have no turns.
        """
        if not self.annotation.stop_when_decided:
            return None
        own = [prompt.cluster or f"\n{place}" for place, prompt in enumerate(self.prompts)]  # no name has a new line
        clusters = [own[planned.prompt] for planned in self.comparisons]
        drawn = sorted(set(clusters))
        stored_chance(self.analysis.seed, "order of clusters").shuffle(drawn)
        place = {cluster: turn for turn, cluster in enumerate(drawn)}
        return [place[cluster] for cluster in clusters]

    def computed_metrics(self) -> tuple[MetricSpec, ...]:
        """Return the metrics that a worker computes for each set: the study's own first."""
        computed = (plan for plan in self.metrics if plan.needs in ("embeddings", "images") or plan.comparer)
        return (MetricSpec(SCS, self.encoder), *(plan.spec(self.encoder) for plan in computed))

    def voting_rules(self) -> VotingRules:
        """Return the rules that voting follows."""
        plan = self.annotation
        return VotingRules(
            comparisons_per_annotator=min(plan.comparisons_per_annotator, self.comparison_count),
            most_annotators=plan.most_annotators,
            are_ties_allowed=plan.ties,
            lease_seconds=max(1, round(plan.lease_minutes * 60)),
            opens_at=plan.opens_at,
            closes_at=plan.closes_at,
            minimum_viewing_seconds=plan.minimum_viewing_seconds,
            undo_seconds=plan.undo_seconds,
            prefetch=plan.prefetch,
            allocation="drawn" if plan.stop_when_decided else plan.allocation,
            floor=plan.floor or 0,
            model_count=len(self.models),
            stops_early=plan.early_stopping,
            quality=self.quality,
        )
