"""Images as annotators get them: an opaque address, the same headers for every model.

An address is a sealed token of (annotator, image), a dot and the rendition's name: stable for an annotator, so that
caches hold. Tokens are only made by `addresses`, which is only asked for images of the annotator's own assignments.
"""

import logging
from collections.abc import Iterable
from functools import cache

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_safe

from annotation.models import Annotator
from annotation.web.access.tokens import Seal
from generation.models import GeneratedImage
from generation.pictures import renditions
from jobs.refusals import Refused

logger = logging.getLogger(__name__)

ADDRESSES = Seal(b"semblance image addresses 2", ">QQ")  # annotator id, image id


def addresses(*, annotator_id: int, image_ids: Iterable[int]) -> list[str]:
    """Where this annotator finds each of these images: after it comes a dot and a rendition's name.

    A vote's answer holds some eighty of these; with the renditions spelt out it would be three times as long.
    """
    folder = _folder()
    return [folder + token for token in ADDRESSES.close_all((annotator_id, image_id) for image_id in image_ids)]


@cache
def _folder() -> str:
    """What every address begins with; the prefix that the application is served under never changes."""
    return reverse("image", args=["token", "grid"]).removesuffix("token.grid")


def _opened(token: str) -> tuple[int, int]:
    """(annotator id, image id) of a token that `addresses` made; anything else is not found."""
    try:
        annotator_id, image_id = ADDRESSES.open(token)
    except ValueError:
        raise Http404 from None
    return annotator_id, image_id


@require_safe
def serve(_request: HttpRequest, token: str, rendition: str) -> HttpResponse:
    """One rendition. No date, no name and no ETag: the address never changes what it stands for."""
    annotator_id, image_id = _opened(token)
    if rendition not in renditions.SIZES:
        raise Http404
    if not Annotator.objects.filter(pk=annotator_id).exclude(state=Annotator.State.WITHDRAWN).exists():
        raise Http404
    image = get_object_or_404(GeneratedImage, pk=image_id)
    try:
        body = renditions.read(image, rendition)
    except Refused as refusal:  # the annotator's page offers to report the image
        logger.error("%s", refusal)
        raise Http404 from None
    response = HttpResponse(body, content_type="image/webp")
    response["Cache-Control"] = "private, max-age=31536000, immutable"
    response["X-Content-Type-Options"] = "nosniff"
    return response
