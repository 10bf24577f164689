"""The keys of a study file, and a sentence for each error that pydantic finds in them."""

import json
from collections.abc import Sequence
from difflib import get_close_matches
from functools import cache
from typing import Any

from pydantic_core import ErrorDetails

from annotation.studies.manifest import Manifest, ModelPlan, PromptPlan
from annotation.studies.section import Fault, Key
from generation.plans.image_sets import seed_too_large
from jobs.wording import counted

UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")
# The meaning of a pattern, by the name of the key.
PATTERNS = {
    "variant": "must be letters, digits and underscores, like fp16",
    "endpoint": "must be the name of an endpoint: small letters, digits, hyphens, dots and underscores, no address",
    "list": "must be the name of a model's table in this file, like a",
    "slug": "must be small letters, digits and single hyphens, like sdxl-pixart",
    "language": "must be the code of a language, like en or de",
    "text": "must be one line",
    "name": "must be small letters, digits and underscores, like age_group",
    "answer": "must be one line",
    "choices": "must be one line",
    "id_parameter": "must be the name of a parameter of an address, like PROLIFIC_PID",
    "other_parameters": "must be the name of a parameter of an address, like STUDY_ID",
    **dict.fromkeys(
        ("complete_code", "screened_out_code", "failed_checks_code", "withdrawn_code", "study_full_code"),
        "must be letters, digits, hyphens and underscores",
    ),
}
KINDS = {
    "missing": "is missing.",
    "model_type": "must be a table.",
    "dataclass_type": "must be a table.",
    "tuple_type": "must be a list.",
    "string_type": "must be a text in quotation marks",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "timezone_aware": "needs its time zone, like 2026-12-01T09:00:00Z or 2026-12-01T10:00:00+01:00",
    "datetime_type": "must be a date with its time and time zone, like 2026-12-01T09:00:00Z",
}


@cache
def file_keys() -> tuple[str, ...]:
    """Return every key that a study file may have, dotted, in the order of the manifest."""
    keys: list[str] = []
    for name in Manifest.model_fields:
        keys += _keys_of(name)
    return tuple(keys)


def _keys_of(name: str) -> list[str]:
    match name:
        case "models":
            return [f"models.{model}.{key}" for model in ("a", "b") for key in ModelPlan.model_fields]
        case "prompts":
            return ["prompts.file", "prompts.list", *(f"prompts.list.{key}" for key in PromptPlan.model_fields)]
        case "seeds":
            return ["images.per_set", "images.seeds"]
        case _:
            section: Any = Manifest.model_fields[name].annotation
            fields = getattr(section, "model_fields", None) or getattr(section, "__dataclass_fields__", None)
            return [f"{name}.{key}" for key in fields] if fields else [name]


def unknown_key(key: Key) -> str:
    """Return the sentence for an unknown key."""
    dotted = ".".join(str(part) for part in key if not isinstance(part, int))
    leaf = dotted.rpartition(".")[2]
    # The items of a list have their own keys: a key of another table would be a wrong guess there.
    table = dotted.rpartition(".")[0] + "." if any(isinstance(part, int) for part in key) else ""
    candidates = [known for known in file_keys() if known.startswith(table)]
    same_leaf = [known for known in candidates if known.rpartition(".")[2] == leaf]
    # The same name in another table comes first: that mistake is commoner than a misspelt key.
    close = same_leaf[:1] or get_close_matches(dotted, candidates, n=1, cutoff=0.75)
    return "is not a key of a study file" + (f"; did you mean {close[0]}?" if close else ".")


def faults_of(errors: Sequence[ErrorDetails]) -> list[Fault]:
    """Return a fault for each error of one validation, with keys of the manifest."""
    return [Fault(error["loc"], _sentence(error)) for error in errors if not _is_repetition(error, errors)]


def _is_repetition(error: ErrorDetails, errors: Sequence[ErrorDetails]) -> bool:
    """Return whether a list is called too short only because its items have faults of their own."""
    place = error["loc"]
    return error["type"] == "too_short" and any(
        other["loc"][: len(place)] == place for other in errors if other is not error
    )


def _sentence(error: ErrorDetails) -> str:
    kind = error["type"]
    if kind in UNKNOWN:
        return unknown_key(error["loc"])
    if kind == "less_than" and error["loc"][0] == "seeds":
        return seed_too_large(error["input"])
    if kind in ("too_short", "too_long"):
        return _length_sentence(error)
    if kind == "model_type" and error["loc"][0] == "prompts":
        return f"must be a text in quotation marks, or a table with text and cluster, not {shown(error['input'])}."
    words = PATTERNS.get(_name(error)) if kind == "string_pattern_mismatch" else KINDS.get(kind)
    if kind == "string_too_short":
        words = (
            "is empty; write a prompt, or take it out." if error["loc"][0] == "prompts" else "is empty; give a text."
        )
    words = words or error["msg"].replace("Input should", "must").replace("String should", "must")
    return words if words.endswith(".") else f"{words}, not {shown(error['input'])}."


def _name(error: ErrorDetails) -> str:
    """Return the key of the error, without its position in a list."""
    return [part for part in error["loc"] if isinstance(part, str)][-1]


def _length_sentence(error: ErrorDetails) -> str:
    """Return the sentence for a list with too few or too many items."""
    context = error.get("ctx", {})
    count = context["actual_length"]
    if error["type"] == "too_long":
        return f"has more than {context['max_length']} items; take some out."
    least = context["min_length"]
    return f"has {counted(count, 'item')}; give at least {least}." if count else f"is empty; give at least {least}."


def shown(value: object) -> str:
    """Return a value as it is written in a study file, cut after 60 letters.

    >>> shown(True), shown("a"), shown([1, False])
    ('true', "'a'", '[1, false]')
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    is_plain = is_number or isinstance(value, str)
    text = repr(value) if is_plain else json.dumps(value, default=str, ensure_ascii=False).strip('"')
    return text if len(text) <= 60 else f"{text[:57]}..."
