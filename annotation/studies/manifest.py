"""The manifest: what the researcher decided, as a frozen value, and its hash.

`study_file.py` reads and writes it as TOML; the database keeps `document(manifest)` in ManifestVersion.
"""

import hashlib
import json
from functools import partial
from typing import Annotated, Any, Literal, Self
from unicodedata import normalize

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from annotation.studies.onboarding_plan import FramePlan, PlatformPlan
from annotation.studies.section import Moment, Section
from annotation.studies.validation.contradictions import contradictions
from annotation.voting.rules import Allocation, QualityRules, VotingRules
from generation.parameters import SamplingParameters
from scoring.encoder_spec import EncoderSpec

AnnotatorSkill = Literal["crowd", "skilled", "expert"]
# Calderon, Reichart and Dror (2025): the costlier the annotators, the more a metric may fall short of them.
TOLERANCES: dict[AnnotatorSkill, float] = {"crowd": 0.1, "skilled": 0.15, "expert": 0.2}
# Keys that came later, which manifests from before do not have.
LATER_KEYS = (("platform", "study_full_code"),)
# Parts that act only on images that are scored here, and on people who vote here.
EXTERNALLY = ("encoder", "annotation", "frame", "quality", "platform")
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
# One line in one spelling: prompts are lines of files, cells of tables and names of folders.
PromptText = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, pattern=r"^[^\r\n]*$"),
    AfterValidator(partial(normalize, "NFC")),
]
# torch and the database both take up to 63 bits.
Seed = Annotated[int, Field(ge=0, lt=2**63)]


class ModelPlan(Section):
    """One of the two diffusion models. Without a checkpoint its images come from elsewhere."""

    name: Name
    checkpoint: str = Field(default="", max_length=500)
    revision: str = Field(default="", max_length=100)
    lora: str = Field(default="", max_length=500)
    lora_revision: str = Field(default="", max_length=100)
    lora_scale: float | None = Field(default=None, ge=-10, le=10)
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    prompt_template: str = Field(default="{prompt}", max_length=500)


class PromptPlan(Section):
    """One base prompt; prompts of one cluster are resampled together (default: each its own)."""

    text: PromptText
    cluster: Annotated[str, StringConstraints(strip_whitespace=True, max_length=64)] = ""


class AnnotationPlan(Section):
    """How votes are collected."""

    overlap: int = Field(default=5, ge=1, le=1000)
    early_stopping: bool = False
    allocation: Allocation = "even"
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


class Texts(Section):
    """What annotators read, in Markdown. An empty text leaves its page to the default wording."""

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
        """Whether a page of welcome or consent comes before everything else."""
        return bool(self.welcome or self.consent)

    @property
    def consent_sha256(self) -> str:
        """The version of the consent text; empty where none is asked."""
        return hashlib.sha256(self.consent.encode()).hexdigest() if self.consent else ""


class AnalysisPlan(Section):
    """What the report computes; fixed before the first vote."""

    primary_endpoint: Literal["strict", "half", "dropped"] = "strict"
    level: float = Field(default=0.95, gt=0.5, lt=1)
    resamples: int = Field(default=2000, ge=100, le=100_000)
    seed: int = Field(default=20240412, ge=0, lt=2**63)
    annotator_skill: AnnotatorSkill = "crowd"
    equivalence_margin: float | None = Field(default=None, gt=0, lt=1)

    @property
    def annotator_tolerance(self) -> float:
        """How far the metric may fall short of an annotator and still stand in for one: epsilon of the test."""
        return TOLERANCES[self.annotator_skill]


class Manifest(Section):
    """A study as its researcher wrote it. `prompts` are in order; `seeds` are drawn already."""

    name: Name
    slug: str = Field(pattern=r"^[a-z0-9]+(?:-[a-z0-9]+)*$", max_length=100)
    source: Literal["generated", "images", "external"] = "generated"
    notice: str = Field(default="", description="Printed on every page and in every file of the report.")
    sealed: bool = True
    model_a: ModelPlan
    model_b: ModelPlan
    prompts: tuple[PromptPlan, ...] = Field(min_length=1)
    seeds: tuple[Seed, ...] = ()
    sampling: SamplingParameters = SamplingParameters()
    encoder: EncoderSpec = EncoderSpec()
    annotation: AnnotationPlan = AnnotationPlan()
    texts: Texts = Texts()
    frame: FramePlan = FramePlan()
    quality: QualityRules = QualityRules()
    platform: PlatformPlan = PlatformPlan()
    analysis: AnalysisPlan = AnalysisPlan()

    @model_validator(mode="before")
    @classmethod
    def _samples_only_what_is_generated(cls, plan: Any) -> Any:
        """Older manifests and study files hold sampling parameters of images that come from elsewhere."""
        if isinstance(plan, dict) and plan.get("source", "generated") != "generated":
            return {key: value for key, value in plan.items() if key != "sampling"}
        return plan

    @model_validator(mode="after")
    def _does_not_contradict_itself(self) -> Self:
        faults = contradictions({name: getattr(self, name) for name in type(self).model_fields})
        if faults:
            raise ValueError("; ".join(f"{'.'.join(map(str, fault.key))}: {fault.sentence}" for fault in faults))
        return self

    def voting_rules(self) -> VotingRules:
        """What voting needs to know."""
        plan = self.annotation
        return VotingRules(
            comparisons_per_annotator=min(plan.comparisons_per_annotator, len(self.prompts)),
            most_annotators=plan.most_annotators,
            are_ties_allowed=plan.ties,
            lease_seconds=max(1, round(plan.lease_minutes * 60)),
            opens_at=plan.opens_at,
            closes_at=plan.closes_at,
            minimum_viewing_seconds=plan.minimum_viewing_seconds,
            undo_seconds=plan.undo_seconds,
            prefetch=plan.prefetch,
            allocation=plan.allocation,
            stops_early=plan.early_stopping,
            quality=self.quality,
        )


def document(manifest: Manifest) -> dict[str, Any]:
    """The manifest as JSON keeps it, without what does not apply; `Manifest.model_validate` is its inverse.

    A key that came after the first release is absent while it has its default: the hash of a study file that does
    not use it stays what it was.
    """
    plan = applicable(manifest.model_dump(mode="json"), manifest.source)
    for section, key in LATER_KEYS:
        if section in plan and plan[section].get(key) == _default(section, key):
            del plan[section][key]
    return plan


def applicable(plan: dict[str, Any], source: str) -> dict[str, Any]:
    """The plan of a study, dumped, without settings that nobody uses: a default that did not act is no fact.

    Where nothing is generated there are no sampling parameters and no seeds, and of the models only what was said.
    An external study shows nothing to anybody either: there of each part in EXTERNALLY only what was said is left.
    """
    if source == "generated":
        return plan
    left = {key: value for key, value in plan.items() if key not in ("sampling", "seeds")}
    said = ("model_a", "model_b", *(EXTERNALLY if source == "external" else ()))
    parts = {section: _said(left[section], section) for section in said}
    return {key: parts.get(key, value) for key, value in left.items() if parts.get(key) != {}}


def _said(part: dict[str, Any], section: str) -> dict[str, Any]:
    """The keys of a part that differ from their defaults."""
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in part.items()}
    return {key: part[key] for key in plain if plain[key] != _default(section, key)}


def _default(section: str, key: str) -> Any:
    kind: Any = Manifest.model_fields[section].annotation
    fields = getattr(kind, "model_fields", None)
    default = fields[key].default if fields else getattr(kind(), key)
    return list(default) if isinstance(default, tuple) else default


def sha256(manifest: Manifest) -> str:
    """The hash of the canonical JSON form: sorted keys, no blanks, UTF-8."""
    text = json.dumps(document(manifest), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
