"""Annotators in the admin, with the number of their votes but never their choices."""

from typing import Any, cast

from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse

from annotation.admin.taking_back import SharedAdmin, may_change
from annotation.models import Annotator, Assignment, Study
from annotation.models.annotator import numbered
from annotation.studies.sharing import Role, visible_studies
from jobs.row_counts import count_of

READ_ONLY = ("kind", "situation", "invitation", "votes", "created_at", "finished_at")


@admin.register(Annotator)
class AnnotatorAdmin(SharedAdmin):
    """Adding an annotator invites a person; only the label can be changed."""

    list_display = ("__str__", "study", "kind", "situation", "votes", "created_at")
    list_filter = ("kind", "state", "study")
    list_select_related = ("study",)
    list_per_page = 50  # the votes of a hundred annotators of a large study take a third of a second to count
    actions = None

    def get_fields(self, request: HttpRequest, obj: Annotator | None = None) -> tuple[str, ...]:
        """Show the link only to editors of the study, as on the study's page: it is a credential."""
        is_shown = obj is None or may_change(request, obj.study)
        return ("study", "label", *(name for name in READ_ONLY if name != "invitation" or is_shown))

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:
        """Let only admins search by a platform's id: in a study of others, a search would confirm a guessed id."""
        return ("label", "external_id") if cast(User, request.user).is_superuser else ("label",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Annotator]:
        """Add the number of standing votes and the number by arrival, read only for the annotators of one page."""
        # A main assignment that was answered in time has exactly one standing vote.
        voted = Assignment.objects.filter(kind=Assignment.Kind.MAIN, state=Assignment.State.VOTED)
        return numbered(super().get_queryset(request).annotate(vote_total=count_of(voted, "annotator")))

    def get_readonly_fields(self, request: HttpRequest, obj: Annotator | None = None) -> tuple[str, ...]:
        """Return the fields; the study of an annotator never changes."""
        return ("study", *READ_ONLY) if obj else READ_ONLY

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Ask for an editor of any study: adding an annotator creates a credential."""
        return self._may_edit_any(request)

    def has_change_permission(self, request: HttpRequest, obj: Annotator | None = None) -> bool:
        """Ask for an editor of the annotator's study. The label of an annotator who is gone cannot be changed."""
        if obj is None:
            return self._may_edit_any(request)
        is_gone = obj.state == Annotator.State.WITHDRAWN or obj.study.erased_at is not None
        return not is_gone and may_change(request, obj.study)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        """Offer the studies that the account may change."""
        return super().formfield_for_foreignkey(db_field, request, **options | {"queryset": self._editable(request)})

    def _may_edit_any(self, request: HttpRequest) -> bool:
        return cast(User, request.user).is_superuser or self._editable(request).exists()

    def _editable(self, request: HttpRequest) -> QuerySet[Study]:
        return visible_studies(cast(User, request.user), needed=Role.EDITOR)

    def has_delete_permission(self, request: HttpRequest, obj: Annotator | None = None) -> bool:
        """Never: votes are deleted only by a withdrawal."""
        return False

    def save_model(self, request: HttpRequest, obj: Annotator, form: Any, change: bool) -> None:
        """Invite a new annotator; of an existing one save only the label, so that a vote cast meanwhile is kept."""
        if change:
            Annotator.objects.filter(pk=obj.pk).update(label=obj.label)
            return
        obj.kind = Annotator.Kind.PERSONAL
        obj.save()

    @admin.display(description="state", ordering="state")
    def situation(self, annotator: Annotator) -> str:
        """Return the state in words; a dash on the form for a new annotator."""
        if not annotator.pk:
            return "–"
        return annotator.situation(is_over=annotator.study.is_over, has_voted=self.votes(annotator) > 0)

    @admin.display(description="votes")
    def votes(self, annotator: Annotator) -> int:
        """Return the number of standing votes."""
        return int(getattr(annotator, "vote_total", 0))

    @admin.display(description="invitation link")
    def invitation(self, annotator: Annotator) -> str:
        """Return the personal link. A person who has it acts as this annotator."""
        if not annotator.pk:
            return "Made when you save."
        return reverse("visit", args=[annotator.token]) if annotator.kind == Annotator.Kind.PERSONAL else ""
