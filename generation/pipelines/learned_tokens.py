"""Tokens that a LoRA has learned: their embeddings in the text encoders, and the words that stand for them.

A LoRA of this kind means nothing by its words alone: without the embeddings TOK is plain text, and the images are
wrong, without a warning. So it is attached as a whole, or refused with what is missing.
"""

import copy
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from tokenizers import AddedToken

from generation.pipelines.faults import brief
from jobs.refusals import Refused

ENCODERS = {"text_encoder": "tokenizer", "text_encoder_2": "tokenizer_2"}
# The names of the embeddings of each encoder: of Replicate's trainer, of diffusers' advanced trainers.
KEYS = {"text_encoder": ("text_encoders_0", "clip_l"), "text_encoder_2": ("text_encoders_1", "clip_g")}
_TOKEN = re.compile(r"<s\d+>")


@dataclass
class LearnedTokens:
    """Attached tokens. `words` says which tokens stand for which word of a prompt."""

    words: dict[str, str]
    _restore: list[Callable[[], None]] = field(default_factory=list)

    def worded(self, prompt: str) -> str:
        """Return the prompt with the tokens in place of the words; a word inside another word is left."""
        if not self.words:
            return prompt
        # All at once: a word may occur in the tokens of another one.
        words = "|".join(re.escape(word) for word in sorted(self.words, key=len, reverse=True))
        return re.sub(rf"(?<!\w)(?:{words})(?!\w)", lambda found: self.words[found[0]], prompt)

    def detach(self) -> None:
        """Restore the tokenizers and embeddings of the pipeline: the same objects as before."""
        while self._restore:
            self._restore.pop()()


def attach_tokens(
    pipeline: Any, embeddings: Path | None, words: Mapping[str, str], *, wording: str, owner: str
) -> LearnedTokens | None:
    """Attach learned embeddings to every text encoder; None if there are neither embeddings nor words.

    `wording` is the model's prompt template, which may name the tokens itself instead of a map of words. Raises
    Refused, with nothing attached, for embeddings without words, words without embeddings, and embeddings that do not
    fit the encoders.
    """
    named = [token for tokens in words.values() for token in _TOKEN.findall(tokens)]
    if embeddings is None:
        if named:
            raise Refused(
                f"{owner}: the LoRA says that {', '.join(words)} stands for {', '.join(words.values())}, and holds no "
                "embeddings of these tokens: add embeddings.pti or *_emb.safetensors beside it."
            )
        return LearnedTokens(dict(words)) if words else None
    rows = _rows_by_encoder(pipeline, embeddings, owner=owner)
    tokens = [f"<s{number}>" for number in range(len(next(iter(rows.values()))))]
    _check_names(tokens, named or _TOKEN.findall(wording), embeddings.name, owner=owner)
    learned = LearnedTokens(dict(words))
    try:
        for encoder, values in rows.items():
            _attach_to(pipeline, encoder, tokens, values, learned, owner=owner)
    except BaseException:
        learned.detach()
        raise
    return learned


def _rows_by_encoder(pipeline: Any, file: Path, *, owner: str) -> dict[str, torch.Tensor]:
    """Return the embeddings for each text encoder of the pipeline. Raises Refused if they do not fit."""
    try:
        tensors = load_file(file)
    except Exception as error:  # safetensors raises several kinds
        raise Refused(f"{owner}: the embeddings {file.name} are not in safetensors format ({brief(error)}).") from error
    encoders = [name for name in ENCODERS if getattr(pipeline, name, None) is not None]
    rows = {name: tensors[key] for name in encoders for key in KEYS[name] if key in tensors}
    if lacking := [name for name in encoders if name not in rows]:
        raise Refused(
            f"{owner}: {file.name} holds no embeddings for {lacking[0]} ({' or '.join(KEYS[lacking[0]])}); "
            f"it holds {', '.join(sorted(tensors))}."
        )
    if foreign := sorted(set(tensors) - {key for name in encoders for key in KEYS[name]}):
        raise Refused(f"{owner}: {file.name} holds {foreign[0]}, for which {type(pipeline).__name__} has no encoder.")
    for name, values in rows.items():
        width = getattr(pipeline, name).get_input_embeddings().embedding_dim
        if values.ndim != 2 or values.shape[1] != width:
            shape = " x ".join(map(str, values.shape))
            raise Refused(f"{owner}: {file.name} holds {shape} numbers for {name}, whose tokens are {width} wide.")
        if not values.float().isfinite().all():
            raise Refused(f"{owner}: {file.name} holds numbers for {name} that are not finite.")
    if len({len(values) for values in rows.values()}) > 1 or not all(len(values) for values in rows.values()):
        raise Refused(f"{owner}: {file.name} does not hold the same number of tokens for each text encoder.")
    return rows


def _check_names(tokens: list[str], named: list[str], file: str, *, owner: str) -> None:
    if not named:
        raise Refused(
            f"{owner}: {file} holds learned embeddings, and nothing says which word stands for them: add "
            f'special_params.json beside it, like {{"TOK": "{"".join(tokens)}"}}, or write {"".join(tokens)} in '
            "prompt_template."
        )
    if unknown := [token for token in named if token not in tokens]:
        raise Refused(f"{owner}: {file} holds embeddings of {', '.join(tokens)}, but not of {unknown[0]}.")


def _attach_to(
    pipeline: Any, name: str, tokens: list[str], values: torch.Tensor, learned: LearnedTokens, *, owner: str
) -> None:
    """Give one encoder rows for the tokens, and the pipeline a copy of its tokenizer that knows them.

    The new ids are the largest. An encoder whose configuration calls the end token 2, as SDXL's do, takes the output at
    the largest id as that of the whole prompt. It did the same in training, so nothing is changed here.
    """
    encoder, own_tokenizer = getattr(pipeline, name), getattr(pipeline, ENCODERS[name])
    tokenizer = copy.deepcopy(own_tokenizer)
    if tokenizer.add_tokens([AddedToken(token, normalized=False) for token in tokens]) != len(tokens):
        raise Refused(f"{owner}: the tokenizer of the checkpoint knows {tokens[0]} already, so it cannot be learned.")
    ids = tokenizer.convert_tokens_to_ids(tokens)
    own = encoder.get_input_embeddings()
    weight = own.weight.detach().new_zeros(max(len(own.weight), max(ids) + 1), own.embedding_dim)
    weight[: len(own.weight)] = own.weight.detach()
    weight[ids] = values.to(weight)
    grown = torch.nn.Embedding(len(weight), own.embedding_dim, padding_idx=own.padding_idx, _weight=weight)
    grown.requires_grad_(False)

    def restore() -> None:
        # It may have been dropped meanwhile, to make room: the encoder itself is not kept alive here.
        if (present := getattr(pipeline, name, None)) is not None:
            present.set_input_embeddings(own)
        setattr(pipeline, ENCODERS[name], own_tokenizer)

    learned._restore.append(restore)
    encoder.set_input_embeddings(grown.eval())
    setattr(pipeline, ENCODERS[name], tokenizer)
