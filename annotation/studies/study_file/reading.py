"""Read a study file: a manifest as TOML. Every fault is found at once, with its key and its line.

The keys of the file are those of the manifest, except two: [prompts] has a list or names a text file, and [images]
gives the seeds or one number to draw them from.
docs/study-guide.md lists every key.
"""

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ValidationError, create_model

from annotation.studies.manifest import Manifest, faults_between
from annotation.studies.section import Fault, Key, Parts, Section
from annotation.studies.study_file.fault_sentences import faults_of
from annotation.studies.study_file.lines import key_lines, toml_document
from annotation.studies.study_file.tables import Draft, read_text, translate
from annotation.studies.validation import same_prompts
from annotation.studies.warnings.manifest_warnings import manifest_warnings
from generation.models import MOST_PROMPT_BYTES
from generation.plans.image_sets import LARGEST_GENERATED_SEED, seed_too_large
from jobs.refusals import Refused
from jobs.wording import counted

MOST_SAID = 1000  # signs of a fault's sentence
LEAST_LEVEL, MOST_LEVEL = 0.8, 0.999  # of intervals: beyond them "shown" is said too easily, or hardly ever


@dataclass(frozen=True, slots=True)
class StudyFault:
    """One fault of a study file. `file` is empty for the study file itself. `line` counts from 1; 0 means unknown."""

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
        head = f"{name or 'The study file'} has {counted(len(faults), 'fault')}:"
        super().__init__("\n".join([head, *(f"  {fault}" for fault in faults)]))


def read_study_file(path: Path) -> Manifest:
    """Read a study file, and return its manifest. Relative paths in it start from its folder.

    Raises StudyFileFault, which lists every fault, and Refused if the file cannot be read.
    """
    text = read_text(path)
    try:
        return parse(text, base=path.resolve().parent)
    except StudyFileFault as fault:
        raise StudyFileFault(fault.faults, name=str(path)) from None


def parse(
    text: str,
    base: Path | None,
    *,
    earlier: Manifest | None = None,
    registered: Mapping[str, Mapping[str, Any]] | None = None,
) -> Manifest:
    """Return the manifest that the text of a study file describes.

    `base` is the folder from which relative paths start; without it (in a form on a page) the text cannot name a file.
    Seeds and prompts of `earlier`, the manifest of the same study, stay valid although no new study may have them.
    `registered`: the settings of models by name; a model of the text that gives nothing but such a name has them.
    Raises StudyFileFault, which lists every fault with its key and line.
    """
    draft, lines = _translated(text, base)
    _fill_in(draft, registered or {}, earlier)
    parts, remains, faults = _validated(draft)
    known = {fault.key for fault in faults}
    seen = parts | remains
    more = [*faults_between(seen), *_new_study_faults(seen, earlier)]
    faults += [fault for fault in more if fault.key not in known]
    placed = [_placed(fault.key, fault.sentence, lines) for fault in draft.faults]
    placed += [_placed_by_manifest(fault, draft, lines) for fault in faults]
    if placed:
        raise StudyFileFault(sorted(dict.fromkeys(placed), key=lambda fault: (fault.file, fault.line)))
    return Manifest(**parts)


def _fill_in(draft: Draft, registered: Mapping[str, Mapping[str, Any]], earlier: Manifest | None) -> None:
    """Give each model that only names a registered one the registered settings.

    A model that `earlier` has without settings gets none: its images were imported, and a registered model has its name
    by chance.
    """
    models = draft.raw.get("models", {})
    plans = earlier.models.items() if earlier else ()
    bare = {(key, plan.name) for key, plan in plans if not plan.checkpoint and not plan.endpoint}
    for key, plan in models.items() if isinstance(models, dict) else ():
        if isinstance(plan, dict) and not plan.get("checkpoint") and not plan.get("endpoint"):
            name = plan.get("name")
            if (key, name) in bare:
                continue
            known = registered.get(name, {}) if isinstance(name, str) else {}
            models[key] = {**known, **{name: value for name, value in plan.items() if value != ""}}


def _new_study_faults(parts: Parts, earlier: Manifest | None) -> Iterator[Fault]:
    """Yield faults that only a new study is refused for. Studies of earlier versions may have them, and still open.

    As in `faults_between`, a section may be missing and an item of a list may be None.
    """
    plan = parts.get("analysis")
    if plan and not LEAST_LEVEL <= plan.level <= MOST_LEVEL and (not earlier or plan.level != earlier.analysis.level):
        yield Fault(("analysis", "level"), f"must lie between {LEAST_LEVEL} and {MOST_LEVEL}; 0.95 is usual.")
    elif plan and (not earlier or plan != earlier.analysis):
        needed = round(2 / (1 - plan.level))
        if plan.resamples < needed:
            reason = f"must be at least {needed} at a level of {plan.level:g}: one beyond each end of an interval."
            yield Fault(("analysis", "resamples"), reason)
    known_seeds = earlier.seeds if earlier else ()
    known_prompts = {prompt.text for prompt in earlier.prompts} if earlier else set()
    for index, seed in enumerate(parts.get("seeds", ())):
        if seed is not None and seed > LARGEST_GENERATED_SEED and seed not in known_seeds:
            yield Fault(("seeds", index), seed_too_large(seed))
    for index, prompt in enumerate(parts.get("prompts", ())):
        if prompt is None or prompt.text in known_prompts:
            continue
        length = len(prompt.text.encode())
        if length > MOST_PROMPT_BYTES:
            sentence = f"is {length} bytes long in UTF-8, but a prompt may have at most {MOST_PROMPT_BYTES}."
            yield Fault(("prompts", index), sentence)


def warnings_in_file(path: Path, manifest: Manifest) -> list[StudyFault]:
    """Return the warnings about a study file, as `warnings_in`."""
    return warnings_in(read_text(path), path.resolve().parent, manifest)


def warnings_in(text: str, base: Path | None, manifest: Manifest) -> list[StudyFault]:
    """Return warnings about a study file without faults, each with its line.

    manifest: what `parse` made of the file. Beside the warnings about it there are two about the file alone: a section
    without effect, and prompts that are the same to a model.
    """
    draft, lines = _translated(text, base)
    placed = (_placed_by_manifest(warning, draft, lines) for warning in manifest_warnings(manifest))
    return [*placed, *_sampling_of_nothing(draft, lines), *_same_prompts(draft, lines)]


def _sampling_of_nothing(draft: Draft, lines: dict[Key, int]) -> list[StudyFault]:
    source = draft.raw.get("source", "generated")
    if source == "generated" or "sampling" not in draft.raw:
        return []
    sentence = f'does not act and is left out: source is "{source}", so no image is generated; remove the section.'
    return [_placed(("sampling",), sentence, lines)]


def _same_prompts(draft: Draft, lines: dict[Key, int]) -> list[StudyFault]:
    """Return a warning for each prompt that is the same to a model as an earlier one, with the earlier one's place."""
    prompts = _valid("prompts", {"prompts": draft.raw["prompts"]})
    warnings = []
    for first, second in same_prompts.pairs(prompt.text for prompt in prompts):
        place = _placed_by_manifest(Fault(("prompts", first), ""), draft, lines)
        where = f"line {place.line}" if draft.prompts_file else f"prompt {first + 1}, line {place.line}"
        sentence = (
            f"“{prompts[second].text}” differs from “{prompts[first].text}” ({where}) only in blanks, case or the "
            "spelling of signs: both may give the same images, and they would count twice."
        )
        warnings.append(_placed_by_manifest(Fault(("prompts", second), sentence), draft, lines))
    return warnings


def _translated(text: str, base: Path | None) -> tuple[Draft, dict[Key, int]]:
    """Parse and translate the file; return also the lines of its keys. Raises StudyFileFault if it is not TOML."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    try:
        data = toml_document(text)
        lines = key_lines(text)
        return translate(data, base), lines
    except tomllib.TOMLDecodeError as error:
        raise StudyFileFault([_not_toml(text, error)]) from None
    except (RecursionError, ValueError):  # ValueError: a number of thousands of digits
        raise StudyFileFault([StudyFault("", 0, "this is nested too deeply, or holds too long a number.")]) from None


def _not_toml(text: str, error: tomllib.TOMLDecodeError) -> StudyFault:
    sentence, _, place = str(error).partition(" (at ")
    digits = "".join(character for character in place.partition(",")[0] if character.isdigit())
    line = int(digits) if digits else text.count("\n") + 1  # without a number the fault is "at end of document"
    return StudyFault("", line, f"this is not TOML: {sentence[:1].lower()}{sentence[1:]}.")


@cache
def _validators() -> dict[str, type[BaseModel]]:
    """Return, for each field of the manifest, a model that has only this field."""
    validators: dict[str, type[BaseModel]] = {}
    for name, info in Manifest.model_fields.items():
        kind: Any = Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation
        fields: dict[str, Any] = {name: (kind, info)}
        validators[name] = create_model(f"Only_{name}", __base__=Section, **fields)
    return validators


def _validated(draft: Draft) -> tuple[dict[str, Any], dict[str, Any], list[Fault]]:
    """Validate each field by itself, so that a fault in one hides no fault in another.

    Returns the valid fields, the valid rest of the other fields (in which `faults_between` looks too), the faults.
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
            own = faults_of(error.errors())
            faults += own
            remains |= _valid_rest(name, data.get(name), own)
    return parts, remains, faults


def _valid(name: str, data: Mapping[str, Any]) -> Any:
    # Strict, and through JSON: "5" and true are no numbers, but a list may become a tuple and a text a datetime.
    return getattr(_validators()[name].model_validate_json(json.dumps(data, default=_isoformat), strict=True), name)


def _valid_rest(name: str, raw: Any, faults: Sequence[Fault]) -> dict[str, Any]:
    """Return a table without its invalid keys, or models or a list with None for invalid items, if anything is left."""
    if name == "models":
        return {name: {key: _valid_model(key, table, faults) for key, table in raw.items()}}
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


def _valid_model(key: str, table: Any, faults: Sequence[Fault]) -> Any:
    """Return a model without its invalid keys, or None if nothing valid is left."""
    inner = {fault.key[2] for fault in faults if fault.key[1:2] == (key,) and len(fault.key) > 2}
    rest = {name: value for name, value in table.items() if name not in inner} if isinstance(table, dict) else table
    try:
        return _valid("models", {"models": {key: rest}})[key]
    except ValidationError:
        return None


def _isoformat(value: date | time) -> str:
    return value.isoformat()


def _placed(key: Key, sentence: str, lines: dict[Key, int]) -> StudyFault:
    """Return a fault with the line of its key, or of the innermost table that exists."""
    nearest = next((lines[key[:length]] for length in range(len(key), 0, -1) if key[:length] in lines), 1)
    # Shown as people count: the first item of a list is 1.
    dotted = "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in key).removeprefix(".")
    return StudyFault(_bounded(dotted), nearest, _bounded(sentence))


def _bounded(text: str) -> str:
    """Return a text of at most `MOST_SAID` signs, without its middle: a sentence quotes what it refuses."""
    return text if len(text) <= MOST_SAID else f"{text[: MOST_SAID // 2]} … {text[-MOST_SAID // 2 :]}"


def _placed_by_manifest(fault: Fault, draft: Draft, lines: dict[Key, int]) -> StudyFault:
    """Return a fault of the manifest with its place in the study file, or in the prompts file."""
    index = fault.key[1] if len(fault.key) > 1 and fault.key[0] == "prompts" else None
    if isinstance(index, int) and draft.prompts_file:
        return StudyFault("", index + 1, fault.sentence, file=draft.prompts_file)
    return _placed(draft.file_key(fault.key), fault.sentence, lines)
