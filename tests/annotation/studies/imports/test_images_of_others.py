"""Imported images are used only by accounts that may see every study that has them."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from annotation.models import Study, StudyShare, UploadJob
from annotation.studies.imports.images_of_others import refuse_images_of_others
from annotation.studies.lifecycle.transitions import launch
from annotation.studies.sharing import Role
from generation.models import GeneratedImage, ImageSet
from jobs.refusals import Refused
from scoring.models import SetScore
from tests.annotation.studies.uploads.test_importing import images, imported, uploaded, zipped
from tests.factories import make_study, member, named

pytestmark = pytest.mark.django_db
SENTENCE = "cannot use images of Alpha: another study, which is not shared with this account"


@pytest.fixture
def theirs() -> Study:
    """A study of another group, with images of Alpha and Beta for prompt 1 to prompt 3."""
    return make_study(slug="theirs")


@pytest.fixture
def mine(theirs: Study) -> Study:
    """A draft that names the same models and prompts."""
    return make_study(slug="mine", state="draft")


@pytest.fixture
def owner(mine: Study) -> User:
    return member(mine, Role.OWNER)


def previewed(study: Study, account: User) -> str:
    client = Client()
    client.force_login(account)
    return client.get(f"{study.get_absolute_url()}preview/comparisons/").content.decode()


def test_a_draft_that_names_the_models_and_prompts_of_others_does_not_get_their_images(
    mine: Study, owner: User
) -> None:
    assert SENTENCE in previewed(mine, owner)
    with pytest.raises(Refused, match=SENTENCE):
        launch(study=mine, actor=owner)
    with pytest.raises(Refused, match="Give the model another name in the study file"):
        uploaded(mine, owner, "images", zipped(images()))
    assert not UploadJob.objects.exists()
    mine.refresh_from_db()
    assert mine.state == Study.State.DRAFT


def share_it(theirs: Study, owner: User) -> None:
    StudyShare.objects.create(study=theirs, account=owner, role=Role.VIEWER)


def make_admin(_theirs: Study, owner: User) -> None:
    User.objects.filter(pk=owner.pk).update(is_superuser=True)
    owner.refresh_from_db()


@pytest.mark.parametrize("allow", [share_it, make_admin])
def test_who_may_see_the_other_study_may_use_its_images(
    theirs: Study, mine: Study, owner: User, allow: Callable[[Study, User], None]
) -> None:
    allow(theirs, owner)
    assert SENTENCE not in previewed(mine, owner)
    assert launch(study=mine, actor=owner)


def test_a_command_launches_it_as_an_admin_would(mine: Study) -> None:
    assert launch(study=mine)


def test_an_upload_asks_again_when_it_is_imported(theirs: Study, mine: Study, owner: User) -> None:
    share_it(theirs, owner)
    upload = uploaded(mine, owner, "images", zipped(images()))
    StudyShare.objects.filter(study=theirs).delete()
    before = GeneratedImage.objects.count()
    assert SENTENCE in imported(upload).error
    assert GeneratedImage.objects.count() == before


def test_images_that_wait_in_a_draft_are_kept_from_later_studies_and_no_later_draft_blocks_it(owner: User) -> None:
    first = make_study(slug="first", state="draft", prompts=[{"text": "a lighthouse"}])
    second = make_study(slug="second", state="draft", prompts=[{"text": "a lighthouse"}])
    colleague = User.objects.create_user("ida", is_staff=True)
    StudyShare.objects.create(study=first, account=owner, role=Role.OWNER)
    StudyShare.objects.create(study=second, account=colleague, role=Role.OWNER)
    refuse_images_of_others(first, owner)
    with pytest.raises(Refused, match="for a lighthouse"):
        refuse_images_of_others(second, colleague)


@pytest.mark.parametrize(
    ("change", "models", "prompts"),
    [
        ({"models": named("Gamma", "Delta")}, ("Gamma", "Delta"), ("prompt 1",)),
        ({"prompts": [{"text": "a lighthouse"}]}, ("Alpha", "Beta"), ("a lighthouse",)),
    ],
)
def test_other_names_or_other_prompts_are_free(
    theirs: Study, change: dict[str, Any], models: tuple[str, str], prompts: tuple[str]
) -> None:
    study = make_study(slug="free", state="draft", **change)
    job = imported(uploaded(study, member(study, Role.OWNER), "images", zipped(images(models, prompts))))
    assert (job.error, job.outcome["summary"]) == ("", "2 sets with 4 images imported.")


def test_scores_are_not_uploaded_to_image_sets_of_others(theirs: Study, owner: User) -> None:
    study = make_study(slug="launched-together")
    StudyShare.objects.create(study=study, account=owner, role=Role.EDITOR)
    rows = "".join(f"prompt {number},1.5,2.5\n" for number in (1, 2, 3))
    files = {"scores.csv": f"prompt,score_a,score_b\n{rows}".encode()}
    options = {"metric": "forged", "higher_is_more_consistent": True}
    assert (
        "shares image sets with a study that is not shared"
        in imported(uploaded(study, owner, "scores", files, **options)).error
    )
    assert not SetScore.objects.filter(metric="forged").exists()
    share_it(theirs, owner)
    assert imported(uploaded(study, owner, "scores", files, **options)).state == "done"
    assert ImageSet.objects.filter(scores__metric="forged").count() == 6
