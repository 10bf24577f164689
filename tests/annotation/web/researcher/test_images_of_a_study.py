"""The contact sheets of a study: blind while it is sealed, bound to the viewer, with flags; seeds to drop; the zip."""

import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.cache import cache
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from annotation.models import Study, StudyFileJob
from annotation.reports.progress import silent
from annotation.reports.report_jobs import images_file, watched_jobs
from annotation.reports.report_jobs.images_file import write_images
from annotation.studies.comparisons import plan_comparisons
from annotation.studies.current import current_manifest
from annotation.studies.lifecycle.pipeline_jobs import ensure_images
from annotation.studies.sealing import shuffled
from annotation.studies.sharing import Role
from annotation.studies.tokens import Scope, create_token
from annotation.tasks import make_study_file
from generation.models import DiffusionModel, GeneratedImage, GenerationJob
from tests.annotation.web.drawn_studies import FIRST_SEED, TIDY, UNTIDY, draw_study
from tests.factories import import_sets, make_study, member, put_in_state

pytestmark = pytest.mark.django_db
NAMES = re.compile(f"{TIDY}|{UNTIDY}|{FIRST_SEED // 1000}|image_sets|winner")


@pytest.fixture
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (watched_jobs, images_file):
        monkeypatch.setattr(module, "enqueue", lambda _jobs: None)


def viewer_of(study: Study) -> Client:
    client = Client()
    client.force_login(member(study, Role.VIEWER))
    return client


def images_page(client: Client, study: Study, query: str = "") -> str:
    return client.get(f"{study.get_absolute_url()}images/{query}").content.decode()


def images_in(page: str) -> list[str]:
    return re.findall(r'<img src="([^"]+)"', page)


def test_a_sealed_page_names_no_model_and_no_seed_and_shows_every_image(researcher: Client) -> None:
    study = draw_study(prompt_count=2, images_per_set=4).study
    page = images_page(researcher, study)
    sheets = page.partition('<p class="verdict">')[2]
    assert sheets.startswith("16 of 16 images, and none has a flag.")
    assert not NAMES.search(sheets)
    assert len(set(images_in(page))) == 16
    answer = researcher.get(images_in(page)[0])
    assert (answer.status_code, answer["Content-Type"]) == (200, "image/webp")
    assert not NAMES.search(str(answer.headers))
    assert "ETag" not in answer.headers
    assert "Last-Modified" not in answer.headers


def test_the_order_of_a_page_stays_and_differs_by_prompt_and_by_viewer(researcher: Client) -> None:
    study = draw_study(prompt_count=2, images_per_set=2).study
    page = images_page(researcher, study)
    assert images_page(researcher, study) == page
    orders = [tuple(shuffled(study, prompt, "sheets of 1", [1, 2])) for prompt in range(64)]
    others = [tuple(shuffled(study, prompt, "sheets of 2", [1, 2])) for prompt in range(64)]
    assert set(orders) == {(1, 2), (2, 1)}
    assert orders != others


def test_an_address_serves_only_the_account_that_it_was_made_for(researcher: Client) -> None:
    study, other = draw_study(prompt_count=1, images_per_set=2).study, make_study(slug="other")
    address = images_in(images_page(researcher, study))[0]
    assert researcher.get(address).status_code == 200
    assert viewer_of(study).get(address).status_code == 404
    assert researcher.get(address.replace(study.slug, other.slug)).status_code == 404
    assert researcher.get(address[:-8] + "x.grid").status_code == 404
    assert researcher.get(address.replace(".grid", ".original")).status_code == 404


def test_a_closed_study_names_its_sets_and_seeds(researcher: Client) -> None:
    study = draw_study(prompt_count=1, images_per_set=2, state="closed").study
    page = images_page(researcher, study)
    assert TIDY in page
    assert f"seed {FIRST_SEED}" in page


def test_flags_are_counted_and_can_be_chosen(researcher: Client) -> None:
    study = draw_study(prompt_count=3, images_per_set=3).study
    images = GeneratedImage.objects.filter(image_set=study.comparisons.get(position=1).image_set_a)
    GeneratedImage.objects.filter(pk=images[0].pk).update(remark="plain")
    images.filter(pk=images[1].pk).update(remark="repeat")
    page = images_page(researcher, study)
    assert "1 of one colour, 1 identical to another" in page
    flagged = images_page(researcher, study, "?show=flagged")
    assert len(images_in(flagged)) == 6
    assert len(images_in(page)) == 18


def test_a_prompt_that_lacks_images_is_shown_blind_only_when_it_has_them_all(
    researcher: Client, tmp_path: Path
) -> None:
    """Models are done one after the other, and jobs say what failed: the fuller sheet would be one model's."""
    study = draw_study(prompt_count=3, images_per_set=3).study
    GeneratedImage.objects.filter(image_set=study.comparisons.get(position=1).image_set_a).earliest("pk").delete()
    page = images_page(researcher, study)
    assert "5 of 6 images are there." in page
    assert '<span class="missing">' not in page
    assert len(images_in(page)) == 12
    assert {name[:5] for name in zipped(study, tmp_path)} == {"00001", "00003"}
    put_in_state(study, "closed")
    page = images_page(researcher, study)
    assert '<span class="missing">missing</span>' in page
    assert len(images_in(page)) == 17
    assert len(zipped(study, tmp_path)) == 17


def zipped(study: Study, folder: Path) -> list[str]:
    write_images(study, folder / "images.zip", silent)
    return zipfile.ZipFile(folder / "images.zip").namelist()


@pytest.mark.usefixtures("no_worker")
def test_no_blind_file_is_made_of_prompts_that_all_lack_images(researcher: Client) -> None:
    study = draw_study(prompt_count=1, images_per_set=2).study
    GeneratedImage.objects.earliest("pk").delete()
    answer = researcher.get(f"{study.get_absolute_url()}images/all.zip", follow=True)
    assert "no prompt has all its images yet" in answer.content.decode()


def test_neither_api_nor_command_says_which_model_has_a_flagged_image() -> None:
    """The flag marks the set on its contact sheet, so a warning with the model's name would name the set."""
    study = draw_study(prompt_count=1, images_per_set=3).study
    image = GeneratedImage.objects.filter(image_set=study.comparisons.get().image_set_a).earliest("pk")
    GeneratedImage.objects.filter(pk=image.pk).update(remark="plain")
    _token, secret = create_token(account=member(study, Role.VIEWER), name="script", scopes=[Scope.READ], days=1)
    script = Client(headers={"authorization": f"Bearer {secret}"})
    told: dict[str, Callable[[], str]] = {
        "api": lambda: script.get(f"/api/v1/studies/{study.slug}").content.decode(),
        "status": lambda: printed("study_status", study.slug),
        "status as JSON": lambda: printed("study_status", "--format", "json"),
    }
    for where, tell in told.items():
        text = tell()
        assert "Among the images: 1 of one colour." in text, where
        assert "Look at" not in text, where
    put_in_state(study, "closed")
    for where, tell in told.items():
        assert f"Look at {TIDY}" in tell(), where


def printed(*command: str) -> str:
    out = io.StringIO()
    call_command(*command, stdout=out)
    return out.getvalue()


@pytest.mark.parametrize(("state", "says"), [("draft", "Launch the study"), ("generating", "See how far they are")])
def test_without_images_the_page_says_what_will_stand_there(researcher: Client, state: str, says: str) -> None:
    study = make_study(source="generated", state=state)
    page = images_page(researcher, study)
    assert "No images yet" in page
    assert says in page


def test_a_draft_of_own_images_asks_for_them_and_counts_them(researcher: Client) -> None:
    study = make_study(slug="own", state="draft", comparisons=2)
    address = reverse("uploads", args=[study.slug])
    page, overview = images_page(researcher, study), researcher.get(study.get_absolute_url()).content.decode()
    assert "No images yet" in page
    assert f'<a class="button primary" href="{address}">Upload images</a>' in page
    assert "Upload its images, then launch it." in overview
    for model in DiffusionModel.objects.filter(name__in=("Alpha", "Beta")):
        import_sets(model, ["prompt 1"], 2)
    cache.clear()
    page, overview = images_page(researcher, study), researcher.get(study.get_absolute_url()).content.decode()
    assert "4 images imported, not shown yet" in page
    assert "Launch the study</a>" in page
    assert "Launch it to take its imported images and score them." in overview
    assert f'<a class="button" href="{address}">Upload images</a>' in overview


def test_it_takes_few_queries_however_many_prompts_there_are(researcher: Client) -> None:
    counts = []
    for number in (2, 7):
        study = make_study(slug=f"study-{number}", comparisons=number, images_per_set=3)
        GeneratedImage.objects.filter(image_set=study.comparisons.get(position=0).image_set_a).update(remark="plain")
        images_page(researcher, study)
        for query in ("", "?show=flagged"):
            with CaptureQueriesContext(connection) as queries:
                assert images_in(images_page(researcher, study, query))
            counts.append(len(queries))
    assert counts[:2] == counts[2:]
    assert max(counts) < 12


def test_a_seed_that_failed_can_be_dropped_by_its_button_and_no_other(researcher: Client) -> None:
    study = make_study(source="generated", state="generating")
    plan_comparisons(study, current_manifest(study))
    ensure_images(study)
    job = GenerationJob.objects.earliest("pk")
    GenerationJob.objects.filter(pk=job.pk).update(state="failed", error="the card failed")
    page = images_page(researcher, study)
    assert "Drop seed 11" in page
    assert "Retry failed jobs" in page
    viewing = images_page(viewer_of(study), study)
    assert "Drop seed 11</button>" not in viewing
    address = reverse("drop-seed", args=[study.slug])
    refused = researcher.post(address, {"position": 2, "seed": 11}, follow=True).content.decode()
    assert "did not fail" in refused
    assert "names no comparison and seed" in researcher.post(address, {"seed": "x"}, follow=True).content.decode()
    done = researcher.post(address, {"position": 0, "seed": 11}, follow=True).content.decode()
    assert "Seed 11 is dropped from every set of comparison 1." in done
    assert study.comparisons.get(position=0).image_set_a.seeds == [22, 33]


@pytest.mark.usefixtures("no_worker")
def test_the_zip_is_blind_until_the_study_closes(researcher: Client, tmp_path: Path) -> None:
    study = draw_study(prompt_count=2, images_per_set=3).study
    address = f"{study.get_absolute_url()}images/all.zip"
    assert researcher.get(address).status_code == 202
    for _twice in range(2):
        make_study_file()
    content = content_of(researcher, address)
    names = zipfile.ZipFile(io.BytesIO(content)).namelist()
    assert sorted(names)[:3] == ["00001/1/001.webp", "00001/1/002.webp", "00001/1/003.webp"]
    assert len(names) == 12
    assert not re.search(f"{TIDY}|{UNTIDY}|{FIRST_SEED // 1000}".encode(), content)
    put_in_state(study, "closed")
    assert researcher.get(address).status_code == 202  # the blind file is not the one of a closed study
    make_study_file()
    assert StudyFileJob.objects.get().state == "done"
    opened = zipfile.ZipFile(io.BytesIO(content_of(researcher, address)))
    assert f"00001/{TIDY}/{FIRST_SEED}.png" in opened.namelist()


def content_of(client: Client, address: str) -> bytes:
    return b"".join(client.get(address))


def test_the_blind_zip_has_the_same_names_for_both_models(tmp_path: Path) -> None:
    study = make_study(images_per_set=3)
    write_images(study, tmp_path / "images.zip", silent)
    opened = zipfile.ZipFile(tmp_path / "images.zip")
    assert {entry.date_time[0] for entry in opened.infolist()} == {1980}, "the same images give the same bytes"
    names = opened.namelist()
    by_place = [sorted(name.partition("/")[2][2:] for name in names if name[6] == place) for place in "12"]
    assert by_place[0] == by_place[1]


def test_without_images_there_is_no_file(researcher: Client) -> None:
    study = make_study(source="generated", state="draft")
    answer = researcher.get(f"{study.get_absolute_url()}images/all.zip", follow=True)
    assert "has no images yet" in answer.content.decode()


@pytest.mark.usefixtures("no_worker")
def test_a_failed_file_is_made_again_by_its_button(researcher: Client) -> None:
    study = make_study()
    address = f"{study.get_absolute_url()}images/all.zip"
    researcher.get(address)
    StudyFileJob.objects.update(state="failed", error="the disk is full", finished_at="2026-01-01T00:00:00Z")
    assert "the disk is full" in researcher.get(address).content.decode()
    researcher.post(f"{study.get_absolute_url()}images/all/again")
    assert researcher.get(f"{study.get_absolute_url()}images/all/progress").json()["state"] == "queued"
