"""Diffusion models, prompts, image sets and their images."""

import re
import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Length

MOST_PROMPT_BYTES = 2600  # PostgreSQL's unique index holds no longer one; text encoders read far less

models.CharField.register_lookup(Length)  # so that a constraint can use the lookup __length


class DiffusionModel(models.Model):
    """A text-to-image model: a checkpoint, an optional LoRA, a dtype and a prompt template; or an endpoint.

    A model with neither has only imported images.
    """

    class Dtype(models.TextChoices):
        FLOAT32 = "float32"
        FLOAT16 = "float16"
        BFLOAT16 = "bfloat16"
        AUTO = "auto"  # resolved when a worker tries the model

    name = models.CharField(max_length=200, unique=True)
    checkpoint = models.CharField(
        max_length=500, blank=True, help_text="A local folder or a hub id; blank if the images are imported."
    )
    revision = models.CharField(max_length=100, blank=True, help_text="The pinned commit of a hub checkpoint.")
    variant = models.CharField(
        max_length=50,
        blank=True,
        help_text="Which variant of the weights to use, such as fp16; blank for the plain files.",
    )
    lora = models.CharField(max_length=500, blank=True, help_text="A local folder or file, or a hub id.")
    lora_revision = models.CharField(max_length=100, blank=True)
    lora_file = models.CharField(max_length=500, blank=True, help_text="The file to use if the LoRA has several.")
    lora_scale = models.FloatField(null=True, blank=True)
    endpoint = models.CharField(
        max_length=100, blank=True, help_text="The name of an endpoint in the worker's file, instead of a checkpoint."
    )
    dtype = models.CharField(max_length=10, choices=Dtype, default=Dtype.FLOAT32)
    resolved_dtype = models.CharField(
        max_length=10,
        blank=True,
        help_text="The dtype that auto stands for, set by the first worker that tried the model.",
    )
    vae_dtype = models.CharField(
        max_length=10,
        blank=True,
        help_text="The decoder's dtype; blank for float32 with SDXL and the model's dtype otherwise.",
    )
    compile = models.BooleanField(default=False, help_text="Compile the denoiser: slow at first, then faster.")
    channels_last = models.BooleanField(default=False, help_text="Store convolutions in the order that cards prefer.")
    fused_qkv = models.BooleanField(
        default=False, help_text="Multiply query, key and value by one matrix; not beside a LoRA."
    )
    options = models.JSONField(
        default=dict, blank=True, help_text="Further arguments of the pipeline and settings of its scheduler."
    )
    prompt_template = models.CharField(
        max_length=500,
        default="{prompt}",
        help_text="The prompt that this model receives; {prompt} stands for the base prompt.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("name",)
        constraints: ClassVar = [
            models.CheckConstraint(
                name="diffusion_model_lora_has_a_scale",
                condition=Q(lora="", lora_scale__isnull=True) | (~Q(lora="") & Q(lora_scale__isnull=False)),
                violation_error_message="lora and lora_scale go together: give both or neither.",
            ),
            models.CheckConstraint(
                name="diffusion_model_template_holds_the_prompt",
                condition=Q(prompt_template__contains="{prompt}"),
                violation_error_message="prompt_template must contain {prompt}.",
            ),
            models.CheckConstraint(
                name="diffusion_model_only_auto_is_resolved", condition=Q(resolved_dtype="") | Q(dtype="auto")
            ),
            models.CheckConstraint(
                name="diffusion_model_checkpoint_or_endpoint",
                condition=Q(endpoint="") | Q(checkpoint="", lora=""),
                violation_error_message="A model has either an endpoint or a checkpoint.",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def dtype_in_use(self) -> str:
        """The dtype that images are sampled in; `auto` until a worker has tried the model."""
        return self.resolved_dtype or self.dtype

    def render_prompt(self, prompt: str) -> str:
        """Return the prompt that this model receives for a base prompt."""
        return self.prompt_template.replace("{prompt}", prompt)


class Prompt(models.Model):
    """A base prompt, before any model's template."""

    text = models.TextField(unique=True)

    class Meta:
        ordering = ("id",)
        constraints: ClassVar = [models.CheckConstraint(name="prompt_is_not_blank", condition=~Q(text=""))]

    def __str__(self) -> str:
        return self.text


class ImageSet(models.Model):
    """The images of one model for one prompt, and their plan (prompt, parameters, seeds), which never changes.

    `fingerprint` is the hash of the plan, so no plan is stored twice; `lot` separates sets with equal plans but
    different images (of two external studies, say).
    """

    class Origin(models.TextChoices):
        GENERATED = "generated"
        IMPORTED = "imported"
        EXTERNAL = "external"  # votes and scores are known here, the images are not

    uid = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    diffusion_model = models.ForeignKey(DiffusionModel, on_delete=models.PROTECT, related_name="image_sets")
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="image_sets")
    origin = models.CharField(max_length=10, choices=Origin)
    rendered_prompt = models.TextField()
    parameters = models.JSONField(
        default=dict, help_text="The sampling parameters; empty if the set was not generated."
    )
    seeds = models.JSONField(default=list, help_text="The planned seeds, in order.")
    lot = models.CharField(max_length=200, blank=True)
    fingerprint = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("id",)
        constraints: ClassVar = [
            models.CheckConstraint(name="image_set_fingerprint_is_sha256", condition=Q(fingerprint__length=64)),
        ]

    def __str__(self) -> str:
        return f"{self.diffusion_model} / {self.prompt}"


def without_model(sentence: str, model: str) -> str:
    """Return a sentence with its image sets named by their prompts only: their study may be sealed.

    >>> without_model("SDXL / a cat: seed 7 was refused.", "SDXL")
    'a cat: seed 7 was refused.'
    >>> without_model("SDXL: its weights do not fit.", "SDXL")
    'The model: its weights do not fit.'
    >>> without_model("Model SDXL: its folder is not there.", "SDXL")
    'The model: its folder is not there.'
    """
    by_prompt = sentence.replace(f"{model} / ", "")
    named = re.sub(rf"(?<!\w)(?:[Mm]odel )?{re.escape(model)}(?!\w)", "the model", by_prompt)
    return named[:1].upper() + named[1:] if named != by_prompt else named


class GeneratedImage(models.Model):
    """One image of a set: its file, its hash and its provenance."""

    class Remark(models.TextChoices):
        PLAIN = "plain"  # of one colour
        REPEAT = "repeat"  # the pixels of an earlier image of the set

    image_set = models.ForeignKey(ImageSet, on_delete=models.PROTECT, related_name="images")
    seed = models.PositiveBigIntegerField()
    path = models.CharField(max_length=500, help_text="Below the media folder.")
    sha256 = models.CharField(max_length=64)
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    byte_count = models.PositiveBigIntegerField()
    provenance = models.JSONField(default=dict, help_text="Versions, device, dtype, batch size, hashes, source.")
    remark = models.CharField(
        max_length=6,
        null=True,
        blank=True,
        choices=Remark,
        help_text="Why the image says little about its model; null if nothing was noted.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("image_set_id", "seed")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["image_set", "seed"], name="one_image_per_set_and_seed"),
            models.CheckConstraint(name="generated_image_hash_is_sha256", condition=Q(sha256__length=64)),
        ]
        indexes: ClassVar = [
            # A nearly empty index, which finds a study's few remarks without reading its images.
            models.Index(fields=["image_set"], name="generated_image_remarked", condition=Q(remark__isnull=False))
        ]

    def __str__(self) -> str:
        return f"{self.image_set} seed {self.seed}"
