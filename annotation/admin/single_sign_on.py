"""The admin's list of which person of the login issuer has which account. Imported only if OIDC_ISSUER is set."""

from allauth.socialaccount import admin as _allauth_admin  # noqa: F401 - registers the pages that are replaced here
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from generation.admin import AdminsOnly

for _model in (SocialAccount, SocialApp, SocialToken):  # the issuer is in the settings, and no token is stored
    admin.site.unregister(_model)


@admin.register(SocialAccount)
class BindingAdmin(AdminsOnly):
    """The binding of an issuer's person to an account. If deleted, the next login finds the account by e-mail."""

    fields = ("user", "uid", "last_login", "date_joined")
    list_display = fields
    search_fields = ("user__username", "uid")

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Return whether the account is an admin of the installation."""
        return self.has_view_permission(request)
