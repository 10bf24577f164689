"""What the admin and the list of jobs show of a study that is not closed: no model beside a prompt anywhere."""

from collections.abc import Iterator

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from annotation.models import Study
from annotation.studies.comparisons import plan_comparisons
from annotation.studies.current import current_manifest
from annotation.studies.lifecycle.pipeline_jobs import ensure_images
from annotation.studies.tokens import Scope, create_token
from generation.models import DiffusionModel, GenerationJob, ImageSet, Prompt, RefusedSeed
from scoring.models import ScoringJob
from tests.factories import make_study, put_in_state

pytestmark = pytest.mark.django_db
MODELS = ("Alpha", "Beta")
OF_SETS = (ImageSet, GenerationJob, ScoringJob, RefusedSeed)


@pytest.fixture
def study() -> Study:
    """A study whose every set has a failed job of each kind and a refused seed, with errors that name the set."""
    study = make_study(source="generated", state="generating", comparisons=1)
    plan_comparisons(study, current_manifest(study))
    ensure_images(study)
    for image_set in ImageSet.objects.all():
        error = f"The image of {image_set}, seed 11 is lost."
        GenerationJob.objects.filter(image_set=image_set).update(state="failed", error=error)
        ScoringJob.objects.create(image_set=image_set, encoder={}, metric="m", state="failed", error=error)
        RefusedSeed.objects.create(image_set=image_set, seed=11, reason="No.")
    return study


def addresses() -> Iterator[str]:
    """Lists, also searched and filtered, and the pages of a row: as it is, to delete it, its history."""
    for model in OF_SETS:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        listed = reverse(f"{name}_changelist")
        yield listed
        yield f"{listed}?q=Alph"
        row = model._default_manager.earliest("pk")
        yield from (reverse(f"{name}_{page}", args=[row.pk]) for page in ("change", "delete", "history"))
    models = DiffusionModel.objects.values_list("pk", flat=True)
    yield from (f"{reverse('admin:generation_imageset_changelist')}?diffusion_model__id__exact={pk}" for pk in models)
    yield reverse("admin:index")


def table(page: str) -> str:
    """A page without the filters beside a list, which offer every model whatever the list holds."""
    return page.partition('<nav id="changelist-filter"')[0]


def test_no_page_of_the_admin_names_the_model_of_a_set(study: Study, admin_client: Client) -> None:
    for state in ("generating", "open"):
        put_in_state(study, state)
        for address in addresses():
            answer = admin_client.get(address, follow=True)
            if answer.status_code == 200:
                page = table(answer.content.decode())
                assert not [name for name in MODELS if name in page], (state, address)
    rows = admin_client.get(reverse("admin:generation_generationjob_changelist")).content.decode()
    assert "The image of prompt 1, seed 11 is lost." in rows
    found = admin_client.get(
        reverse("admin:generation_generationjob_changelist"), {"q": MODELS[0][:-1]}
    ).content.decode()
    assert "prompt 1" not in found, "a search for a model finds none of its jobs"


def test_what_is_deleted_is_named_without_its_model(study: Study, admin_client: Client) -> None:
    refused = RefusedSeed.objects.earliest("pk")
    address = reverse("admin:generation_refusedseed_delete", args=[refused.pk])
    for page in (admin_client.get(address), admin_client.post(address, {"post": "yes"}, follow=True)):
        assert "seed 11, refused for its content" in page.content.decode()
        assert not [name for name in MODELS if name in page.content.decode()]
    assert not RefusedSeed.objects.filter(pk=refused.pk).exists()
    assert not [name for name in MODELS if name in admin_client.get(reverse("admin:index")).content.decode()]


def test_a_closed_study_has_its_sets_back(study: Study, admin_client: Client) -> None:
    put_in_state(study, "closed")
    page = admin_client.get(reverse("admin:generation_imageset_changelist"))
    assert page.context["cl"].result_count == ImageSet.objects.count() == 2
    assert admin_client.get(reverse("admin:generation_imageset_change", args=[ImageSet.objects.earliest("pk").pk]))


def test_imported_sets_are_listed_until_their_study_opens(admin_client: Client) -> None:
    study, listed = make_study(state="ready", comparisons=1), reverse("admin:generation_imageset_changelist")
    assert admin_client.get(listed).context["cl"].result_count == 2
    for state in ("open", "paused"):
        put_in_state(study, state)
        assert admin_client.get(listed).context["cl"].result_count == 0
    put_in_state(study, "closed")
    assert admin_client.get(listed).context["cl"].result_count == 2


def test_the_jobs_of_the_installation_name_no_model_beside_a_prompt_until_then(
    study: Study, admin_client: Client, admin_user: User
) -> None:
    _token, secret = create_token(account=admin_user, name="script", scopes=[Scope.READ], days=1)
    script = Client(headers={"authorization": f"Bearer {secret}"})
    page, operation = reverse("installation-jobs"), "/api/v1/installation/jobs"
    asked = [(admin_client, f"{page}?state=failed&kind={kind}") for kind in ("images", "scores")]
    asked += [(script, f"{operation}?kind={kind}&state=failed") for kind in ("images", "scores")]
    for client, address in asked:
        text = client.get(address).content.decode()
        assert "The image of prompt 1, seed 11 is lost." in text, address
        assert not [name for name in MODELS if f"{name}, " in text or f"{name} /" in text], address
    put_in_state(study, "closed")
    for client, address in asked:
        assert "The image of Alpha / prompt 1, seed 11 is lost." in client.get(address).content.decode(), address


def test_every_list_of_rows_with_a_set_is_looked_at() -> None:
    with_a_set = {model for model in admin.site._registry if any(f.name == "image_set" for f in model._meta.fields)}
    assert with_a_set | {ImageSet} == set(OF_SETS)
    assert Prompt in admin.site._registry
