"""Accounts, their second factors and their acts in Django's admin."""

from typing import Any

from allauth.mfa import admin as _allauth_admin  # noqa: F401 - registers the page that is replaced here
from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from annotation.models import AuditEntry
from annotation.studies.installation.accounts import delete_unused_bindings
from generation.admin import AdminsOnly, ReadOnlyAdmin

admin.site.unregister([User, Authenticator])


@admin.register(User)
class AccountAdmin(UserAdmin):  # type: ignore[type-arg]  # Django's class takes no parameter at run time
    """Django's page of accounts, whose deletions also reach what Django does not know of.

    The installation's page Accounts does what is usual; this one changes everything, and deletes.
    """

    @transaction.atomic
    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Delete one account."""
        delete_unused_bindings([obj.pk])
        super().delete_model(request, obj)

    @transaction.atomic
    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Delete the chosen accounts."""
        delete_unused_bindings(list(queryset.values_list("pk", flat=True)))
        super().delete_queryset(request, queryset)


@admin.register(Authenticator)
class SecondFactorAdmin(ReadOnlyAdmin):
    """Second factors of the accounts, to be removed if a phone is lost; the owner adds one, on the account's page.

    allauth's own page shows the secret, with which an account that may only look could make another account's codes.
    """

    fields = ("user", "type", "created_at", "last_used_at")
    list_display = fields
    list_filter = ("type", "created_at", "last_used_at")

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Follow Django's permission, which the read-only base class ignores."""
        return admin.ModelAdmin.has_delete_permission(self, request, obj)


@admin.register(AuditEntry)
class AuditEntryAdmin(AdminsOnly):
    """Acts of accounts in the installation, the latest first. The database refuses to change them.

    The entries of one study are also on its page History.
    """

    list_display = ("happened_at", "actor_name", "verb", "study_slug", "detail")
    list_filter = ("verb",)
    search_fields = ("actor_name", "study_slug", "verb")
    ordering = ("-id",)
