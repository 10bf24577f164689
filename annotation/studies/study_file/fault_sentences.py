"""What the validation library found wrong, in sentences for the author of the study file."""

from collections.abc import Sequence

from pydantic_core import ErrorDetails

from annotation.studies.study_file.tables import unknown_key
from annotation.studies.validation.faults import Fault
from generation.image_sets import seed_too_large

UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")
# What is meant by a pattern, by the name of the key.
PATTERNS = {
    "slug": "must be small letters, digits and single hyphens, like sdxl-pixart",
    "language": "must be the code of a language, like en or de",
    "text": "must be one line",
    "name": "must be small letters, digits and underscores, like age_group",
    "answer": "must be one line",
    "id_parameter": "must be the name of a parameter of an address, like PROLIFIC_PID",
    "other_parameters": "must be the name of a parameter of an address, like STUDY_ID",
    "choices": "must be one line",
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


def faults_of(errors: Sequence[ErrorDetails]) -> list[Fault]:
    """The faults behind the errors of one validation, with keys of the manifest."""
    return [Fault(error["loc"], _sentence(error)) for error in errors if not _is_an_echo(error, errors)]


def _is_an_echo(error: ErrorDetails, errors: Sequence[ErrorDetails]) -> bool:
    """Whether a list is called too short only because its items are wrong, which is said already."""
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
        return f"must be a text in quotation marks, or a table with text and cluster, not {_shown(error['input'])}."
    words = PATTERNS.get(_name(error)) if kind == "string_pattern_mismatch" else KINDS.get(kind)
    if kind == "string_too_short":
        words = (
            "is empty; write a prompt, or take it out." if error["loc"][0] == "prompts" else "is empty; give a text."
        )
    words = words or error["msg"].replace("Input should", "must").replace("String should", "must")
    return words if words.endswith(".") else f"{words}, not {_shown(error['input'])}."


def _name(error: ErrorDetails) -> str:
    """The key that the error is about, without its place in a list."""
    return [part for part in error["loc"] if isinstance(part, str)][-1]


def _length_sentence(error: ErrorDetails) -> str:
    """What to say of a list with too few or too many items."""
    context = error.get("ctx", {})
    count = context["actual_length"]
    if error["type"] == "too_long":
        return f"has more items than the {context['max_length']} that it may have; take some out."
    least = context["min_length"]
    return f"has {count} of at least {least} items; give more." if count else f"is empty; give at least {least}."


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
