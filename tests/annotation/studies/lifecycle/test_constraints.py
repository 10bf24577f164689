"""The database constraints of studies and comparisons."""

from typing import Any

import pytest
from django.db import IntegrityError
from django.db.models import Model
from django.utils import timezone

from annotation.models import Comparison, ManifestVersion, Study, StudyModel
from generation.models import DiffusionModel, Prompt
from tests.factories import make_study

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


def refused(constraint: str, row: Model) -> None:
    """Check that the database refuses the row because of this constraint."""
    with pytest.raises(IntegrityError) as refusal:
        row.save()
    # PostgreSQL names the constraint; SQLite names a CHECK, but only the columns of a unique constraint.
    assert constraint in str(refusal.value) or "UNIQUE constraint failed" in str(refusal.value)


def a_draft(**fields: object) -> Study:
    plan = {"slug": "other", "name": "Other", "source": "images"}
    return Study(**(plan | {"manifest_sha256": "0" * 64} | fields))


@pytest.mark.parametrize(
    ("constraint", "fields"),
    [
        ("study_compares_different_models", {"name": "Beta"}),
        ("study_model_keys_are_unique", {"key": "b"}),
        ("study_model_positions_are_unique", {"position": 1}),
    ],
)
def test_different_models(constraint: str, fields: dict[str, Any]) -> None:
    study, plan = make_study(state="draft"), {"position": 2, "key": "c", "name": "Gamma"} | fields
    model, _ = DiffusionModel.objects.get_or_create(name=plan.pop("name"))
    refused(constraint, StudyModel(study=study, diffusion_model=model, **plan))


def test_one_slug() -> None:
    make_study(state="draft")
    refused("slug", a_draft(slug="study"))


def test_closed_has_a_time() -> None:
    refused("study_closed_has_a_time", a_draft(state="closed"))


def test_only_closed_has_a_closing_time() -> None:
    refused("study_closed_has_a_time", a_draft(state="open", closed_at=timezone.now()))


def test_one_open_link_each() -> None:
    study = make_study(state="draft")
    refused("open_link_token", a_draft(open_link_token=study.open_link_token))


def test_manifest_versions_have_numbers_of_their_own() -> None:
    study = make_study(state="draft")
    refused("manifest_version_numbers_are_unique", ManifestVersion(study=study, number=1, document={}, sha256="1" * 64))


def a_comparison(study: Study, **fields: object) -> Comparison:
    first = Comparison.objects.filter(study=study).earliest("position")
    plan = {"position": 99, "prompt": Prompt.objects.create(text="another"), "cluster": "c", "overlap": 2}
    sets = {"image_set_a": first.image_set_a, "image_set_b": first.image_set_b}
    return Comparison(study=study, **(plan | sets | fields))


def test_a_comparison_that_breaks_nothing_is_kept() -> None:
    a_comparison(make_study(source="external"), slot_count=2, vote_count=2).save()
    assert Comparison.objects.filter(position=99, vote_count=2).count() == 1


def test_comparison_positions_are_unique() -> None:
    refused("comparison_positions_are_unique", a_comparison(make_study(source="external"), position=0))


def test_one_comparison_for_a_prompt() -> None:
    study = make_study(source="external")
    prompt = Prompt.objects.get(text="prompt 1")
    refused("one_comparison_per_study_prompt_and_pair", a_comparison(study, prompt=prompt))


def test_one_prompt_in_comparisons_of_several_pairs() -> None:
    study = make_study(source="external")
    prompt = Prompt.objects.get(text="prompt 1")
    a_comparison(study, prompt=prompt, model_b="c").save()
    assert Comparison.objects.filter(prompt=prompt).count() == 2


def test_a_comparison_of_different_models() -> None:
    refused("comparison_models_differ", a_comparison(make_study(source="external"), model_a="b"))


def test_no_more_slots_than_overlap() -> None:
    refused("comparison_slots_within_overlap", a_comparison(make_study(source="external"), slot_count=3))


def test_no_more_votes_than_slots() -> None:
    comparison = a_comparison(make_study(source="external"), slot_count=1, vote_count=2)
    refused("comparison_votes_within_slots", comparison)


def test_a_set_is_not_compared_with_itself() -> None:
    study = make_study(source="external")
    first = Comparison.objects.filter(study=study).earliest("position")
    refused("comparison_sets_differ", a_comparison(study, image_set_b=first.image_set_a))
