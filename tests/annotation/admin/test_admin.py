"""The admin: forms that parse a study file, actions that say why they are refused, and nothing sealed."""

import re
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from annotation.admin.forms import EXAMPLE
from annotation.models import Annotator, Assignment, Comparison, Import, Study, Vote
from annotation.studies.current import current_manifest
from annotation.studies.documents import sha256
from annotation.studies.lifecycle.actions import ACTIONS
from annotation.studies.lifecycle.creation import create_study
from annotation.studies.lifecycle.progress import progress
from annotation.studies.lifecycle.transitions import launch
from annotation.studies.study_file.reading import parse
from annotation.studies.study_file.writing import write_study_file
from generation.models import DiffusionModel, GenerationJob, ImageSet
from jobs.wording import command
from scoring.models import ScoringJob, SetScore
from tests.annotation.studies.worker import FakeWorker, worker
from tests.factories import make_manifest, make_study, member, put_in_state

pytestmark = pytest.mark.django_db
__all__ = ["worker"]


@pytest.fixture
def researcher(client: Client) -> Client:
    """A user with all permissions."""
    client.force_login(User.objects.create_superuser("researcher"))
    return client


def viewer_of(study: Study) -> Client:
    """Return a client logged in as a viewer of the study."""
    client = Client()
    client.force_login(member(study, "viewer"))
    return client


def address(name: str, *arguments: Any) -> str:
    return reverse(f"admin:annotation_study_{name}", args=arguments)


def said(response: Any) -> list[str]:
    """The messages on the last page."""
    return [str(message) for message in response.context["messages"]]


def draft_file(**changes: Any) -> str:
    return write_study_file(make_manifest(source="generated", **changes))


def test_the_example_in_the_form_is_a_good_study() -> None:
    assert parse(EXAMPLE, None).slug == "my-study"


def test_the_form_offers_the_example(researcher: Client) -> None:
    page = researcher.get(address("add")).content.decode()
    assert "checkpoint = &quot;/path/to/model-a&quot;" in page


def test_a_study_from_the_form_is_the_study_from_the_file(researcher: Client) -> None:
    response = researcher.post(address("add"), {"file_text": draft_file().replace("\n", "\r\n")}, follow=True)
    study = Study.objects.get()
    assert study.manifest_sha256 == sha256(make_manifest(source="generated"))
    assert study.created_by is not None
    assert "Study is made." in said(response)
    assert any("there is no /models/alpha on this machine" in message for message in said(response))


def test_faults_in_the_form_are_listed_with_key_and_line(researcher: Client) -> None:
    text = draft_file().replace("overlap = 3", "overlap = 0\nties = 3", 1).replace("ties = false\n", "")
    page = researcher.post(address("add"), {"file_text": text}).content.decode()
    assert re.search(r"line \d+, annotation\.overlap: must be greater than or equal to 1", page)
    assert re.search(r"line \d+, annotation\.ties: must be true or false", page)
    assert "Nothing was saved." in page
    assert not Study.objects.exists()


def test_what_the_verb_refuses_is_said_in_the_form(researcher: Client) -> None:
    make_study(state="draft")
    page = researcher.post(address("add"), {"file_text": draft_file()}).content.decode()
    assert "a study called study exists already" in page
    assert Study.objects.count() == 1


def test_the_study_page_and_its_file(researcher: Client) -> None:
    study = make_study(state="draft")
    page = researcher.get(address("change", study.pk))
    assert f'href="{study.get_absolute_url()}">Progress, failures and alarms</a>' in page.content.decode()
    assert reverse("study-file", args=[study.slug]) in page.content.decode()
    file = researcher.get(reverse("study-file", args=[study.slug]))
    assert file["Content-Disposition"] == 'attachment; filename="study.toml"'
    assert parse(file.content.decode(), None) == current_manifest(study)


def test_the_study_file_is_for_editors(client: Client) -> None:
    study = make_study(state="draft")
    client.force_login(member(study, "viewer"))
    page = client.get(address("change", study.pk))
    assert page.status_code == 200
    file = reverse("study-file", args=[study.slug])
    assert file not in page.content.decode()  # the file holds the completion codes
    assert client.get(file).status_code == 403


def press(client: Client, study: Study, verb: str, **data: str) -> HttpResponse:
    """Press a button of the study's page, which leads to the page of the same action outside the admin."""
    target = reverse("study-action", args=[study.slug, verb])
    assert f'<form method="post" action="{target}"' in client.get(address("change", study.pk)).content.decode()
    return client.post(target, data, follow=True)  # type: ignore[return-value]


def test_launch_open_pause_close(researcher: Client, worker: FakeWorker) -> None:
    study = create_study(manifest=make_manifest(source="generated", comparisons=1))
    launched = "Launched: from here on a worker completes the sets and scores them."
    assert said(press(researcher, study, "launch")) == [launched]
    worker.work_off()
    for verb, state in (("open", "open"), ("pause", "paused"), ("open", "open")):
        assert said(press(researcher, study, verb)) == [str(ACTIONS[verb].done)]
        study.refresh_from_db()
        assert study.state == state
    assert str(ACTIONS["close"].question) in press(researcher, study, "close").content.decode()
    study.refresh_from_db()
    assert study.state == Study.State.OPEN
    assert said(press(researcher, study, "close", confirmed="on")) == [str(ACTIONS["close"].done)]
    study.refresh_from_db()
    assert study.state == Study.State.CLOSED
    actors = set(
        study.events.exclude(verb__in=("created", "generated", "scored")).values_list("actor__username", flat=True)
    )
    assert actors == {"researcher"}


OFFERED = {
    "draft": {"Launch"},
    "generating": set(),
    "scoring": set(),
    "ready": {"Open for votes", "Close"},
    "open": {"Pause", "Close"},
    "paused": {"Open for votes", "Close"},
    "closed": set(),
}


@pytest.mark.parametrize(("state", "offered"), OFFERED.items())
def test_a_page_offers_the_actions_of_its_state_and_one_close(
    researcher: Client, state: str, offered: set[str]
) -> None:
    study = make_study(state="draft")
    put_in_state(study, state)
    page = researcher.get(address("change", study.pk)).content.decode()
    buttons = re.findall(r'<input type="submit" value="([^"]+)"', page.split('id="study-actions"')[-1])
    assert set(buttons) == offered
    assert len(re.findall(r">\s*Close\s*<", page)) == 0, "Django's own link has another name"
    assert "Back to the studies" in page
    assert (address("amend", study.pk) in page) == (state != "closed")
    shown = researcher.get(f"/studies/{study.slug}/").content.decode().split('class="actions"')[1].split("</div>")[0]
    assert {
        one for one in ("Launch", "Open for votes", "Pause", "Retry failed jobs", "Close") if f">{one}<" in shown
    } == offered


def test_retrying_and_dropping_are_offered_where_something_failed(researcher: Client, worker: FakeWorker) -> None:
    study = create_study(manifest=make_manifest(source="generated", comparisons=1))
    launch(study=study)
    for has_failed in (False, True):
        page = researcher.get(address("change", study.pk)).content.decode()
        assert ("Retry failed jobs" in page) == ("Drop this seed" in page) == has_failed
        GenerationJob.objects.update(state="failed", error="Black image.")


def test_failed_jobs_are_retried_from_the_study_page(researcher: Client, worker: FakeWorker) -> None:
    study = create_study(manifest=make_manifest(source="generated", comparisons=1))
    launch(study=study)
    GenerationJob.objects.update(state="failed", error="The checkpoint is not there.")
    press(researcher, study, "retry")
    assert set(GenerationJob.objects.values_list("state", flat=True)) == {"queued"}


def test_a_seed_is_dropped_from_the_study_page(researcher: Client, worker: FakeWorker) -> None:
    study = create_study(manifest=make_manifest(source="generated", comparisons=1))
    launch(study=study)
    GenerationJob.objects.update(state="failed", error="Black image.")

    def drop(number: str, seed: str) -> list[str]:
        return said(researcher.post(address("drop_seed", study.pk), {"number": number, "seed": seed}, follow=True))

    page = researcher.get(address("change", study.pk)).content.decode()
    assert "<li>Comparison 1 (prompt 1): seed 11, 22, 33</li>" in page
    assert "Enter a whole number" in drop("x", "11")[0]
    assert drop("1", "99") == ["Seed 99 is not a seed of comparison 1 (prompt 1)."]
    assert drop("1", "22") == ["Seed 22 is dropped from both sets of comparison 1."]
    assert Comparison.objects.get().image_set_a.seeds == [11, 33]


def test_amending_from_the_study_page(researcher: Client) -> None:
    study = make_study(state="draft")
    put_in_state(study, Study.State.OPEN)
    text = write_study_file(current_manifest(study))
    page = researcher.get(address("amend", study.pk)).content.decode()
    assert "overlap = 3" in page
    data = {"file_text": text.replace("overlap = 3", "overlap = 4"), "reason": ""}
    assert "An amendment needs its reason" in researcher.post(address("amend", study.pk), data).content.decode()
    researcher.post(address("amend", study.pk), data | {"reason": "More."})
    assert study.manifest_versions.get(number=2).reason == "More."
    study.refresh_from_db()
    assert current_manifest(study).annotation.overlap == 4


def test_a_study_is_deleted_after_its_page_said_what_goes(researcher: Client) -> None:
    study = make_study(state="ready")
    page = researcher.get(address("delete", study.pk)).content.decode()
    assert "3 comparisons" in page
    assert "12 images and their scores stay" in page
    assert researcher.post(address("delete", study.pk)).status_code == 200
    assert Study.objects.exists()
    assert said(researcher.post(address("delete", study.pk), {"post": "yes"}, follow=True)) == ["Study is deleted."]
    assert not Study.objects.exists()
    assert "3 comparisons" in admin.models.LogEntry.objects.get().change_message


def test_a_study_of_people_says_why_it_stays(researcher: Client) -> None:
    study = make_study(state="paused")
    Annotator.objects.create(study=study, kind="open", welcomed_at=timezone.now())
    assert "1 person took part" in researcher.get(address("delete", study.pk)).content.decode()
    researcher.post(address("delete", study.pk), {"post": "yes"})
    assert Study.objects.exists()


def test_imports_and_images_are_taken_back(researcher: Client) -> None:
    study = make_study(state="ready")
    viewer = viewer_of(study)
    source = Import.objects.create(study=study, kind="votes", state="done", file_name="v.csv", sha256="0" * 64)
    assert "v.csv" in researcher.get(address("change", study.pk)).content.decode()
    delete = reverse("admin:annotation_import_delete", args=[source.pk])
    assert viewer.get(reverse("admin:annotation_import_change", args=[source.pk])).status_code == 200
    assert viewer.post(delete, {"post": "yes"}).status_code == 403
    assert "Taking back votes from v.csv removes or changes" in researcher.get(delete).content.decode()
    done = said(researcher.post(delete, {"post": "yes"}, follow=True))
    assert done == ["votes from v.csv are taken back; the history of study says so."]
    event = study.events.get(verb="votes taken back")
    assert event.actor is not None
    again = ["There is no such import any more, or you may not see it: nothing was changed."]
    assert said(researcher.post(delete, {"post": "yes"}, follow=True)) == again, "a second click"
    sets = [str(pk) for pk in ImageSet.objects.filter(diffusion_model__name="Alpha").values_list("pk", flat=True)]
    chosen: dict[str, Any] = {"action": "take_images_back", "_selected_action": sets}
    here = reverse("admin:generation_imageset_changelist")
    assert "3 comparisons wait for images again" in researcher.post(here, chosen).content.decode()
    assert ImageSet.objects.count() == 6
    assert said(researcher.post(here, chosen | {"post": "yes"}, follow=True)) == ["6 images in 3 sets removed."]
    assert ImageSet.objects.count() == 3


def test_what_takes_too_long_for_a_page_is_left_to_a_command(
    researcher: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("annotation.admin.taking_back.MOST_IN_A_REQUEST", 1)
    study = make_study(state="ready")
    source = Import.objects.create(study=study, kind="scores", metric="m", file_name="s.csv", sha256="0" * 64)
    source.scores.set(SetScore.objects.all())
    delete = reverse("admin:annotation_import_delete", args=[source.pk])
    page = researcher.post(delete, {"post": "yes"}).content.decode()
    assert f"takes too long for a page; type: {command('take_back', 'study', source.pk, '--yes')}" in page
    chosen: dict[str, Any] = {"action": "take_images_back", "_selected_action": [ImageSet.objects.earliest("pk").pk]}
    here = reverse("admin:generation_imageset_changelist")
    page = researcher.post(here, chosen | {"post": "yes"}).content.decode()
    assert f"takes too long for a page; type: {command('take_back_images', 'MODEL', '--yes')}" in page
    assert (Import.objects.count(), ImageSet.objects.count()) == (1, 6)


@pytest.mark.parametrize("name", ["drop_seed", "amend"])
def test_a_viewer_does_nothing(name: str) -> None:
    study = make_study(state="draft")
    viewer = viewer_of(study)
    assert viewer.post(address(name, study.pk)).status_code == 403
    page = viewer.get(address("change", study.pk))
    assert (page.status_code, "study-actions" in page.content.decode()) == (200, False)
    assert viewer.get(address("add")).status_code == 403


@pytest.mark.parametrize("name", ["change", "amend"])
def test_an_outsider_is_sent_to_the_login(outsider: Client, name: str) -> None:
    study = make_study(state="draft")
    response = outsider.get(address(name, study.pk))
    assert response.status_code == 302
    assert reverse("admin:login") in response["Location"]


def a_vote(study: Study) -> Vote:
    comparison = Comparison.objects.filter(study=study).earliest("position")
    annotator = Annotator.objects.create(study=study, kind="personal", label="Ada")
    assignment = Assignment.objects.create(
        comparison=comparison, annotator=annotator, state="voted", left_model="b", leased_at=timezone.now()
    )
    return Vote.objects.create(assignment=assignment, choice="left")


def test_no_page_of_a_sealed_study_tells_a_score_or_a_choice(researcher: Client) -> None:
    study = make_study(comparisons=1)
    SetScore.objects.update(value=73.5311)
    vote = a_vote(study)
    pages = [reverse("admin:index"), address("changelist"), address("change", study.pk), address("amend", study.pk)]
    pages += [address("history", study.pk), reverse("admin:annotation_annotator_changelist")]
    pages += [reverse("admin:annotation_annotator_change", args=[vote.assignment.annotator_id])]
    pages += [reverse(f"admin:generation_{name}_changelist") for name in ("imageset", "generationjob", "prompt")]
    for page in pages:
        response = researcher.get(page)
        assert response.status_code == 200
        assert "73.53" not in response.content.decode()
        assert str(vote.pk) not in response.content.decode()
    assert not {Vote, Assignment, SetScore, Comparison} & set(admin.site._registry)


def test_an_annotator_is_invited_and_only_the_label_changes(researcher: Client) -> None:
    study = make_study(state="draft")
    researcher.post(reverse("admin:annotation_annotator_add"), {"study": study.pk, "label": "Ada"})
    annotator = Annotator.objects.get()
    assert (annotator.kind, annotator.label) == ("personal", "Ada")
    page = reverse("admin:annotation_annotator_change", args=[annotator.pk])
    assert annotator.token in researcher.get(page).content.decode()
    researcher.post(page, {"label": "Grace", "state": "withdrawn", "study": 999})
    annotator.refresh_from_db()
    assert (annotator.label, annotator.state, annotator.study) == ("Grace", "active", study)


def test_a_model_with_images_keeps_its_settings(researcher: Client) -> None:
    model = make_study(source="external").diffusion_models[0]
    page = reverse("admin:generation_diffusionmodel_change", args=[model.pk])
    researcher.post(
        page, {"name": "Changed", "checkpoint": "/other", "dtype": "float16", "prompt_template": "{prompt}"}
    )
    model.refresh_from_db()
    assert (model.name, model.checkpoint) == ("Alpha", "")


def test_a_model_is_registered_and_its_constraints_speak(researcher: Client) -> None:
    page = reverse("admin:generation_diffusionmodel_add")
    data = {"name": "New", "checkpoint": "/c", "dtype": "float32", "prompt_template": "no place for it"}
    assert "prompt_template must contain {prompt}." in researcher.post(page, data).content.decode()
    researcher.post(page, data | {"prompt_template": "{prompt}"})
    assert DiffusionModel.objects.get(name="New").checkpoint == "/c"


@pytest.mark.parametrize(
    "weights",
    [
        {"checkpoint": "weights/folder"},
        {"checkpoint": "org/model", "revision": "main"},
        {"checkpoint": "/c", "revision": "a" * 40},
        {"checkpoint": "/c", "lora": "lora.safetensors", "lora_scale": "1"},
    ],
)
def test_a_model_that_no_study_file_could_name_is_not_registered(researcher: Client, weights: dict[str, str]) -> None:
    data = {"name": "New", "dtype": "float32", "prompt_template": "{prompt}"} | weights
    content = researcher.post(reverse("admin:generation_diffusionmodel_add"), data).content.decode()
    assert "hub id" in content.split("errorlist")[1].split("</ul>")[0]
    assert not DiffusionModel.objects.exists()


def test_jobs_are_retried_from_their_list(researcher: Client, worker: FakeWorker) -> None:
    launch(study=create_study(manifest=make_manifest(source="generated", comparisons=1)))
    worker.messages.clear()
    failed = GenerationJob.objects.earliest("pk")
    GenerationJob.objects.filter(pk=failed.pk).update(state="failed", error="Out of memory.")
    data = {"action": "retry", "_selected_action": list(GenerationJob.objects.values_list("pk", flat=True))}
    response = researcher.post(reverse("admin:generation_generationjob_changelist"), data, follow=True)
    assert said(response) == ["1 job is queued again. 1 job had not failed and stays as before."]
    assert [message[:2] for message in worker.messages] == [(GenerationJob.task_name, failed.pk)]


def test_failed_jobs_of_a_mistyped_encoder_are_given_up(researcher: Client) -> None:
    study = make_study(state="closed")
    image_set = ImageSet.objects.earliest("pk")
    for metric, state, error in (("scs/clip:typo", "failed", "No such folder."), ("scs/clip:other", "queued", "")):
        ScoringJob.objects.create(image_set=image_set, encoder={}, metric=metric, state=state, error=error)
    assert (progress(study).failed_job_count, progress(study).failures) == (1, ("scs/clip:typo: No such folder.",))
    data = {"action": "give_up", "_selected_action": list(ScoringJob.objects.values_list("pk", flat=True))}
    response = researcher.post(reverse("admin:scoring_scoringjob_changelist"), data, follow=True)
    assert said(response) == ["1 failed job given up. A study that still needs one queues it again."]
    assert list(ScoringJob.objects.order_by("pk").values_list("state", flat=True)[:2]) == ["cancelled", "queued"]
    assert (progress(study).failed_job_count, progress(study).failures) == (0, ())


def test_the_pages_hold_no_inline_script_or_style(researcher: Client) -> None:
    study = make_study(state="draft")
    for page in (address("change", study.pk), address("amend", study.pk), address("add")):
        response = researcher.get(page)
        html = response.content.decode()
        assert "script-src" not in response["Content-Security-Policy"]  # so default-src 'self' applies to scripts
        assert "unsafe" not in response["Content-Security-Policy"]
        assert not re.search(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)", html)
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=", html)
