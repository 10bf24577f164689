"""Addresses of the pages and the API."""

from django.urls import URLPattern, URLResolver, path

from annotation.web import sample_report, shared_report
from annotation.web.annotator import images as annotator_images
from annotation.web.annotator import joining, onboarding, pages
from annotation.web.api import collecting, installation, invitation_mails, people, voting
from annotation.web.api import notices as api_notices
from annotation.web.api import studies as api_studies
from annotation.web.api import uploads as api_uploads
from annotation.web.api.api import api, without_slash
from annotation.web.docs import pages as docs_pages
from annotation.web.installation import accounts, jobs, models, storage
from annotation.web.metrics import metrics
from annotation.web.researcher import (
    new_study,
    notices,
    pilot,
    planning,
    reported,
    sharing,
    study_list,
    study_settings,
    tokens,
)
from annotation.web.researcher.images import pages as images
from annotation.web.researcher.images import uploads
from annotation.web.researcher.overview import pages as overview
from annotation.web.researcher.people import annotators, invitations, personal_data
from annotation.web.researcher.preview import pages as preview
from annotation.web.researcher.results import explorer, reports

__all__ = ["api", "urlpatterns"]  # the API has its operations from here on

# In the order of the OpenAPI document.
for operations in (
    voting,
    api_studies,
    collecting,
    api_uploads,
    installation,
    api_notices,
    people,
    invitation_mails,
):
    api.add_router("", operations.router)

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v1/", api.urls),  # first, because every vote resolves its address
    path("api/v1", without_slash, name="api-without-slash"),
    path("", joining.landing, name="landing"),
    path("i/<str:token>.<slug:rendition>", annotator_images.serve, name="image"),
    path("a/<str:token>/", pages.visit, name="visit"),
    path("a/<str:token>/instructions/", pages.instructions, name="instructions"),
    path("a/<str:token>/welcome/", onboarding.welcome, name="welcome"),
    path("a/<str:token>/questions/", onboarding.questions, name="questions"),
    path("a/<str:token>/start/", onboarding.start, name="start"),
    path("a/<str:token>/practice/", onboarding.practice, name="practice"),
    path("a/<str:token>/practice/<int:number>/", onboarding.practice_feedback, name="practice-feedback"),
    path("a/<str:token>/check/", onboarding.check, name="check"),
    path("a/<str:token>/break/", onboarding.end_break, name="end-break"),
    path("a/<str:token>/comment/", onboarding.comment, name="comment"),
    path("a/<str:token>/undo/", pages.undo_last, name="undo-last"),
    path("a/<str:token>/stop/", pages.stop, name="stop"),
    path("a/<str:token>/withdraw/", pages.withdraw, name="withdraw"),
    path("a/<str:token>/no-mail/", pages.no_mail, name="no-mail"),
    path("a/<str:token>/end/", pages.end, name="end"),
    path("join/<str:open_link_token>/", joining.join, name="join"),
    path("resume/", joining.resume, name="resume"),
    path("metrics", metrics, name="metrics"),
    *study_list.urlpatterns,
    *new_study.urlpatterns,
    *planning.urlpatterns,
    *pilot.urlpatterns,
    *overview.urlpatterns,
    *annotators.urlpatterns,
    *invitations.urlpatterns,
    *personal_data.urlpatterns,
    *images.urlpatterns,
    *study_settings.urlpatterns,
    *reported.urlpatterns,
    *reports.urlpatterns,
    *explorer.urlpatterns,
    *sharing.urlpatterns,
    *tokens.urlpatterns,
    *notices.urlpatterns,
    *uploads.urlpatterns,
    *preview.urlpatterns,
    *jobs.urlpatterns,
    *models.urlpatterns,
    *accounts.urlpatterns,
    *storage.urlpatterns,
    *shared_report.urlpatterns,
    *sample_report.urlpatterns,
    *docs_pages.urlpatterns,
]
