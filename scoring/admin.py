"""The admin of scoring: its jobs. It shows no scores, because they are sealed until a study closes."""

from django.contrib import admin

from generation.admin import LeasedJobAdmin
from scoring.models import ScoringJob


@admin.register(ScoringJob)
class ScoringJobAdmin(LeasedJobAdmin):
    """Jobs that embed and score."""
