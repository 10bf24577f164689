"""Delete a study together with the reports that were made of it."""

from django.contrib.auth.models import User

from annotation.models import Study
from annotation.reports.report_jobs.report_cache import forget_report
from annotation.studies.lifecycle.deletion import delete_study


def delete_with_reports(*, study: Study, actor: User | None = None) -> None:
    """As `delete_study`; then the files of its reports go, too. Downloads of them are forgotten within the hour."""
    made = list(study.report_jobs.exclude(sha256="").values_list("sha256", flat=True))
    delete_study(study=study, actor=actor)
    for sha256 in made:
        forget_report(sha256)
