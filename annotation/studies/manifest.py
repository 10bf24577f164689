"""The manifest: what the researcher decided, as a frozen value, and its hash.

`study_file.py` reads and writes it as TOML; the database keeps `document(manifest)` in ManifestVersion.
"""

import hashlib
import json
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from annotation.voting.rules import VotingRules
from generation.parameters import SamplingParameters
from scoring.encoder_spec import EncoderSpec


class Section(BaseModel):
    """A part of the study file: frozen, and nothing in it goes unread."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelPlan(Section):
    """One of the two diffusion models. Without a checkpoint its images come from elsewhere."""

    name: str = Field(min_length=1, max_length=200)
    checkpoint: str = ""
    revision: str = ""
    lora: str = ""
    lora_revision: str = ""
    lora_scale: float | None = None
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    prompt_template: str = "{prompt}"


class PromptPlan(Section):
    """One base prompt; prompts of one cluster are resampled together (default: each its own)."""

    text: str = Field(min_length=1)
    cluster: str = ""


class AnnotationPlan(Section):
    """How votes are collected."""

    overlap: int = Field(default=5, ge=1, le=1000)
    comparisons_per_annotator: int = Field(default=60, ge=1)
    most_annotators: int | None = Field(default=None, ge=1)
    ties: bool = False
    show_prompt: bool = False
    opens_at: datetime | None = None
    closes_at: datetime | None = None
    lease_minutes: float = Field(default=30, gt=0, le=24 * 60)
    minimum_viewing_seconds: float = Field(default=0, ge=0, le=600)


class Texts(Section):
    """What annotators read, in Markdown. An empty text leaves its page to the default wording."""

    language: str = "en"
    question: str = "Which set is more consistent?"
    definition: str = "Consistent: the images of a set look alike in what they show and how."
    instructions: str = ""
    debrief: str = ""


class AnalysisPlan(Section):
    """What the report computes; fixed before the first vote."""

    primary_endpoint: Literal["strict", "half", "dropped"] = "strict"
    level: float = Field(default=0.95, gt=0.5, lt=1)
    resamples: int = Field(default=2000, ge=100, le=100_000)
    seed: int = Field(default=20240412, ge=0)


class Manifest(Section):
    """A study as its researcher wrote it. `prompts` are in order; `seeds` are drawn already."""

    name: str = Field(min_length=1, max_length=200)
    slug: str = Field(pattern=r"^[a-z0-9]+(?:-[a-z0-9]+)*$", max_length=100)
    source: Literal["generated", "images", "external"] = "generated"
    notice: str = Field(default="", description="Printed on every page and in every file of the report.")
    sealed: bool = True
    model_a: ModelPlan
    model_b: ModelPlan
    prompts: tuple[PromptPlan, ...] = Field(min_length=1)
    seeds: tuple[int, ...] = ()
    sampling: SamplingParameters = SamplingParameters()
    encoder: EncoderSpec = EncoderSpec()
    annotation: AnnotationPlan = AnnotationPlan()
    texts: Texts = Texts()
    analysis: AnalysisPlan = AnalysisPlan()

    def voting_rules(self) -> VotingRules:
        """What voting needs to know."""
        plan = self.annotation
        return VotingRules(
            comparisons_per_annotator=plan.comparisons_per_annotator,
            most_annotators=plan.most_annotators,
            are_ties_allowed=plan.ties,
            lease_seconds=round(plan.lease_minutes * 60),
            opens_at=plan.opens_at,
            closes_at=plan.closes_at,
            minimum_viewing_seconds=plan.minimum_viewing_seconds,
        )


def document(manifest: Manifest) -> dict[str, Any]:
    """The manifest as JSON keeps it; `Manifest.model_validate` is its inverse."""
    return manifest.model_dump(mode="json")


def sha256(manifest: Manifest) -> str:
    """The hash of the canonical JSON form: sorted keys, no blanks, UTF-8."""
    text = json.dumps(document(manifest), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
