"""Study files as the page "New study" drafts them: templates, and the values of its form in a file and back. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import tomli_w

from annotation.studies.study_file.lines import toml_document

Path = tuple[str, ...]

MODEL_KEYS = "abcdefgh"  # of the models that have a field; further ones are tables of the file
# The fields of the form, by their names, with their keys in the file and their types.
FIELDS: dict[str, tuple[Path, type]] = {
    "name": (("name",), str),
    **{f"model_{key}": (("models", key, "name"), str) for key in MODEL_KEYS},
    "prompts": (("prompts", "list"), list),
    "per_set": (("images", "per_set"), int),
    "seeds": (("images", "seeds"), int),
    "width": (("sampling", "width"), int),
    "height": (("sampling", "height"), int),
    "steps": (("sampling", "num_inference_steps"), int),
    "guidance": (("sampling", "guidance_scale"), float),
    "overlap": (("annotation", "overlap"), int),
    "each": (("annotation", "comparisons_per_annotator"), int),
    "ties": (("annotation", "ties"), bool),
}


@dataclass(frozen=True, slots=True)
class Start:
    """A template of a study file: what it is for, and its tables."""

    label: str
    meaning: str
    tables: dict[str, Any]

    @property
    def text(self) -> str:
        """The study file."""
        return tomli_w.dumps(self.tables, multiline_strings=True)


_COLLECTED = {"overlap": 5, "comparisons_per_annotator": 25, "ties": False}
_MODELS = {"a": {"name": ""}, "b": {"name": ""}}
_GENERATED: dict[str, Any] = {
    "name": "",
    "source": "generated",
    "models": _MODELS,
    "prompts": {"list": []},
    "images": {"per_set": 20, "seeds": 7},
    "sampling": {"width": 768, "height": 768, "num_inference_steps": 20, "guidance_scale": 7.5},
    "annotation": _COLLECTED,
}
STARTS = {
    "checkpoints": Start("Two models", "Their images are made here", _GENERATED),
    "lora": Start(
        "A model and its LoRA",
        "Register both; a wording for each is possible",
        _GENERATED | {"models": {side: {"name": "", "prompt_template": "{prompt}"} for side in ("a", "b")}},
    ),
    "several": Start(
        "Several models",
        "A ranking of all; each further model is a table of the file",
        _GENERATED | {"models": {key: {"name": ""} for key in ("a", "b", "c")}},
    ),
    "images": Start(
        "Your own images",
        "Uploaded as a zip or a folder, once the study is made",
        {
            "name": "",
            "source": "images",
            "models": _MODELS,
            "prompts": {"list": []},
            "annotation": _COLLECTED,
        },
    ),
    "external": Start(
        "Votes and scores",
        "Only the analysis; both are uploaded, once the study is made",
        {"name": "", "source": "external", "models": _MODELS, "prompts": {"list": []}},
    ),
}


def values_in(text: str) -> dict[str, str]:
    """Return the values of the form's fields in a study file, as text; empty for a key that the file lacks.

    Raises ValueError for a text that is not TOML.

    >>> values_in('name = "A"\\n[prompts]\\nlist = ["x", "y"]\\n')["prompts"]
    'x\\ny'
    """
    data = toml_document(text)
    return {name: _shown(_get(data, path), kind) for name, (path, kind) in FIELDS.items()}


def with_values(text: str, values: Mapping[str, str]) -> str:
    """Return the study file with the form's values in it; an empty value removes its key. Comments are lost.

    A number that cannot be read stays in the file as it was typed, so that the file's own fault names it. A value that
    the file already has changes nothing, and a prompt that stays keeps its cluster.

    >>> with_values('name = "A"', {"overlap": "5"})
    'name = "A"\\n\\n[annotation]\\noverlap = 5\\n'
    """
    data = toml_document(text)
    for name, value in values.items():
        path, kind = FIELDS[name]
        before, parsed = _get(data, path), _parsed(value, kind)
        if parsed == _parsed(_shown(before, kind), kind):
            continue
        if isinstance(before, list) and kind is list:
            tables = {item.get("text"): item for item in before if isinstance(item, dict)}
            parsed = [tables.get(line, line) for line in parsed]
        _put(data, path, parsed)
    return tomli_w.dumps(data, multiline_strings=True)


def _get(data: Any, path: Path) -> Any:
    for key in path:
        data = data.get(key) if isinstance(data, dict) else None
    return data


def _put(data: dict[str, Any], path: Path, value: Any) -> None:
    for key in path[:-1]:
        if value is None and key not in data:
            return
        inner = data.setdefault(key, {})
        if not isinstance(inner, dict):
            return  # a fault of the file, which its own sentence names
        data = inner
    if value is None:
        data.pop(path[-1], None)
    else:
        data[path[-1]] = value


def _shown(value: Any, kind: type) -> str:
    """Return a value as its field shows it: prompts one on a line, seeds all on one line."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "on" if value else ""
    if isinstance(value, list):
        texts = (str(item.get("text", "")) if isinstance(item, dict) else str(item) for item in value)
        return ("\n" if kind is list else ", ").join(texts)
    return str(value)


def _parsed(value: str, kind: type) -> Any:
    if kind is list:
        return [line.strip() for line in value.splitlines() if line.strip()]
    if kind is bool:
        return bool(value)
    stripped = value.strip()
    if not stripped:
        return None
    try:
        is_seeds = kind is int and "," in stripped
        return [kind(part) for part in stripped.split(",")] if is_seeds else kind(stripped)
    except ValueError:
        return stripped
