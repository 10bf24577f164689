"""Addresses of the pages and the API."""

from django.urls import URLPattern, URLResolver, path

from annotation.web import annotator, images, joining

urlpatterns: list[URLPattern | URLResolver] = [
    path("", joining.landing, name="landing"),
    path("i/<str:token>", images.serve, name="image"),
    path("a/<str:token>/", annotator.visit, name="visit"),
    path("a/<str:token>/instructions/", annotator.instructions, name="instructions"),
    path("a/<str:token>/start/", annotator.start, name="start"),
    path("a/<str:token>/end/", annotator.end, name="end"),
    path("join/<str:open_link_token>/", joining.join, name="join"),
    path("resume/", joining.resume, name="resume"),
]
