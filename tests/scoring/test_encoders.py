"""Image encoders compared with direct calls of transformers, and faulty checkpoints."""

import itertools
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from jobs.refusals import Refused
from scoring.consistency import semantic_consistency_score
from scoring.encoder_spec import EncoderSpec
from scoring.encoders import loading
from scoring.encoders.loading import ARCHITECTURES, load
from tests.scoring.embedded_sets import ColourEncoder, picture, score_by_double_loop

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def _forget_what_was_loaded() -> None:
    load.cache_clear()


@pytest.fixture
def clip_copy(tiny_encoders: Path, tmp_path: Path) -> Path:
    """A CLIP checkpoint to damage."""
    return Path(shutil.copytree(tiny_encoders / "clip", tmp_path / "clip"))


def spec_of(kind: Any, folder: Path) -> EncoderSpec:
    return EncoderSpec(kind=kind, checkpoint=str(folder / kind))


def edit_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


# --- what an embedding is -----------------------------------------------------------------------
def clip_by_hand(folder: Path, images: Sequence[Image.Image]) -> NDArray[np.float32]:
    """CLIP's image features step by step, with none of transformers' image processing."""
    from transformers import CLIPModel

    model = CLIPModel.from_pretrained(folder).eval()
    mean, deviation = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    rows = []
    for image in images:
        scale = 32 / min(image.size)
        width, height = (int(side * scale) for side in image.size)
        left, top = (width - 32) // 2, (height - 32) // 2
        square = image.resize((width, height), Image.Resampling.BICUBIC).crop((left, top, left + 32, top + 32))
        pixels = (np.asarray(square, np.float64) / 255 - mean) / deviation
        with torch.no_grad():
            seen = model.vision_model(torch.tensor(pixels.transpose(2, 0, 1)[None], dtype=torch.float32))
            rows.append(model.visual_projection(seen.pooler_output)[0].numpy())
    return np.array(rows)


def test_clip_gives_the_projected_image_features_not_normalised(tiny_encoders: Path) -> None:
    images = [picture(seed) for seed in range(5)]
    encoder = load(spec_of("clip", tiny_encoders))

    embeddings, expected = encoder.embed(images), clip_by_hand(tiny_encoders / "clip", images)

    np.testing.assert_allclose(embeddings, expected, atol=1e-5)
    assert np.abs(np.linalg.norm(embeddings, axis=1) - 1).min() > 0.01
    assert semantic_consistency_score(embeddings) == pytest.approx(score_by_double_loop(expected), abs=1e-4)


def test_siglip_gives_the_pooled_image_features(tiny_encoders: Path) -> None:
    from transformers import SiglipImageProcessorPil, SiglipVisionModel

    folder, images = tiny_encoders / "siglip", [picture(seed) for seed in range(3)]
    model, processor = SiglipVisionModel.from_pretrained(folder).eval(), SiglipImageProcessorPil.from_pretrained(folder)
    with torch.no_grad():
        expected = model(**processor(images, return_tensors="pt")).pooler_output.numpy()
    np.testing.assert_allclose(load(spec_of("siglip", tiny_encoders)).embed(images), expected, atol=1e-5)


def test_dinov2_gives_the_class_token(tiny_encoders: Path) -> None:
    from transformers import BitImageProcessorPil, Dinov2Model

    folder, images = tiny_encoders / "dinov2", [picture(seed) for seed in range(3)]
    model, processor = Dinov2Model.from_pretrained(folder).eval(), BitImageProcessorPil.from_pretrained(folder)
    with torch.no_grad():
        expected = model(**processor(images, return_tensors="pt")).last_hidden_state[:, 0].numpy()
    np.testing.assert_allclose(load(spec_of("dinov2", tiny_encoders)).embed(images), expected, atol=1e-5)


def test_dinov3_gives_the_class_token_of_images_prepared_as_its_own_processor_does(tiny_encoders: Path) -> None:
    """Its own processor scales to 0 .. 1, resizes with antialiasing, normalises; here by torch, without torchvision."""
    from transformers import DINOv3ViTModel

    folder, images = tiny_encoders / "dinov3", [picture(seed) for seed in range(3)]
    mean, deviation = (torch.tensor(row)[:, None, None] for row in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    model, rows = DINOv3ViTModel.from_pretrained(folder).eval(), []
    for image in images:
        pixels = torch.tensor(np.asarray(image.convert("RGB"), np.float32) / 255).permute(2, 0, 1)[None]
        resized = torch.nn.functional.interpolate(pixels, (32, 32), mode="bilinear", antialias=True)
        with torch.no_grad():
            rows.append(model(pixel_values=(resized - mean) / deviation).last_hidden_state[0, 0].numpy())
    embeddings = load(spec_of("dinov3", tiny_encoders)).embed(images)
    np.testing.assert_allclose(embeddings, np.array(rows), atol=0.02)
    assert semantic_consistency_score(embeddings) == pytest.approx(score_by_double_loop(np.array(rows)), abs=0.05)


@pytest.mark.parametrize("kind", [*ARCHITECTURES, "colour"])
def test_every_encoder_keeps_what_the_protocol_says(kind: str, tiny_encoders: Path) -> None:
    """The encoder that other tests use in place of a real one is held to the same."""
    encoder = ColourEncoder() if kind == "colour" else load(spec_of(kind, tiny_encoders))
    images = [picture(1), picture(2, size=(90, 33)), picture(3, size=(7, 64))]

    embeddings = encoder.embed(images)

    assert embeddings.dtype == np.float32
    assert embeddings.shape == (3, embeddings.shape[1])
    assert encoder.embed([]).shape == (0, embeddings.shape[1])
    np.testing.assert_array_equal(encoder.embed(images), embeddings)
    np.testing.assert_allclose(encoder.embed(images[::-1]), embeddings[::-1], atol=1e-5)
    assert encoder.identity == encoder.spec.identity
    assert len(encoder.fingerprint) == 64
    json.dumps(encoder.provenance)


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_the_size_of_the_batch_matters_by_rounding_only(
    kind: str, tiny_encoders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, embeddings = [picture(seed) for seed in range(7)], {}
    for size in (1, 2, 5, 32):
        load.cache_clear()
        monkeypatch.setattr(loading, "BATCH_SIZE", size)
        embeddings[size] = load(spec_of(kind, tiny_encoders)).embed(images)
    for size in (1, 2, 5):
        distance = np.linalg.norm(embeddings[size] - embeddings[32], axis=1)
        assert (distance <= 1e-5 * np.linalg.norm(embeddings[32], axis=1)).all()


@pytest.mark.parametrize("kind", ARCHITECTURES)
@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK"])
def test_any_mode_of_image_is_taken(kind: str, mode: str, tiny_encoders: Path) -> None:
    encoder, image = load(spec_of(kind, tiny_encoders)), picture(1).convert(mode)
    np.testing.assert_array_equal(encoder.embed([image]), encoder.embed([image.convert("RGB")]))


def test_records_how_images_are_prepared_and_what_ran(tiny_encoders: Path) -> None:
    encoder = load(spec_of("clip", tiny_encoders))
    provenance = encoder.provenance
    assert provenance["processor"] == "CLIPImageProcessorPil"
    assert provenance["processor_backend"] == "pil"
    assert provenance["dtype"] == "float32"
    assert provenance["versions"]["torch"] == torch.__version__
    assert provenance["sha256"] == encoder.fingerprint


# --- preparation on tensors -----------------------------------------------------------------------
@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_prepared_on_tensors_the_pixels_and_the_score_are_those_of_pil(kind: Any, tiny_encoders: Path) -> None:
    """Reduced, enlarged, wide, tall; whole factors too, where the rounding of halves decides."""
    sizes = [(768, 768), (301, 200), (64, 257), (20, 24), (96, 32)]
    images = [picture(seed, size=sizes[seed % len(sizes)]) for seed in range(10)]
    usual = spec_of(kind, tiny_encoders)
    by_pil: Any = load(usual)
    pixels, score = [by_pil._prepare(one) for one in images], semantic_consistency_score(by_pil.embed(images))
    by_tensor: Any = load(replace(usual, preparation="tensor"))
    others = [by_tensor._prepare(one) for one in images]

    for ours, theirs in zip(others, pixels, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert semantic_consistency_score(by_tensor.embed(images)) == pytest.approx(score, abs=1e-4)


def test_preparation_on_tensors_is_an_encoder_of_its_own(tiny_encoders: Path) -> None:
    usual = spec_of("clip", tiny_encoders)
    provenance = load(replace(usual, preparation="tensor")).provenance
    assert provenance["processor_backend"] == "tensor"
    assert replace(usual, preparation="tensor").identity == "clip+tensor:clip" != usual.identity


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"do_resize": False}, "it does not resize every image to one size"),
        ({"crop_size": {"height": 64, "width": 64}}, "it crops images to more than their size"),
    ],
)
def test_steps_that_tensors_do_not_follow_are_refused(changes: dict[str, Any], sentence: str, clip_copy: Path) -> None:
    edit_json(clip_copy / "preprocessor_config.json", **changes)
    with pytest.raises(Refused, match=f"cannot be followed on tensors: {sentence}. Leave preparation out"):
        load(EncoderSpec(checkpoint=str(clip_copy), preparation="tensor"))


# --- memory -------------------------------------------------------------------------------------
class SmallMemory:
    """A stand-in for a device with memory for `limit` images; it records its batches."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
        self.batches: list[int] = []
        whole = loading._LoadedEncoder._embed_batch

        def embed_batch(encoder: Any, batch: Sequence[Image.Image]) -> Any:
            self.batches.append(len(batch))
            if len(batch) > limit:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return whole(encoder, batch)

        monkeypatch.setattr(loading._LoadedEncoder, "_embed_batch", embed_batch)


def test_halves_the_batch_until_it_fits_and_remembers(tiny_encoders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = [picture(seed) for seed in range(9)]
    expected = load(spec_of("clip", tiny_encoders)).embed(images)
    load.cache_clear()
    monkeypatch.setattr(loading, "BATCH_SIZE", 8)
    encoder, memory = load(spec_of("clip", tiny_encoders)), SmallMemory(monkeypatch, limit=3)

    np.testing.assert_allclose(encoder.embed(images), expected, atol=1e-5)
    assert memory.batches == [8, 4, 2, 2, 2, 2, 1]
    memory.batches.clear()
    encoder.embed(images[:3])
    assert memory.batches == [2, 1]


def test_says_that_the_memory_does_not_hold_one_image(tiny_encoders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, sentence = load(spec_of("clip", tiny_encoders)), "memory of .* does not hold clip:clip and one image"
    SmallMemory(monkeypatch, limit=0)
    with pytest.raises(Refused, match=sentence):
        encoder.embed([picture(1)])
    load.cache_clear()
    with pytest.raises(Refused, match=sentence):
        load(spec_of("clip", tiny_encoders))


# --- which checkpoint ---------------------------------------------------------------------------
def test_is_loaded_once_in_a_process(tiny_encoders: Path) -> None:
    assert load(spec_of("clip", tiny_encoders)) is load(spec_of("clip", tiny_encoders))


def test_the_same_files_elsewhere_have_the_same_fingerprint(tiny_encoders: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(tiny_encoders / "clip", tmp_path / "other-name"))
    (moved / "README.md").write_text("a file that decides nothing")
    first = load(spec_of("clip", tiny_encoders)).fingerprint
    assert load(EncoderSpec(checkpoint=str(moved))).fingerprint == first


@pytest.mark.parametrize("changed", ["weights", "preprocessing"])
def test_other_weights_or_preprocessing_have_another_fingerprint(changed: str, clip_copy: Path) -> None:
    before = load(EncoderSpec(checkpoint=str(clip_copy))).fingerprint
    if changed == "weights":
        from transformers import CLIPModel

        model = CLIPModel.from_pretrained(clip_copy)
        with torch.no_grad():
            model.visual_projection.weight.add_(0.5)
        model.save_pretrained(clip_copy)
    else:
        edit_json(clip_copy / "preprocessor_config.json", image_mean=[0.5, 0.5, 0.5])
    load.cache_clear()
    assert load(EncoderSpec(checkpoint=str(clip_copy))).fingerprint != before


def test_weights_in_several_files(tiny_encoders: Path, clip_copy: Path) -> None:
    from transformers import CLIPModel

    whole = load(spec_of("clip", tiny_encoders)).embed([picture(1)])
    model = CLIPModel.from_pretrained(clip_copy)
    (clip_copy / "model.safetensors").unlink()
    model.save_pretrained(clip_copy, max_shard_size="40KB")
    assert (clip_copy / "model.safetensors.index.json").exists()

    encoder = load(EncoderSpec(checkpoint=str(clip_copy)))

    # Not to the last bit: weights that lie elsewhere in memory are added up in another order.
    np.testing.assert_allclose(encoder.embed([picture(1)]), whole, atol=1e-5)
    assert len(list(clip_copy.glob("model-*.safetensors"))) > 1


@pytest.fixture
def hub_cache(tiny_encoders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's local cache without a network; it holds owner/clip at COMMIT."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return Path(
        shutil.copytree(tiny_encoders / "clip", tmp_path / "hub" / "models--owner--clip" / "snapshots" / COMMIT)
    )


def test_a_pinned_hub_id_in_the_local_cache_needs_no_network(hub_cache: Path, tiny_encoders: Path) -> None:
    encoder = load(EncoderSpec(checkpoint="owner/clip", revision=COMMIT))
    assert encoder.identity == f"clip:owner/clip@{COMMIT}"
    assert encoder.fingerprint == load(spec_of("clip", tiny_encoders)).fingerprint


@pytest.mark.parametrize("lost", ["model.safetensors", "config.json", "preprocessor_config.json"])
def test_a_cache_that_lacks_a_file_is_not_taken_for_the_checkpoint(lost: str, hub_cache: Path) -> None:
    (hub_cache / lost).unlink()
    with pytest.raises(Refused, match="is not on this machine, and HF_HUB_OFFLINE forbids"):
        load(EncoderSpec(checkpoint="owner/clip", revision=COMMIT))


@pytest.mark.parametrize("revision", ["", "main", "v1.0", COMMIT[:12]])
def test_a_hub_id_needs_a_pinned_commit_even_where_it_is_cached(hub_cache: Path, revision: str) -> None:
    with pytest.raises(Refused, match="the commit of 40 digits"):
        load(EncoderSpec(checkpoint="owner/clip", revision=revision))


def test_a_hub_id_out_of_reach_is_one_sentence(hub_cache: Path) -> None:
    with pytest.raises(Refused) as caught:
        load(EncoderSpec(checkpoint="owner/elsewhere", revision=COMMIT))
    assert str(caught.value).startswith(f"The image encoder: owner/elsewhere at {COMMIT} is not on this machine, and ")
    assert "\n" not in str(caught.value)


# --- what can be wrong with a folder ------------------------------------------------------------
def pickle_the_weights(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def cut_the_weights(folder: Path) -> None:
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[: len(data) // 2])


def leave_out_the_projection(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    del tensors["visual_projection.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def index_a_file_that_is_not_there(folder: Path) -> None:
    index = {"metadata": {}, "weight_map": {"visual_projection.weight": "model-00001-of-00001.safetensors"}}
    index_by(folder, json.dumps(index))


def index_by(folder: Path, text: str) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_bytes(text.encode(errors="surrogateescape"))


FAULTS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "pickled weights": (pickle_the_weights, "holds no model.safetensors: weights are read as safetensors only"),
    "half a file": (cut_the_weights, "cannot be loaded: "),
    "a tensor left out": (leave_out_the_projection, "lack visual_projection.weight"),
    **{
        f"an index that says nothing: {text[:20]!r}": (partial(index_by, text=text), "names no files of weights")
        for text in ("[" * 100_000, "\udcff", "[]", '{"weight_map": []}')
    },
    "a part left out": (index_a_file_that_is_not_there, "holds no model-00001-of-00001.safetensors"),
    "no configuration": (lambda folder: (folder / "config.json").unlink(), "holds no config.json"),
    "a broken configuration": (lambda folder: (folder / "config.json").write_text("{"), "cannot be read as JSON"),
    "a list for a configuration": (lambda folder: (folder / "config.json").write_text("[]"), "hold a JSON object"),
    "no processor": (
        lambda folder: (folder / "preprocessor_config.json").unlink(),
        "holds no preprocessor_config.json",
    ),
    "another architecture": (
        lambda folder: edit_json(folder / "config.json", model_type="align"),
        "is a checkpoint of the architecture align, not clip",
    ),
    "a processor of another size": (
        lambda folder: edit_json(folder / "preprocessor_config.json", crop_size={"height": 24, "width": 24}),
        "image processor of .* does not fit its model",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_checkpoint_is_one_sentence_that_names_it(fault: str, clip_copy: Path) -> None:
    break_it, sentence = FAULTS[fault]
    break_it(clip_copy)
    with pytest.raises(Refused, match=sentence) as caught:
        load(EncoderSpec(checkpoint=str(clip_copy)))
    assert str(clip_copy) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("kind", "other"), list(itertools.permutations(ARCHITECTURES, 2)))
def test_a_checkpoint_of_another_kind_is_refused(kind: Any, other: str, tiny_encoders: Path) -> None:
    of = {one: ARCHITECTURES[one].model_type for one in (kind, other)}
    with pytest.raises(Refused, match=f"architecture {of[other]}, not {of[kind]}"):
        load(EncoderSpec(kind=kind, checkpoint=str(tiny_encoders / other)))


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"there is no .*nowhere"):
        load(EncoderSpec(checkpoint=str(tmp_path / "nowhere")))


def test_a_local_folder_has_no_revision(clip_copy: Path) -> None:
    with pytest.raises(Refused, match="leave the revision out"):
        load(EncoderSpec(checkpoint=str(clip_copy), revision=COMMIT))
