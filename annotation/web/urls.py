"""Addresses of the pages and the API."""

from django.urls import URLPattern, URLResolver, path

from annotation.web import (
    actions,
    annotator,
    explorer,
    frame,
    images,
    joining,
    planning,
    reported,
    reports,
    researcher,
)
from annotation.web.api import api

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v1/", api.urls),  # first: every vote looks its address up
    path("", joining.landing, name="landing"),
    path("i/<str:token>.<slug:rendition>", images.serve, name="image"),
    path("a/<str:token>/", annotator.visit, name="visit"),
    path("a/<str:token>/instructions/", annotator.instructions, name="instructions"),
    path("a/<str:token>/welcome/", frame.welcome, name="welcome"),
    path("a/<str:token>/questions/", frame.questions, name="questions"),
    path("a/<str:token>/start/", frame.start, name="start"),
    path("a/<str:token>/practice/", frame.practice, name="practice"),
    path("a/<str:token>/practice/<int:number>/", frame.practice_feedback, name="practice-feedback"),
    path("a/<str:token>/check/", frame.check, name="check"),
    path("a/<str:token>/break/", frame.end_break, name="end-break"),
    path("a/<str:token>/comment/", frame.comment, name="comment"),
    path("a/<str:token>/undo/", annotator.undo_last, name="undo-last"),
    path("a/<str:token>/stop/", annotator.stop, name="stop"),
    path("a/<str:token>/withdraw/", annotator.withdraw, name="withdraw"),
    path("a/<str:token>/end/", annotator.end, name="end"),
    path("join/<str:open_link_token>/", joining.join, name="join"),
    path("resume/", joining.resume, name="resume"),
    path("studies/", researcher.studies, name="studies"),
    *planning.urlpatterns,
    path("studies/<slug:slug>/", researcher.study, name="study"),
    path("studies/<slug:slug>/study.toml", researcher.study_file, name="study-file"),
    path("studies/<slug:slug>/invitations/", researcher.make_invitations, name="make-invitations"),
    path("studies/<slug:slug>/invitations.csv", researcher.invitations_file, name="invitations-file"),
    path("studies/<slug:slug>/answers.csv", researcher.answers_file, name="answers-file"),
    path("studies/<slug:slug>/annotators/<int:annotator_id>/free/", researcher.free, name="free-annotator"),
    path("studies/<slug:slug>/returned/", researcher.free_returned, name="free-returned"),
    path("studies/<slug:slug>/do/<slug:verb>/", actions.act, name="study-action"),
    *reported.urlpatterns,
    *reports.urlpatterns,
    *explorer.urlpatterns,
]
