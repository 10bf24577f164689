"""Which files of a checkpoint are used: variants, shards, and everything that is left alone."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from generation.weights.checkpoint_files import CheckpointFiles, choose
from generation.weights.checkpoints import LocalListing, linked, local_listing
from jobs.refusals import Refused
from tests.checkpoint_layouts import add_strays, add_variant, shard

UNET = "unet/diffusion_pytorch_model"
PLAIN = [
    "text_encoder/model.safetensors",
    "text_encoder_2/model.safetensors",
    f"{UNET}.safetensors",
    "vae/diffusion_pytorch_model.safetensors",
]


@pytest.fixture
def checkpoint(tiny_models: Path, tmp_path: Path) -> Path:
    """A copy of the tiny SDXL that a test may change."""
    return Path(shutil.copytree(tiny_models / "sdxl", tmp_path / "sdxl"))


def chosen(folder: Path, variant: str = "") -> CheckpointFiles:
    return choose(local_listing(folder, owner="m"), variant=variant, owner="m")


def half(names: Sequence[str]) -> list[str]:
    return [name.replace(".safetensors", ".fp16.safetensors") for name in names]


def test_the_weights_of_every_component_and_its_small_files(checkpoint: Path) -> None:
    add_strays(checkpoint)
    files = chosen(checkpoint)
    assert list(files.weights) == PLAIN
    assert {name.partition("/")[0] for name in files.small_files} == {
        *("model_index.json", "scheduler", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "unet", "vae"),
    }
    assert not [name for name in files.links if not name.endswith((".json", ".txt", ".safetensors"))]


def test_plain_files_are_used_unless_a_variant_is_named(checkpoint: Path) -> None:
    add_variant(checkpoint)
    assert list(chosen(checkpoint).weights) == PLAIN
    assert list(chosen(checkpoint, "fp16").weights) == half(PLAIN)
    assert (chosen(checkpoint).variant, chosen(checkpoint, "fp16").variant) == ("", "fp16")


def test_a_folder_that_holds_only_the_variant(checkpoint: Path) -> None:
    add_variant(checkpoint, alone=True)
    files = chosen(checkpoint)
    assert list(files.weights) == half(PLAIN)
    assert files.links[f"{UNET}.safetensors"] == f"{UNET}.fp16.safetensors"
    with pytest.raises(Refused, match=r'm: .*/unet holds no plain weights but the variants "fp16"; name one|no plain'):
        choose(LocalListing(checkpoint, is_whole=False), variant="", owner="m")


def test_a_component_without_the_variant_gives_its_plain_weights(checkpoint: Path) -> None:
    add_variant(checkpoint)
    (checkpoint / "vae" / "diffusion_pytorch_model.fp16.safetensors").unlink()
    assert list(chosen(checkpoint, "fp16").weights) == [*half(PLAIN[:3]), PLAIN[3]]


def test_a_variant_that_is_nowhere(checkpoint: Path) -> None:
    with pytest.raises(Refused, match=r'm: .*/sdxl has no variant "fp16" \(it has plain files only\); correct variant'):
        chosen(checkpoint, "fp16")
    add_variant(checkpoint)
    with pytest.raises(Refused, match=r'has no variant "bf16" \(it has fp16\)'):
        chosen(checkpoint, "bf16")


@pytest.mark.parametrize("variant", ["", "fp16"])
def test_shards_are_used_by_their_index(checkpoint: Path, variant: str) -> None:
    if variant:
        add_variant(checkpoint)
    marked = f".{variant}" if variant else ""
    shards = shard(checkpoint / f"{UNET}{marked}.safetensors", variant=variant)
    files = chosen(checkpoint, variant)
    names = [f"{UNET}{marked}-0000{number}-of-00002.safetensors" for number in (1, 2)]
    assert [name for name in files.weights if name.startswith("unet/")] == names
    assert files.links[f"{UNET}.safetensors.index.json"] == f"{UNET}.safetensors.index{marked}.json"
    shards[1].unlink()
    with pytest.raises(
        Refused, match=rf"m: the shard diffusion_pytorch_model{marked}-00002-of-00002.safetensors is mi"
    ):
        chosen(checkpoint, variant)


def test_shards_without_their_index(checkpoint: Path) -> None:
    shard(checkpoint / f"{UNET}.safetensors")
    (checkpoint / f"{UNET}.safetensors.index.json").unlink()
    with pytest.raises(Refused, match=r"m: .*/unet holds diffusion_pytorch_model-00001-of-00002.safetensors but no in"):
        chosen(checkpoint)


@pytest.mark.parametrize("text", ["{}", "[]", '{"weight_map": {}}', "{"])
def test_an_index_of_shards_that_names_none(checkpoint: Path, text: str) -> None:
    shard(checkpoint / f"{UNET}.safetensors")
    (checkpoint / f"{UNET}.safetensors.index.json").write_text(text)
    with pytest.raises(
        Refused, match=r"unet/diffusion_pytorch_model.safetensors.index.json (names no shards|is not JS)"
    ):
        chosen(checkpoint)


@pytest.mark.parametrize("suffix", [".bin", ".ckpt", ".pt", ".pth"])
def test_pickled_weights_are_refused_by_name(checkpoint: Path, suffix: str) -> None:
    file = checkpoint / f"{UNET}.safetensors"
    file.rename(file.with_suffix(suffix))
    with pytest.raises(Refused, match=rf"m: .*/unet/diffusion_pytorch_model\{suffix} is refused: .* safetensors only"):
        chosen(checkpoint)


def test_missing_weights_and_components(checkpoint: Path) -> None:
    (checkpoint / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(Refused, match=r"/vae holds no weights"):
        chosen(checkpoint)
    shutil.rmtree(checkpoint / "unet")
    with pytest.raises(Refused, match="the component unet is missing"):
        chosen(checkpoint)


def test_code_of_its_own_is_refused(checkpoint: Path) -> None:
    index = json.loads((checkpoint / "model_index.json").read_text())
    index["unet"] = ["my_unet", "MyUNet"]
    (checkpoint / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(Refused, match=r"the component unet of .* is code of its own \(my_unet\)"):
        chosen(checkpoint)


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
        chosen(tmp_path)


def test_a_single_file_is_no_checkpoint(tmp_path: Path) -> None:
    file = tmp_path / "sdxl.safetensors"
    file.touch()
    with pytest.raises(Refused, match="is a single file"):
        local_listing(file, owner="m")


def test_the_linked_folder_holds_exactly_the_chosen_files(checkpoint: Path) -> None:
    add_variant(checkpoint)
    add_strays(checkpoint)
    files = chosen(checkpoint, "fp16")
    with linked(checkpoint, files) as folder:
        there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        assert there == set(files.links)
        assert (folder / f"{UNET}.safetensors").resolve() == checkpoint / f"{UNET}.fp16.safetensors"
    assert not folder.exists()


@pytest.mark.parametrize("name", ["/tmp/elsewhere", "../elsewhere", "a/b", "a\0b", "", "."])
def test_a_component_whose_name_would_be_a_path(checkpoint: Path, name: str) -> None:
    index = checkpoint / "model_index.json"
    index.write_text(json.dumps({**json.loads(index.read_text()), name: ["diffusers", "UNet2DConditionModel"]}))
    with pytest.raises(Refused, match=r"model_index\.json names a component .*, which is no name of one"):
        chosen(checkpoint)


@pytest.mark.parametrize("text", ["[" * 100_000, "{", "\udcff", '{"a": 1' + "0" * 5000 + "}"])
@pytest.mark.parametrize("file", ["model_index.json", f"{UNET}.safetensors.index.json"])
def test_json_that_cannot_be_read(checkpoint: Path, file: str, text: str) -> None:
    shard(checkpoint / f"{UNET}.safetensors")
    (checkpoint / file).write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(Refused, match=r"json is not JSON"):
        chosen(checkpoint)
