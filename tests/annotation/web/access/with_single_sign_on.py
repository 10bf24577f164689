"""The addresses of an installation whose OIDC_ISSUER is set."""

from django.urls import include, path

from config import urls

urlpatterns = [
    path("accounts/single-sign-on/", include("annotation.web.access.single_sign_on.views")),
    *urls.urlpatterns,
]
handler500 = urls.handler500
