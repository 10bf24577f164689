"""Second factors of the accounts: that they are there, and their removal when a phone is lost; never the secret."""

from allauth.mfa import admin as _allauth_admin  # noqa: F401 - registers the page that is replaced here
from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from generation.admin import ListedFiltersAdmin

admin.site.unregister(Authenticator)


@admin.register(Authenticator)
class SecondFactorAdmin(ListedFiltersAdmin):
    """allauth's own page shows the secret, with which an account that may only look makes the codes of another."""

    fields = ("user", "type", "created_at", "last_used_at")
    list_display = fields
    list_filter = ("type", "created_at", "last_used_at")

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Never: the owner adds one, on the account's page."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Never."""
        return False
