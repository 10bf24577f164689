"""Studies, annotators, imports, the audit and second factors in Django's admin.

No page shows scores, the model behind a vote or the agreement: scores, votes and assignments have no pages.
"""

from allauth.mfa import admin as _allauth_admin  # noqa: F401 - registers the page that is replaced here
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from annotation.admin.accounts import AccountAdmin
from annotation.admin.annotators import AnnotatorAdmin
from annotation.admin.studies import StudyAdmin
from annotation.admin.taking_back import ImportAdmin
from annotation.models import AuditEntry
from generation.admin import AdminsOnly, ReadOnlyAdmin

__all__ = ["AccountAdmin", "AnnotatorAdmin", "AuditEntryAdmin", "ImportAdmin", "SecondFactorAdmin", "StudyAdmin"]

admin.site.unregister(Authenticator)
if settings.SINGLE_SIGN_ON.issuer:
    from annotation.admin import single_sign_on  # noqa: F401 - its tables exist only then


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

    A study's page History shows its own part.
    """

    list_display = ("happened_at", "actor_name", "verb", "study_slug", "detail")
    list_filter = ("verb",)
    search_fields = ("actor_name", "study_slug", "verb")
    ordering = ("-id",)
