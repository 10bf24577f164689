"""The manifest: the researcher's decisions about a study as a frozen value, and its hash.

`study_file` reads and writes it as TOML. The database stores `document(manifest)` in ManifestVersion.
"""

import hashlib
import json
from functools import partial
from typing import Annotated, Any, Literal, Self
from unicodedata import normalize

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from annotation.studies.onboarding_plan import CODE_LEFT_OUT, FramePlan, PlatformPlan
from annotation.studies.section import Moment, Section
from annotation.studies.validation.manifest_faults import manifest_faults
from annotation.studies.validation.quality_faults import quality_faults
from annotation.voting.rules import Allocation, QualityRules, VotingRules
from generation.endpoints import ENDPOINT_NAME
from generation.plans.parameters import SamplingParameters
from scoring.encoder_spec import EncoderSpec

AnnotatorSkill = Literal["crowd", "skilled", "expert"]
# Calderon, Reichart and Dror (2025): the costlier the annotators, the more a metric may fall short of them.
TOLERANCES: dict[AnnotatorSkill, float] = {"crowd": 0.1, "skilled": 0.15, "expert": 0.2}
# Keys added after version 0.1: older manifests lack them.
LATER_KEYS = (
    ("platform", "study_full_code"),
    ("annotation", "stop_when_decided"),
    *(("analysis", key) for key in ("constant_choice", "assumed_difference", "person_margin", "leaks_from")),
    *((model, key) for model in ("model_a", "model_b") for key in ("variant", "lora_file")),
    *((model, key) for model in ("model_a", "model_b") for key in ("vae_dtype", "options", "endpoint")),
)
# Credentials that cost money: a platform pays a person who enters one.
COMPLETION_CODES = tuple(key for key in PlatformPlan.model_fields if key.endswith("_code"))
# Sections that have no effect in an external study: its images are not scored here, and nobody votes here.
UNUSED_IF_EXTERNAL = ("encoder", "annotation", "frame", "quality", "platform")
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
# One line, in one Unicode form: a prompt is also a line of a file, a cell of a table and the name of a folder.
PromptText = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, pattern=r"^[^\r\n]*$"),
    AfterValidator(partial(normalize, "NFC")),
]
# torch and the database take at most 63 bits.
Seed = Annotated[int, Field(ge=0, lt=2**63)]


class ModelPlan(Section):
    """One of the two diffusion models. A model without a checkpoint and an endpoint generates nothing here."""

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
    options: dict[str, Any] = Field(default={}, max_length=20)
    prompt_template: str = Field(default="{prompt}", max_length=500)


class PromptPlan(Section):
    """One base prompt. Prompts of one cluster are resampled together; by default each prompt is its own cluster."""

    text: PromptText
    cluster: Annotated[str, StringConstraints(strip_whitespace=True, max_length=64)] = ""


class AnnotationPlan(Section):
    """How votes are collected."""

    overlap: int = Field(default=5, ge=1, le=1000)
    early_stopping: bool = False
    stop_when_decided: Literal["", "metric", "models"] = ""
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
    """What a metric has seen of the study that judges it: votes of annotators by name, or the prompts."""

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
        """How far the metric may fall short of an annotator and still replace one: the epsilon of the test."""
        return TOLERANCES[self.annotator_skill]


class Manifest(Section):
    """A study as its researcher wrote it. `prompts` keep their order; `seeds` are already drawn."""

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
    def _without_unused_sampling(cls, plan: Any) -> Any:
        """Drop the sampling parameters that older manifests and study files hold although they generate nothing."""
        if isinstance(plan, dict) and plan.get("source", "generated") != "generated":
            return {key: value for key, value in plan.items() if key != "sampling"}
        return plan

    @model_validator(mode="after")
    def _has_no_faults(self) -> Self:
        parts = {name: getattr(self, name) for name in type(self).model_fields}
        if faults := [*manifest_faults(parts), *quality_faults(parts)]:
            raise ValueError("; ".join(f"{'.'.join(map(str, fault.key))}: {fault.sentence}" for fault in faults))
        return self

    def voting_rules(self) -> VotingRules:
        """Return the rules that voting follows."""
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
            allocation="drawn" if plan.stop_when_decided else plan.allocation,
            stops_early=plan.early_stopping,
            quality=self.quality,
        )


def document(manifest: Manifest) -> dict[str, Any]:
    """Return the manifest as JSON, without unused settings. `Manifest.model_validate` is the inverse.

    A key added after version 0.1 is left out if it has its default, so that older study files keep their hash.
    """
    plan = applicable(manifest.model_dump(mode="json"), manifest.source)
    for section, key in LATER_KEYS:
        if section in plan and plan[section].get(key) == _default(section, key):
            del plan[section][key]
    return plan


def public(plan: dict[str, Any]) -> dict[str, Any]:
    """Return a manifest's document for publication, with CODE_LEFT_OUT in place of each completion code.

    Without codes this is the document itself, whose hash everybody can compute. With codes only a person who has them
    can compute the hash.
    """
    codes = {key: CODE_LEFT_OUT for key in COMPLETION_CODES if plan.get("platform", {}).get(key)}
    return plan | {"platform": plan["platform"] | codes} if codes else plan


def lacks_codes(plan: dict[str, Any]) -> bool:
    """Return whether a document lacks its completion codes, so that its hash is not that of the manifest."""
    return CODE_LEFT_OUT in plan.get("platform", {}).values()


def applicable(plan: dict[str, Any], source: str) -> dict[str, Any]:
    """Return a dumped manifest without unused settings: a default that had no effect is not a fact about the study.

    If nothing is generated, there are no sampling parameters and no seeds, and each model keeps only the keys that
    differ from their defaults. In an external study the sections UNUSED_IF_EXTERNAL are cut down in the same way.
    """
    if source == "generated":
        return plan
    left = {key: value for key, value in plan.items() if key not in ("sampling", "seeds")}
    reduced = ("model_a", "model_b", *(UNUSED_IF_EXTERNAL if source == "external" else ()))
    sections = {name: _without_defaults(left[name], name) for name in reduced}
    return {key: sections.get(key, value) for key, value in left.items() if sections.get(key) != {}}


def _without_defaults(values: dict[str, Any], section: str) -> dict[str, Any]:
    """Return the keys of a section that differ from their defaults."""
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}
    return {key: values[key] for key in plain if plain[key] != _default(section, key)}


def _default(section: str, key: str) -> Any:
    kind: Any = Manifest.model_fields[section].annotation
    fields = getattr(kind, "model_fields", None)
    default = fields[key].default if fields else getattr(kind(), key)
    return list(default) if isinstance(default, tuple) else default


def sha256(manifest: Manifest) -> str:
    """Return the hash of the canonical JSON form: sorted keys, no blanks, UTF-8."""
    text = json.dumps(document(manifest), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
