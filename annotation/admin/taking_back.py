"""Removals in the admin: a page first shows everything that is removed, then the removal is confirmed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import unquote
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from annotation.models import Comparison, Import, Study
from annotation.studies.comparisons import set_ids
from annotation.studies.imports import image_removal
from annotation.studies.imports.taking_back import removal_effects, take_back
from annotation.studies.sharing import Role, is_at_least, is_researcher, role_in, visible_studies
from generation.admin import ImageSetAdmin, ListedFiltersAdmin, ReadOnlyAdmin
from generation.models import GeneratedImage, ImageSet
from jobs.refusals import Refused
from jobs.wording import command, counted

# A removal of many minutes is done by a command and not by a request.
MOST_IN_A_REQUEST = 20_000


@dataclass(frozen=True, slots=True)
class Removal:
    """A removal to be confirmed: the texts of its page, and the function that removes.

    `back` is the page without the removal, `afterwards` the page after it. `carry_out` returns a sentence that says
    what was done. `hidden`: further fields that the form sends.
    """

    title: str
    lead: str
    sentences: Sequence[str]
    button: str
    back: str
    afterwards: str
    carry_out: Callable[[User], str]
    refusal: str = ""
    hidden: Sequence[tuple[str, str]] = ()


def confirm(request: HttpRequest, removal: Removal, context: dict[str, Any]) -> HttpResponse:
    """Show the page that asks for confirmation; once it is given, remove."""
    if request.method == "POST" and request.POST.get("post") == "yes" and not removal.refusal:
        try:
            messages.success(request, removal.carry_out(cast(User, request.user)))
        except Refused as refusal:
            messages.error(request, str(refusal))
            return redirect(removal.back)
        return redirect(removal.afterwards)
    page = {**context, **{name: getattr(removal, name) for name in Removal.__slots__}}
    return render(request, "admin/annotation/taking_back.html", page)


def too_long(rows: Any, *words: object) -> str:
    """Return a sentence with the command to type if there are too many rows to remove from a page; else ""."""
    is_long = rows.order_by()[MOST_IN_A_REQUEST:].exists()
    return f"This takes too long for a page; type: {command(*words, '--yes')}" if is_long else ""


def role_of(request: HttpRequest, study: Study) -> Role | None:
    """Return the account's role in the study, read once in each request."""
    known: dict[str, Role | None] = request.__dict__.setdefault("_roles_in_studies", {})
    if study.slug not in known:
        known[study.slug] = role_in(cast(User, request.user), study.slug)
    return known[study.slug]


def may_change(request: HttpRequest, study: Study) -> bool:
    """Return whether the account is at least an editor, and so takes back imports and sees links."""
    return is_at_least(role_of(request, study), Role.EDITOR)


class SharedAdmin(ListedFiltersAdmin):
    """Rows of studies: every researcher may open the list, and it has the rows of the studies shared with them."""

    study_lookup = "study__in"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the rows of the studies that the account may see."""
        rows: QuerySet[Any] = super().get_queryset(request)
        user = cast(User, request.user)
        return rows if user.is_superuser else rows.filter(**{self.study_lookup: visible_studies(user).values("pk")})

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Return whether the account may see the row's study; a list needs a researcher."""
        user = cast(User, request.user)
        return is_researcher(user) if obj is None else role_of(request, study_of(obj)) is not None

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Return whether the admin lists these rows for the account: it does for researchers."""
        return is_researcher(cast(User, request.user))


def study_of(row: Any) -> Study:
    """Return the study of a row of the admin; of a study, itself."""
    study: Study = row if isinstance(row, Study) else row.study
    return study


class ConfirmedDeletionAdmin(SharedAdmin, ReadOnlyAdmin):
    """Rows that are read-only, but can be deleted after a page has shown what else is removed."""

    def removal_of(self, row: Any) -> Removal:
        """Return the removal of one row."""
        raise NotImplementedError

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show what the deletion removes; once it is confirmed, delete."""
        row = self.get_object(request, unquote(object_id))
        if row is None:  # a second click finds it gone
            kind = self.opts.verbose_name
            messages.warning(request, f"There is no such {kind} any more, or you may not see it: nothing was changed.")
            return redirect(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")
        if not self.has_delete_permission(request, row):
            raise PermissionDenied
        return confirm(request, self.removal_of(row), self.admin_site.each_context(request))


@admin.register(Import)
class ImportAdmin(ConfirmedDeletionAdmin):
    """The imported files; deleting one takes it back."""

    list_display = ("file_name", "study", "kind", "metric", "row_count", "state", "created_at")
    list_filter = ("kind", "state")
    list_select_related = ("study",)
    search_fields = ("file_name", "sha256", "study__slug")
    fields = ("study", "kind", "file_name", "sha256", "metric", "row_count", "state", "actor", "created_at")
    actions = None

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Ask for an editor of its study: taking an import back changes it."""
        return obj is not None and may_change(request, study_of(obj))

    def removal_of(self, row: Import) -> Removal:
        """Return what depends on the import, and how it is taken back."""
        study = row.study

        def carry_out(user: User) -> str:
            take_back(source=row, actor=user)
            return f"{row} are taken back; the history of {study.slug} says so."

        rows = {Import.Kind.VOTES: row.assignments, Import.Kind.SCORES: row.scores}.get(
            Import.Kind(row.kind), row.similarities
        )
        return Removal(
            title=f"Take back {row}?",
            lead=f"Taking back {row} removes or changes in {study}:",
            sentences=removal_effects(row),
            button="Take it back",
            back=reverse("admin:annotation_import_change", args=[row.pk]),
            afterwards=reverse("admin:annotation_study_change", args=[study.pk]),
            carry_out=carry_out,
            # Not by row_count, which an interrupted import does not have.
            refusal=too_long(rows, "take_back", study.slug, row.pk),
        )


class TakenBackImageSetAdmin(ImageSetAdmin):
    """Image sets, of which the imported ones can be taken back.

    Those of a study that is not closed are not listed: model and number of images could be matched with a set that is
    shown blind. Only imported ones are, until their study opens: the files of an import said the model.
    """

    actions = ("take_images_back",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[ImageSet]:
        """Return the sets that no blind page shows, and those that can still be taken back."""
        shown_blind = Comparison.objects.exclude(study__state=Study.State.CLOSED)
        not_opened = Q(study__state__in=image_removal.RETURNS_TO_GENERATING, study__opened_at=None)
        hidden = shown_blind.exclude(not_opened, study__source=Study.Source.IMAGES)
        return super().get_queryset(request).exclude(pk__in=set_ids(hidden))

    def has_take_back_permission(self, request: HttpRequest) -> bool:
        """Ask for an admin: taking images back changes every study that shows them."""
        return cast(User, request.user).is_superuser

    @admin.action(description="Take the imported images among them back", permissions=["take_back"])
    def take_images_back(self, request: HttpRequest, chosen: QuerySet[ImageSet]) -> HttpResponse | None:
        """Show what depends on the images; once it is confirmed, remove them with their files."""
        # A new query by their ids: the counts annotated to each set would slow down the queries that follow.
        sets = ImageSet.objects.filter(pk__in=chosen.values("pk"), origin=ImageSet.Origin.IMPORTED)
        if not sets.exists():
            messages.error(request, "None of these sets was imported: nothing was taken back.")
            return None
        return confirm(request, _of_sets(request, sets), self.admin_site.each_context(request))


def _of_sets(request: HttpRequest, sets: QuerySet[ImageSet]) -> Removal:
    here = reverse("admin:generation_imageset_changelist")

    def carry_out(user: User) -> str:
        done = image_removal.take_back_images(sets, actor=user)
        for sentence in done.staying:
            messages.warning(request, f"stays: {sentence}")
        return f"{counted(done.image_count, 'image')} in {counted(done.set_count, 'set')} removed."

    kept = ("action", "select_across", ACTION_CHECKBOX_NAME)
    return Removal(
        title="Take imported images back?",
        lead="Taking them back removes or changes:",
        sentences=image_removal.removal_effects(sets),
        button="Take them back",
        back=here,
        afterwards=here,
        carry_out=carry_out,
        refusal=too_long(GeneratedImage.objects.filter(image_set__in=sets), "take_back_images", "MODEL"),
        hidden=[(name, value) for name in kept for value in request.POST.getlist(name)],
    )


admin.site.unregister(ImageSet)
admin.site.register(ImageSet, TakenBackImageSetAdmin)
