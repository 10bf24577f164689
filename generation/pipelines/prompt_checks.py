"""Check that a model's tokenizers neither truncate a prompt nor turn it into unknown tokens. Pure."""

from collections.abc import Iterable
from typing import Any

from jobs.refusals import Refused

PROBE = "a photograph of a red cube"  # any tokenizer that has its vocabulary knows most of this


def check_vocabulary(tokenizers: Iterable[Any], *, checkpoint: str, owner: str) -> None:
    """Raise Refused if a tokenizer has no vocabulary: it loads without an error, and all prompts become equal."""
    for tokenizer in tokenizers:
        if unknown_rate(tokenizer, PROBE) > 0.5:
            raise Refused(
                f"{owner}: the tokenizer {type(tokenizer).__name__} of {checkpoint} does not know plain English words; "
                "its vocabulary files seem to be missing."
            )


def check_prompt(prompt: str, tokenizers: Iterable[Any], *, most_tokens: int | None, owner: str) -> None:
    """Raise Refused if a tokenizer would truncate the prompt, or knows less than half of its characters.

    `most_tokens` is the pipeline's own limit, including the tokens that begin and end a prompt; None: the limit of
    each tokenizer.
    """
    for tokenizer in tokenizers:
        limit = min(most_tokens or tokenizer.model_max_length, tokenizer.model_max_length)
        count = len(tokenizer(prompt).input_ids)
        if count > limit:
            raise Refused(
                f"{owner} reads at most {limit} tokens and this prompt has {count}: shorten it ({_begin(prompt)})."
            )
        if prompt.strip() and unknown_rate(tokenizer, prompt) > 0.5:
            raise Refused(f"{owner} knows less than half of the signs of this prompt ({_begin(prompt)}): reword it.")


def unknown_rate(tokenizer: Any, text: str) -> float:
    """Return the share of a text's characters, spaces excluded, that are lost in its tokens.

    Counting unknown tokens is not enough: some tokenizers make one token of a whole unknown word, and a known token of
    the space before it.
    """
    tokens = tokenizer(text, add_special_tokens=False).input_ids
    kept = tokenizer.decode([token for token in tokens if token is not None], skip_special_tokens=True)
    return 1 - min(1.0, _sign_count(kept) / _sign_count(text))


def _sign_count(text: str) -> int:
    return sum(not sign.isspace() for sign in text)


def _begin(prompt: str) -> str:
    return f"“{prompt[:60]}…”" if len(prompt) > 60 else f"“{prompt}”"
