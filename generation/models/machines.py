"""Worker processes, the cards they compute on, and the files that their hosts fetch."""

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from generation.models.image_sets import ImageSet


class Card(models.Model):
    """A device that computes: a graphics card, a part of one, or the CPU of a host.

    `refused_at`: when it failed on the second of several different jobs; it takes no more until it is readmitted.
    """

    key = models.CharField(max_length=100, unique=True, help_text="The card's UUID; cpu@<host> for a CPU.")
    host = models.CharField(max_length=255, help_text="The host on which it was last seen.")
    number = models.CharField(max_length=20, help_text="Its number on its host, or cpu.")
    name = models.CharField(max_length=200)
    refused_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.host}:{self.number}"


class CardFailure(models.Model):
    """A job that left a card unusable. Readmitting the card deletes its failures."""

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
    memory_used = models.PositiveBigIntegerField(default=0, help_text="Bytes in use on its device.")
    memory_total = models.PositiveBigIntegerField(default=0)
    note = models.CharField(max_length=500, blank=True)

    def __str__(self) -> str:
        return self.name


class FileFetch(models.Model):
    """The progress of a host in fetching the files of a revision, as its pages and commands show it.

    `selection` is the variant of a checkpoint or the file of a LoRA. `error` is why the fetch waits, if it does.
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
    reason = models.TextField(help_text="The reason that the endpoint gave.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("image_set_id", "seed")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["image_set", "seed"], name="one_refusal_per_set_and_seed"),
        ]

    def __str__(self) -> str:
        return f"seed {self.seed}, refused for its content"  # without the set: the admin shows this, also when sealed
