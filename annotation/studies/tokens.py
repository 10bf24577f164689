"""Tokens of the API: create one, find the account behind one, revoke one. Only hashes are stored."""

import hashlib
import secrets
from collections.abc import Collection
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.utils import timezone

from annotation.models import ApiToken
from annotation.studies.audit import record
from annotation.studies.sharing import is_researcher
from jobs.refusals import Refused

Scope = ApiToken.Scope
PREFIX = "sem_"  # so that a program that looks for leaked secrets knows a token
MOST_DAYS, MOST_TOKENS = 366, 50
USE_INTERVAL = timedelta(minutes=1)  # between two writes of a token's last use
_HINT_LENGTH = 8


def create_token(*, account: User, name: str, scopes: Collection[str], days: int) -> tuple[ApiToken, str]:
    """Create a token, and return its row and the token itself, which nobody can read again."""
    if not scopes or not set(scopes) <= set(Scope.values):
        raise Refused(f"scopes: a token has one or more of {', '.join(Scope.values)}.")
    if not 1 <= days <= MOST_DAYS:
        raise Refused(f"days: a token is valid for 1 to {MOST_DAYS} days.")
    if ApiToken.objects.filter(account=account, revoked_at=None).count() >= MOST_TOKENS:
        raise Refused(f"{account} has {MOST_TOKENS} tokens; revoke one first.")
    secret = PREFIX + secrets.token_urlsafe(32)
    token = ApiToken.objects.create(
        account=account,
        name=name,
        hint=secret[:_HINT_LENGTH],
        sha256=_hash(secret),
        scopes=[scope for scope in Scope.values if scope in scopes],
        expires_at=timezone.now() + timedelta(days=days),
    )
    record("token created", actor=account, token=token.pk, scopes=token.scopes)
    return token, secret


def token_of(secret: str, *, now: datetime) -> ApiToken | None:
    """Return the token in force that this is, with its account; None for one that is unknown, over or revoked."""
    rows = ApiToken.objects.select_related("account").filter(sha256=_hash(secret), revoked_at=None, expires_at__gt=now)
    token = rows.first()
    if token is None or not is_researcher(token.account):
        return None
    if token.last_used_at is None or token.last_used_at < now - USE_INTERVAL:
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
    return token


def revoke_token(*, account: User, token_id: int, actor: User | None = None) -> None:
    """Revoke a token of the account, on behalf of it or of an admin. Refused if it has no such token in force."""
    if not ApiToken.objects.filter(account=account, pk=token_id, revoked_at=None).update(revoked_at=timezone.now()):
        raise Refused("There is no such token in force.")
    record("token revoked", actor=actor or account, token=token_id, account=account.get_username())


def _hash(secret: str) -> str:
    # 256 random bits need no slow hash.
    return hashlib.sha256(secret.encode()).hexdigest()
