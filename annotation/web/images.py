"""Images as annotators get them: an opaque address, the same headers for every model.

An address is an AES-SIV token (RFC 5297) of (annotator, image, rendition). SIV is deterministic, so the
address of an image is stable for an annotator and caches hold; it is authenticated, so an address that
works was made by `address`, which is only asked for images of the annotator's own assignments; and its
plaintext has a fixed length, so nothing can be read off its size.
"""

import base64
import struct
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_safe

from annotation.models import Annotator
from generation import renditions
from generation.models import GeneratedImage

KEY_LABEL = b"semblance image addresses 1"
PLAINTEXT = struct.Struct(">QQB")  # annotator id, image id, rendition: its place in the sorted names
RENDITIONS = tuple(sorted(renditions.SIZES))


@lru_cache(maxsize=4)
def _cipher(secret: str) -> AESSIV:
    # 64 bytes: AES-256-SIV takes one key for the tag and one for the text.
    return AESSIV(HKDF(algorithm=SHA256(), length=64, salt=None, info=KEY_LABEL).derive(secret.encode()))


def address(*, annotator: Annotator, image: GeneratedImage | int, rendition: str) -> str:
    """Where this annotator finds this image (or the image of this id) in this rendition.

    Raises `ValueError` for a rendition that `generation.renditions` does not make.
    """
    if rendition not in RENDITIONS:
        raise ValueError(f"no rendition is called {rendition!r}; there are {', '.join(RENDITIONS)}")
    image_id = image if isinstance(image, int) else image.pk
    plaintext = PLAINTEXT.pack(annotator.pk, image_id, RENDITIONS.index(rendition))
    sealed = _cipher(settings.SECRET_KEY).encrypt(plaintext, None)
    return reverse("image", args=[base64.urlsafe_b64encode(sealed).decode().rstrip("=")])


def _opened(token: str) -> tuple[int, int, str]:
    """(annotator id, image id, rendition) of a token that `address` made; anything else is not found."""
    try:
        sealed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        annotator_id, image_id, rendition = PLAINTEXT.unpack(_cipher(settings.SECRET_KEY).decrypt(sealed, None))
        return annotator_id, image_id, RENDITIONS[rendition]
    except (ValueError, InvalidTag, struct.error, IndexError):
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
