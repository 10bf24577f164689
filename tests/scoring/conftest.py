"""The fixtures of the tests of scoring: a very small checkpoint of each kind of encoder."""

import shutil
from pathlib import Path

import pytest

from tests.fake_hub import hub
from tests.models import tiny_models
from tests.scoring.perceptual_weights import write_dreamsim

__all__ = ["hub", "tiny_encoders", "tiny_models"]


@pytest.fixture(scope="session")
def tiny_encoders(tiny_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each kind of encoder: untrained, a few kilobytes. Tests that change one copy it."""
    folder = tmp_path_factory.mktemp("encoders")
    shutil.copytree(tiny_models / "clip", folder / "clip")
    _save_siglip(folder / "siglip")
    _save_dinov2(folder / "dinov2")
    _save_dinov3(folder / "dinov3")
    write_dreamsim(folder / "dreamsim")
    return folder


def _save_siglip(target: Path) -> None:
    import torch
    from transformers import SiglipConfig, SiglipImageProcessorPil, SiglipModel

    torch.manual_seed(11)
    shared = {"intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {"vocab_size": 64, "hidden_size": 16, "max_position_embeddings": 16, **shared}
    text |= {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    vision = {"hidden_size": 16, "image_size": 32, "patch_size": 8, **shared}
    SiglipModel(SiglipConfig(text_config=text, vision_config=vision)).save_pretrained(target)
    SiglipImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(target)


def _save_dinov2(target: Path) -> None:
    import torch
    from transformers import BitImageProcessorPil, Dinov2Config, Dinov2Model

    torch.manual_seed(12)
    config = Dinov2Config(
        hidden_size=20, num_hidden_layers=2, num_attention_heads=2, mlp_ratio=2, image_size=28, patch_size=7
    )
    Dinov2Model(config).save_pretrained(target)
    BitImageProcessorPil(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}).save_pretrained(target)


def _save_dinov3(target: Path) -> None:
    import torch
    from transformers import DINOv3ViTConfig, DINOv3ViTModel, ViTImageProcessorPil

    torch.manual_seed(13)
    config = DINOv3ViTConfig(
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=32,
        patch_size=8,
        num_register_tokens=2,
    )
    DINOv3ViTModel(config).save_pretrained(target)
    mean, deviation = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    processor = ViTImageProcessorPil(size={"height": 32, "width": 32}, image_mean=mean, image_std=deviation)
    processor.save_pretrained(target)
