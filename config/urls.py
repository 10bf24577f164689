"""Addresses: the admin, staff accounts, and everything that annotation serves."""

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.urls import include, path

from config.admin_choices import response_action

# The admin's own login form has no rate limit and no second factor.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
admin.ModelAdmin.response_action = response_action  # type: ignore[method-assign, assignment]

urlpatterns = [
    path("admin/", admin.site.urls),
    path("accounts/", include("allauth.account.urls")),
    path("accounts/2fa/", include("allauth.mfa.urls")),
    path("", include("annotation.web.urls")),
]

handler500 = "config.failures.server_error"
