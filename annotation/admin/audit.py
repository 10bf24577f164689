"""The audit in the admin: who did what in the installation. A study's page History shows its own part."""

from django.contrib import admin

from annotation.models import AuditEntry
from generation.admin import AdminsOnly


@admin.register(AuditEntry)
class AuditEntryAdmin(AdminsOnly):
    """Acts of accounts, the latest first. The database refuses to change them."""

    list_display = ("happened_at", "actor_name", "verb", "study_slug", "detail")
    list_filter = ("verb",)
    search_fields = ("actor_name", "study_slug", "verb")
    ordering = ("-id",)
