"""What was asked of endpoints, what that cost, and what they refused to make."""

from typing import ClassVar

from django.db import models

from generation.models.image_sets import ImageSet


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
        return f"{self.image_set} seed {self.seed}"
