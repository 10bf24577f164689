"""The shipped study files, and the guide's table of keys."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from django.conf import settings

from annotation.studies.manifest import Manifest, ModelPlan
from annotation.studies.study_file.fault_sentences import file_keys
from annotation.studies.study_file.reading import StudyFileFault, read_study_file

DOCS = Path(settings.BASE_DIR) / "docs"
SHIPPED = sorted((DOCS / "studies").glob("*.toml"))
# The paper's seeds, in its order.
SEEDS = (
    *(892834, 318110, 724172, 216461, 174433, 940166, 479571, 847311, 606015, 417194),
    *(527986, 163706, 485149, 8266, 308635, 475154, 822228, 384663, 186469, 873030),
)


def shipped(name: str, folder: Path, prompt_count: int = 0) -> Manifest:
    """A shipped file as its user has it: copied, beside the user's own prompts file."""
    path = folder / f"{name}.toml"
    shutil.copy(DOCS / "studies" / path.name, path)
    if prompt_count:
        (folder / f"{name}-prompts.txt").write_text("".join(f"prompt {number}\n" for number in range(prompt_count)))
    return read_study_file(path)


def test_every_shipped_file_is_tested_here() -> None:
    assert [path.stem for path in SHIPPED] == [
        "demo-five",
        "demo-lora",
        "demo-three",
        "demo",
        "miniature-lora",
        "miniature-pixart",
        "sdxl-lora",
        "sdxl-pixart-lora",
        "sdxl-pixart",
    ]


@pytest.mark.parametrize("name", ["miniature-pixart", "miniature-lora"])
def test_the_studies_in_miniature_have_the_papers_shape(name: str) -> None:
    study = read_study_file(DOCS / "studies" / f"{name}.toml")
    assert (study.slug, len(study.prompts), study.seeds) == (name, 100, SEEDS)
    weights = Path(settings.BASE_DIR) / "miniatures" / "weights"
    assert study.model_a.checkpoint == str(weights / "mini-sdxl")
    assert study.encoder.checkpoint == str(weights / "mini-clip")
    assert (study.sampling.width, study.sampling.height) == (96, 96)
    assert "miniatures" in study.notice


@pytest.mark.parametrize(("name", "prompt_count"), [("sdxl-pixart", 100), ("sdxl-lora", 50)])
def test_the_studies_of_the_paper(name: str, prompt_count: int, tmp_path: Path) -> None:
    study = shipped(name, tmp_path, prompt_count)
    assert (study.slug, len(study.prompts), study.seeds) == (name, prompt_count, SEEDS)
    sampling = study.sampling
    assert (sampling.width, sampling.height, sampling.num_inference_steps) == (768, 768, 20)
    assert (sampling.guidance_scale, sampling.scheduler, sampling.negative_prompt) == (7.5, "euler", "")
    assert study.encoder.checkpoint == "openai/clip-vit-base-patch32"
    assert (study.annotation.ties, study.analysis.primary_endpoint) == (False, "strict")


def test_the_two_wordings_of_the_lora_study(tmp_path: Path) -> None:
    study = shipped("sdxl-lora", tmp_path, 50)
    templates = (study.model_a.prompt_template, study.model_b.prompt_template)
    assert templates == ("{prompt} in the style of Monet", "{prompt} in the style of TOK")
    assert (study.model_b.lora, study.model_b.lora_scale) == (str(tmp_path / "monet-lora"), 0.6)
    assert study.model_a.checkpoint == study.model_b.checkpoint


@pytest.mark.parametrize("name", ["sdxl-pixart", "sdxl-lora"])
def test_without_the_prompts_file_the_sentence_names_it(name: str, tmp_path: Path) -> None:
    with pytest.raises(StudyFileFault, match=rf"prompts\.file: .*/{name}-prompts\.txt cannot be read"):
        shipped(name, tmp_path)


def test_the_two_demo_studies_share_the_base_models_images() -> None:
    demo, lora = (read_study_file(DOCS / "studies" / f"{name}.toml") for name in ("demo", "demo-lora"))
    assert (demo.slug, lora.slug) == ("demo", "demo-lora")
    assert demo.model_copy(update={"name": lora.name, "slug": lora.slug, "models": lora.models}) == lora
    assert demo.model_a == lora.model_a
    assert len(demo.prompts) == 12
    assert "miniatures" in demo.notice


def test_the_papers_three_models_in_one_study(tmp_path: Path) -> None:
    study = shipped("sdxl-pixart-lora", tmp_path, 50)
    assert list(study.models) == ["sdxl", "pixart", "lora"]
    assert (len(study.compared_pairs), study.comparison_count, study.seeds) == (3, 150, SEEDS)
    pixart = shipped("sdxl-pixart", tmp_path, 100)
    assert study.models["pixart"].revision == pixart.model_b.revision
    assert (study.sampling, study.encoder) == (pixart.sampling, pixart.encoder)


def test_the_demos_of_several_models_share_the_images_of_the_others() -> None:
    demo, lora, three, five = (
        read_study_file(DOCS / "studies" / f"{name}.toml") for name in ("demo", "demo-lora", "demo-three", "demo-five")
    )
    assert list(three.models.values()) == [*demo.models.values(), lora.model_b]
    assert (three.prompts, three.seeds, three.sampling) == (demo.prompts, demo.seeds, demo.sampling)
    assert (len(five.models), len(five.prompts), five.comparison_count) == (5, 30, 150)
    assert five.model_a == demo.model_a


ROW = re.compile(r"^\| `([a-z_.]+)` \| (.+?) \| .+ \|$", re.MULTILINE)


def documented() -> dict[str, str]:
    """The default of each key, as the guide's table gives it."""
    return dict(ROW.findall((DOCS / "study-guide.md").read_text()))


def test_the_guide_documents_every_key_and_no_other() -> None:
    assert set(documented()) == {key for key in file_keys() if not key.startswith("models.b.")}


def default_of(key: str) -> Any:
    """The default of a key of the file, or None."""
    section: Any = ModelPlan if key.startswith("models.a.") else Manifest
    *tables, name = key.removeprefix("models.a.").split(".")
    for table in tables:
        section = section.model_fields[table].annotation
    if hasattr(section, "model_fields"):
        field = section.model_fields[name]
        return None if field.is_required() else field.default
    return section.__dataclass_fields__[name].default


@pytest.mark.parametrize("key", [key for key in documented() if key.split(".")[0] not in ("prompts", "images")])
def test_the_guide_tells_the_default(key: str) -> None:
    written, default = documented()[key], default_of(key)
    if key in ("slug", "encoder.revision"):
        assert "`" not in written  # in words, since it depends on other keys
    elif default is None or default == {}:
        assert written in ("none", "required")
    else:
        assert written == f"`{tomli_w.dumps({'x': default}).removeprefix('x = ').strip()}`"
