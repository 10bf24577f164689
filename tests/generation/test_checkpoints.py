"""Checkpoints on disk: what may be loaded, said in one sentence where it may not."""

import json
import shutil
from pathlib import Path

import pytest

from generation.checkpoints import local_path, lora_file, read_index, sha256_of, shown, weight_files
from jobs.refusals import Refused

COMMIT = "c237dc49a33fc61debc9276459120b7eac67e7ef"


@pytest.fixture
def checkpoint(tiny_models: Path, tmp_path: Path) -> Path:
    """A copy of the tiny SDXL that a test may break."""
    return Path(shutil.copytree(tiny_models / "sdxl", tmp_path / "sdxl"))


def weights(folder: Path) -> list[Path]:
    return weight_files(folder, read_index(folder, owner="m"), owner="m")


def test_a_folder_that_exists_is_taken(tmp_path: Path) -> None:
    assert local_path(str(tmp_path), revision="", owner="m") == tmp_path


def test_a_hub_id_with_a_commit_is_fetched() -> None:
    assert local_path("stabilityai/sdxl", revision=COMMIT, owner="m") is None


@pytest.mark.parametrize("name", ["/no/such/folder", "./models/sdxl", "../sdxl", "~/no-such-folder", "sdxl"])
def test_a_folder_that_is_not_there(name: str) -> None:
    with pytest.raises(Refused, match=f"m: there is no {name} on this machine"):
        local_path(name, revision=COMMIT, owner="m")


@pytest.mark.parametrize("revision", ["", "main", COMMIT[:7]])
def test_a_hub_id_wants_a_pinned_revision(revision: str) -> None:
    with pytest.raises(Refused, match=r"^m: stabilityai/sdxl is not a folder .* needs a pinned revision"):
        local_path("stabilityai/sdxl", revision=revision, owner="m")


def test_names_show_no_folder_of_this_machine(tmp_path: Path) -> None:
    assert shown(str(tmp_path / "sdxl")) == "sdxl"
    assert shown("stabilityai/sdxl") == "stabilityai/sdxl"


def test_the_weights_of_every_component(checkpoint: Path) -> None:
    assert [file.parent.name for file in weights(checkpoint)] == ["text_encoder", "text_encoder_2", "unet", "vae"]


@pytest.mark.parametrize("suffix", [".bin", ".ckpt", ".pt", ".pth"])
def test_pickled_weights_are_refused_by_name(checkpoint: Path, suffix: str) -> None:
    file = checkpoint / "unet" / "diffusion_pytorch_model.safetensors"
    file.rename(file.with_suffix(suffix))
    with pytest.raises(Refused, match=rf"m: .*/unet/diffusion_pytorch_model\{suffix} is refused: .* safetensors only"):
        weights(checkpoint)


def test_pickled_weights_beside_safetensors_do_no_harm(checkpoint: Path) -> None:
    (checkpoint / "unet" / "diffusion_pytorch_model.bin").touch()
    assert len(weights(checkpoint)) == 4


def test_missing_weights_and_components(checkpoint: Path) -> None:
    (checkpoint / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(Refused, match=r"/vae holds no weights"):
        weights(checkpoint)
    shutil.rmtree(checkpoint / "unet")
    with pytest.raises(Refused, match="the component unet is missing"):
        weights(checkpoint)


def test_code_of_its_own_is_refused(checkpoint: Path) -> None:
    index = json.loads((checkpoint / "model_index.json").read_text())
    index["unet"] = ["my_unet", "MyUNet"]
    (checkpoint / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(Refused, match=r"the component unet of .* is code of its own \(my_unet\)"):
        weights(checkpoint)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "holds no model_index.json"),
        ("{", "is not JSON"),
        ("[]", "names no pipeline"),
        ("{}", "names no pipeline"),
    ],
)
def test_an_index_that_is_none(tmp_path: Path, text: str | None, sentence: str) -> None:
    if text is not None:
        (tmp_path / "model_index.json").write_text(text)
    with pytest.raises(Refused, match=sentence):
        read_index(tmp_path, owner="m")


def test_a_single_file_is_no_checkpoint(tmp_path: Path) -> None:
    file = tmp_path / "sdxl.safetensors"
    file.touch()
    with pytest.raises(Refused, match="is a single file"):
        read_index(file, owner="m")


def test_a_lora_is_a_file_or_the_one_file_of_a_folder(tmp_path: Path) -> None:
    file = tmp_path / "monet.safetensors"
    file.touch()
    assert lora_file(file, owner="m") == lora_file(tmp_path, owner="m") == file
    (tmp_path / "other.safetensors").touch()
    with pytest.raises(Refused, match="holds 2 safetensors files"):
        lora_file(tmp_path, owner="m")
    usual = tmp_path / "pytorch_lora_weights.safetensors"
    usual.touch()
    assert lora_file(tmp_path, owner="m") == usual


def test_a_pickled_lora_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="holds no safetensors file"):
        lora_file(tmp_path, owner="m")
    (tmp_path / "pytorch_lora_weights.bin").touch()
    with pytest.raises(Refused, match=r"pytorch_lora_weights.bin is refused"):
        lora_file(tmp_path, owner="m")
    with pytest.raises(Refused, match=r"the LoRA .*weights.bin is refused"):
        lora_file(tmp_path / "pytorch_lora_weights.bin", owner="m")


def test_the_hash_follows_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "b").write_bytes(b"2")
    first = sha256_of([tmp_path / "a", tmp_path / "b"], root=tmp_path)
    assert sha256_of([tmp_path / "b", tmp_path / "a"], root=tmp_path) == first
    (tmp_path / "b").write_bytes(b"changed")
    assert sha256_of([tmp_path / "a", tmp_path / "b"], root=tmp_path) != first
