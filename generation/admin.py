"""The admin of generation. Plans, images and jobs are made by code, so here they are read-only."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from generation.endpoints.accounts import price_of_jobs
from generation.endpoints.definitions import MICROS
from generation.models import (
    DiffusionModel,
    EndpointAccount,
    GeneratedImage,
    GenerationJob,
    ImageSet,
    Prompt,
    RefusedSeed,
    without_model,
)
from jobs import claims
from jobs.messages import enqueue
from jobs.models import LeasedJob
from jobs.row_counts import count_of
from jobs.wording import counted

RETRY_AND_PAY = "Retry the failed ones among them and pay for their images"


class ListedFiltersAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # Django's class takes no parameter at run time
    """An admin whose lists accept only the filters that the page offers."""

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Refuse other filters: with Django's default, `?token__startswith=a` reveals a link letter by letter."""
        is_offered = lookup.partition("__")[0] in self.get_list_filter(request)
        return is_offered and super().lookup_allowed(lookup, value, request)


class ReadOnlyAdmin(ListedFiltersAdmin):
    """Read-only rows: nothing is added, changed or deleted here."""

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Never."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Never."""
        return False


class AdminsOnly(ReadOnlyAdmin):
    """Read-only rows that name prompts of every study: for admins, whatever permission an account has."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Follow the permission for one row."""
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Return whether the account is an admin of the installation."""
        return cast(User, request.user).is_superuser


class DiffusionModelForm(forms.ModelForm):  # type: ignore[type-arg]  # Django's class takes no parameter at run time
    """A model to register. Weights that a study file could not name are refused here, where an admin sees it."""

    def clean(self) -> dict[str, Any]:
        """Require a whole path without a revision, or a hub id with one."""
        values = super().clean() or {}
        for name, revision_name in (("checkpoint", "revision"), ("lora", "lora_revision")):
            if sentence := _revision_fault(values.get(name, ""), values.get(revision_name, "")):
                self.add_error(name, sentence)
        return values


def _revision_fault(weights: str, revision: str) -> str:
    if Path(weights).is_absolute() or not weights:
        return "Only a hub id has a revision; leave it out." if revision else ""
    if re.fullmatch("[0-9a-f]{40}", revision):
        return ""
    return "A local folder is a whole path, from / on. A hub id needs its revision: the 40 digits of a commit of it."


@admin.register(DiffusionModel)
class DiffusionModelAdmin(ListedFiltersAdmin):
    """Models; one with image sets cannot be changed, because their plans depend on its settings."""

    form = DiffusionModelForm
    list_display = ("name", "checkpoint", "lora", "dtype", "image_set_count")
    search_fields = ("name", "checkpoint", "lora")

    def get_queryset(self, request: HttpRequest) -> QuerySet[DiffusionModel]:
        """Return the models with their number of image sets."""
        return DiffusionModel.objects.annotate(image_set_total=count_of(ImageSet.objects.all(), "diffusion_model"))

    @admin.display(description="image sets")
    def image_set_count(self, model: DiffusionModel) -> int:
        """Return the number of image sets of the model."""
        return int(getattr(model, "image_set_total", 0))

    def get_readonly_fields(self, request: HttpRequest, obj: DiffusionModel | None = None) -> tuple[str, ...]:
        """Return all fields if the model has image sets."""
        is_used = obj is not None and obj.image_sets.exists()
        return (
            tuple(field.name for field in DiffusionModel._meta.fields) if is_used else ("created_at", "resolved_dtype")
        )

    def has_delete_permission(self, request: HttpRequest, obj: DiffusionModel | None = None) -> bool:
        """Return whether the model has no image sets."""
        is_used = obj is not None and obj.image_sets.exists()
        return not is_used and super().has_delete_permission(request, obj)


@admin.register(Prompt)
class PromptAdmin(AdminsOnly):
    """Prompts; studies and imports create them."""

    search_fields = ("text",)


@admin.register(ImageSet)
class ImageSetAdmin(AdminsOnly):
    """Image sets: the planned and the existing number of images."""

    list_display = ("prompt", "diffusion_model", "origin", "planned_count", "image_count")
    list_filter = ("origin", "diffusion_model")
    list_select_related = ("prompt", "diffusion_model")
    search_fields = ("prompt__text",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[ImageSet]:
        """Return the sets with their number of images."""
        return ImageSet.objects.annotate(image_total=count_of(GeneratedImage.objects.all(), "image_set"))

    @admin.display(description="planned")
    def planned_count(self, image_set: ImageSet) -> int:
        """Return the number of planned images."""
        return len(image_set.seeds)

    @admin.display(description="there")
    def image_count(self, image_set: ImageSet) -> int:
        """Return the number of existing images."""
        return int(getattr(image_set, "image_total", 0))


class LeasedJobAdmin(AdminsOnly):
    """Jobs with their states and error messages, without models: a job's study may be sealed.

    So they are in the order of their ids, the model's order is not used, and no search finds an error that names one.
    """

    list_display = ("prompt", "state", "attempt_count", "claimed_by", "heartbeat_at", "sentence")
    list_filter = ("state",)
    list_select_related = ("image_set__prompt", "image_set__diffusion_model")
    search_fields = ("image_set__prompt__text",)
    ordering = ("state", "-priority", "pk")
    actions: Sequence[str] = ("retry", "give_up")

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        """Return the fields, with the prompt in place of the image set."""
        hidden = {"id": "", "image_set": "prompt", "error": "sentence"}
        names = (hidden.get(field.name, field.name) for field in self.model._meta.fields)
        return tuple(name for name in names if name)

    @admin.display(description="prompt")
    def prompt(self, job: Any) -> str:
        """Return the prompt of the job's set."""
        return str(job.image_set.prompt)

    @admin.display(description="error")
    def sentence(self, job: Any) -> str:
        """Return the error without the model of the job's set."""
        return without_model(job.error, job.image_set.diffusion_model.name)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Offer nothing beside jobs of a state in which nothing can be done."""
        state = request.GET.get("state__exact", LeasedJob.State.FAILED)
        return super().get_actions(request) if state == LeasedJob.State.FAILED else {}

    def has_retry_permission(self, request: HttpRequest) -> bool:
        """Return whether the account is an admin; nobody edits a job by hand."""
        return self.has_view_permission(request)

    @admin.action(description="Retry the failed ones among them", permissions=["retry"])
    def retry(self, request: HttpRequest, chosen: QuerySet[LeasedJob]) -> None:
        """Queue the failed jobs again, if that costs nothing."""
        if price := self.price_of(chosen.filter(state=LeasedJob.State.FAILED)):
            messages.warning(request, f"Nothing is queued yet. {price} To pay for it, choose “{RETRY_AND_PAY}”.")
            return
        self.queue_again(request, chosen)

    def price_of(self, jobs: QuerySet[Any]) -> str:
        """Return a sentence with the price of doing the jobs again; empty if it costs nothing."""
        return ""

    def queue_again(self, request: HttpRequest, chosen: QuerySet[LeasedJob]) -> None:
        """Queue the failed jobs among the chosen ones, and say how many."""
        failed = list(chosen.filter(state=LeasedJob.State.FAILED).values_list("pk", flat=True))
        count = claims.retry(chosen)
        enqueue(chosen.model._default_manager.filter(pk__in=failed))
        said = f"{counted(count, 'job')} {'is' if count == 1 else 'are'} queued again."
        if others := chosen.count() - len(failed):
            said += f" {counted(others, 'job')} had not failed and {'stays' if others == 1 else 'stay'} as before."
        messages.info(request, said)

    @admin.action(description="Give up the failed ones among them", permissions=["retry"])
    def give_up(self, request: HttpRequest, chosen: QuerySet[LeasedJob]) -> None:
        """Cancel the failed jobs, for example those of a mistyped encoder."""
        said = f"{counted(claims.give_up(chosen), 'failed job')} given up."
        messages.info(request, f"{said} A study that still needs one queues it again.")


@admin.register(GenerationJob)
class GenerationJobAdmin(LeasedJobAdmin):
    """Jobs that make images, some of them at a price."""

    actions = (*LeasedJobAdmin.actions, "retry_and_pay")

    def price_of(self, jobs: QuerySet[Any]) -> str:
        """Return what endpoints may ask for the images."""
        return price_of_jobs(jobs)

    @admin.action(description=RETRY_AND_PAY, permissions=["retry"])
    def retry_and_pay(self, request: HttpRequest, chosen: QuerySet[LeasedJob]) -> None:
        """Queue the failed jobs again, also those that cost money."""
        self.queue_again(request, chosen)


@admin.register(EndpointAccount)
class EndpointAccountAdmin(ReadOnlyAdmin):
    """Endpoints as their workers know them: what they have cost, and why the last request that failed did."""

    fields = (
        *("name", "adapter", "model", "is_seeded", "request_count", "cost", "limit", "price", "next_at"),
        *("last_error", "last_error_at"),
    )
    list_display = ("name", "adapter", "model", "request_count", "cost", "limit", "last_error_at", "last_error")

    @admin.display(description="cost so far", ordering="cost_micros")
    def cost(self, account: EndpointAccount) -> str:
        """Return what all requests have cost."""
        return _amount(account, account.cost_micros)

    @admin.display(description="cost limit", ordering="limit_micros")
    def limit(self, account: EndpointAccount) -> str:
        """Return the most that they may cost."""
        return "–" if account.limit_micros is None else _amount(account, account.limit_micros)

    @admin.display(description="cost of an image", ordering="price_micros")
    def price(self, account: EndpointAccount) -> str:
        """Return what one image costs."""
        return _amount(account, account.price_micros)


def _amount(account: EndpointAccount, micros: int) -> str:
    return f"{micros / MICROS:.2f} {account.currency}"


@admin.register(RefusedSeed)
class RefusedSeedAdmin(AdminsOnly):
    """Seeds that endpoints refused for their content. After one is deleted, a retried job asks for it again."""

    fields = ("prompt", "seed", "reason", "created_at")  # no model: the study may be sealed
    list_display = fields
    list_select_related = ("image_set__prompt",)
    search_fields = ("reason", "image_set__prompt__text")

    @admin.display(description="prompt")
    def prompt(self, refused: RefusedSeed) -> str:
        """Return the prompt of the seed's set."""
        return str(refused.image_set.prompt)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Return whether the account is an admin of the installation."""
        return self.has_view_permission(request)
