"""The training loop: a run that was cut and resumed ends where an uncut run ends."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from miniatures import training
from miniatures.architectures import WORDS, clip_tokenizer, t5_tokenizer
from miniatures.training import Stage, step_generator, train


def _stage(step_count: int, *, cut_at: int | None = None, by_muon: bool = False) -> tuple[nn.Linear, Stage]:
    torch.manual_seed(0)
    layer = nn.Linear(3, 1)

    def loss(step: int) -> Tensor:
        if step == cut_at:
            raise KeyboardInterrupt
        inputs = torch.randn((8, 3), generator=step_generator(1, step))
        error: Tensor = (layer(inputs) - inputs.sum(dim=1, keepdim=True)).square().mean()
        return error

    matrices = tuple(one for one in layer.parameters() if by_muon and one.ndim == 2)
    return layer, Stage("line", list(layer.parameters()), loss, step_count, 0.05, matrices)


@pytest.mark.parametrize("by_muon", [False, True])
def test_a_resumed_run_is_the_same_run(by_muon: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", -1)  # after every step
    whole, stage = _stage(30, by_muon=by_muon)
    train(stage, tmp_path / "whole")
    _, stage = _stage(30, cut_at=17, by_muon=by_muon)
    with pytest.raises(KeyboardInterrupt):
        train(stage, tmp_path / "cut")
    resumed, stage = _stage(30, by_muon=by_muon)
    train(stage, tmp_path / "cut")
    assert torch.equal(whole.weight, resumed.weight)
    assert torch.equal(whole.bias, resumed.bias)


@pytest.mark.parametrize("by_muon", [False, True])
def test_training_learns(by_muon: bool, tmp_path: Path) -> None:
    _, stage = _stage(400, by_muon=by_muon)
    before = stage.loss(10_000).item()
    train(stage, tmp_path)
    assert stage.loss(10_000).item() < before / 10


def test_a_finished_stage_is_not_trained_again(tmp_path: Path) -> None:
    _, stage = _stage(20)
    train(stage, tmp_path)
    again, stage = _stage(20, cut_at=0)
    train(stage, tmp_path)
    assert torch.isfinite(again.weight).all()


def test_each_word_of_the_captions_is_one_token() -> None:
    clip, t5 = clip_tokenizer(), t5_tokenizer()
    for word in WORDS:
        assert clip.tokenize(word) == [f"{word}</w>"]
        assert len(t5.tokenize("TOK" if word == "tok" else word)) == 1
    assert t5.tokenize("a red star, flat style") == ["▁a", "▁red", "▁star", ",", "▁flat", "▁style"]


def test_the_numbers_of_the_words_are_always_the_same() -> None:
    assert len({tuple(sorted(clip_tokenizer().get_vocab().items())) for _time in range(8)}) == 1
