"""Roles in a study, links to its report, its history, and what the migration gives to the accounts of before."""

from importlib import import_module

import pytest
from django.apps import apps
from django.contrib.auth.models import Permission, User
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse

from annotation.models import AuditEntry, Study, StudyShare
from annotation.studies.audit import history, record
from annotation.studies.lifecycle.creation import create_study
from annotation.studies.sharing import Role, role_in, share, unshare, visible_studies
from annotation.voting.annotators import invite
from jobs.refusals import Refused
from tests.annotation.reports.voted_studies import crossed
from tests.annotation.reports.voted_studies import make_study as make_voted_study
from tests.factories import make_manifest, make_researcher, make_study, member

pytestmark = pytest.mark.django_db


def test_the_maker_owns_a_study_and_others_see_nothing_of_it() -> None:
    maker, colleague = make_researcher(), User.objects.create_user("colleague", is_staff=True)
    study = create_study(manifest=make_manifest(), actor=maker)
    assert role_in(maker, study.slug) == Role.OWNER
    assert role_in(colleague, study.slug) is None
    assert not visible_studies(colleague).exists()
    assert list(visible_studies(User.objects.create_superuser("admin"))) == [study]


def test_an_account_that_is_no_researcher_any_more_sees_nothing() -> None:
    study = make_study()
    user = member(study, Role.OWNER)
    for field in ("is_staff", "is_active"):
        assert visible_studies(user).exists()
        setattr(user, field, False)
        assert not visible_studies(user).exists()
        assert role_in(user, study.slug) is None
        setattr(user, field, True)


def test_a_study_keeps_an_owner() -> None:
    study = make_study()
    owner, second = member(study, Role.OWNER), member(study, Role.EDITOR)
    said = "owner is the only owner of Study: make another account an owner first"
    with pytest.raises(Refused, match=said):
        unshare(study=study, account=owner)
    with pytest.raises(Refused, match=said):
        share(study=study, account=owner, role=Role.VIEWER)
    share(study=study, account=second, role=Role.OWNER)
    unshare(study=study, account=owner)
    assert set(study.shares.values_list("account__username", "role")) == {("editor", "owner")}


def test_a_study_is_shared_on_its_page(researcher: Client) -> None:
    study, page = make_study(), "/studies/study/sharing/"
    User.objects.create_user("colleague", is_staff=True)
    User.objects.create_user("annotator")
    for name in ("nobody", "annotator", ""):
        refused = researcher.post(page, {"account": name, "role": "viewer"})
        assert refused.status_code == 400
    assert (
        "There is no researcher&#x27;s account called &#x27;nobody&#x27;"
        in researcher.post(page, {"account": "nobody", "role": "viewer"}).content.decode()
    )
    done = researcher.post(page, {"account": "colleague", "role": "editor"}, follow=True).content.decode()
    assert "colleague is editor of this study now." in done
    kept = researcher.post(page, {"account": "researcher", "role": "none"}).content.decode()
    assert "researcher is the only owner" in kept
    researcher.post(page, {"account": "colleague", "role": "owner"})
    left = researcher.post(page, {"account": "researcher", "role": "none"}, follow=True)
    assert left.redirect_chain == [("/studies/", 302)], "who gives the own role away sees the list"
    assert researcher.get(study.get_absolute_url()).status_code == 404


def test_a_link_shows_the_report_of_a_closed_study_until_it_is_revoked(researcher: Client, report_worker: None) -> None:
    study = make_voted_study(crossed([[4, 1], [1, 4]]))
    researcher.post(f"/studies/{study.slug}/sharing/links/")
    link = study.report_links.get()
    address, stranger = reverse("shared-report", args=[link.token]), Client()
    assert address in researcher.get(f"/studies/{study.slug}/sharing/").content.decode()
    shown = stranger.get(address, follow=True)
    assert shown.status_code == 200
    page = shown.content.decode()
    assert "How the study was run" in page
    assert "/studies/" not in page, "nothing leads further in"
    assert stranger.get(reverse("shared-figure", args=[link.token, "agreement"])).status_code in {200, 404}
    Study.objects.filter(pk=study.pk).update(state="open", closed_at=None)
    early = stranger.get(address)
    assert (early.status_code, "once the study is closed" in early.content.decode()) == (202, True)
    Study.objects.filter(pk=study.pk).update(state="closed", closed_at=study.closed_at)
    researcher.post(f"/studies/{study.slug}/sharing/links/", {"revoke": link.pk})
    assert stranger.get(address).status_code == 404
    assert stranger.get(reverse("shared-figure", args=[link.token, "agreement"])).status_code == 404


@pytest.mark.parametrize("named", ["x", "0", "9" * 30, "-1", "²"])
def test_a_link_of_another_study_is_not_revoked(researcher: Client, named: str) -> None:
    make_study()
    answer = researcher.post("/studies/study/sharing/links/", {"revoke": named}, follow=True).content.decode()
    assert "has no such link in force" in answer


def test_the_history_names_who_downloaded_what_and_no_value(researcher: Client) -> None:
    study = make_study(platform={"complete_code": "SECRET-1"})
    invite(study=study, label="Ada Lovelace")
    for file in ("invitations.csv", "answers.csv", "study.toml"):
        assert researcher.get(f"{study.get_absolute_url()}{file}").status_code == 200
    page = researcher.get(f"{study.get_absolute_url()}history/").content.decode()
    for said in ("links downloaded", "fields: label, link", "answers downloaded", "completion codes downloaded"):
        assert said in page
    assert "Ada" not in page
    assert "SECRET-1" not in page
    assert [act.actor for act in history(study)].count("researcher") == 3


@pytest.mark.both_databases
def test_the_database_refuses_a_change_of_the_audit() -> None:
    record("shared", study=make_study())
    with pytest.raises(IntegrityError, match="an entry of the audit is never changed"), transaction.atomic():
        AuditEntry.objects.update(verb="nothing")
    assert AuditEntry.objects.get().verb == "shared"


def test_the_audit_outlives_study_and_account() -> None:
    study = make_study(state="draft")
    owner = member(study, Role.OWNER)
    record("invited", study=study, actor=owner)
    study.delete()
    owner.delete()
    entry = AuditEntry.objects.get()
    assert (entry.study_slug, entry.actor_name) == ("study", "owner")


def test_the_migration_keeps_what_each_account_could_do() -> None:
    may_change = Permission.objects.get(codename="change_study")
    maker, editor, viewer, admin, outsider = (
        User.objects.create_user("maker", is_staff=True),
        User.objects.create_user("editor", is_staff=True),
        User.objects.create_user("viewer", is_staff=True),
        User.objects.create_superuser("admin"),
        User.objects.create_user("outsider"),
    )
    for user in (maker, editor):
        user.user_permissions.add(may_change)
    made = {name: make_study(slug=name) for name in ("of-maker", "of-viewer", "of-admin", "of-nobody")}
    for name, user in (("of-maker", maker), ("of-viewer", viewer), ("of-admin", admin)):
        Study.objects.filter(pk=made[name].pk).update(created_by=user)
    StudyShare.objects.all().delete()
    import_module("annotation.migrations.0017_sharing").share_with_everybody_who_could(apps, None)
    found = {
        name: {user.username: str(role) for user in (maker, editor, viewer) if (role := role_in(user, name))}
        for name in made
    }
    rest = {"maker": "editor", "editor": "editor", "viewer": "viewer"}
    assert found == {
        "of-maker": rest | {"maker": "owner"},
        "of-viewer": rest,
        "of-admin": rest,
        "of-nobody": rest,
    }
    assert set(StudyShare.objects.filter(account=admin).values_list("study__slug", "role")) == {("of-admin", "owner")}
    assert not StudyShare.objects.filter(account=outsider).exists()
    assert User.objects.get(pk=editor.pk).has_perm("annotation.add_study")
    assert not User.objects.get(pk=viewer.pk).has_perm("annotation.add_study")
