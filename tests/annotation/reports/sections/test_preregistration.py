"""The report proves when the design was fixed, or says that it cannot."""

from datetime import datetime, timedelta

import pytest

from annotation.models import ManifestVersion, Study, Vote
from annotation.reports.sections.study.study_facts import preregistration
from tests.annotation.reports.voted_studies import crossed, make_study, report_of

pytestmark = pytest.mark.django_db

FIRST_VOTE = datetime.fromisoformat("2026-05-02T12:00:00+00:00")


def said(study: Study) -> str:
    return preregistration(report_of(study))


def voted_study(kind: str = "personal") -> Study:
    study = make_study(crossed([[2, 1], [1, 2]], kind=kind))
    Vote.objects.update(received_at=FIRST_VOTE)
    ManifestVersion.objects.update(created_at=FIRST_VOTE - timedelta(days=1))
    return study


def test_a_design_fixed_before_the_first_vote_says_so_with_its_hash() -> None:
    study = voted_study()
    text = said(study)
    assert study.manifest_sha256 in text
    assert "fixed at 2026-05-01 12:00:00 UTC, before the first vote was received at 2026-05-02 12:00:00 UTC." in text
    assert "It was not amended." in text


def test_a_design_fixed_later_says_that_too() -> None:
    study = voted_study()
    ManifestVersion.objects.update(created_at=FIRST_VOTE + timedelta(seconds=1))
    assert ", after the first vote was received" in said(study)


def test_amendments_are_counted_on_both_sides_of_the_first_vote() -> None:
    study = voted_study()
    for number, days in ((2, -0.5), (3, 1), (4, 2)):
        row = ManifestVersion.objects.create(study=study, number=number, document={}, sha256=f"{number}" * 64)
        ManifestVersion.objects.filter(pk=row.pk).update(created_at=FIRST_VOTE + timedelta(days=days))
    assert "Amended 3 times, 2 of them after the first vote." in said(study)


def test_of_imported_votes_nothing_is_claimed() -> None:
    text = said(voted_study(kind="imported"))
    assert "is not known here" in text
    assert "before the first vote" not in text


def test_without_votes_there_is_no_first_one() -> None:
    study = voted_study()
    Vote.objects.all().delete()
    assert "there is no vote yet" in said(study)
