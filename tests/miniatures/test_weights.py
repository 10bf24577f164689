"""The trained miniatures as they are shipped: whole, small, and what they make shows what its prompt names."""

import hashlib
import random
import re
from pathlib import Path

import pytest
from django.conf import settings
from PIL import Image
from safetensors import safe_open

from annotation.studies.study_file.reading import read_study_file
from generation.models import DiffusionModel
from generation.plans.orders import Order
from generation.plans.parameters import SamplingParameters
from generation.sampling.sampling import sample
from miniatures.judging import by_rule
from miniatures.renderer import render
from miniatures.rule_reader import find_object
from miniatures.scenes import DAB_STYLE, Description, draw_description, imagine
from scoring.consistency import semantic_consistency_score
from scoring.encoder_spec import EncoderSpec
from scoring.encoders import loading

ROOT = Path(settings.BASE_DIR)
WEIGHTS = ROOT / "miniatures" / "weights"
MODELS = ("mini-clip", "mini-pixart", "mini-sdxl", "mini-sdxl-lora")
MOST_BYTES = 25_000_000
PROMPTS = 8
MADE: dict[tuple[str, str, SamplingParameters], list[Image.Image]] = {}  # two tests look at the same pictures
FILE = re.compile(r"^\| (\S+) \| (\d+) \| ([0-9a-f]{64}) \|$", re.MULTILINE)


def test_every_file_is_what_its_card_says() -> None:
    assert sorted(path.name for path in WEIGHTS.iterdir()) == sorted(MODELS)
    for folder in (WEIGHTS / name for name in MODELS):
        listed = FILE.findall((folder / "README.md").read_text())
        files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "README.md")
        assert listed == [
            (str(file.relative_to(folder)), str(file.stat().st_size), hashlib.sha256(file.read_bytes()).hexdigest())
            for file in files
        ]


def test_all_weights_are_half_precision_and_small() -> None:
    files = list(WEIGHTS.rglob("*.safetensors"))
    assert sum(file.stat().st_size for file in files) <= MOST_BYTES
    for file in files:
        with safe_open(file, framework="pt") as weights:
            # Positions are whole numbers.
            assert {weights.get_slice(name).get_dtype() for name in weights.keys()} <= {"F16", "I64"}, file  # noqa: SIM118


def held_out(count: int = PROMPTS) -> list[Description]:
    """Descriptions of one object, on a background where no training picture has it."""
    rng = random.Random(5)
    return [draw_description(rng, held_out=True, thing_count=1) for _ in range(count)]


def pictures(model: DiffusionModel, parameters: SamplingParameters) -> list[Image.Image]:
    """One picture of each of the held-out descriptions, made once."""
    key = (model.checkpoint, model.lora, parameters)
    if key not in MADE:
        orders = [Order(model, model.render_prompt(description.caption()), parameters) for description in held_out()]
        MADE[key] = [next(sample(order, [seed], check=lambda: None)).image for seed, order in enumerate(orders)]
    return MADE[key]


@pytest.mark.parametrize("side", ["model_a", "model_b"])
def test_a_picture_shows_the_colour_and_the_shape_that_its_prompt_names(side: str) -> None:
    study = read_study_file(ROOT / "docs" / "studies" / "miniature-pixart.toml")
    model = DiffusionModel(**getattr(study, side).model_dump())
    made = pictures(model, study.sampling)
    shown = [by_rule(picture, description).both for picture, description in zip(made, held_out(), strict=True)]
    assert sum(shown) >= 6  # by chance none; of 200 the cards say how many


def test_the_lora_paints_in_its_style_and_the_base_does_not() -> None:
    study = read_study_file(ROOT / "docs" / "studies" / "miniature-lora.toml")
    dabs = {}
    for side in ("model_a", "model_b"):
        model = DiffusionModel(**getattr(study, side).model_dump())
        seen = [find_object(picture) for picture in pictures(model, study.sampling)]
        dabs[side] = sum(sighting is not None and sighting.style == DAB_STYLE for sighting in seen)
    assert dabs["model_a"] <= 1
    assert dabs["model_b"] >= 4  # of 20 the cards say how many


def test_mini_clip_scores_a_set_of_one_scene_above_one_of_many() -> None:
    encoder = loading.load(EncoderSpec(kind="clip", checkpoint=str(WEIGHTS / "mini-clip")))
    rng = random.Random(6)
    description = Description((("red", "star"),), "white")
    one = [render(imagine(description, rng)) for _ in range(20)]
    fixed = [
        render(imagine(Description(description.kinds, "white", "large", "in the middle", "flat"), rng))
        for _ in range(20)
    ]
    many = [render(imagine(description, rng)) for description in held_out(20)]
    scores = [semantic_consistency_score(encoder.embed(images)) for images in (fixed, one, many)]
    assert scores == sorted(scores, reverse=True)
