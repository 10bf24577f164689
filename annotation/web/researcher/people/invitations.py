"""The invitations of a study: the open link, personal links, a ready message, QR codes, and the panel for Prolific."""

import csv
import math
from dataclasses import dataclass
from typing import Any, cast

import segno
from django import forms
from django.contrib import messages
from django.contrib.auth.models import User
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path, reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from annotation.models import Annotator, Study
from annotation.studies.audit import record
from annotation.studies.current import current_manifest
from annotation.studies.invitations import LABEL_LENGTH, MOST_AT_ONCE, invite_all, invited
from annotation.studies.language import language_of
from annotation.studies.mail.addresses import recipients_in
from annotation.studies.mail.inviting import mail_invitations, remind
from annotation.studies.manifest import Manifest
from annotation.studies.planning.costs import SECONDS_PER_VOTE, median_response
from annotation.voting.annotators import free_leases_of
from annotation.web.access.guard import researcher_page
from annotation.web.researcher.people.mail_forms import MailForm, ReminderForm, mails_context
from annotation.web.researcher.refused_fields import add_refusal
from generation.tables.formulas import marked
from jobs.refusals import Refused
from jobs.wording import counted

PER_PAGE = 50
LEAST_VOTES_READ = 20  # for the minutes in the message; with fewer, what planning assumes
# What each code of the study file means, in the words of the platform's form.
CODES = {
    "complete_code": "Completed: approve and pay",
    "screened_out_code": "Did not understand the instructions",
    "failed_checks_code": "Failed the attention checks",
    "withdrawn_code": "Withdrew: no votes are left",
    "study_full_code": "Came when nothing was left to vote on",
}


class InvitationForm(forms.Form):
    """The number of personal links to create, or a label for each."""

    count = forms.IntegerField(
        label="Number of links", required=False, min_value=1, max_value=MOST_AT_ONCE, help_text="Labelled by number."
    )
    labels = forms.CharField(
        label="Or one label for each link",
        required=False,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="One label per line. A label is a name for you: annotators never see it.",
    )

    def clean_labels(self) -> list[str]:
        """Return the labels without blank lines."""
        labels = [line.strip() for line in self.cleaned_data["labels"].splitlines() if line.strip()]
        if len(labels) > MOST_AT_ONCE:
            raise forms.ValidationError(f"At most {MOST_AT_ONCE} links can be created at once.")
        if any(len(label) > LABEL_LENGTH for label in labels):
            raise forms.ValidationError(f"A label can have at most {LABEL_LENGTH} letters.")
        return labels

    def clean(self) -> None:
        """Refuse a form with neither a number nor labels."""
        super().clean()
        if not self.errors and not (self.cleaned_data["count"] or self.cleaned_data["labels"]):
            self.add_error("count", "Enter a number of links, or a label for each.")


class ReturnedForm(forms.Form):
    """The ids of annotators who returned the study on the platform, or timed out there."""

    ids = forms.CharField(
        label="Ids of annotators who returned the study or timed out",
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="One per line, as the platform lists them. What they hold is released; their votes stay.",
    )

    def clean_ids(self) -> list[str]:
        """Return each id once."""
        return list(dict.fromkeys(self.cleaned_data["ids"].split()))


@dataclass(frozen=True, slots=True)
class Prolific:
    """The values to enter on the platform. address: the study's URL there. codes: (key, meaning, code or empty)."""

    address: str
    codes: tuple[tuple[str, str, str], ...]
    missing: tuple[str, ...]


@require_http_methods(["GET", "HEAD", "POST"])
@researcher_page
def invitations(request: HttpRequest, slug: str) -> HttpResponse:
    """Show how to invite people; by POST, create personal links."""
    study = get_object_or_404(Study, slug=slug)
    if request.method != "POST":
        return render(request, "web/researcher/invitations.html", invitations_context(request, study, InvitationForm()))
    form = InvitationForm(request.POST)
    if form.is_valid():
        labels, count = form.cleaned_data["labels"], form.cleaned_data["count"] or 0
        try:
            made = invite_all(study=study, labels=labels, count=count, actor=cast(User, request.user))
        except Refused as refusal:
            add_refusal(form, str(refusal))
        else:
            messages.success(request, f"{counted(len(made), 'personal link')} created.")
            return redirect(f"{reverse('make-invitations', args=[study.slug])}#personal")
    return render(request, "web/researcher/invitations.html", invitations_context(request, study, form), status=400)


def invitations_context(request: HttpRequest, study: Study, form: InvitationForm) -> dict[str, Any]:
    """Return what the page shows."""
    manifest = current_manifest(study)
    open_link = request.build_absolute_uri(reverse("join", args=[study.open_link_token]))
    people = invited(study).order_by("-pk")
    seconds = median_response(study.annotators.all(), least=LEAST_VOTES_READ) or SECONDS_PER_VOTE
    page = Paginator(people, PER_PAGE).get_page(request.GET.get("page"))
    return {
        "study": study,
        "tab": "invitations",
        "manifest": manifest,
        "open_link": open_link,
        "message": ready_message(manifest, open_link, seconds),
        "page": page,
        "links": [(one, request.build_absolute_uri(reverse("visit", args=[one.token]))) for one in page.object_list],
        "invitation_form": form,
        "prolific": prolific(manifest, open_link),
        "returned_form": ReturnedForm() if manifest.platform.id_parameter else None,
        **mails_context(study),
    }


def ready_message(manifest: Manifest, link: str, seconds: float) -> str:
    """Return a message to send, in the study's language, with the time that it takes and until when it is open.

    seconds: that one comparison takes.
    """
    each = manifest.voting_rules().comparisons_per_annotator
    minutes = max(1, math.ceil(each * seconds / 60))
    with translation.override(language_of(manifest)):
        sentences = [
            _("You are invited to compare sets of images and to say which set is more consistent."),
            _("It takes about %(minutes)s min, on a computer or a phone. You can stop and continue later.")
            % {"minutes": minutes},
        ]
        if closes_at := manifest.annotation.closes_at:
            sentences.append(_("It is open until %(date)s UTC.") % {"date": f"{closes_at:%Y-%m-%d %H:%M}"})
        return "\n".join([" ".join(sentences), "", link])


def prolific(manifest: Manifest, open_link: str) -> Prolific | None:
    """Return what to enter on the platform; None if the study file names no parameter for its ids."""
    platform = manifest.platform
    if not platform.id_parameter:
        return None
    query = "&".join(f"{name}={{{{%{name}%}}}}" for name in (platform.id_parameter, *platform.other_parameters))
    codes = tuple((key, meaning, getattr(platform, key)) for key, meaning in CODES.items())
    missing = [f"platform.{key}" for key, _meaning, code in codes if not code]
    missing += [] if platform.redirect_url else ["platform.redirect_url"]
    return Prolific(f"{open_link}?{query}", codes, tuple(missing))


def qr_svg(text: str) -> bytes:
    """Return a QR code as an SVG file, dark on white, so that a phone reads it on a dark page too."""
    code = segno.make(text, error="m", micro=False)
    svg: str = code.svg_inline(scale=4, border=3, dark="#000000", light="#ffffff", omitsize=False)
    return svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1).encode()


@require_safe
@researcher_page
def qr(request: HttpRequest, slug: str, annotator_id: int = 0) -> HttpResponse:
    """Serve the QR code of the open link, or of the personal link of an annotator."""
    study = get_object_or_404(Study, slug=slug)
    if annotator_id:
        people = study.annotators.filter(kind=Annotator.Kind.PERSONAL)
        link = reverse("visit", args=[get_object_or_404(people, pk=annotator_id).token])
    else:
        link = reverse("join", args=[study.open_link_token])
    return HttpResponse(qr_svg(request.build_absolute_uri(link)), content_type="image/svg+xml")


@require_safe
@researcher_page
def invitations_file(request: HttpRequest, slug: str) -> HttpResponse:
    """Serve every personal link as CSV: label, link."""
    study = get_object_or_404(Study, slug=slug)
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{study.slug}-invitations.csv"'
    writer = csv.writer(response)
    writer.writerow(["label", "link"])
    record("links downloaded", study=study, actor=cast(User, request.user), fields=["label", "link"])
    for annotator in invited(study):
        link = request.build_absolute_uri(reverse("visit", args=[annotator.token]))
        writer.writerow([marked(annotator.label), link])
    return response


@require_POST
@researcher_page
def free_returned(request: HttpRequest, slug: str) -> HttpResponse:
    """Release the comparisons of annotators who returned the study on the platform, or timed out there."""
    study, form = get_object_or_404(Study, slug=slug), ReturnedForm(request.POST)
    if form.is_valid():
        count, unknown = free_leases_of(study=study, external_ids=form.cleaned_data["ids"], now=timezone.now())
        messages.success(request, f"{counted(count, 'comparison')} released.")
        if unknown:
            messages.warning(request, f"No annotator of this study has the id {', '.join(unknown)}.")
    else:
        messages.error(request, "Nothing was released: the list of ids is empty.")
    return redirect(f"{reverse('make-invitations', args=[slug])}#prolific")


# --- invitations and reminders by e-mail --------------------------------------------------------
@require_POST
@researcher_page
def mail(request: HttpRequest, slug: str) -> HttpResponse:
    """Write invitations to the pasted addresses, or reminders; the worker sends them."""
    study = get_object_or_404(Study, slug=slug)
    site = request.build_absolute_uri("/").rstrip("/")
    is_reminder = "remind" in request.POST
    form: MailForm | ReminderForm = ReminderForm(request.POST) if is_reminder else MailForm(request.POST)
    if form.is_valid():
        try:
            count = _written(study, form, site, cast(User, request.user))
        except Refused as refusal:
            add_refusal(form, str(refusal))
        else:
            kind = "reminder" if is_reminder else "invitation"
            messages.success(request, f"{counted(count, kind)} written: a worker sends them within a minute or two.")
            return redirect(f"{reverse('make-invitations', args=[slug])}#mail")
    refused: dict[str, Any] = {"reminder": form} if is_reminder else {"form": form}
    context = invitations_context(request, study, InvitationForm()) | mails_context(study, **refused)
    return render(request, "web/researcher/invitations.html", context, status=400)


def _written(study: Study, form: forms.Form, site: str, actor: User) -> int:
    text = {"subject": form.cleaned_data["subject"], "text": form.cleaned_data["message"]}
    common: dict[str, Any] = {"study": study, "site": site, "now": timezone.now(), "actor": actor, **text}
    if isinstance(form, ReminderForm):
        return remind(**common)
    return mail_invitations(people=recipients_in(form.cleaned_data["addresses"]), **common)


urlpatterns: list[URLPattern] = [
    path("studies/<slug:slug>/invitations/", invitations, name="make-invitations"),
    path("studies/<slug:slug>/invitations.csv", invitations_file, name="invitations-file"),
    path("studies/<slug:slug>/invitations/qr.svg", qr, name="open-link-qr"),
    path("studies/<slug:slug>/invitations/<int:annotator_id>/qr.svg", qr, name="invitation-qr"),
    path("studies/<slug:slug>/returned/", free_returned, name="free-returned"),
    path("studies/<slug:slug>/invitations/mail/", mail, name="mail-invitations"),
]
