"""Retention: the personal data of a closed study is erased at its date or by an owner, and the votes stay."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.core.serializers import serialize
from django.db import IntegrityError, models, transaction
from django.test import Client
from django.utils import timezone

from annotation.models import Annotator, Answer, AuditEntry, Contact, Study, StudyEvent, Vote
from annotation.models.personal_data import PERSONAL_FIELDS, blank_columns, field_names
from annotation.reports.report_jobs import retention
from annotation.reports.report_jobs.report_cache import cached_report, load_report
from annotation.reports.report_jobs.retention import erase_due, erase_personal_data, retention_effects
from annotation.studies.audit import as_csv, as_json, history, whole_history
from annotation.studies.current import current_manifest
from annotation.studies.documents import document
from annotation.studies.lifecycle.amendments import amend
from annotation.studies.lifecycle.transitions import close, open_study
from annotation.studies.manifest import Manifest
from annotation.studies.people.data_record import data_record
from annotation.studies.sharing import Role
from annotation.voting.annotators import invite, was_in_pilot
from annotation.voting.imports.vote_import import import_votes
from annotation.voting.withdrawal import withdraw
from jobs.refusals import Refused
from tests.annotation.reports.voted_studies import crossed
from tests.annotation.reports.voted_studies import make_study as make_voted_study
from tests.factories import make_study, member, put_in_state

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]
NOW = timezone.now()
IN_NINE_DAYS = NOW + timedelta(days=9)
SECRETS = ("Ada Example", "worker-77", "SESSION-5", "my phone is 0123", "Imported Person", "ada@lab.example")
# Texts about a person that name nobody and that nobody wrote: outcomes, hashes, numbers drawn at random.
NOT_PERSONAL = {
    "Annotator": {"kind", "state", "consent_sha256", "screened_out_for", "broken_rules"},
    "Answer": {"page", "name"},
    "Assignment": {"kind", "state", "left_model", "known_choice", "rendition", "left_images", "right_images"},
}


def with_personal_data(**manifest: Any) -> Study:
    """A closed study of four annotators: one from a platform, two of a file, one who withdrew."""
    study = make_voted_study(replace(crossed([[4, 1], [1, 4]]), manifest=manifest))
    first, second, third = study.annotators.order_by("pk")[:3]
    Annotator.objects.filter(pk=first.pk).update(
        label=SECRETS[0], external_id=SECRETS[1], platform_parameters={"SESSION_ID": SECRETS[2]}
    )
    Annotator.objects.filter(pk=second.pk).update(kind="imported", label=SECRETS[4])
    Annotator.objects.filter(pk=third.pk).update(kind="imported", label="Another Imported Person")
    Answer.objects.create(annotator=first, page="comment", value=SECRETS[3], answered_at=NOW)
    Contact.objects.create(study=study, annotator=first, address=SECRETS[5])
    gone = invite(study=make_study(slug="other"), label="Gone")
    Annotator.objects.filter(pk=gone.pk).update(study=study, external_id="gone-9")
    withdraw(annotator=Annotator.objects.get(pk=gone.pk), until=None, now=NOW)
    Study.objects.filter(pk=study.pk).update(erases_at=NOW)
    return Study.objects.get(pk=study.pk)


def every_row() -> str:
    """Everything that the database holds, as text."""
    kinds = [model for model in apps.get_models() if model._meta.managed]
    return "".join(serialize("json", model._base_manager.all()) for model in kinds)


def texts_about_people() -> Iterator[tuple[str, str]]:
    """Every column with a text or a document in the tables whose rows belong to an annotator."""
    for model in apps.get_app_config("annotation").get_models():
        fields = [field for field in model._meta.get_fields() if isinstance(field, models.Field)]
        if model is Annotator or any(field.related_model is Annotator for field in fields):
            kinds = (models.CharField, models.TextField, models.JSONField)
            yield from ((model.__name__, field.name) for field in fields if isinstance(field, kinds))


def test_every_text_about_a_person_is_listed() -> None:
    listed = {(field.table, field.column) for field in PERSONAL_FIELDS}
    found = set(texts_about_people())
    named = {(table, column) for table, columns in NOT_PERSONAL.items() for column in columns}
    assert found - named == listed


def test_the_tick_erases_what_is_due_and_the_report_stays_the_same() -> None:
    study = with_personal_data()
    tokens = set(study.annotators.values_list("token", "resume_code"))
    before = cached_report(study)
    erase_due(NOW - timedelta(seconds=1))
    assert all(secret in every_row() for secret in SECRETS)
    erase_due(NOW)
    text = every_row()
    assert [secret for secret in (*SECRETS, "gone-9", "withdrawn:") if secret in text] == []
    assert not tokens & set(study.annotators.values_list("token", "resume_code"))
    assert load_report(before.sha256) is None
    study.refresh_from_db()
    assert study.erased_at is not None
    assert Vote.objects.filter(assignment__annotator__study=study).count() == 30
    assert cached_report(study).report == before.report
    (entry,) = AuditEntry.objects.filter(verb="personal data erased")
    assert entry.detail == {"fields": field_names(), "annotators": 4, "reason": "the date in the study file"}
    erase_due(NOW + timedelta(days=1))
    assert AuditEntry.objects.filter(verb="personal data erased").count() == 1
    assert "It was erased on" in data_record(study).retention
    assert {field.people for field in data_record(study).personal} == {0}


def test_an_erasure_that_was_killed_goes_on_at_the_next_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    study = with_personal_data()
    seen = []

    def dies_at_the_third(annotator: Annotator) -> list[str]:
        seen.append(annotator.pk)
        if len(seen) == 3:
            raise SystemExit
        return blank_columns(annotator)

    monkeypatch.setattr(retention, "blank_columns", dies_at_the_third)
    monkeypatch.setattr(retention, "MOST_AT_ONCE", 2)
    with pytest.raises(SystemExit):
        erase_due(NOW)
    text = every_row()
    assert (SECRETS[0] in text, "Another Imported Person" in text) == (False, True)
    assert Study.objects.get(pk=study.pk).erased_at is None
    monkeypatch.undo()
    erase_due(NOW)
    assert "Another Imported Person" not in every_row()


def test_names_that_the_study_file_itself_holds_stay_so_that_the_report_does() -> None:
    leak = {"analysis": {"resamples": 200, "leaks_from": {"Semantic Consistency Score": {"annotators": [SECRETS[0]]}}}}
    study = with_personal_data(**leak)
    before = cached_report(study).report
    erase_personal_data(study=study)
    assert study.annotators.filter(label=SECRETS[0]).count() == 1
    assert cached_report(study).report == before


def test_what_is_refused(tmp_path: Path) -> None:
    live = make_study()
    with pytest.raises(Refused, match="its annotators still need their links"):
        erase_personal_data(study=live)
    study = with_personal_data()
    erase_personal_data(study=study)
    with pytest.raises(Refused, match="was erased on"):
        erase_personal_data(study=study)
    file = tmp_path / "votes.csv"
    file.write_text("annotator,prompt,choice\nAda,a prompt number 0,Alpha\n")
    with pytest.raises(Refused, match="not be recognised as those of the same people"):
        import_votes(study=study, path=file, rules=current_manifest(study).voting_rules(), now=NOW)


@pytest.mark.parametrize("privacy", [{"erase_days_after_closing": 30}, {}, {"erase_at": IN_NINE_DAYS.isoformat()}])
def test_the_closing_sets_the_date(privacy: dict[str, Any]) -> None:
    study = make_study(privacy=privacy)
    close(study=study)
    assert study.closed_at is not None
    after = study.closed_at + timedelta(days=30) if "erase_days_after_closing" in privacy else IN_NINE_DAYS
    assert (study.erases_at and study.erases_at.date()) == (after.date() if privacy else None)


def test_the_date_may_change_until_the_study_is_closed() -> None:
    study = make_study()
    plan = document(current_manifest(study))
    assert "privacy" not in plan, "study files of earlier versions keep their hash"
    later = Manifest.model_validate(plan | {"privacy": {"erase_days_after_closing": 7}})
    amend(study=study, manifest=later, reason="The board asked for it.")
    (entry,) = AuditEntry.objects.filter(verb="settings changed")
    assert entry.detail == {"before": {"privacy": "none"}, "after": {"privacy": "erase_days_after_closing 7"}}
    study.refresh_from_db()
    close(study=study)
    with pytest.raises(Refused, match="is closed"):
        amend(study=study, manifest=Manifest.model_validate(plan), reason="Longer.")


@pytest.mark.parametrize(
    ("privacy", "sentence"),
    [
        ({"erase_days_after_closing": 1, "erase_at": "2099-01-01T00:00:00Z"}, "give one of the two"),
        ({"erase_at": "2098-01-01T00:00:00Z"}, "must not come before annotation.closes_at"),
    ],
)
def test_faults_of_the_section(privacy: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        make_study(privacy=privacy, annotation={"closes_at": "2098-06-01T00:00:00Z"})


def test_a_study_does_not_open_after_its_erasure_was_due() -> None:
    study = make_study(state="ready", privacy={"erase_at": "2020-01-01T00:00:00Z"})
    with pytest.raises(Refused, match="amend erase_at before opening it"):
        open_study(study=study)


def test_pages_and_commands(client: Client) -> None:
    study = with_personal_data(privacy={"erase_days_after_closing": 30})
    client.force_login(member(study, Role.OWNER))
    address = f"{study.get_absolute_url()}personal-data"
    pages = [client.get(f"{address}{end}").content.decode() for end in ("/", ".md", "/erase/")]
    for page in pages[:2]:
        assert all(words in page.lower() for words in field_names())
        assert "Backups" in page
    assert "This cannot be undone" in pages[2]
    assert [secret for secret in SECRETS for page in pages if secret in page] == []
    said = StringIO()
    call_command("personal_data", study.slug, stdout=said)
    assert said.getvalue().strip() == pages[1].strip()
    call_command("erase_personal_data", study.slug, stdout=said)
    assert said.getvalue().count("\n  ") >= sum(map(len, retention_effects(study))) - 1, "one thing a line"
    assert Study.objects.get(pk=study.pk).erased_at is None, "without --yes it only says what it would do"
    done = client.post(f"{address}/erase/", {"confirmed": "yes"}, follow=True).content.decode()
    assert "The personal data of 4 annotators is erased." in done
    assert "Nothing to erase now" in client.get(f"{address}/erase/").content.decode()
    with pytest.raises(CommandError, match="was erased on"):
        call_command("erase_personal_data", study.slug, "--yes", stdout=said)


def test_the_history_is_a_file_and_no_event_of_it_can_change(client: Client) -> None:
    study = make_study()
    client.force_login(member(study, Role.VIEWER))
    invite(study=study, label=SECRETS[0])
    address = f"{study.get_absolute_url()}history"
    rows = json.loads(client.get(f"{address}.json").content)
    assert [row["verb"] for row in rows] == [act.verb for act in history(study)] == ["history downloaded", "created"]
    assert client.get(f"{address}.csv").content.decode().startswith("happened_at,study,actor,verb,detail\r\n")
    assert client.get(f"{address}.exe").status_code == 404
    event = StudyEvent.objects.filter(study=study).latest("pk")
    event.verb = "nothing"
    with pytest.raises(IntegrityError, match="an event of a study is never changed"), transaction.atomic():
        event.save()
    with pytest.raises(TypeError, match="never changed or deleted"):
        AuditEntry.objects.all().delete()
    AuditEntry.objects.create(verb="logged in", actor_name="=cmd()")
    assert "'=cmd()" in as_csv(whole_history())
    assert len(json.loads(as_json(whole_history()))) == len(whole_history())


def test_people_of_an_erased_pilot_are_still_kept_out_of_its_study() -> None:
    pilot = with_personal_data()
    study = make_study(slug="main")
    Study.objects.filter(pk=pilot.pk).update(pilot_of=study)
    erase_due(NOW)
    assert SECRETS[1] not in every_row()
    assert all(was_in_pilot(study=study, external_id=one) for one in (SECRETS[1], "gone-9"))
    assert not was_in_pilot(study=study, external_id="worker-78")
    pilot.refresh_from_db()
    assert "is a pilot of" in " ".join(retention_effects(pilot)[1])
    put_in_state(study, "closed")
    erase_personal_data(study=study)
    assert "withdrawn:" not in every_row()
