"""Responses to failures: 503 for an outage, 400 for values that no database can hold, JSON for programs."""

import sys

from django.core.exceptions import BadRequest, RequestDataTooBig
from django.db import DataError
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template import loader
from django.utils import translation
from django.utils.deprecation import MiddlewareMixin
from django.views import defaults

from annotation.web.problems import PROBLEM_TYPE, error_response
from config.outages import WHAT_NEXT, Outage, log, outage

API = "/api/"
RETRY_SECONDS = 5
SENTENCES = {
    400: "The request could not be read: compare it with openapi.json.",
    403: "This is not allowed with the account or link that was used.",
    404: "There is nothing at this address: openapi.json lists all of them.",
    405: "This address does not take this method: openapi.json says which one it takes.",
    413: "The request is too large. Nothing of it was used.",
    429: "Too many requests: wait a moment, then send it again.",
    500: "The fault is ours and has been written to the log. Send the request again in a minute.",
}


class JsonErrorsMiddleware(MiddlewareMixin):
    """Turns every error below /api/ into the form of the API's own refusals."""

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        """Return the response, as JSON if it is an error of the API."""
        if response.status_code >= 400 and request.path_info.startswith(API) and not _is_json(response):
            sentence = SENTENCES.get(response.status_code, response.reason_phrase)
            own = error_response(request, response.status_code, sentence)
            response.content, response["Content-Type"] = own.content, own["Content-Type"]
            response["Content-Length"] = str(len(response.content))
        return response


class InputMiddleware(MiddlewareMixin):
    """Refuses NUL before any lookup: PostgreSQL's texts cannot hold it, and no name here contains it."""

    def process_request(self, request: HttpRequest) -> None:
        """Answer 404 for NUL in the path, 400 for NUL in a query or cookie."""
        if "\0" in request.path_info:
            raise Http404("no address holds NUL")
        query, cookies = request.META.get("QUERY_STRING", ""), request.META.get("HTTP_COOKIE", "")
        if "%00" in query or "\0" in query or "\\000" in cookies:
            raise BadRequest("NUL in the query or in a cookie")


class OutageMiddleware(MiddlewareMixin):
    """Answers a view's fault, so it is the innermost: 503 for an outage, 400 for values that cannot be stored."""

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponseBase | None:
        """Return the response to an error of a view that is no fault of the program."""
        if failure := outage(error):
            return unavailable(request, failure)
        if isinstance(error, RequestDataTooBig) and request.path_info.startswith(API):
            return error_response(request, 413, SENTENCES[413])
        return bad_request(request, error) if _cannot_be_stored(error) else None


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Return the page of 400: `handler400` of the URLs."""
    return defaults.bad_request(_unread(request), exception)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Return the page of 403: `handler403` of the URLs."""
    return defaults.permission_denied(_unread(request), exception)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Return the page of 404: `handler404` of the URLs."""
    return defaults.page_not_found(_unread(request), exception)


def _unread(request: HttpRequest) -> HttpRequest:
    """Keep Django's page of an error from looking for a token in the body: one that cannot be read would be a 500."""
    request._dont_enforce_csrf_checks = True  # type: ignore[attr-defined]
    return request


def server_error(request: HttpRequest) -> HttpResponseBase:
    """Return the response to an error of the middleware or of a view: `handler500` of the URLs."""
    failure = outage(sys.exc_info()[1])
    return unavailable(request, failure) if failure else defaults.server_error(request)


def unavailable(request: HttpRequest, failure: Outage) -> HttpResponse:
    """Return 503 with a sentence: a page in the browser's language, or JSON. Reads no database."""
    log(failure)
    with translation.override(translation.get_language_from_request(request)):
        sentence, what_next = str(failure.sentence), str(WHAT_NEXT)
        if request.path_info.startswith(API):
            response = error_response(request, 503, f"{sentence} {what_next}")
        else:
            page = loader.get_template("503.html").render({"sentence": sentence, "what_next": what_next})
            response = HttpResponse(page, status=503)
        response["Content-Language"] = translation.get_language()
    response["Retry-After"] = str(RETRY_SECONDS)
    response["Cache-Control"] = "no-store"
    response._has_been_logged = True  # type: ignore[attr-defined]  # else Django writes its address into the log
    return response


def _is_json(response: HttpResponse) -> bool:
    return response.get("Content-Type", "").startswith(("application/json", PROBLEM_TYPE))


def _cannot_be_stored(error: Exception) -> bool:
    """Return whether a value has NUL, a lone surrogate or over 64 bits; each database reports these differently."""
    if isinstance(error, UnicodeEncodeError):
        return "surrogates" in error.reason
    return isinstance(error, DataError) or (isinstance(error, OverflowError) and "SQLite INTEGER" in str(error))
