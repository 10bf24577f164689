"""The pages Annotators and Invitations: what they show to whom, payment, erasure, links, QR codes and the platform."""

import csv
import re
from datetime import timedelta
from io import StringIO

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from annotation.models import Annotator, AuditEntry, Study
from annotation.studies.sharing import Role
from annotation.voting.annotators import invite
from annotation.voting.withdrawal import withdraw
from annotation.web.researcher.people.invitations import qr_svg
from tests.factories import give_vote, make_study, member, put_in_state

pytestmark = pytest.mark.django_db
PLATFORM = {"id_parameter": "PROLIFIC_PID", "other_parameters": ["SESSION_ID"], "complete_code": "C1AAA"}


def client_of(study: Study, role: Role) -> Client:
    client = Client()
    client.force_login(member(study, role))
    return client


def page_of(client: Client, study: Study, path: str) -> str:
    return client.get(f"{study.get_absolute_url()}{path}").content.decode()


def test_the_annotators_are_listed_with_their_state_and_never_with_a_link(researcher: Client) -> None:
    study = make_study()
    ada, _ben = (invite(study=study, label=name) for name in ("Ada", "Ben"))
    give_vote(ada)
    page = page_of(researcher, study, "annotators/")
    assert "voting" in page
    assert "invited" in page
    assert ada.token not in page
    viewing = page_of(client_of(study, Role.VIEWER), study, "annotators/")
    assert "Ada" in viewing
    assert "payment.csv" not in viewing
    assert "erase" not in viewing


def test_queries_do_not_grow_with_the_annotators(researcher: Client) -> None:
    study, counts = make_study(platform=PLATFORM), []
    for added in (2, 5):
        people = [invite(study=study, label=f"{added} {number}") for number in range(added)]
        give_vote(people[0])
        for path in ("annotators/", "invitations/"):
            with CaptureQueriesContext(connection) as queries:
                page_of(researcher, study, path)
            counts.append(len(queries))
    assert counts[:2] == counts[2:]
    assert max(counts) < 12


def test_payment_is_a_csv_at_the_rate_of_the_address(researcher: Client) -> None:
    study = make_study(platform=PLATFORM)
    ada = invite(study=study, label="=cmd()")
    give_vote(ada)
    Annotator.objects.filter(pk=ada.pk).update(state="finished", finished_at=timezone.now())
    answer = researcher.get(f"{study.get_absolute_url()}payment.csv?rate=9.5")
    (row,) = csv.DictReader(StringIO(answer.content.decode()))
    assert (row["state"], row["votes"], row["code"], row["rate_per_hour"]) == ("finished", "1", "C1AAA", "9.5")
    assert not row["annotator"].startswith("=")  # a table would compute it
    assert AuditEntry.objects.filter(verb="payment downloaded").count() == 1
    for wrong in ("", "rate=x", "rate=-1", "rate=nan", "rate=1e9"):
        refused = researcher.get(f"{study.get_absolute_url()}payment.csv?{wrong}")
        assert refused.status_code == 400, wrong
        assert 'class="fault"' in refused.content.decode()


def test_an_owner_erases_after_seeing_what_is_removed(researcher: Client) -> None:
    study = make_study()
    ada = invite(study=study, label="Ada")
    give_vote(ada)
    address = f"{study.get_absolute_url()}annotators/{ada.pk}/erase/"
    shown = researcher.post(address).content.decode()  # without the confirmation
    assert "Erase Ada?" in shown
    assert "1 vote, checks and practice included" in shown
    ada.refresh_from_db()
    assert ada.state == "active"
    assert client_of(study, Role.EDITOR).post(address, {"confirmed": "yes"}).status_code == 403
    done = researcher.post(address, {"confirmed": "yes"}, follow=True).content.decode()
    assert "The annotator is erased, with 1 vote." in done
    ada.refresh_from_db()
    assert (ada.state, ada.label) == ("withdrawn", "")
    other = make_study(slug="other")
    assert researcher.get(f"{other.get_absolute_url()}annotators/{ada.pk}/erase/").status_code == 404


def test_the_invitations_show_links_a_message_and_codes(researcher: Client) -> None:
    study = make_study(platform=PLATFORM, annotation={"closes_at": "2099-05-01T10:00:00Z", "most_annotators": 7})
    ada = invite(study=study, label="Ada")
    page = page_of(researcher, study, "invitations/")
    for said in (study.open_link_token, ada.token, "You are invited to compare sets of images", "2099-05-01 10:00"):
        assert said in page
    assert "?PROLIFIC_PID={{%PROLIFIC_PID%}}&amp;SESSION_ID={{%SESSION_ID%}}" in page
    assert "C1AAA" in page
    missing = re.search(r"Missing in the study file:</strong> ([^<]+)", page)
    assert missing is not None
    assert "platform.withdrawn_code" in missing[1]
    assert "platform.complete_code" not in missing[1]
    assert client_of(study, Role.VIEWER).get(f"{study.get_absolute_url()}invitations/").status_code == 403


def test_a_refusal_of_personal_links_keeps_the_labels_that_were_typed(researcher: Client) -> None:
    study = make_study()
    pilot = make_study(slug="pilot")
    Study.objects.filter(pk=pilot.pk).update(pilot_of=study)
    invite(study=pilot, label="Ada")
    pilot.annotators.update(instructions_read_at=timezone.now())
    address = f"{study.get_absolute_url()}invitations/"
    typed = {"labels": "Ada\nGrace"}
    answer = researcher.post(address, typed)
    assert answer.status_code == 400
    page = answer.content.decode()
    assert "Ada took part in a pilot of this study" in page
    assert re.search(r"<textarea[^>]*>\s*Ada\nGrace</textarea>", page)
    put_in_state(study, Study.State.CLOSED)
    assert researcher.post(address, typed).status_code == 400, "the page says that the voting has ended"
    assert not study.annotators.exists()


def test_the_message_is_in_the_study_s_language(researcher: Client) -> None:
    study = make_study(texts={"language": "de"})
    page = page_of(researcher, study, "invitations/")
    assert "Sie sind eingeladen, Bildreihen zu vergleichen" in page
    assert ">Invitations</h1>" in page


def test_a_qr_code_is_an_image_of_the_link_for_editors(researcher: Client) -> None:
    study, other = make_study(), make_study(slug="other")
    ada = invite(study=study, label="Ada")
    links = {"": f"http://testserver/join/{study.open_link_token}/", f"{ada.pk}/": f"http://testserver/a/{ada.token}/"}
    for part, link in links.items():
        answer = researcher.get(f"{study.get_absolute_url()}invitations/{part}qr.svg")
        assert answer["Content-Type"] == "image/svg+xml"
        assert answer.content == qr_svg(link)
    assert researcher.get(f"{other.get_absolute_url()}invitations/{ada.pk}/qr.svg").status_code == 404
    assert client_of(study, Role.VIEWER).get(f"{study.get_absolute_url()}invitations/qr.svg").status_code == 403
    assert b"style=" not in qr_svg("x")  # the security policy would ignore it


def test_without_a_platform_the_panel_says_how_to_get_one(researcher: Client) -> None:
    page = page_of(researcher, make_study(state="draft"), "invitations/")
    assert "id_parameter = " in page
    assert "nobody can vote yet" in page
    assert "Nobody has a personal link yet" in page


def test_a_link_of_somebody_who_withdrew_is_offered_no_more(researcher: Client) -> None:
    study = make_study()
    ada, ben = (invite(study=study, label=name) for name in ("Ada", "Ben"))
    withdraw(annotator=ada, until=None, now=timezone.now())
    for path in ("invitations/", "invitations.csv"):
        shown = page_of(researcher, study, path)
        assert (ada.token in shown, ben.token in shown) == (False, True), path


def test_the_limits_say_when_an_open_study_opened(researcher: Client) -> None:
    study = make_study(state="ready")
    assert "when you open it" in page_of(researcher, study, "invitations/")
    put_in_state(study, "open")
    shown = page_of(researcher, study, "invitations/")
    assert f"opened {study.opened_at:%Y-%m-%d %H:%M} UTC" in shown
    assert "when you open it" not in shown


def test_somebody_seen_within_a_minute_was_seen_just_now(researcher: Client) -> None:
    study = make_study()
    invite(study=study, label="Ada")
    Annotator.objects.update(welcomed_at=timezone.now())
    assert "just now" in page_of(researcher, study, "annotators/")
    Annotator.objects.update(welcomed_at=timezone.now() - timedelta(minutes=5))
    assert "5\xa0minutes ago" in page_of(researcher, study, "annotators/")
