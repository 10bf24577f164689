"""The study file: a manifest as TOML. Every fault is found at once, with its key and its line.

The keys of the file are those of the manifest, but for three: [models.a] and [models.b] are `model_a` and `model_b`,
[prompts] is a list or names a text file, and [images] gives the seeds or one number that they are drawn from.
docs/study-guide.md lists every key.
"""

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ValidationError, create_model

from annotation.studies.manifest import Manifest, applicable
from annotation.studies.section import Section
from annotation.studies.study_file.fault_sentences import faults_of
from annotation.studies.study_file.lines import key_lines
from annotation.studies.study_file.new_studies import new_study_faults
from annotation.studies.study_file.tables import Draft, translate
from annotation.studies.study_file.texts import read_text
from annotation.studies.study_file.writing import toml_text
from annotation.studies.validation import same_prompts
from annotation.studies.validation.contradictions import MODELS, contradictions
from annotation.studies.validation.faults import Fault, Key
from jobs.refusals import Refused
from jobs.wording import counted


@dataclass(frozen=True, slots=True)
class StudyFault:
    """One fault of a study file. `file` is empty for the study file itself; `line` counts from 1, 0 is unknown."""

    key: str
    line: int
    sentence: str
    file: str = ""

    def __str__(self) -> str:
        place = ", ".join(part for part in (self.file, f"line {self.line}" if self.line else "", self.key) if part)
        return f"{place}: {self.sentence}" if place else self.sentence


class StudyFileFault(Refused):
    """A study file with faults; the message lists them all."""

    def __init__(self, faults: list[StudyFault], name: str = "") -> None:
        self.faults = faults
        self.name = name
        head = f"{name or 'The study file'} has {counted(len(faults), 'fault')}:"
        super().__init__("\n".join([head, *(f"  {fault}" for fault in faults)]))


def read_study_file(path: Path) -> Manifest:
    """The manifest that a study file describes; files that it names are looked for beside it.

    Raises StudyFileFault, which lists every fault, and Refused where the file cannot be read.
    """
    text = read_text(path)
    try:
        return parse(text, base=path.resolve().parent)
    except StudyFileFault as fault:
        raise StudyFileFault(fault.faults, name=str(path)) from None


def parse(text: str, base: Path | None, *, earlier: Manifest | None = None) -> Manifest:
    """The manifest that the text of a study file describes.

    `base` is the folder that relative paths start from; without one (a form on a page) no file can be named. What
    `earlier`, the manifest of the same study, holds may stay, although no new study may hold it today.
    Raises StudyFileFault, which lists every fault with its key and line.
    """
    draft, lines = _translated(text, base)
    parts, remains, faults = _validated(draft)
    known = {fault.key for fault in faults}
    more = [*contradictions(parts | remains), *new_study_faults(parts | remains, earlier)]
    faults += [fault for fault in more if fault.key not in known]
    placed = [_placed(fault.key, fault.sentence, lines) for fault in draft.faults]
    placed += [_placed_by_manifest(fault, draft, lines) for fault in faults]
    if placed:
        raise StudyFileFault(sorted(dict.fromkeys(placed), key=lambda fault: (fault.file, fault.line)))
    return Manifest(**parts)


def warnings_in_file(path: Path) -> list[StudyFault]:
    """`warnings_in` of a file, from its folder."""
    return warnings_in(read_text(path), path.resolve().parent)


def warnings_in(text: str, base: Path | None) -> list[StudyFault]:
    """What the manifest no longer shows of a study file without faults, each at its line.

    A section that does not act, and prompts that differ from an earlier one in nothing a model sees.
    """
    draft, lines = _translated(text, base)
    return [*_sampling_of_nothing(draft, lines), *_same_prompts(draft, lines)]


def _sampling_of_nothing(draft: Draft, lines: dict[Key, int]) -> list[StudyFault]:
    source = draft.raw.get("source", "generated")
    if source == "generated" or "sampling" not in draft.raw:
        return []
    sentence = f'does not act and is left out: source is "{source}", so no image is generated; remove the section.'
    return [_placed(("sampling",), sentence, lines)]


def _same_prompts(draft: Draft, lines: dict[Key, int]) -> list[StudyFault]:
    """With the place of the earlier prompt."""
    prompts = _valid("prompts", {"prompts": draft.raw["prompts"]})
    found = []
    for first, second in same_prompts.pairs(prompt.text for prompt in prompts):
        place = _placed_by_manifest(Fault(("prompts", first), ""), draft, lines)
        where = f"line {place.line}" if draft.prompts_file else f"prompt {first + 1}, line {place.line}"
        sentence = (
            f"“{prompts[second].text}” differs from “{prompts[first].text}” ({where}) only in blanks, case or the "
            "spelling of signs: both may give the same images, and they would count twice."
        )
        found.append(_placed_by_manifest(Fault(("prompts", second), sentence), draft, lines))
    return found


def _translated(text: str, base: Path | None) -> tuple[Draft, dict[Key, int]]:
    """The tables of the file, and the lines of its keys. Raises StudyFileFault where the text is not TOML."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    try:
        data = tomllib.loads(text)
        lines = key_lines(text)
    except tomllib.TOMLDecodeError as error:
        raise StudyFileFault([_not_toml(text, error)]) from None
    except (RecursionError, ValueError):  # ValueError: a number of thousands of digits
        raise StudyFileFault([StudyFault("", 0, "this is nested too deeply, or holds too long a number.")]) from None
    return translate(data, base), lines


def write_study_file(manifest: Manifest) -> str:
    """The study file of a manifest: reading it gives the same manifest, whatever the defaults are by then.

    What does not apply is left out.
    """
    plan = applicable(manifest.model_dump(), manifest.source)
    models = {field.removeprefix("model_"): plan.pop(field) for field in MODELS}
    prompts, seeds = plan.pop("prompts"), plan.pop("seeds", ())
    has_clusters = any(prompt["cluster"] for prompt in prompts)
    tables = {
        "models": models,
        "prompts": {"list": prompts if has_clusters else [prompt["text"] for prompt in prompts]},
        **({"images": {"per_set": len(seeds), "seeds": seeds}} if seeds else {}),
    }
    heading = {key: plan.pop(key) for key, value in list(plan.items()) if not isinstance(value, dict)}
    return toml_text(heading | tables | plan)


def _not_toml(text: str, error: tomllib.TOMLDecodeError) -> StudyFault:
    sentence, _, place = str(error).partition(" (at ")
    digits = "".join(character for character in place.partition(",")[0] if character.isdigit())
    line = int(digits) if digits else text.count("\n") + 1  # else: "at end of document"
    return StudyFault("", line, f"this is not TOML: {sentence[:1].lower()}{sentence[1:]}.")


@cache
def _validators() -> dict[str, type[BaseModel]]:
    """For each field of the manifest a model with that field alone."""
    validators: dict[str, type[BaseModel]] = {}
    for name, info in Manifest.model_fields.items():
        kind: Any = Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation
        fields: dict[str, Any] = {name: (kind, info)}
        validators[name] = create_model(f"Only_{name}", __base__=Section, **fields)
    return validators


def _validated(draft: Draft) -> tuple[dict[str, Any], dict[str, Any], list[Fault]]:
    """Each field by itself, so that a fault in one hides none in another.

    What is right; what is left of the rest without its faults, to be searched for contradictions; the faults.
    """
    parts: dict[str, Any] = {}
    remains: dict[str, Any] = {}
    faults: list[Fault] = []
    for name in Manifest.model_fields:
        if name in draft.given_up:
            continue
        data = {name: draft.raw[name]} if name in draft.raw else {}
        try:
            parts[name] = _valid(name, data)
        except ValidationError as error:
            found = faults_of(error.errors())
            faults += found
            remains |= _salvaged(name, data.get(name), found)
    return parts, remains, faults


def _valid(name: str, data: Mapping[str, Any]) -> Any:
    # Strict, through JSON: "5" and true are no numbers, while a list may become a tuple and a date a moment.
    return getattr(_validators()[name].model_validate_json(json.dumps(data, default=_moment), strict=True), name)


def _salvaged(name: str, raw: Any, faults: Sequence[Fault]) -> dict[str, Any]:
    """A table without its faulty keys; a list with None for its faulty items; nothing where neither is left."""
    inner = {fault.key[1] for fault in faults if len(fault.key) > 1}
    if isinstance(raw, list):
        items = (None if index in inner else _valid(name, {name: [item]})[0] for index, item in enumerate(raw))
        return {name: list(items)} if inner else {}
    if not isinstance(raw, dict):
        return {}
    try:
        return {name: _valid(name, {name: {key: value for key, value in raw.items() if key not in inner}})}
    except ValidationError:
        return {}


def _moment(value: date | time) -> str:
    return value.isoformat()


def _placed(key: Key, sentence: str, lines: dict[Key, int]) -> StudyFault:
    """A fault at the line of its key, or of the innermost table that there is."""
    nearest = next((lines[key[:length]] for length in range(len(key), 0, -1) if key[:length] in lines), 1)
    # Shown as people count: the first of a list is 1.
    dotted = "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in key).removeprefix(".")
    return StudyFault(dotted, nearest, sentence)


def _placed_by_manifest(fault: Fault, draft: Draft, lines: dict[Key, int]) -> StudyFault:
    index = fault.key[1] if len(fault.key) > 1 and fault.key[0] == "prompts" else None
    if isinstance(index, int) and draft.prompts_file:
        return StudyFault("", draft.prompt_lines[index], fault.sentence, file=draft.prompts_file)
    return _placed(draft.file_key(fault.key), fault.sentence, lines)
