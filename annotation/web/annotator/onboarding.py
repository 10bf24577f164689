"""The pages before and after the comparisons. A form acts only while its page is due: none is skipped or repeated."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from annotation.models import Annotator, Answer, Assignment, Vote
from annotation.studies.manifest import Manifest
from annotation.voting import annotators, onboarding, withdrawal
from annotation.voting import practice as practising
from annotation.voting.checks.known_order import seeded_pair
from annotation.voting.search import most_shown
from annotation.web.annotator import markdown
from annotation.web.annotator.forms import CheckForm, CommentForm, QuestionsForm
from annotation.web.annotator.images import addresses
from annotation.web.annotator.next_page import (
    AnnotatorView,
    NextPage,
    TokenView,
    annotator_page,
    breaks_due,
    next_page,
    undoable,
)
from annotation.web.annotator.page_strings import other_questions, page_strings


def page_context(annotator: Annotator, manifest: Manifest) -> dict[str, Any]:
    """Return the context that every page of an annotator needs."""
    until = manifest.annotation.withdrawal_until
    return {
        "annotator": annotator,
        "manifest": manifest,
        "texts": manifest.texts,
        "undoable": partial(undoable, annotator, manifest, now=timezone.now()),  # called by pages that offer it
        "can_withdraw": withdrawal.is_open(until=until, now=timezone.now())
        and annotator.state != Annotator.State.WITHDRAWN,
    }


def step(due: NextPage) -> Callable[[AnnotatorView], TokenView]:
    """Make a view for a form's POST: it acts while its page is due, else it redirects to the page that is."""

    def decorate(view: AnnotatorView) -> TokenView:
        @annotator_page
        def wrapper(request: HttpRequest, annotator: Annotator, manifest: Manifest) -> HttpResponse:
            if next_page(annotator=annotator, manifest=manifest, now=timezone.now()) != due:
                return redirect("visit", annotator.token)
            return view(request, annotator, manifest)

        return require_POST(wrapper)

    return decorate


def show(request: HttpRequest, annotator: Annotator, manifest: Manifest, due: NextPage) -> HttpResponse:
    """Return the page that is due, with an empty form."""
    extra: dict[NextPage, Callable[[], dict[str, Any]]] = {
        NextPage.WELCOME: lambda: welcome_context(manifest),
        NextPage.QUESTIONS: lambda: {"form": QuestionsForm(manifest.frame.questions)},
        NextPage.INSTRUCTIONS: lambda: instructions_context(annotator, manifest),
        NextPage.PRACTICE: lambda: _practice_context(annotator, manifest),
        NextPage.CHECK: lambda: {"form": CheckForm(manifest.frame.check, tries=annotator.check_try_count)},
        NextPage.BREAK: lambda: {"number": breaks_due(annotator, manifest)},
        NextPage.COMMENT: lambda: {"form": CommentForm()},
    }
    context = page_context(annotator, manifest) | extra.get(due, dict)()
    return render(request, f"web/annotator/{due}.html", context)


@step(NextPage.WELCOME)
def welcome(request: HttpRequest, annotator: Annotator, manifest: Manifest) -> HttpResponse:
    """Record the consent. Consent to a text that was amended since does not count: the page is shown again."""
    sha256 = manifest.texts.consent_sha256
    if request.POST.get("consent_sha256", "") == sha256:
        onboarding.welcome(annotator=annotator, consent_sha256=sha256, now=timezone.now())
    return redirect("visit", annotator.token)


@step(NextPage.QUESTIONS)
def questions(request: HttpRequest, annotator: Annotator, manifest: Manifest) -> HttpResponse:
    """Record the answers to the study's questions."""
    form = QuestionsForm(manifest.frame.questions, request.POST)
    if not form.is_valid():
        context = page_context(annotator, manifest) | {"form": form}
        return render(request, "web/annotator/questions.html", context, status=400)
    onboarding.answer(annotator=annotator, page=Answer.Page.QUESTIONS, values=form.values(), now=timezone.now())
    return redirect("visit", annotator.token)


@step(NextPage.INSTRUCTIONS)
def start(_request: HttpRequest, annotator: Annotator, _manifest: Manifest) -> HttpResponse:
    """Record that the instructions were read."""
    annotators.read_instructions(annotator=annotator, now=timezone.now())
    return redirect("visit", annotator.token)


@step(NextPage.PRACTICE)
def practice(request: HttpRequest, annotator: Annotator, _manifest: Manifest) -> HttpResponse:
    """Record the answer to a practice comparison and redirect to its feedback."""
    number, choice = request.POST.get("number", ""), request.POST.get("choice", "")
    is_valid = number.isdecimal() and len(number) < 4 and choice in (Vote.Choice.LEFT, Vote.Choice.RIGHT)
    assignment = practising.practised(annotator=annotator, number=int(number)) if is_valid else None
    if assignment is None:
        return redirect("visit", annotator.token)
    practising.answer_practice(assignment=assignment, choice=choice, now=timezone.now())
    return redirect("practice-feedback", annotator.token, number)


@require_safe
@annotator_page
def practice_feedback(request: HttpRequest, annotator: Annotator, manifest: Manifest, number: int) -> HttpResponse:
    """Show whether the answer to a practice comparison was right; a reload shows it again."""
    assignment = practising.practised(annotator=annotator, number=number)
    if assignment is None or assignment.state != Assignment.State.VOTED:
        raise Http404("no practice comparison of this number was answered")
    context = page_context(annotator, manifest) | _feedback_context(annotator, assignment)
    return render(request, "web/annotator/practice_feedback.html", context)


@step(NextPage.CHECK)
def check(request: HttpRequest, annotator: Annotator, manifest: Manifest) -> HttpResponse:
    """Record one try at the comprehension check."""
    form = CheckForm(manifest.frame.check, data=request.POST)
    if not form.is_valid():
        context = page_context(annotator, manifest) | {"form": form}
        return render(request, "web/annotator/check.html", context, status=400)
    onboarding.answer_check(
        annotator=annotator,
        given=form.given(),
        right=[question.answer for question in manifest.frame.check],
        tries=form.cleaned_data["tries"],
        now=timezone.now(),
    )
    return redirect("visit", annotator.token)


@step(NextPage.BREAK)
def end_break(_request: HttpRequest, annotator: Annotator, manifest: Manifest) -> HttpResponse:
    """Record that the break is over."""
    onboarding.end_break(annotator=annotator, number=breaks_due(annotator, manifest))
    return redirect("visit", annotator.token)


@step(NextPage.COMMENT)
def comment(request: HttpRequest, annotator: Annotator, manifest: Manifest) -> HttpResponse:
    """Record the comment, which may be empty."""
    form = CommentForm(request.POST)
    if not form.is_valid():
        context = page_context(annotator, manifest) | {"form": form}
        return render(request, "web/annotator/comment.html", context, status=400)
    values = {"": form.cleaned_data["comment"]}
    onboarding.answer(annotator=annotator, page=Answer.Page.COMMENT, values=values, now=timezone.now())
    return redirect("visit", annotator.token)


def instructions_context(annotator: Annotator, manifest: Manifest) -> dict[str, Any]:
    """Return the instructions and worked examples. An annotator always gets the same examples."""
    pairs = [
        seeded_pair(study=annotator.study, seed=annotator.seed, purpose="example", number=number)
        for number in range(manifest.frame.worked_examples)
    ]
    return {
        "instructions": markdown.render(manifest.texts.instructions),
        "most_shown": most_shown(annotator, manifest.voting_rules()),
        "has_begun": annotator.instructions_read_at is not None,
        "examples": [
            _pair_context(annotator, pair.left_images, pair.right_images, pair.known_choice, pair.replaced_count)
            for pair in pairs
        ],
    }


def welcome_context(manifest: Manifest) -> dict[str, Any]:
    """Return the texts of welcome and consent."""
    texts = manifest.texts
    return {
        "welcome": markdown.render(texts.welcome),
        "consent": markdown.render(texts.consent),
        "consent_sha256": texts.consent_sha256,
    }


def _practice_context(annotator: Annotator, manifest: Manifest) -> dict[str, Any]:
    number = practising.practice_count(annotator)
    assignment = practising.practice(annotator=annotator, number=number, now=timezone.now())
    sides = {"left": assignment.left_images, "right": assignment.right_images}
    return {
        "strings": page_strings(),
        "other_questions": other_questions(manifest),
        "number": number,
        "shown_number": number + 1,
        "pair": {side: addresses(annotator_id=annotator.pk, image_ids=images) for side, images in sides.items()},
    }


def _feedback_context(annotator: Annotator, assignment: Assignment) -> dict[str, Any]:
    side = assignment.known_choice
    sets = (assignment.left_images, assignment.right_images)
    return {
        "is_right": assignment.votes.get().choice == side,
        "pair": _pair_context(annotator, *sets, side, assignment.replaced_count),
    }


def _pair_context(
    annotator: Annotator, left: list[int], right: list[int], consistent_side: str, replaced_count: int
) -> dict[str, Any]:
    sets = [
        {
            "is_consistent": side == consistent_side,
            "images": addresses(annotator_id=annotator.pk, image_ids=images),
        }
        for side, images in (("left", left), ("right", right))
    ]
    return {"sets": sets, "replaced_count": replaced_count, "count": len(left)}
