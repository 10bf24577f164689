"""The tables of generation: diffusion models, prompts, image sets, images, and the jobs that make them."""

import uuid
from typing import Any, ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Length
from django.utils import timezone

from jobs.models import LeasedJob

ENDPOINT_TASK = "generation.tasks.run_endpoint_job"
MOST_PROMPT_BYTES = 2600  # PostgreSQL's unique index holds no longer one; text encoders read far less

models.CharField.register_lookup(Length)  # so that a constraint can say __length


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
        max_length=500, blank=True, help_text="A local folder, or a hub id; blank where the images are imported."
    )
    revision = models.CharField(max_length=100, blank=True, help_text="The pinned commit of a hub checkpoint.")
    variant = models.CharField(
        max_length=50, blank=True, help_text="Which files of weights: fp16, for example; blank: the plain ones."
    )
    lora = models.CharField(max_length=500, blank=True, help_text="A local folder or file, or a hub id.")
    lora_revision = models.CharField(max_length=100, blank=True)
    lora_file = models.CharField(max_length=500, blank=True, help_text="Which file of a LoRA that has several.")
    lora_scale = models.FloatField(null=True, blank=True)
    endpoint = models.CharField(
        max_length=100, blank=True, help_text="The name of an endpoint in the worker's file; then no checkpoint."
    )
    dtype = models.CharField(max_length=10, choices=Dtype, default=Dtype.FLOAT32)
    resolved_dtype = models.CharField(
        max_length=10, blank=True, help_text="The dtype that auto became on the first worker that tried the model."
    )
    vae_dtype = models.CharField(
        max_length=10, blank=True, help_text="The decoder's dtype; blank: float32 for SDXL, else the model's."
    )
    options = models.JSONField(
        default=dict, blank=True, help_text="Further arguments of the pipeline and settings of its scheduler."
    )
    prompt_template = models.CharField(
        max_length=500, default="{prompt}", help_text="The wording this model is given; {prompt} is the base prompt."
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
    parameters = models.JSONField(default=dict, help_text="SamplingParameters; empty where the set was not generated.")
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


class GenerationJob(LeasedJob):
    """One prompt, one model, a chunk of seeds."""

    task_name = "generation.tasks.run_generation_job"

    image_set = models.ForeignKey(ImageSet, on_delete=models.CASCADE, related_name="jobs")
    chunk = models.PositiveIntegerField(help_text="Which chunk of the set's seeds, from 0.")
    seeds = models.JSONField()

    class Meta(LeasedJob.Meta):
        abstract = False
        # Ordered by model, so that a worker does not load a checkpoint again for each job.
        ordering = ("image_set__diffusion_model_id", "id")
        constraints: ClassVar = [
            *LeasedJob.Meta.constraints,
            models.UniqueConstraint(fields=["image_set", "chunk"], name="generation_job_one_per_chunk"),
        ]

    def __str__(self) -> str:
        return f"{self.image_set} chunk {self.chunk}: {self.state}"

    @property
    def message_name(self) -> str:
        """The task of the queue that this job's model is for: endpoints need no device."""
        return ENDPOINT_TASK if self.image_set.diffusion_model.endpoint else self.task_name

    @property
    def log_fields(self) -> dict[str, Any]:
        """Add the image set."""
        return super().log_fields | {"image_set": self.image_set_id}


class ModelTrial(LeasedJob):
    """One image of a model, made on a worker before a study is launched, with what it cost.

    `fingerprint` is the hash of the model's settings, the sampling parameters and the product's version.
    """

    task_name = "generation.tasks.run_model_trial"

    diffusion_model = models.ForeignKey(DiffusionModel, on_delete=models.CASCADE, related_name="trials")
    prompt = models.TextField(help_text="As the model receives it.")
    parameters = models.JSONField(help_text="SamplingParameters")
    fingerprint = models.CharField(max_length=64, unique=True)
    outcome = models.JSONField(default=dict, blank=True, help_text="Dtype, seconds, memory, size; empty until done.")

    class Meta(LeasedJob.Meta):
        abstract = False
        ordering = ("id",)

    def __str__(self) -> str:
        return f"trial of {self.diffusion_model}: {self.state}"


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
        max_length=6, null=True, blank=True, choices=Remark, help_text="Why it says little; null: nothing was noted."
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


class Card(models.Model):
    """A device that computes: a graphics card, a part of one, or the CPU of a host.

    `refused_at`: when it failed on the second of several different jobs; it takes no more until it is readmitted.
    """

    key = models.CharField(max_length=100, unique=True, help_text="The card's UUID; cpu@<host> for a CPU.")
    host = models.CharField(max_length=255, help_text="Where it was last seen.")
    number = models.CharField(max_length=20, help_text="Its number on its host, or cpu.")
    name = models.CharField(max_length=200)
    refused_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.host}:{self.number}"


class CardFailure(models.Model):
    """A job after which a card could not go on. Readmitting the card deletes its failures."""

    card = models.ForeignKey(Card, on_delete=models.CASCADE, related_name="failures")
    task_name = models.CharField(max_length=100, help_text="The kind of the job.")
    job_id = models.PositiveBigIntegerField()
    error = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["card", "task_name", "job_id"], name="one_failure_per_card_and_job"),
            models.CheckConstraint(name="card_failure_says_why", condition=~Q(error="")),
        ]

    def __str__(self) -> str:
        return f"{self.card}: {self.error}"


class FileFetch(models.Model):
    """How far a host has fetched the files of a revision, as its pages and commands show it.

    `selection` is the variant of a checkpoint or the file of a LoRA. `error` is why nothing comes now.
    """

    host = models.CharField(max_length=255)
    repository = models.CharField(max_length=500)
    revision = models.CharField(max_length=100)
    selection = models.CharField(max_length=500, blank=True)
    byte_count = models.PositiveBigIntegerField(default=0)
    byte_total = models.PositiveBigIntegerField(null=True, help_text="Null until the hub has listed the files.")
    error = models.TextField(blank=True)
    seen_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["host", "repository", "revision", "selection"], name="file_fetch_one_per_host_and_revision"
            ),
            models.CheckConstraint(
                name="file_fetch_has_at_most_all_bytes",
                condition=Q(byte_total__isnull=True) | Q(byte_count__lte=models.F("byte_total")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.repository} on {self.host}"


class EndpointAccount(models.Model):
    """An endpoint as a worker knows it, without its address and key: what was asked of it, and what that cost.

    Costs are in millionths of the currency. A request is counted before it is sent, so that a crash hides none.
    """

    name = models.CharField(max_length=100, unique=True)
    adapter = models.CharField(max_length=20)
    is_seeded = models.BooleanField(help_text="Whether the same seed gives the same image again.")
    model = models.CharField(max_length=200, blank=True, help_text="As the endpoint names it.")
    currency = models.CharField(max_length=10)
    request_count = models.PositiveBigIntegerField(default=0)
    cost_micros = models.PositiveBigIntegerField(default=0)
    limit_micros = models.PositiveBigIntegerField(null=True, blank=True)
    price_micros = models.PositiveBigIntegerField(default=0, help_text="Of one image.")
    next_at = models.DateTimeField(null=True, blank=True, help_text="When the next request may be sent.")
    last_error = models.TextField(blank=True)
    last_error_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class RefusedSeed(models.Model):
    """A seed whose image an endpoint refused to make because of its content. It is not asked for again."""

    image_set = models.ForeignKey(ImageSet, on_delete=models.CASCADE, related_name="refused_seeds")
    seed = models.PositiveBigIntegerField()
    reason = models.TextField(help_text="As the endpoint gives it.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("image_set_id", "seed")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["image_set", "seed"], name="one_refusal_per_set_and_seed"),
        ]

    def __str__(self) -> str:
        return f"{self.image_set} seed {self.seed}"


class WorkerSign(models.Model):
    """The last sign of life of a worker process, `<queue>@<host>` or `<queue>-<card>@<host>`, and what it does.

    `note`: why it takes no jobs; empty if it takes them. `model`: what it has loaded. Its job is the running one whose
    `claimed_by` begins with its name.
    """

    name = models.CharField(max_length=255, unique=True)
    queue = models.CharField(max_length=50)
    seen_at = models.DateTimeField()
    started_at = models.DateTimeField(default=timezone.now)
    version = models.CharField(max_length=50, blank=True)
    commit = models.CharField(max_length=40, blank=True)
    card = models.ForeignKey(Card, on_delete=models.SET_NULL, null=True, blank=True, related_name="signs")
    model = models.CharField(max_length=200, blank=True)
    memory_used = models.PositiveBigIntegerField(default=0, help_text="Bytes of its device.")
    memory_total = models.PositiveBigIntegerField(default=0)
    note = models.CharField(max_length=500, blank=True)

    def __str__(self) -> str:
        return self.name
