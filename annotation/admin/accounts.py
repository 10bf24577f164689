"""Accounts in Django's admin. The page Accounts does what is usual; this one changes everything, and deletes."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest

from annotation.studies.installation.accounts import delete_unused_bindings

admin.site.unregister(User)


@admin.register(User)
class AccountAdmin(UserAdmin):  # type: ignore[type-arg]  # Django's class takes no parameter at run time
    """Django's page of accounts, whose deletions also reach what Django does not know of."""

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
