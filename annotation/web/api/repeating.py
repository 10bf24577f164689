"""Requests that create something may be sent again: with the same Idempotency-Key they get the first answer again."""

import hashlib
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any, cast

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from annotation.models import RepeatableAnswer
from annotation.voting.storage.sqlite_queue import in_turn
from annotation.web.problems import error_response

LIFETIME = timedelta(days=1)
ABANDONED = timedelta(minutes=5)  # after which a request without an answer counts as died
LONGEST_KEY = 100
Operation = Callable[..., HttpResponse]


def repeatable(operation: Operation) -> Operation:
    """Answer a request that comes again with its first answer. Without a key the operation runs as it is."""

    @wraps(operation)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        key = request.headers.get("Idempotency-Key", "")
        if not key:
            return operation(request, *args, **kwargs)
        if len(key) > LONGEST_KEY or not key.isprintable():
            return error_response(request, 422, f"Idempotency-Key: at most {LONGEST_KEY} printable letters.")
        digest = hashlib.sha256(f"{request.method} {request.path_info}\n".encode() + request.body).hexdigest()
        row, is_new = _begin(cast(User, request.user), key, digest)
        if not is_new:
            return _again(request, row, digest)
        return _answered(row, lambda: operation(request, *args, **kwargs))

    return wrapper


@in_turn
def _begin(account: User, key: str, digest: str) -> tuple[RepeatableAnswer, bool]:
    """Return the row of this key, and whether it is new. Rows that are over are deleted first."""
    now = timezone.now()
    RepeatableAnswer.objects.filter(created_at__lt=now - LIFETIME).delete()
    RepeatableAnswer.objects.filter(account=account, key=key, status=0, created_at__lt=now - ABANDONED).delete()
    try:
        with transaction.atomic():
            return RepeatableAnswer.objects.create(account=account, key=key, request_sha256=digest), True
    except IntegrityError:
        return RepeatableAnswer.objects.get(account=account, key=key), False


def _again(request: HttpRequest, row: RepeatableAnswer, digest: str) -> HttpResponse:
    if row.request_sha256 != digest:
        return error_response(request, 422, "Idempotency-Key: another request had this key; give each request its own.")
    if not row.status:
        return error_response(request, 409, "The first request with this Idempotency-Key is still at work; ask again.")
    return HttpResponse(row.body, status=row.status, content_type="application/json; charset=utf-8")


def _answered(row: RepeatableAnswer, operation: Callable[[], HttpResponse]) -> HttpResponse:
    """Run the operation and keep its answer. A refused or failed request leaves no answer: it may be sent again."""
    response = None
    try:
        response = operation()
    finally:
        rows = RepeatableAnswer.objects.filter(pk=row.pk)
        if response is None or response.status_code >= 400:
            rows.delete()
        else:
            rows.update(status=response.status_code, body=response.content.decode())
    return response
