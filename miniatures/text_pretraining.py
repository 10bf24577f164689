"""Pretrain mini-pixart's T5 encoder on the words of the captions, before the training with pictures."""

import torch
from torch import Tensor, nn
from transformers import CLIPModel, CLIPTokenizer, T5EncoderModel, T5Tokenizer

from miniatures.denoising import T5_TOKENS
from miniatures.training import Stage, device, mixed_precision, step_generator

SEED = 16
BATCH = 128


def t5_stage(
    encoder: T5EncoderModel,
    tokenizer: T5Tokenizer,
    captions: tuple[str, ...],
    teacher: tuple[CLIPModel, CLIPTokenizer],
    *,
    step_count: int,
) -> Stage:
    """Train the mean of a caption's states to predict mini-clip's embedding of it through a linear map."""
    different = list(dict.fromkeys(captions))
    wanted = _embeddings(*teacher, different).to(device())
    tokens = tokenizer(different, padding="max_length", max_length=T5_TOKENS, truncation=True, return_tensors="pt")
    to_wanted = nn.Linear(encoder.config.d_model, wanted.shape[1]).to(device())
    encoder.to(device()).train()

    def loss(step: int) -> Tensor:
        chosen = torch.randint(len(different), (BATCH,), generator=step_generator(SEED, step))
        mask = tokens["attention_mask"][chosen].to(device())
        with mixed_precision():
            states = encoder(tokens["input_ids"][chosen].to(device()), attention_mask=mask)[0]
        mean = (states.float() * mask[..., None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)
        return 1 - nn.functional.cosine_similarity(to_wanted(mean), wanted[chosen]).mean()

    return Stage("t5", [*encoder.parameters(), *to_wanted.parameters()], loss, step_count, 2e-3)


@torch.no_grad()
def _embeddings(model: CLIPModel, tokenizer: CLIPTokenizer, captions: list[str]) -> Tensor:
    model.eval()
    parts = [
        tokenizer(captions[at : at + 512], padding=True, return_tensors="pt") for at in range(0, len(captions), 512)
    ]
    return torch.cat([model.get_text_features(**part).pooler_output for part in parts])
