"""Images as annotators get them: an opaque address, the same headers for every model.

An address is a sealed token of (annotator, image, rendition): stable for an annotator, so that caches hold,
and only made by `address`, which is only asked for images of the annotator's own assignments.
"""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_safe

from annotation.models import Annotator
from annotation.web.sealing import Seal
from generation import renditions
from generation.models import GeneratedImage

ADDRESSES = Seal(b"semblance image addresses 1", ">QQB")  # annotator id, image id, place in RENDITIONS
RENDITIONS = tuple(sorted(renditions.SIZES))


def address(*, annotator: Annotator, image: GeneratedImage | int, rendition: str) -> str:
    """Where this annotator finds this image (or the image of this id) in this rendition.

    Raises `ValueError` for a rendition that `generation.renditions` does not make.
    """
    if rendition not in RENDITIONS:
        raise ValueError(f"no rendition is called {rendition!r}; there are {', '.join(RENDITIONS)}")
    image_id = image if isinstance(image, int) else image.pk
    return reverse("image", args=[ADDRESSES.close(annotator.pk, image_id, RENDITIONS.index(rendition))])


def _opened(token: str) -> tuple[int, int, str]:
    """(annotator id, image id, rendition) of a token that `address` made; anything else is not found."""
    try:
        annotator_id, image_id, rendition = ADDRESSES.open(token)
        return annotator_id, image_id, RENDITIONS[rendition]
    except (ValueError, IndexError):
        raise Http404 from None


@require_safe
def serve(_request: HttpRequest, token: str) -> HttpResponse:
    """One rendition. No date, no name and no ETag: the address never changes what it stands for."""
    annotator_id, image_id, rendition = _opened(token)
    if not Annotator.objects.filter(pk=annotator_id).exclude(state=Annotator.State.WITHDRAWN).exists():
        raise Http404
    image = get_object_or_404(GeneratedImage, pk=image_id)
    response = HttpResponse(renditions.read(image, rendition), content_type="image/webp")
    response["Cache-Control"] = "private, max-age=31536000, immutable"
    response["X-Content-Type-Options"] = "nosniff"
    return response
