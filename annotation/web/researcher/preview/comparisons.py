"""The comparisons of a preview: from a study's images, blind as for annotators, without a row in the database.

The page's script sends no cookie, so its requests carry a signed token of the study and the account, which the
preview's page made. Each request asks whether the study is still shared with that account.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import Any

from django.contrib.auth.models import User
from django.core import signing
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from annotation.models import Study
from annotation.studies.comparisons import image_sets_of
from annotation.studies.current import current_manifest
from annotation.studies.manifest import Manifest
from annotation.studies.sharing import visible_studies
from annotation.voting.allocation import stored_chance
from annotation.web.annotator.images import ADDRESSES
from annotation.web.annotator.next_page import in_language
from annotation.web.problems import error_response
from generation.models import GeneratedImage
from generation.pictures import renditions
from generation.plans.image_sets import find_imported_sets
from generation.tables.json_text import parse_json
from jobs.refusals import Refused

NOBODY = 0  # the annotator of a preview's images: there is no such row, so its tokens open no annotator's image
SECONDS = 12 * 3600
SALT = "semblance preview"
INSTRUCTED_PLACE = 1  # of an instructed check, if the study has some


@dataclass(frozen=True, slots=True)
class Shown:
    """A comparison of the preview. side: which side an instructed check asks for; empty for a comparison."""

    prompt: str
    sets: tuple[list[int], list[int]]
    side: str = ""


class PreviewedStudy:
    """The comparisons that an annotator of this study would be shown, as far as there are images."""

    def __init__(self, study: Study) -> None:
        self.study, self.manifest = study, current_manifest(study)

    def chance(self, *purpose: str | int) -> Random:
        """Return a source of chance that is the same each time, and that nobody can compute from outside."""
        seed = int(salted_hmac(SALT, str(self.study.pk)).hexdigest()[:12], 16)
        return stored_chance(seed, "preview", *purpose)

    @cached_property
    def comparisons(self) -> list[Shown]:
        """The comparisons in the order of the preview, with an instructed check among them if the study has some."""
        most = self.manifest.voting_rules().comparisons_per_annotator
        found = [shown for shown, _place in zip(self._comparisons(), range(most), strict=False)]
        if found and self.manifest.quality.instructed:
            place = min(INSTRUCTED_PLACE, len(found))
            side = self.chance("instructed").choice(("left", "right"))
            found.insert(place, Shown(found[0].prompt, found[0].sets, side))
        return found

    def _comparisons(self) -> Iterator[Shown]:
        rows = self.study.comparisons.filter(parked_at=None).order_by("position").select_related("prompt")
        sets = [(row.prompt.text, row.image_set_a_id, row.image_set_b_id) for row in rows[: self._most_rows]]
        sets = sets or list(self._imported())
        images = _images_of({one for _prompt, *pair in sets for one in pair})
        for prompt, a, b in sets:
            if images[a] and len(images[a]) == len(images[b]):  # while they are made, the fuller set is one model's
                yield Shown(prompt, (images[a], images[b]))

    @property
    def _most_rows(self) -> int:
        return 2 * self.manifest.voting_rules().comparisons_per_annotator

    def _imported(self) -> Iterator[tuple[str, int, int]]:
        """Yield the pairs of imported sets of a study that has no comparisons yet."""
        prompts = [plan.text for plan in self.manifest.prompts[: self._most_rows]]
        by_key = self.study.model_by_key
        sets = {key: find_imported_sets(diffusion_model=model, prompts=prompts) for key, model in by_key.items()}
        for number, prompt in enumerate(prompts):
            for a, b in self.manifest.compared_pairs[:1]:
                first, second = sets[a][number], sets[b][number]
                if first and second:
                    yield prompt, first.pk, second.pk


def _images_of(image_sets: set[int]) -> defaultdict[int, list[int]]:
    """Return the ids of the images of each set, with one query for all."""
    found: defaultdict[int, list[int]] = defaultdict(list)
    rows = GeneratedImage.objects.filter(image_set__in=image_sets).order_by("image_set", "seed")
    for image_set, pk in rows.values_list("image_set_id", "pk"):
        found[image_set].append(pk)
    return found


# --- what the page's script is told ---------------------------------------------------------------
def document(preview: PreviewedStudy, number: int) -> dict[str, Any]:
    """Return what follows at this place, as the annotator's operations tell it."""
    comparisons, manifest = preview.comparisons, preview.manifest
    if number >= len(comparisons):
        return {"kind": "done"}
    shown, chance = comparisons[number], preview.chance("sides", number)
    sides = chance.sample(shown.sets, 2)
    left, right = (image_addresses(preview.study, chance.sample(images, len(images))) for images in sides)
    return {
        "kind": "comparison",
        "assignment": str(number),
        "question": _question(shown, manifest),
        "prompt": shown.prompt if manifest.annotation.show_prompt else None,
        "left": left,
        "right": right,
        "ties": manifest.annotation.ties,
        "minimum_viewing_seconds": manifest.annotation.minimum_viewing_seconds,
        "progress": {"done": number, "of": len(comparisons)},
        "ahead": [],
        "ahead_seconds": 0,
        "undo": None,
    }


def _question(shown: Shown, manifest: Manifest) -> str:
    if shown.side:
        return _(manifest.texts.instructed).replace("{side}", f"{{{shown.side}}}")
    return _(manifest.texts.question)


def image_addresses(study: Study, images: list[int]) -> list[str]:
    """Return the preview's address of each image, without the name of the rendition."""
    return [f"{folder(study)}i/{ADDRESSES.encrypt(NOBODY, image)}" for image in images]


def folder(study: Study) -> str:
    """Return the beginning of the addresses of the study's preview."""
    return f"{study.get_absolute_url()}preview/"


def token_of(study: Study, account: User) -> str:
    """Return a token with which the preview's script asks for its comparisons, on behalf of the account."""
    return signing.dumps([study.pk, account.pk], salt=SALT)


def _study_of(token: str) -> Study:
    """Return the study of a token. Raises Http404 if it has ended, or its account no longer sees the study."""
    study = None
    with suppress(signing.BadSignature, TypeError, ValueError):  # the latter two: a token of an earlier version
        study_id, account_id = signing.loads(token, salt=SALT, max_age=SECONDS)
        if account := User.objects.filter(pk=account_id).first():
            study = visible_studies(account).filter(pk=study_id).first()
    if study is None or study.state not in Study.BEFORE_OPENING:
        raise Http404("This preview has ended. If the study has not opened yet, start it again on the study's page.")
    return study


def _after(body: dict[str, Any]) -> int:
    number = str(body.get("assignment", ""))
    return int(number) + 1 if number.isascii() and number.isdecimal() and len(number) < 7 else 0


OPERATIONS: dict[str, Callable[[PreviewedStudy, dict[str, Any]], dict[str, Any]]] = {
    "next": lambda preview, _body: document(preview, 0),
    "vote": lambda preview, body: {"state": "accepted", "next": document(preview, _after(body))},
    "report": lambda preview, body: document(preview, _after(body)),
    "undo": lambda preview, _body: document(preview, 0),
    "leave": lambda _preview, _body: {"released": 0},
}


@csrf_exempt  # it changes nothing and reads no cookie
@require_POST
@never_cache
def operate(request: HttpRequest, token: str, operation: str) -> HttpResponse:
    """Answer the script of the preview's comparison page. Nothing is stored."""
    try:
        preview, act = PreviewedStudy(_study_of(token)), OPERATIONS[operation]
        body = parse_json(request.body or b"{}")
    except (Http404, KeyError) as missing:
        return error_response(request, 404, str(missing) if isinstance(missing, Http404) else "Nothing is here.")
    except (ValueError, RecursionError):  # the latter: brackets within brackets
        return error_response(request, 422, "The body is not a JSON document.")
    given = body if isinstance(body, dict) else {}
    return in_language(preview.manifest, lambda: JsonResponse(act(preview, given)))


@require_safe
def image(_request: HttpRequest, slug: str, token: str, rendition: str) -> HttpResponse:
    """Serve an image of the preview, as `images.serve` does for annotators."""
    try:
        annotator_id, image_id = ADDRESSES.decrypt(token)
    except ValueError:
        raise Http404 from None
    found = GeneratedImage.objects.select_related("image_set__prompt").filter(pk=image_id).first()
    study = Study.objects.get(slug=slug)
    if annotator_id != NOBODY or rendition not in renditions.SIZES or found is None or not _is_of(study, found):
        raise Http404
    try:
        body = renditions.read(found, rendition)
    except Refused:
        raise Http404 from None
    response = HttpResponse(body, content_type="image/webp")
    response["Cache-Control"] = "private, max-age=3600"
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _is_of(study: Study, found: GeneratedImage) -> bool:
    """Return whether the study shows the image, or would: an imported one of its models before it has comparisons."""
    if study.state not in Study.BEFORE_OPENING:
        return False
    if image_sets_of(study).filter(pk=found.image_set_id).exists():
        return True
    models = {model.pk for model in study.diffusion_models}
    return found.image_set.diffusion_model_id in models and not study.comparisons.exists()
