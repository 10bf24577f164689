"""Names of an import that no study knows: they are listed before the import, and nothing is refused."""

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from annotation.studies.imports.imported_images import refuse_unknown_model, unknown_names
from generation.imports.layouts import Layout, PromptFiles
from generation.models import ImageSet
from jobs.refusals import Refused
from tests.factories import make_study
from tests.generation.planned_sets import picture

pytestmark = pytest.mark.django_db


def layout(*names: tuple[str, str]) -> Layout:
    return Layout(prompts=[PromptFiles(model, prompt) for model, prompt in names])


def test_without_a_study_of_imported_images() -> None:
    make_study(source="external")
    (sentence,) = unknown_names(layout(("Alpha", "prompt 1")))
    assert sentence == (
        'no study here takes images (source = "images") yet; what is imported is kept until a study names it.'
    )


def test_names_that_a_study_knows_are_passed_over() -> None:
    make_study(state="draft")
    assert unknown_names(layout(("Alpha", "prompt 1"), ("Beta", "prompt 1"), ("Beta", "prompt 3"))) == []


def test_a_prompt_may_be_called_by_its_models_wording() -> None:
    make_study(state="draft", model_b={"name": "Beta", "prompt_template": "{prompt} in oil"})
    (sentence,) = unknown_names(layout(("Beta", "prompt 1 in oil"), ("Alpha", "prompt 1 in oil")))
    assert sentence.startswith("the prompt of Alpha is in no study: “prompt 1 in oil”")


def test_a_model_that_no_study_names_and_the_one_that_was_meant() -> None:
    make_study(state="draft")
    found = unknown_names(layout(("Alhpa", "prompt 1"), ("Alhpa", "prompt 2"), ("beta", "x"), ("other", "x")))
    head = "no study that takes images has a model called"
    tail = "what is imported of it is kept until a study names it."
    assert found == [
        f"{head} “Alhpa” (did you mean “Alpha”?); {tail}",
        f"{head} “beta” (did you mean “Beta”?); {tail}",
        f"{head} “other”; {tail}",
    ]


def test_a_folder_is_not_taken_for_that_of_a_model_that_no_study_has(tmp_path: Path) -> None:
    (tmp_path / "prompt 1").mkdir()
    refuse_unknown_model(tmp_path, "Nope")  # no study takes images: nothing tells a mistyped name
    make_study(state="draft")
    with pytest.raises(Refused, match=r"--model Nope: .* holds no folder of that name.*their models are Alpha, Beta"):
        refuse_unknown_model(tmp_path, "Nope")
    with pytest.raises(Refused, match=r"did you mean “Alpha”"):
        refuse_unknown_model(tmp_path, "alpha")
    refuse_unknown_model(tmp_path, "Alpha")
    (tmp_path / "Nope").mkdir()
    refuse_unknown_model(tmp_path, "Nope")


def test_prompts_that_no_study_asks_for() -> None:
    make_study(state="draft", prompts=[{"text": "a red cube"}, {"text": "a green tree"}])
    names = ["a red cube", "a red  cube", "A Green Tree", "a green trea", "b1", "c2", "d3", "e4"]
    (sentence,) = unknown_names(layout(*(("Alpha", name) for name in names)))
    assert sentence == (
        "7 of 8 prompts of Alpha are in no study: “a red  cube” (did you mean “a red cube”?), “A Green Tree” (did you "
        "mean “a green tree”?), “a green trea” (did you mean “a green tree”?), “b1”, “c2”, and 2 more; "
        "what is imported of them is kept until a study names them."
    )


def test_the_command_says_so_before_it_imports(tmp_path: Path) -> None:
    make_study(state="draft")
    (tmp_path / "Alhpa" / "prompt 1").mkdir(parents=True)
    picture().save(tmp_path / "Alhpa" / "prompt 1" / "1.png")
    counts: list[int] = []

    class Err(StringIO):
        def write(self, text: str) -> int:
            counts.append(ImageSet.objects.filter(diffusion_model__name="Alhpa").count())
            return super().write(text)

    err = Err()
    call_command("import_images", str(tmp_path), stdout=StringIO(), stderr=err)
    assert err.getvalue().startswith(
        "Note: no study that takes images has a model called “Alhpa” (did you mean “Alpha”?)"
    )
    assert counts[0] == 0
    assert ImageSet.objects.filter(diffusion_model__name="Alhpa").count() == 1
