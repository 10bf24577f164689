"""Images as annotators get them: an opaque address, the same headers for every model.

An address is an encrypted token of (annotator, image), a dot and the name of the rendition. It is stable for an
annotator, so that browsers cache it. Only `addresses` makes tokens, and only for images of the annotator's own
assignments. It opens in a browser in which the annotator's page was opened, until the voting of the study has ended or
the annotator withdraws.
"""

import logging
from collections.abc import Iterable
from functools import cache

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_safe

from annotation.models import Annotator, Study
from annotation.web.access.tokens import TokenCipher
from annotation.web.annotator.viewers import is_bound
from generation.models import GeneratedImage
from generation.pictures import renditions
from jobs.refusals import Refused

logger = logging.getLogger(__name__)

OVER = (Study.State.CLOSING, Study.State.CLOSED)
ADDRESSES = TokenCipher(b"semblance image addresses 2", ">QQ")  # annotator id, image id


def addresses(*, annotator_id: int, image_ids: Iterable[int]) -> list[str]:
    """Return this annotator's address of each image, without the dot and the name of the rendition.

    The answer to a vote holds about eighty addresses; with each rendition spelt out it would be three times as long.
    """
    folder = image_folder()
    return [folder + token for token in ADDRESSES.encrypt_all((annotator_id, image_id) for image_id in image_ids)]


@cache
def image_folder() -> str:
    """Return the beginning of every address. The prefix of the application never changes while it runs."""
    return reverse("image", args=["token", "grid"]).removesuffix("token.grid")


def _decrypted(token: str) -> tuple[int, int]:
    """Return (annotator id, image id) of a token that `addresses` made; raise Http404 for any other text."""
    try:
        annotator_id, image_id = ADDRESSES.decrypt(token)
    except ValueError:
        raise Http404 from None
    return annotator_id, image_id


@require_safe
def serve(request: HttpRequest, token: str, rendition: str) -> HttpResponse:
    """Serve one rendition, without date, name or ETag: the image at an address never changes."""
    annotator_id, image_id = _decrypted(token)
    if rendition not in renditions.SIZES:
        raise Http404
    people = Annotator.objects.filter(pk=annotator_id).exclude(state=Annotator.State.WITHDRAWN)
    if not people.exclude(study__state__in=OVER).exists():
        raise Http404
    if not is_bound(request, annotator_id=annotator_id):  # the page asks for cookies, instead of reporting the image
        return HttpResponse(status=403)
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
