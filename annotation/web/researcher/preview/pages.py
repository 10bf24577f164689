"""The preview: an annotator's whole walk, from consent to debriefing, before a study opens. Nothing is stored.

The pages are those of annotators, for a person who exists in no table. Every address of an annotator on them is
replaced by one of the preview.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, cast

from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from annotation.models import Annotator, Study
from annotation.studies.imports.images_of_others import refuse_images_of_others
from annotation.studies.manifest import Manifest
from annotation.voting.checks.known_order import KnownPair, seeded_pair
from annotation.web.annotator import markdown, onboarding
from annotation.web.annotator.forms import CheckForm, CommentForm, QuestionsForm
from annotation.web.annotator.images import image_folder
from annotation.web.annotator.next_page import in_language
from annotation.web.annotator.page_strings import other_questions, page_strings
from annotation.web.researcher.preview.comparisons import (
    NOBODY,
    OPERATIONS,
    PreviewedStudy,
    folder,
    image,
    image_addresses,
    operate,
    token_of,
)
from jobs.refusals import Refused

TOKEN = "preview-of-nobody"  # noqa: S105 - stands in the pages until its addresses are replaced
LABELS = {
    "welcome": "Welcome and consent",
    "questions": "Questions",
    "instructions": "Instructions",
    "practice": "Practice",
    "feedback": "Feedback on practice",
    "check": "Comprehension check",
    "comparisons": "Comparisons",
    "break": "Break",
    "comment": "Comment",
    "end": "End and debriefing",
}
ASIDE = ("stop", "withdraw")  # pages beside the walk
Page = Callable[[HttpRequest, "Walk", str], HttpResponse]


class Walk:
    """The pages of a study in the order of an annotator, and the person who walks them."""

    def __init__(self, study: Study) -> None:
        self.previewed = PreviewedStudy(study)
        self._pairs: dict[tuple[str, int], KnownPair] = {}
        self.study, self.manifest = study, self._with_what_there_is(self.previewed.manifest)
        self.person = Annotator(pk=NOBODY, study=study, token=TOKEN, seed=1, kind=Annotator.Kind.PERSONAL)
        self.steps = list(self._steps())

    def _with_what_there_is(self, manifest: Manifest) -> Manifest:
        """Return the manifest without worked examples and practice if there are no comparisons to make them from."""
        frame = manifest.frame
        try:
            self.pair("practice", 0)
        except Refused:
            frame = frame.model_copy(update={"worked_examples": 0, "practice": 0})
        return manifest.model_copy(update={"frame": frame})

    def _steps(self) -> list[str]:
        frame, texts = self.manifest.frame, self.manifest.texts
        practice = [step for number in range(frame.practice) for step in (f"practice-{number}", f"feedback-{number}")]
        has_break = 0 < frame.break_every < len(self.previewed.comparisons)
        wanted = (
            ("welcome", texts.has_welcome),
            ("questions", bool(frame.questions)),
            ("instructions", True),
            *((step, True) for step in practice),
            ("check", bool(frame.check)),
            ("comparisons", True),
            ("break", has_break),
            ("comment", frame.asks_comment),
            ("end", True),
        )
        return [step for step, is_wanted in wanted if is_wanted]

    def pair(self, purpose: str, number: int) -> KnownPair:
        """Return a pair of known order, the same each time. Raises Refused if there are no images for one."""
        study, key = self.previewed.study, (purpose, number)
        if key not in self._pairs:
            self._pairs[key] = seeded_pair(study=study, seed=1, purpose=purpose, number=number)
        return self._pairs[key]

    def address(self, step: str) -> str:
        """Return the address of a step."""
        return f"{folder(self.study)}{step}/"

    def after(self, step: str) -> str:
        """Return the address of the step after this one; the last one leads to itself."""
        place = self.steps.index(step) + 1 if step in self.steps else 0
        return self.address(self.steps[min(place, len(self.steps) - 1)])

    def bar(self, step: str) -> dict[str, Any]:
        """Return what the bar of the preview shows on this step."""
        shown: dict[str, Any] = {"total": len(self.steps), "leave": self.study.get_absolute_url()}
        if step in self.steps:
            place = self.steps.index(step)
            shown |= {"number": place + 1, "label": LABELS[step.partition("-")[0]]}
            shown["back"] = self.address(self.steps[place - 1]) if place else ""
            shown["forward"] = self.address(self.steps[place + 1]) if place + 1 < len(self.steps) else ""
        else:
            shown |= {"label": "A page outside the usual order", "back": self.address("comparisons")}
        return shown

    def render(self, request: HttpRequest, step: str, template: str, status: int = 200, **context: Any) -> HttpResponse:
        """Return an annotator's page, with the bar of the preview and its addresses."""
        common = onboarding.page_context(self.person, self.manifest) | {"undoable": None, "preview": self.bar(step)}
        html: str = render_to_string(f"web/annotator/{template}.html", common | context, request)
        html = html.replace(reverse("end", args=[TOKEN]), self.after("comparisons"))
        html = html.replace(reverse("visit", args=[TOKEN]), folder(self.study))
        for before in ('"', " 1x, "):  # src and srcset
            html = html.replace(f"{before}{image_folder()}", f"{before}{folder(self.study)}i/")
        return HttpResponse(html, status=status)


# --- the steps ----------------------------------------------------------------------------------
def _text_page(make: Callable[[Walk], dict[str, Any]], template: str) -> Page:
    """Return a page whose form needs no answer."""

    def page(request: HttpRequest, walk: Walk, step: str) -> HttpResponse:
        if request.method == "POST":
            return redirect(walk.after(step))
        return walk.render(request, step, template, **make(walk))

    return page


def _form_page(make: Callable[..., Any], template: str) -> Page:
    """Return a page whose form is checked as for annotators."""

    def page(request: HttpRequest, walk: Walk, step: str) -> HttpResponse:
        form = make(walk.manifest, request.POST if request.method == "POST" else None)
        if request.method != "POST":
            return walk.render(request, step, template, form=form)
        if form.is_valid():
            return redirect(walk.after(step))
        return walk.render(request, step, template, status=400, form=form)

    return page


def _check(request: HttpRequest, walk: Walk, step: str) -> HttpResponse:
    """Show the comprehension check; after a wrong answer once more, as an annotator gets a second try."""
    questions = walk.manifest.frame.check
    if request.method != "POST":
        return walk.render(request, step, "check", form=CheckForm(questions))
    form = CheckForm(questions, data=request.POST)
    if not form.is_valid():
        return walk.render(request, step, "check", status=400, form=form)
    if form.given() == [question.answer for question in questions]:
        return redirect(walk.after(step))
    walk.person.check_try_count = 1
    return walk.render(request, step, "check", form=CheckForm(questions, tries=1))


def _practice(request: HttpRequest, walk: Walk, step: str) -> HttpResponse:
    number = int(step.partition("-")[2])
    if request.method == "POST":
        choice = "right" if request.POST.get("choice") == "right" else "left"
        return redirect(f"{walk.address(f'feedback-{number}')}?choice={choice}")
    pair = walk.pair("practice", number)
    sides = {"left": pair.left_images, "right": pair.right_images}
    shown = {side: image_addresses(walk.study, images) for side, images in sides.items()}
    asked: dict[str, Any] = {
        "strings": page_strings(),
        "other_questions": other_questions(walk.manifest),
        "pair": shown,
    }
    return walk.render(request, step, "practice", number=number, shown_number=number + 1, **asked)


def _feedback(request: HttpRequest, walk: Walk, step: str) -> HttpResponse:
    pair = walk.pair("practice", int(step.partition("-")[2]))
    sides = (("left", pair.left_images), ("right", pair.right_images))
    sets = [
        {"is_consistent": side == pair.known_choice, "images": image_addresses(walk.study, images)}
        for side, images in sides
    ]
    shown = {"sets": sets, "replaced_count": pair.replaced_count, "count": len(pair.left_images)}
    is_right = request.GET.get("choice", pair.known_choice) == pair.known_choice
    page = walk.render(request, step, "practice_feedback", is_right=is_right, pair=shown)
    # Its link leads to the page that is due, which is the next step here.
    page.content = page.content.replace(f'href="{folder(walk.study)}"'.encode(), f'href="{walk.after(step)}"'.encode())
    return page


def _comparisons(request: HttpRequest, walk: Walk, step: str) -> HttpResponse:
    if not walk.previewed.comparisons:
        return walk.render(request, step, "preview_without_images")
    token = token_of(walk.study, cast(User, request.user))
    urls = {name: reverse("preview-operation", args=[token, name]) for name in OPERATIONS}
    context: dict[str, Any] = {
        "strings": page_strings(),
        "other_questions": other_questions(walk.manifest),
        "next_url": urls["next"],
        "votes_url": urls["vote"],
        "undo_url": urls["undo"],
        "reports_url": urls["report"],
        "leave_url": urls["leave"],
    }
    return walk.render(request, step, "comparisons", **context)


def _end_context(walk: Walk) -> dict[str, Any]:
    """Return what the last page shows. The real completion code is worth money, so the preview shows another one."""
    return {
        "debrief": markdown.render(walk.manifest.texts.debrief),
        "has_finished": True,
        "vote_count": len(walk.previewed.comparisons),
        "completion_code": "PREVIEW" if walk.manifest.platform.complete_code else "",
        "leaving_address": "",
    }


def _withdraw_context(walk: Walk) -> dict[str, Any]:
    return {"until": walk.manifest.annotation.withdrawal_until, "vote_count": len(walk.previewed.comparisons)}


PAGES: dict[str, Page] = {
    "welcome": _text_page(lambda walk: onboarding.welcome_context(walk.manifest), "welcome"),
    "questions": _form_page(lambda manifest, data: QuestionsForm(manifest.frame.questions, data), "questions"),
    "instructions": _text_page(
        lambda walk: onboarding.instructions_context(walk.person, walk.manifest) | {"has_begun": False}, "instructions"
    ),
    "practice": _practice,
    "feedback": _feedback,
    "check": _check,
    "comparisons": _comparisons,
    "break": _text_page(lambda _walk: {"number": 1}, "break"),
    "comment": _form_page(lambda _manifest, data: CommentForm(data), "comment"),
    "end": _text_page(_end_context, "end"),
    "stop": _text_page(lambda walk: {"vote_count": len(walk.previewed.comparisons)}, "stop"),
    "withdraw": _text_page(_withdraw_context, "withdraw"),
}
# The addresses that annotators' forms send to, if they differ from those of their pages.
FORMS = {"start": "instructions", "practice": "practice"}


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def preview(request: HttpRequest, slug: str, step: str = "") -> HttpResponse:
    """Show a step of the walk; the first one without a step. A form leads to the next step and stores nothing."""
    study = get_object_or_404(Study, slug=slug)
    if study.state not in Study.BEFORE_OPENING or study.source == Study.Source.EXTERNAL:
        return render(request, "web/researcher/preview_over.html", {"study": study}, status=409)
    try:
        _refuse_hidden_images(request, study)
    except Refused as refusal:
        context = {"study": study, "refusal": str(refusal)}
        return render(request, "web/researcher/preview_over.html", context, status=409)
    walk = Walk(study)
    asked = _step(request, walk, step)
    if asked not in (*walk.steps, *ASIDE):
        raise Http404
    page = PAGES[asked.partition("-")[0]]
    return in_language(walk.manifest, partial(page, request, walk, asked))


def _refuse_hidden_images(request: HttpRequest, study: Study) -> None:
    """Raise Refused if the preview of a study without comparisons would show images of studies that are not shared."""
    if not study.comparisons.exists():
        refuse_images_of_others(study, cast(User, request.user))


def _step(request: HttpRequest, walk: Walk, step: str) -> str:
    """Return the step of an address: of an annotator's form, or of the walk."""
    if not step:
        return walk.steps[0]
    if step == "practice":
        number = request.POST.get("number", "0")
        return f"practice-{int(number)}" if number.isascii() and number.isdecimal() and len(number) < 4 else step
    return FORMS.get(step, step)


_ALL = "studies/<slug:slug>/preview/"
urlpatterns: list[URLPattern] = [
    path(_ALL, preview, name="preview"),
    path(f"{_ALL}<slug:step>/", preview, name="preview-step"),
    path(f"{_ALL}i/<str:token>.<slug:rendition>", image, name="preview-image"),
    path("preview/<str:token>/<slug:operation>", operate, name="preview-operation"),
]
