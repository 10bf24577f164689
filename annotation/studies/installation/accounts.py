"""Accounts of researchers and admins: create, deactivate, change their kind, make links to choose a password.

The audit has every change. An installation always keeps an admin, because nobody can change their own account.
"""

from dataclasses import dataclass
from typing import NamedTuple

from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from django.apps import apps
from django.contrib.auth.models import Permission, User
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, connection, transaction
from django.db.models import Count, Q, QuerySet
from django.db.models.functions import Coalesce
from django.urls import reverse

from annotation.models import ApiToken, StudyShare
from annotation.studies.audit import record
from annotation.voting.storage.sqlite_queue import in_turn
from jobs.refusals import Refused
from jobs.row_counts import count_of
from jobs.wording import hidden_character

ADD_STUDY = "add_study"
MOST_WITH_ONE_EMAIL = 20
# Of allauth's tables, which Django knows only while OIDC_ISSUER is set.
DELETE_BINDINGS = (
    "DELETE FROM socialaccount_socialtoken WHERE account_id IN "
    "(SELECT id FROM socialaccount_socialaccount WHERE user_id = %s)",
    "DELETE FROM socialaccount_socialaccount WHERE user_id = %s",
)


class Kind(NamedTuple):
    """The rights of an account in the installation. name: as in forms and addresses."""

    name: str
    label: str
    is_staff: bool
    is_superuser: bool
    may_make: bool


KINDS = (
    Kind("researcher", "Researcher who sees shared studies", True, False, False),
    Kind("maker", "Researcher who makes studies", True, False, True),
    Kind("admin", "Admin, who may do everything", True, True, True),
)
BY_NAME = {kind.name: kind for kind in KINDS}


@dataclass(frozen=True, slots=True)
class Account:
    """An account as the page of accounts lists it. roles: how many studies it owns, edits and views, in words."""

    user: User
    kind: str
    roles: str
    tokens: tuple[ApiToken, ...]


def listed(words: str = "") -> QuerySet[User]:
    """Return the accounts whose name or e-mail holds the words: active ones first, then by name."""
    rows = User.objects.order_by("-is_active", "username", "pk")
    return rows.filter(Q(username__icontains=words) | Q(email__icontains=words)) if words else rows


def with_email(email: str) -> list[User]:
    """Return the accounts that have this e-mail address: usually one, because `create_account` refuses a second."""
    alike = User.objects.filter(email__iexact=email)[:MOST_WITH_ONE_EMAIL]
    return [user for user in alike if is_same_email(user.email, email)]


def is_same_email(one: str, other: str) -> bool:
    """Return whether two e-mails are the same address. Letters outside ASCII must be the same.

    A database that ignores case takes the Turkish dotless i for an i, but the address is another person's.
    """
    return one == other or (one.isascii() and other.isascii() and one.lower() == other.lower())


def password_path(user: User) -> str:
    """Return the path where the account chooses a password. It is stored nowhere, and ends when it is used."""
    key = [user_pk_to_url_str(user), default_token_generator.make_token(user)]
    return reverse("account_reset_password_from_key", args=key)


def described(users: list[User]) -> list[Account]:
    """Return the accounts with their roles and tokens in force, with three queries for all of them."""
    ids = [user.pk for user in users]
    shares = StudyShare.objects.filter(account__in=ids).order_by()
    roles: dict[int, list[str]] = {}
    for account, role, count in shares.values_list("account", "role").annotate(Count("pk")).order_by("role"):
        roles.setdefault(account, []).append(f"{StudyShare.Role(role).label.lower()} of {count}")
    tokens: dict[int, list[ApiToken]] = {}
    for token in ApiToken.objects.filter(account__in=ids, revoked_at=None):
        tokens.setdefault(token.account_id, []).append(token)
    makers = set(_makers().filter(pk__in=ids).values_list("pk", flat=True))
    return [
        Account(user, _kind(user, user.pk in makers), ", ".join(roles.get(user.pk, ())), tuple(tokens.get(user.pk, ())))
        for user in users
    ]


def _kind(user: User, is_maker: bool) -> str:
    if user.is_superuser:
        return "admin"
    if not user.is_staff:
        return "none"
    return "maker" if is_maker else "researcher"


def _makers() -> QuerySet[User]:
    """Return the accounts that may make studies by a permission of their own or of a group."""
    allowed = Permission.objects.filter(content_type__app_label="annotation", codename=ADD_STUDY)
    own = count_of(User.user_permissions.through.objects.filter(permission__in=allowed), "user")
    by_group = count_of(User.groups.through.objects.filter(group__permissions__in=allowed), "user")
    makers = User.objects.annotate(permission_count=Coalesce(own, 0) + Coalesce(by_group, 0))
    return makers.filter(permission_count__gt=0)


@in_turn
def create_account(*, name: str, email: str, kind: str, actor: User | None) -> User:
    """Create an account without a password: the person chooses one with a link. Raises Refused, naming the field."""
    name, email, chosen = name.strip(), email.strip(), _known(kind)
    _refuse_name(name)
    _refuse_email(email)
    user = User(username=name, email=email, is_staff=chosen.is_staff, is_superuser=chosen.is_superuser)
    user.set_unusable_password()
    try:
        with transaction.atomic():
            user.save()
    except IntegrityError:  # the same form came at the same moment
        raise _taken(name) from None
    _let_make(user, chosen)
    record("account created", actor=actor, account=name, kind=kind)
    return user


def _taken(name: str) -> Refused:
    return Refused(f"name: there is already an account called {name}.")


def _refuse_name(name: str) -> None:
    try:
        UnicodeUsernameValidator()(name)
    except ValidationError:
        raise Refused("name: letters, digits and @ . + - _ only, at most 150.") from None
    if not name or len(name) > 150 or hidden_character(name):
        raise Refused("name: letters, digits and @ . + - _ only, at most 150.")
    if User.objects.filter(username__iexact=name).exists():
        raise _taken(name)


def _refuse_email(email: str) -> None:
    if not email:
        return
    try:
        validate_email(email)
    except ValidationError:
        raise Refused("email: this is not an e-mail address.") from None
    if User.objects.filter(email__iexact=email).exists():
        raise Refused("email: another account has this address.")


@in_turn
def set_kind(*, user: User, kind: str, actor: User) -> None:
    """Make the account a researcher, one who makes studies, or an admin. Nobody changes their own."""
    _refuse_own(user, actor)
    chosen = _known(kind)
    before = described([user])[0].kind
    User.objects.filter(pk=user.pk).update(is_staff=chosen.is_staff, is_superuser=chosen.is_superuser)
    _let_make(user, chosen)
    record("account changed", actor=actor, account=user.get_username(), before=before, after=kind)


def _let_make(user: User, kind: Kind) -> None:
    permission = Permission.objects.get(content_type__app_label="annotation", codename=ADD_STUDY)
    if kind.may_make:
        user.user_permissions.add(permission)
    else:
        user.user_permissions.remove(permission)


@in_turn
def set_active(*, user: User, is_active: bool, actor: User) -> None:
    """Deactivate an account, which ends its sessions and tokens at once, or activate it again. Its studies stay."""
    _refuse_own(user, actor)
    if User.objects.filter(pk=user.pk, is_active=not is_active).update(is_active=is_active):
        verb = "account activated" if is_active else "account deactivated"
        record(verb, actor=actor, account=user.get_username())


def delete_unused_bindings(ids: list[int]) -> None:
    """Delete what an earlier login by OpenID Connect keeps about accounts that are about to be deleted.

    While that login is switched off, Django knows nothing of its tables, whose rows would forbid the deletion.
    """
    if apps.is_installed("allauth.socialaccount"):
        return
    with connection.cursor() as cursor:
        if "socialaccount_socialaccount" not in connection.introspection.table_names(cursor):
            return
        for statement in DELETE_BINDINGS:
            cursor.executemany(statement, [(pk,) for pk in ids])


def _refuse_own(user: User, actor: User) -> None:
    if user.pk == actor.pk:
        raise Refused("Nothing was changed: another admin has to change your own account.")


def _known(kind: str) -> Kind:
    if kind not in BY_NAME:
        raise Refused(f"kind: one of {', '.join(BY_NAME)}.")
    return BY_NAME[kind]
