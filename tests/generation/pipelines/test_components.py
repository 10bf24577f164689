"""A checkpoint of which a part is missing or damaged is refused in one sentence, never filled with random numbers."""

import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from generation.models import DiffusionModel
from generation.plans.orders import Order
from generation.sampling.sampling import sample
from jobs.refusals import Refused
from tests.generation.planned_sets import SMALL
from tests.untrained import set_config


@pytest.fixture
def broken(tiny_models: Path, tmp_path: Path) -> DiffusionModel:
    """A copy of the tiny SDXL that a test may break."""
    folder = shutil.copytree(tiny_models / "sdxl", tmp_path / "broken")
    return DiffusionModel(name="broken", checkpoint=str(folder))


def refusal_of(model: DiffusionModel) -> str:
    with pytest.raises(Refused) as refusal:
        list(sample(Order(model, "a cube", SMALL), [1], check=lambda: None))
    return str(refusal.value)


@pytest.mark.parametrize(
    ("part", "file"),
    [
        ("text_encoder", "model"),  # transformers fills it with random numbers
        ("unet", "diffusion_pytorch_model"),
        ("vae", "diffusion_pytorch_model"),
    ],
)
def test_weights_that_are_not_whole(broken: DiffusionModel, part: str, file: str) -> None:
    path = Path(broken.checkpoint) / part / f"{file}.safetensors"
    weights = load_file(path)
    lost = sorted(weights)[0]
    save_file({name: tensor for name, tensor in weights.items() if name != lost}, path)
    sentence = refusal_of(broken)
    assert sentence.startswith(f"broken: the files of {part} lack 1 of its weights, for example ")
    assert sentence.endswith(": fetch or copy the checkpoint again.")


@pytest.mark.parametrize("text", ["[]", "{", "null"])
def test_a_configuration_that_is_none(broken: DiffusionModel, text: str) -> None:
    (Path(broken.checkpoint) / "unet" / "config.json").write_text(text)
    assert refusal_of(broken).endswith("/broken/unet/config.json is not a JSON object: fetch or copy it again.")


def test_a_part_that_the_class_cannot_do_without(broken: DiffusionModel) -> None:
    set_config(Path(broken.checkpoint) / "model_index.json", text_encoder_2=[None, None])
    assert refusal_of(broken).startswith("broken: StableDiffusionXLPipeline fails with these sampling parameters (")


def test_no_temporary_folder_is_in_a_sentence(broken: DiffusionModel) -> None:
    (Path(broken.checkpoint) / "unet" / "config.json").unlink()
    sentence = refusal_of(broken)
    assert "/broken/unet" in sentence
    assert "/checkpoint-" not in sentence
