"""The cookie that binds an annotator's images to the browser in which their page was opened.

An address of an image that leaks (a history, a log of a proxy, a chat) shows nothing without it. Each annotator has a
cookie of their own, so two people at one computer do not end each other's.
"""

import hashlib
import secrets

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from annotation.web.access.tokens import TokenCipher

VIEWERS = TokenCipher(b"semblance viewers of images", ">Q")  # annotator id
# How long the cookie lives. Each page of the annotator renews it. A laboratory's computer may collect the cookies of
# fifty people a day; it sends them all, and the web server would refuse a request with more than about 130.
SECONDS = 2 * 24 * 3600


def bind(response: HttpResponse, *, annotator_id: int, path: str) -> None:
    """Let this browser see the annotator's images, whose addresses begin with the path."""
    name, value = _cookie(annotator_id)
    response.set_cookie(
        name,
        value,
        max_age=SECONDS,
        path=path,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def is_bound(request: HttpRequest, *, annotator_id: int) -> bool:
    """Return whether the annotator's page was opened in the browser that asks."""
    name, value = _cookie(annotator_id)
    return secrets.compare_digest(request.COOKIES.get(name, "").encode(), value.encode())


def _cookie(annotator_id: int) -> tuple[str, str]:
    value = VIEWERS.encrypt(annotator_id)
    return "viewer_" + hashlib.sha256(value.encode()).hexdigest()[:8], value
