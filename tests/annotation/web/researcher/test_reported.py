"""Reported images on the researcher's pages: the reports, the images, and the decision on the comparison."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from annotation.models import Annotator, Assignment, Comparison, ImageReport, Study
from annotation.reports.data.gathering import gather
from annotation.reports.report import build_report
from annotation.studies.current import current_manifest
from annotation.voting.annotators import invite
from annotation.voting.assignment import next_assignment
from annotation.voting.image_reports import report_image
from annotation.web.researcher.reported import reported_comparisons
from tests.annotation.voting.open_studies import NOON, RULES, assert_invariants
from tests.factories import make_study, member, put_in_state

pytestmark = pytest.mark.django_db


@pytest.fixture
def study() -> Study:
    return make_study(comparisons=1, annotation={"overlap": 5}, sealed=False)


@pytest.fixture
def comparison(study: Study) -> Comparison:
    return study.comparisons.get()


def leased(study: Study, label: str) -> Assignment:
    following = next_assignment(annotator=invite(study=study, label=label), rules=RULES, now=NOON)
    assert following.assignment is not None
    return following.assignment


def report(study: Study, *labels: str, **changes: Any) -> None:
    """Each of these annotators reports the first image of the left side."""
    for assignment in [leased(study, label) for label in labels]:
        sent = {"image_id": assignment.left_images[0], "kind": "offensive", "now": NOON, **changes}
        report_image(assignment=assignment, **sent)


def decide(researcher: Client, study: Study, decision: str) -> str:
    address = f"{study.get_absolute_url()}reported/0/{decision}/"
    return researcher.post(address, follow=True).content.decode()


def test_three_reporters_stop_a_comparison_and_the_study_s_page_says_so(researcher: Client, study: Study) -> None:
    report(study, "Ada", "Bob")
    assert "One comparison is set aside" not in researcher.get(study.get_absolute_url()).content.decode()
    report(study, "Cleo")
    cache.clear()  # the overview is at most five seconds old
    assert "One comparison is set aside" in researcher.get(study.get_absolute_url()).content.decode()
    page = researcher.get(f"{study.get_absolute_url()}reported/").content.decode()
    assert "Set aside: not assigned until you decide." in page
    assert page.count("was called offensive by") == 3
    for label in ("Ada", "Bob", "Cleo"):
        assert f"by {label}" in page


def test_the_reported_images_stand_in_the_order_of_the_reports_and_not_of_the_models(
    study: Study, comparison: Comparison
) -> None:
    of_a, of_b = (one.images.earliest("seed").pk for one in (comparison.image_set_a, comparison.image_set_b))
    for minute, (label, image) in enumerate([("Ada", of_b), ("Bob", of_a), ("Cleo", of_b)]):
        report(study, label, image_id=image, now=NOON + timedelta(minutes=minute))
    (shown,) = reported_comparisons(study)
    assert [(report.image_id, number) for report, number, _name in shown.named] == [(of_b, 1), (of_a, 2), (of_b, 1)]


def test_given_out_again_it_goes_to_others_and_not_to_those_who_reported_it(
    researcher: Client, study: Study, comparison: Comparison
) -> None:
    report(study, "Ada", "Bob", "Cleo")
    nobody = next_assignment(annotator=invite(study=study, label="Dan"), rules=RULES, now=NOON)
    assert nobody.assignment is None, "a stopped comparison is given to nobody"
    assert "Comparison 1 is assigned again." in decide(researcher, study, "give-out")
    comparison.refresh_from_db()
    assert comparison.parked_at is None
    assert leased(study, "Eve").comparison_id == comparison.pk
    ada = Annotator.objects.get(label="Ada")
    assert next_assignment(annotator=ada, rules=RULES, now=NOON).assignment is None
    report(study, "Fay", "Gus")
    comparison.refresh_from_db()
    assert comparison.parked_at is None, "answered reports stop nothing any more"
    assert_invariants(study)


def test_set_aside_it_stays_away_keeps_its_votes_and_can_come_back(
    researcher: Client, study: Study, comparison: Comparison
) -> None:
    report(study, "Ada")
    assert "Comparison 1 is set aside" in decide(researcher, study, "set-aside")
    comparison.refresh_from_db()
    assert comparison.parked_at is not None
    assert "One comparison is set aside" not in researcher.get(study.get_absolute_url()).content.decode()
    assert "Set aside: not assigned." in researcher.get(f"{study.get_absolute_url()}reported/").content.decode()
    assert "Comparison 1 is assigned again." in decide(researcher, study, "give-out")


def test_what_was_decided_stands_in_the_report(researcher: Client, study: Study) -> None:
    report(study, "Ada", "Bob", "Cleo")
    decide(researcher, study, "set-aside")
    put_in_state(study, Study.State.CLOSED)
    (event,) = [
        one
        for one in build_report(gather(study, manifest=current_manifest(study))).events
        if one.verb == "comparison set aside"
    ]
    assert event.detail == {"comparison": 1, "prompt": "prompt 1", "reports": 3}


@pytest.mark.parametrize(
    ("decision", "sentence"),
    [("give-out", "This comparison is assigned already."), ("set-aside", "No report of this comparison waits")],
)
def test_a_comparison_that_nobody_reported_is_left_alone(
    researcher: Client, study: Study, decision: str, sentence: str
) -> None:
    assert sentence in decide(researcher, study, decision)
    assert not study.events.filter(verb__startswith="comparison").exists()


def test_a_reported_image_is_shown_to_staff_alone(researcher: Client, study: Study) -> None:
    report(study, "Ada")
    address = f"{study.get_absolute_url()}reported/{ImageReport.objects.get().pk}.webp"
    assert researcher.get(address)["content-type"] == "image/webp"
    assert Client().get(address).status_code == 302


def test_a_reported_image_whose_file_is_gone_is_not_found(researcher: Client, study: Study, media_root: Any) -> None:
    report(study, "Ada", kind="failed")
    for file in (*media_root.rglob("*.png"), *media_root.rglob("*.webp")):
        file.unlink()
    reported = ImageReport.objects.get()
    assert researcher.get(f"{study.get_absolute_url()}reported/{reported.pk}.webp").status_code == 404
    page = researcher.get(f"{study.get_absolute_url()}reported/").content.decode()
    assert "could not be loaded by Ada" in page


def test_a_viewer_decides_nothing(client: Client, study: Study) -> None:
    client.force_login(member(study, "viewer"))
    report(study, "Ada")
    assert client.get(f"{study.get_absolute_url()}reported/").status_code == 200
    assert client.post(f"{study.get_absolute_url()}reported/0/set-aside/").status_code == 403


def test_who_has_no_label_is_called_as_in_the_report(researcher: Client, study: Study) -> None:
    report(study, "Ada", "")
    for address, text in (("reported/", "was called offensive by P002"), ("annotators/", '<th scope="row">P002</th>')):
        page = researcher.get(study.get_absolute_url() + address).content.decode()
        assert text in page
        assert "Ada" in page
        assert "annotator " + str(study.annotators.latest("pk").pk) not in page
