"""The commands that open, pause and close a study, invite to it and share it."""

import csv
import json
from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from annotation.models import Study
from annotation.studies.audit import history
from tests.factories import make_study

pytestmark = pytest.mark.django_db


def said(name: str, *words: str) -> str:
    out = StringIO()
    call_command(name, *words, stdout=out)
    return out.getvalue()


def test_a_study_is_opened_paused_and_closed() -> None:
    study = make_study(state="ready")
    assert said("open_study", "study").startswith("study: Open:")
    paused = json.loads(said("pause_study", "study", "--format", "json"))
    assert (paused["slug"], paused["state"]) == ("study", "paused")
    with pytest.raises(CommandError, match=r"cannot be undone\. To do it, give the same command with --yes"):
        said("close_study", "study")
    assert Study.objects.get().state == "paused"
    assert json.loads(said("close_study", "study", "--yes", "--format", "json"))["state"] == "closed"
    for name, refusal in (("open_study", "cannot open"), ("pause_study", "cannot be paused")):
        with pytest.raises(CommandError, match=refusal):
            said(name, study.slug)


def test_people_are_invited() -> None:
    study = make_study()
    rows = list(csv.reader(StringIO(said("invite", "study", "--label", "=Ada", "--site", "https://lab.example/"))))
    assert rows == [["label", "link"], ["'=Ada", f"https://lab.example/a/{study.annotators.get().token}/"]]
    made = json.loads(said("invite", "study", "--count", "2", "--format", "json"))
    assert [one["label"] for one in made] == ["2", "3"]
    for count in ("0", "501", "9" * 20):
        with pytest.raises(CommandError, match="from 1 to 500 at once"):
            said("invite", "study", "--count", count)
    assert [act.verb for act in history(study)].count("invited") == 2
    for labels, fault in {
        ("Cleo\nBob",): r'"Cleo\[U\+000A\]Bob" has an invisible character',
        ("Cleo", "An\u200bn"): r'"An\[U\+200B\]n" has an invisible character',
        ("Cleo", "Bob", "Cleo "): '"Cleo" is given twice',
        ("Cleo", "=Ada"): '"=Ada" is already the label of a personal link of Study',
        ("Cleo", "=\u200dada "): '"=\u200dada", which looks like "=Ada", is already the label',
        ("Jose\u0301  A", "José A"): '"José A", which looks like "José  A", is given twice',
        ("\u3164",): ".* has an invisible character",
    }.items():
        with pytest.raises(CommandError, match=f"labels: {fault}"):
            said("invite", "study", *(f"--label={label}" for label in labels))
    assert study.annotators.count() == 3
    said("invite", "study", "--label", "6")
    made = json.loads(said("invite", "study", "--count", "2", "--format", "json"))
    assert [one["label"] for one in made] == ["5", "7"]


def test_a_study_is_shared() -> None:
    study = make_study()
    User.objects.create_user("ada", is_staff=True)
    assert "belongs to the admins" in said("share_study", "study")
    assert said("share_study", "study", "--account", "ada", "--role", "owner") == "ada: owner\n"
    made = json.loads(said("share_study", "study", "--link", "--format", "json"))
    link = study.report_links.get()
    assert made["shares"] == [{"account": "ada", "role": "owner"}]
    assert made["report_links"] == [{"id": link.pk, "address": f"/shared/{link.token}/"}]
    assert json.loads(said("share_study", "study", "--revoke", str(link.pk), "--format", "json"))["report_links"] == []
    with pytest.raises(CommandError, match="ada is the only owner"):
        said("share_study", "study", "--account", "ada", "--role", "none")
