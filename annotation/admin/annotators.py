"""Who takes part, with how many votes; what they chose is nowhere here."""

from typing import Any

from django.contrib import admin
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.urls import reverse

from annotation.admin.taking_back import may_change_studies
from annotation.models import Annotator, Assignment
from generation.admin import ListedFiltersAdmin

MADE = ("kind", "situation", "invitation", "votes", "created_at", "finished_at")


@admin.register(Annotator)
class AnnotatorAdmin(ListedFiltersAdmin):
    """Adding one invites them; the label is all that can be changed."""

    list_display = ("__str__", "study", "kind", "situation", "votes", "created_at")
    list_filter = ("kind", "state", "study")
    list_select_related = ("study",)
    actions = None

    def get_fields(self, request: HttpRequest, obj: Annotator | None = None) -> tuple[str, ...]:
        """The link is a credential: it is for accounts that may change studies, as on the study's page."""
        return ("study", "label", *(name for name in MADE if name != "invitation" or may_change_studies(request)))

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:
        """A platform's id is personal: a search by others would confirm a guess."""
        return ("label", "external_id") if may_change_studies(request) else ("label",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Annotator]:
        """With the number of standing votes, which only the annotators of one page are asked for."""
        voted = Assignment.objects.filter(
            annotator=OuterRef("pk"), kind=Assignment.Kind.MAIN, state=Assignment.State.VOTED
        )
        counted = voted.order_by().values("annotator").annotate(count=Count("pk")).values("count")
        # A main assignment that is answered in time has exactly one vote that stands.
        return Annotator.objects.annotate(vote_total=Coalesce(Subquery(counted), 0))

    def get_readonly_fields(self, request: HttpRequest, obj: Annotator | None = None) -> tuple[str, ...]:
        """Nobody moves to another study."""
        return ("study", *MADE) if obj else MADE

    def has_delete_permission(self, request: HttpRequest, obj: Annotator | None = None) -> bool:
        """Never: votes leave by a withdrawal only."""
        return False

    def save_model(self, request: HttpRequest, obj: Annotator, form: Any, change: bool) -> None:
        """A new one is invited personally; of an old one only the label, so that a vote cast meanwhile stays."""
        if change:
            Annotator.objects.filter(pk=obj.pk).update(label=obj.label)
            return
        obj.kind = Annotator.Kind.PERSONAL
        obj.save()

    @admin.display(description="state", ordering="state")
    def situation(self, annotator: Annotator) -> str:
        """The state in words; of one who is still to be invited, none."""
        if not annotator.pk:
            return "–"
        return annotator.situation(is_over=annotator.study.is_over, has_voted=self.votes(annotator) > 0)

    @admin.display(description="votes")
    def votes(self, annotator: Annotator) -> int:
        """How many votes stand."""
        return int(getattr(annotator, "vote_total", 0))

    @admin.display(description="invitation link")
    def invitation(self, annotator: Annotator) -> str:
        """The personal link: whoever has it takes this place."""
        if not annotator.pk:
            return "Made when you save."
        return reverse("visit", args=[annotator.token]) if annotator.kind == Annotator.Kind.PERSONAL else ""
