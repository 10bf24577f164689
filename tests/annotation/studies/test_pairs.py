"""Studies of several models: their study file and document, the pairs that they compare, and their image sets."""

from collections import Counter
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.models import Comparison
from annotation.studies.comparisons import image_sets_of
from annotation.studies.documents import document, sha256
from annotation.studies.lifecycle.progress import progress
from annotation.studies.manifest import Manifest
from annotation.studies.pairs import PairsPlan, drawn_seed, pairs_of, planned_comparisons, unlinked
from annotation.studies.study_file.reading import StudyFileFault, parse, warnings_in
from annotation.studies.study_file.writing import write_study_file
from tests.factories import make_study, named

THREE = """
name = "Three"
source = "images"

[models.sdxl]
name = "SDXL"

[models.a]
name = "PixArt"

[models.sdxl-lora]
name = "SDXL with a LoRA"

[prompts]
list = ["a cat", "a dog", "a fox", "an owl"]
"""
BALANCED = THREE + '[pairs]\ndesign = "balanced"\nper_prompt = 2\n'


# --- the study file -----------------------------------------------------------------------------
def test_the_order_of_the_file_is_kept_in_the_document_and_in_a_written_file() -> None:
    manifest = parse(THREE, None)
    assert list(manifest.models) == ["sdxl", "a", "sdxl-lora"]
    stored = document(manifest)
    assert [model["key"] for model in stored["models"]] == ["sdxl", "a", "sdxl-lora"]
    assert "model_a" not in stored
    assert Manifest.model_validate(stored) == manifest
    assert list(parse(write_study_file(manifest), None).models) == list(manifest.models)
    turned = THREE.replace("[models.sdxl]", "[models.x]").replace("[models.a]", "[models.sdxl]")
    assert sha256(parse(turned.replace("[models.x]", "[models.a]"), None)) != sha256(manifest)


def test_a_balanced_design_stores_its_seed_and_one_file_gives_one_study() -> None:
    manifest = parse(BALANCED, None)
    assert manifest.pairs.seed == drawn_seed("three")
    assert sha256(parse(BALANCED, None)) == sha256(manifest)
    assert Manifest.model_validate(document(manifest)) == manifest
    assert parse(write_study_file(manifest), None) == manifest
    assert (manifest.comparison_count, len(manifest.comparisons)) == (8, 8)


def test_two_models_with_names_of_their_own() -> None:
    text = THREE.replace('[models.a]\nname = "PixArt"\n', "")
    manifest = parse(text, None)
    assert (manifest.has_two_models, manifest.compared_pairs) == (True, (("sdxl", "sdxl-lora"),))
    assert Manifest.model_validate(document(manifest)) == manifest


def test_of_two_models_a_comes_first_wherever_it_stands_in_the_file() -> None:
    turned = THREE.replace("[models.sdxl]", "[models.b]").replace('[models.sdxl-lora]\nname = "SDXL with a LoRA"\n', "")
    manifest = parse(turned, None)
    assert [plan.name for plan in manifest.models.values()] == ["PixArt", "SDXL"]
    assert document(manifest)["model_a"]["name"] == "PixArt"


FAULTS = {
    "one model": ("[pairs]\nlist = []\n", "[models.q]", "models.a: is missing: a study compares two models or more"),
    "a pair with a stranger": (
        '[pairs]\nlist = [["sdxl", "b"]]\n',
        "",
        'pairs.list[1]: "b" is not a model of this study',
    ),
    "a pair of one": ('[pairs]\nlist = [["a", "a"]]\n', "", 'compares "a" with itself'),
    "a pair twice": ('[pairs]\nlist = [["a", "sdxl"], ["sdxl", "a"]]\n', "", "is already pair 1"),
    "a model in no pair": ('[pairs]\nlist = [["a", "sdxl"]]\n', "", "has no pair with sdxl-lora"),
    "a seed of nothing": ("[pairs]\nseed = 7\n", "", 'pairs.seed: belongs to design = "balanced"'),
    "no size": ('[pairs]\ndesign = "balanced"\n', "", "needs either comparisons or per_prompt"),
    "too large": ('[pairs]\ndesign = "balanced"\nper_prompt = 4\n', "", "give at most 3"),
    "too large in all": ('[pairs]\ndesign = "balanced"\ncomparisons = 13\n', "", "give at most 12"),
    "too small": ('[pairs]\ndesign = "balanced"\ncomparisons = 3\n', "", "give at least 4"),
    "a claim on two": ('[annotation]\nstop_when_decided = "models"\n', "", "this study has 3; leave it out"),
    "a constant choice": ('[analysis]\nconstant_choice = "A"\n', "", "analysis.constant_choice: names a model"),
    "uncertain without floor": ('[annotation]\nallocation = "uncertain_pairs"\n', "", "give a number from 1 to 4"),
    "floor of nothing": ("[annotation]\nfloor = 2\n", "", 'belongs to allocation = "uncertain_pairs"'),
    "a name twice": ('[models.d]\nname = "sdxl"\n', "", 'models.sdxl is also called "sdxl"'),
}


@pytest.mark.parametrize(("more", "without", "sentence"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_names_its_key_and_the_way_out(more: str, without: str, sentence: str) -> None:
    text = THREE + more
    if without:
        text = '\nname = "One"\nsource = "images"\n[models.q]\nname = "Q"\n[prompts]\nlist = ["a cat"]\n' + more
    with pytest.raises(StudyFileFault) as refused:
        parse(text, None)
    assert sentence in str(refused.value)


def test_models_that_no_chain_of_pairs_links_are_warned_of_at_their_line() -> None:
    apart = THREE + '[models.d]\nname = "D"\n[pairs]\nlist = [["sdxl", "a"], ["sdxl-lora", "d"]]\n'
    (said,) = (str(one) for one in warnings_in(apart, None, parse(apart, None)) if one.key == "pairs.list")
    assert said.startswith(
        f"line {apart.count(chr(10))}, pairs.list: links sdxl-lora, d with sdxl by no chain of pairs"
    )
    assert said.endswith('add a pair that links them, like ["sdxl", "sdxl-lora"].')
    linked = apart.replace('["sdxl-lora", "d"]', '["sdxl-lora", "d"], ["sdxl", "d"]')
    assert "pairs.list" not in [one.key for one in warnings_in(linked, None, parse(linked, None))]


# --- the pairs ----------------------------------------------------------------------------------
def spread(counts: "Counter[Any]", of: Any) -> int:
    numbers = [counts[one] for one in of]
    return max(numbers) - min(numbers)


@given(st.data())
def test_a_balanced_design_is_even_over_models_pairs_and_prompts_and_links_all(data: st.DataObject) -> None:
    count, prompts = data.draw(st.integers(2, 7)), data.draw(st.integers(1, 9))
    models = tuple("abcdefg"[:count])
    pairs = list(combinations(models, 2))
    total = data.draw(st.integers(max(prompts, count - 1), max(prompts, count - 1, prompts * len(pairs))))
    if total > prompts * len(pairs):
        return
    plan = PairsPlan(design="balanced", comparisons=total, seed=data.draw(st.integers(0, 99)))
    planned = planned_comparisons(models, prompts, plan)
    assert len(planned) == total == len(set(planned))  # no prompt has a pair twice
    assert spread(Counter((one.model_a, one.model_b) for one in planned), pairs) <= 1
    assert spread(Counter(key for one in planned for key in (one.model_a, one.model_b)), models) <= 1
    assert spread(Counter(one.prompt for one in planned), range(prompts)) <= 1
    assert [one.prompt for one in planned] == sorted(one.prompt for one in planned)
    assert not unlinked(models, pairs_of(models, prompts, plan))


def test_a_listed_pair_has_the_earlier_model_of_the_file_on_side_a() -> None:
    plan = PairsPlan(list=(("c", "a"), ("b", "a")))
    assert [tuple(one) for one in planned_comparisons(("a", "b", "c"), 1, plan)] == [(0, "a", "b"), (0, "a", "c")]


def test_another_seed_gives_another_design() -> None:
    designs = {
        planned_comparisons(tuple("abcde"), 6, PairsPlan(design="balanced", per_prompt=3, seed=seed))
        for seed in range(5)
    }
    assert len(designs) == 5


# --- the database -------------------------------------------------------------------------------
@pytest.mark.django_db
def test_a_set_is_made_and_counted_once_however_many_comparisons_show_it() -> None:
    study = make_study(state="open", comparisons=2, models=named("Alpha", "Beta", "Gamma"))
    rows = list(study.comparisons.order_by("position").values_list("prompt__text", "model_a", "model_b", "cluster"))
    assert [row[:3] for row in rows[:3]] == [("prompt 1", *pair) for pair in combinations("abc", 2)]
    assert len({row[3] for row in rows}) == 2
    assert image_sets_of(study).count() == 6
    counts = progress(study)
    assert (counts.comparison_count, counts.set_count, counts.scored_set_count) == (6, 6, 6)
    assert (counts.image_count, counts.planned_image_count, counts.slot_total) == (12, 12, 18)
    sides = {
        key: set(Comparison.objects.filter(model_b=key).values_list("image_set_b__diffusion_model__name"))
        for key in "bc"
    }
    assert sides == {"b": {("Beta",)}, "c": {("Gamma",)}}
