"""What does not apply to a study is in none of its reports, whatever an older version of Semblance stored of it."""

import hashlib

import pytest

from annotation.models import ManifestVersion, Study
from annotation.reports.bundle.archive import canonical_json
from annotation.reports.report_jobs.downloads import FORMATS, render
from annotation.studies.current import current_manifest
from tests.annotation.reports.voted_studies import report_of
from tests.factories import make_study

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("source", ["images", "external"])
def test_an_older_study_keeps_its_hash_and_no_report_says_what_nobody_used(source: str) -> None:
    study = make_study(source=source, state="closed")
    older = current_manifest(study).model_dump(mode="json")
    digest = hashlib.sha256(canonical_json(older)).hexdigest()
    ManifestVersion.objects.filter(study=study).update(document=older, sha256=digest)
    Study.objects.filter(pk=study.pk).update(manifest_sha256=digest)
    study.refresh_from_db()
    report = report_of(study)
    for name in FORMATS:
        text = render(report, name)
        assert digest in text or name in ("csv", "latex", "md")
        for title in ("Note on the Sampling Error", "Resampling"):  # in references of the methods
            text = text.replace(title, "")
        for word in ("sampling", "num_inference_steps", "euler", "guidance", "float32"):
            assert word not in text.lower(), (name, word)
        assert ("Given out first" in text) == (source == "images" and name in ("html", "latex", "txt"))
