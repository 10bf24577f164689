"""The addresses of an installation whose OIDC_ISSUER is set."""

from django.urls import include, path

from config import urls

urlpatterns = [
    path("accounts/single-sign-on/", include("annotation.web.access.single_sign_on.views")),
    *urls.urlpatterns,
]
handler400, handler403, handler404 = urls.handler400, urls.handler403, urls.handler404
handler500 = urls.handler500
