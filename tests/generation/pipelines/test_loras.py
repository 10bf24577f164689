"""LoRAs: the paper's kind with learned tokens, other layouts, and what is refused; the pipeline is given back whole."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from generation.models import DiffusionModel
from generation.pipelines.learned_tokens import LearnedTokens
from generation.pipelines.loaded import Loaded
from generation.pipelines.loading import load
from generation.plans.orders import Order
from generation.sampling import sampling
from jobs.refusals import Refused
from tests.generation.planned_sets import SMALL

WIDTH, RANK = 16, 4
State = dict[str, torch.Tensor]


@pytest.fixture(scope="module", autouse=True)
def loaded_anew() -> Iterator[None]:
    """No pipeline is cached before or after these tests, which change its parts."""
    Loaded.cached = None
    yield
    Loaded.cached = None


@pytest.fixture(scope="module")
def sdxl(tiny_models: Path) -> DiffusionModel:
    return DiffusionModel(name="sdxl", checkpoint=str(tiny_models / "sdxl"))


@pytest.fixture(scope="module")
def plain(sdxl: DiffusionModel) -> list[bytes]:
    """The images of the checkpoint alone."""
    return images(sdxl)


@pytest.fixture
def paper(tiny_models: Path, sdxl: DiffusionModel, tmp_path: Path) -> DiffusionModel:
    """A LoRA as Replicate's SDXL trainer writes it, whose folder a test may change."""
    folder = tmp_path / "monet-lora"
    folder.mkdir()
    save_file(processor_weights(load(sdxl).pipeline.unet), folder / "lora.safetensors")
    save_file(learned("text_encoders_0", "text_encoders_1"), folder / "embeddings.pti")
    (folder / "special_params.json").write_text('{"TOK": "<s0><s1>"}')
    return DiffusionModel(name="paper", checkpoint=sdxl.checkpoint, lora=str(folder), lora_scale=0.6)


def processor_weights(unet: Any) -> State:
    """Weights by the names of the attention processors, from the UNet on."""
    torch.manual_seed(5)
    state: State = {}
    for name in unet.attn_processors:
        attention = unet.get_submodule(name.removesuffix(".processor"))
        for part in ("to_q", "to_k", "to_v", "to_out"):
            layer = attention.to_out[0] if part == "to_out" else getattr(attention, part)
            layer = getattr(layer, "base_layer", layer)
            state[f"{name}.{part}_lora.down.weight"] = torch.randn(RANK, layer.in_features)
            state[f"{name}.{part}_lora.up.weight"] = torch.randn(layer.out_features, RANK) / 4
    return state


def learned(*keys: str, count: int = 2, width: int = WIDTH) -> State:
    torch.manual_seed(6)
    return {key: torch.randn(count, width) for key in keys}


def images(model: DiffusionModel, prompt: str = "a cube in the style of TOK") -> list[bytes]:
    made = sampling.sample(Order(model, prompt, SMALL), [1, 2], check=lambda: None)
    return [one.image.tobytes() for one in made]


def parts(model: DiffusionModel) -> dict[str, Any]:
    """The tokenizers of a model's pipeline, and the weights of its encoders and UNet."""
    pipeline = load(model).pipeline
    weights = {
        f"{part}.{name}": tensor.clone()
        for part in ("text_encoder", "text_encoder_2", "unet")
        for name, tensor in getattr(pipeline, part).state_dict().items()
    }
    # torch computes by another path with a weight that could be trained, whether or not it is.
    trainable = [name for name, weight in pipeline.unet.named_parameters() if weight.requires_grad]
    return {"tokenizers": (pipeline.tokenizer, pipeline.tokenizer_2), "weights": weights, "trainable": trainable}


def test_the_token_changes_images_and_leaves_no_trace(sdxl: DiffusionModel, paper: DiffusionModel) -> None:
    before, plain = parts(sdxl), images(sdxl)
    vocabulary = len(before["tokenizers"][0])
    with_token, without = images(paper), images(paper, "a cube in the style of a cat")
    pipeline = load(paper).pipeline
    assert pipeline.tokenizer("<s0><s1>", add_special_tokens=False).input_ids == [vocabulary, vocabulary + 1]
    grown = pipeline.text_encoder_2.get_input_embeddings().weight
    assert torch.equal(grown[vocabulary:], learned("text_encoders_0", "text_encoders_1")["text_encoders_1"])
    # The same weights alone: TOK is plain text, and other prompts have the same images.
    for name in ("embeddings.pti", "special_params.json"):
        (Path(paper.lora) / name).unlink()
    load(sdxl)
    assert images(paper, "a cube in the style of a cat") == without
    assert images(paper) not in (with_token, plain)
    after = parts(sdxl)
    assert images(sdxl) == plain
    assert all(one is other for one, other in zip(after["tokenizers"], before["tokenizers"], strict=True))
    assert len(after["tokenizers"][0]) == vocabulary
    assert after["trainable"] == before["trainable"] == []
    assert after["weights"].keys() == before["weights"].keys()
    assert all(torch.equal(after["weights"][name], tensor) for name, tensor in before["weights"].items())


def test_each_weight_comes_to_its_layer(paper: DiffusionModel) -> None:
    state = load_file(Path(paper.lora) / "lora.safetensors")
    unet = load(paper).pipeline.unet
    for key, tensor in state.items():
        layer, part, half = re.fullmatch(r"(.*)\.processor\.(to_\w+)_lora\.(up|down)\.weight", key).groups()  # type: ignore[union-attr]
        adapted = unet.get_submodule(f"{layer}.{'to_out.0' if part == 'to_out' else part}")
        assert torch.equal((adapted.lora_A if half == "down" else adapted.lora_B)["study"].weight, tensor)
        assert adapted.scaling["study"] == pytest.approx(0.6)


@pytest.mark.parametrize("prefix", ["", "unet."])
def test_the_names_of_processors_with_and_without_a_prefix(
    sdxl: DiffusionModel, paper: DiffusionModel, prefix: str
) -> None:
    wanted = images(paper)
    file = Path(paper.lora) / "lora.safetensors"
    save_file({f"{prefix}{key}": tensor for key, tensor in load_file(file).items()}, file)
    load(sdxl)  # so that the LoRA is attached anew
    assert images(paper) == wanted


def test_what_is_recorded(paper: DiffusionModel) -> None:
    made = next(iter(sampling.sample(Order(paper, "a TOK cube", SMALL), [1], check=lambda: None)))
    facts = made.provenance
    assert json.loads(json.dumps(facts)) == facts
    assert facts["lora_token_map"] == {"TOK": "<s0><s1>"}
    assert set(facts["lora_files_sha256"]) == {"lora.safetensors", "embeddings.pti", "special_params.json"}
    assert (facts["lora"], facts["lora_file"], len(facts["lora_sha256"])) == ("monet-lora", "lora.safetensors", 64)
    assert facts["prompt"] == "a TOK cube"


def test_a_word_of_the_map_is_a_whole_word(paper: DiffusionModel) -> None:
    loaded = load(paper)
    assert loaded.worded("TOK, a street in TOKYO by TOK.") == "<s0><s1>, a street in TOKYO by <s0><s1>."
    assert images(paper, "TOK")  # a prompt of nothing but learned tokens


def test_words_that_contain_one_another_are_replaced_once() -> None:
    known = LearnedTokens({"TOK": "<s0> s1", "s1": "<s1>", "TOK two": "\\1"})
    assert known.worded("TOK, TOK two, s1") == "<s0> s1, \\1, <s1>"
    assert LearnedTokens({}).worded("TOK") == "TOK"


def test_embeddings_of_the_advanced_trainers(sdxl: DiffusionModel, paper: DiffusionModel) -> None:
    wanted = images(paper)
    folder = Path(paper.lora)
    (folder / "lora.safetensors").rename(folder / "monet.safetensors")
    (folder / "embeddings.pti").unlink()
    save_file(
        dict(zip(("clip_l", "clip_g"), learned("text_encoders_0", "text_encoders_1").values(), strict=True)),
        folder / "monet_emb.safetensors",
    )
    load(sdxl)  # so that the LoRA is attached anew
    assert images(paper) == wanted
    (folder / "special_params.json").unlink()
    load(sdxl)  # so that the LoRA is attached anew
    paper.prompt_template = "{prompt}, <s0><s1>"  # the template names the tokens itself
    assert images(paper, "a cube in the style of <s0><s1>") == wanted


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def embeddings(state: State) -> Callable[[Path], None]:
    return lambda folder: save_file(state, folder / "embeddings.pti")


BOTH = ("text_encoders_0", "text_encoders_1")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            without("embeddings.pti"),
            r"TOK stands for <s0><s1>, and holds no embeddings of these tokens: add embeddings",
        ),
        (
            without("special_params.json"),
            r'nothing says which word stands for them: add special_params.json.*"<s0><s1>"',
        ),
        (embeddings(learned(*BOTH, width=24)), "2 x 24 numbers for text_encoder, whose tokens are 16 wide"),
        (embeddings(learned(*BOTH, count=1)), "holds embeddings of <s0>, but not of <s1>"),
        (
            embeddings(learned(BOTH[0])),
            r"no embeddings for text_encoder_2 \(text_encoders_1 or clip_g\); it holds text",
        ),
        (embeddings(learned(*BOTH, "t5")), "holds t5, for which StableDiffusionXLPipeline has no encoder"),
        (embeddings(learned(BOTH[0]) | learned(BOTH[1], count=3)), "not hold the same number of tokens"),
        (
            embeddings({key: torch.full((2, WIDTH), float("nan")) for key in BOTH}),
            "numbers for text_encoder that are no",
        ),
        (
            lambda folder: (folder / "embeddings.pti").write_bytes(b"\x80\x02}"),
            "embeddings.pti are not in safetensors f",
        ),
        (lambda folder: (folder / "special_params.json").write_text("[]"), "does not say which tokens stand for"),
    ],
)
def test_what_is_missing_of_the_papers_kind(
    sdxl: DiffusionModel, plain: list[bytes], paper: DiffusionModel, change: Callable[[Path], None], sentence: str
) -> None:
    change(Path(paper.lora))
    with pytest.raises(Refused, match=f"^paper: .*{sentence}"):
        load(paper)
    assert images(sdxl) == plain


def renamed(state: State) -> State:
    key = sorted(state)[0]
    return {(name.replace("attn1", "attn9") if name == key else name): tensor for name, tensor in state.items()}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda _state: {}, "holds no weights: fetch or copy it again"),
        (renamed, r"1 of its \d+ weights meet no layer, for example unet\.down_blocks.*attn9"),
        (
            lambda state: {key: torch.zeros_like(tensor) for key, tensor in state.items()},
            "changes nothing: its weights",
        ),
        (
            lambda state: {key: tensor * (0 if ".up." in key else 1) for key, tensor in state.items()},
            "changes nothing: its weights are zero",
        ),
        (lambda state: state | {sorted(state)[0]: torch.full((RANK, 16), float("inf"))}, "numbers that are not finite"),
        (
            lambda state: {key: state[key] for key in sorted(state)[1:]},
            r"is not whole: it lacks the weight unet\.down_",
        ),
        (lambda state: state | {"down_blocks.x.dora_scale": torch.ones(3)}, "is a DoRA"),
        (lambda state: state | {"down_blocks.9.attn1.processor.to_q_lora.down.weight": torch.ones(RANK, 3)}, "meet no"),
    ],
)
def test_weights_that_would_be_ignored_are_refused(
    sdxl: DiffusionModel,
    plain: list[bytes],
    paper: DiffusionModel,
    change: Callable[[State], State],
    sentence: str,
) -> None:
    file = Path(paper.lora) / "lora.safetensors"
    changed = change(load_file(file))
    for prefix in ("", "unet."):
        save_file({f"{prefix}{key}": tensor.contiguous() for key, tensor in changed.items()}, file)
        with pytest.raises(Refused, match=f"^paper: the LoRA lora.safetensors .*{sentence}"):
            load(paper)
    assert images(sdxl) == plain


def test_a_full_memory_is_no_fault_of_the_lora(
    sdxl: DiffusionModel, plain: list[bytes], paper: DiffusionModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = images(paper)
    load(sdxl)

    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with monkeypatch.context() as patch:
        patch.setattr("diffusers.StableDiffusionXLPipeline.load_lora_weights", full)
        with pytest.raises(torch.OutOfMemoryError):
            load(paper)
    assert images(sdxl) == plain
    assert images(paper) == wanted


def test_kohyas_names_and_their_scale(paper: DiffusionModel, tmp_path: Path) -> None:
    state = load_file(Path(paper.lora) / "lora.safetensors")
    folder = tmp_path / "kohya"
    folder.mkdir()
    kohya: State = {}
    for key, tensor in state.items():
        layer, part, half = re.fullmatch(r"(.*)\.processor\.(to_\w+)_lora\.(up|down)\.weight", key).groups()  # type: ignore[union-attr]
        name = f"lora_unet_{layer}.{'to_out.0' if part == 'to_out' else part}".replace(".", "_")
        kohya[f"{name}.lora_{half}.weight"] = tensor
        kohya[f"{name}.alpha"] = torch.tensor(RANK / 2)  # so each layer acts at half of its strength
    save_file(kohya, folder / "monet.safetensors")
    other = DiffusionModel(name="kohya", checkpoint=paper.checkpoint, lora=str(folder), lora_scale=0.6)
    half = images(other, "a cube")
    paper.lora_scale = 0.3
    assert images(paper, "a cube") == half
    lost = next(key for key in kohya if "attn1" in key and key.endswith("down.weight"))
    for key in (lost, lost.replace("lora_down", "lora_up"), lost.replace("lora_down.weight", "alpha")):
        kohya[key.replace("attn1", "attn9")] = kohya.pop(key)
    save_file(kohya, folder / "monet.safetensors")
    with pytest.raises(Refused, match=r"kohya: the LoRA monet.safetensors .*2 of its \d+ weights meet no layer.*attn9"):
        images(other, "a cube")


def test_one_of_several_files(paper: DiffusionModel, tmp_path: Path) -> None:
    folder = Path(paper.lora)
    wanted = images(paper)
    state = load_file(folder / "lora.safetensors")
    save_file({key: tensor * 2 for key, tensor in state.items()}, folder / "step-900.safetensors")
    assert images(paper) == wanted  # loaded already
    paper.lora_file = "step-900.safetensors"
    assert images(paper) != wanted
    paper.lora_file = "lora.safetensors"
    assert images(paper) == wanted
    paper.lora_file = "../secret.safetensors"
    with pytest.raises(Refused, match=r"has no file \.\./secret.safetensors"):
        images(paper)
    paper.lora, paper.lora_file = str(folder / "lora.safetensors"), ""
    assert images(paper) == wanted  # the file's own folder holds the rest


def test_half_precision(paper: DiffusionModel) -> None:
    paper.dtype = "bfloat16"
    rough = images(paper)
    paper.lora_scale = 0.0
    assert images(paper) != rough
