"""Faults between keys of a study, each of which is valid by itself; pure.

Every check takes the sections of a manifest by field name. It ignores a missing section and None among models or in a
list, so that a study file with one invalid section still gets all its other faults.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from annotation.studies.section import Fault, Key, Parts
from generation.plans.parameters import SPEED_FIELDS
from scoring.encoder_spec import OWN_ENCODER, EncoderSpec

# Addresses below /studies/ that other pages have.
RESERVED = ("plan",)
# Words that a votes file may give instead of a model's name.
CHOICES = ("left", "right", "tie")


def manifest_faults(parts: Parts) -> list[Fault]:
    """Return every fault within and between the sections that are given.

    Pairs, metrics and quality have checks of their own: `manifest.faults_between` joins all of them.
    """
    return [fault for check in CHECKS for fault in check(parts)]


def is_local(checkpoint: str) -> bool:
    """Whether a checkpoint is a local path and not a hub id. Local paths are absolute in a manifest."""
    return Path(checkpoint).is_absolute()


def is_file_below(name: str) -> bool:
    """Whether a name can only be that of a file of weights below the LoRA's folder."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and "\\" not in name and path.suffix == ".safetensors"


def _slug(parts: Parts) -> Iterator[Fault]:
    if parts.get("slug") in RESERVED:
        yield Fault(("slug",), f'"{parts["slug"]}" is the address of a page; give the study another slug.')


def _models(parts: Parts) -> list[tuple[Key, Any]]:
    """Return the models with their keys in the manifest."""
    return [(("models", key), plan) for key, plan in parts.get("models", {}).items() if plan is not None]


def _names(parts: Parts) -> Iterator[Fault]:
    models = _models(parts)
    first: dict[str, Key] = {}
    for field, plan in models:
        if plan.name.casefold() in CHOICES:
            sentence = f'"{plan.name}" is what a votes file calls a side; give the model another name.'
            yield Fault((*field, "name"), sentence)
        if (earlier := first.setdefault(plan.name.casefold(), field)) != field:
            called = "both models are" if len(models) == 2 else f"models.{earlier[1]} is also"
            yield Fault((*field, "name"), f'{called} called "{plan.name}"; give each a name of its own.')


def _templates(parts: Parts) -> Iterator[Fault]:
    for field, plan in _models(parts):
        if "{prompt}" not in plan.prompt_template:
            yield Fault((*field, "prompt_template"), "must contain {prompt}, where the base prompt goes.")


def _checkpoints(parts: Parts) -> Iterator[Fault]:
    for field, plan in _models(parts):
        if parts.get("source") == "generated" and not plan.checkpoint and not plan.endpoint:
            sentence = (
                "is missing: a generated study needs a local folder, a hub id with its revision, or an endpoint; "
                'if the images already exist, write source = "images".'
            )
            yield Fault((*field, "checkpoint"), sentence)
        yield from _revision(field, plan, "checkpoint", "revision")
        yield from _revision(field, plan, "lora", "lora_revision")
        if plan.variant and not plan.checkpoint:
            yield Fault((*field, "variant"), "belongs to a checkpoint; give checkpoint too, or leave it out.")
    if "encoder" in parts and parts.get("source") != "external":
        yield from _encoder(("encoder",), parts["encoder"])
        if too_long := parts["encoder"].length_fault:
            yield Fault(("encoder", "checkpoint"), too_long)
    for index, metric in enumerate(parts.get("metrics", ())):
        if metric and metric.encoder:
            yield from _encoder(("metrics", index, "encoder"), metric.encoder)
        if metric and metric.comparer and not is_local(metric.comparer.checkpoint):
            sentence = "must be a local folder, written with ./ or / in front."
            yield Fault(("metrics", index, "comparer", "checkpoint"), sentence)


def _encoder(section: Key, spec: EncoderSpec) -> Iterator[Fault]:
    if spec.kind != OWN_ENCODER:
        yield from _revision(section, spec, "checkpoint", "revision")
    elif is_local(spec.checkpoint):
        sentence = "must be the name under which a worker knows the encoder, and never a path."
        yield Fault((*section, "checkpoint"), sentence)
    elif spec.revision:
        yield Fault((*section, "revision"), "belongs to a hub id; leave it out.")
    if spec.kind == OWN_ENCODER and spec.preparation != "pil":
        yield Fault((*section, "preparation"), "has no effect on an encoder of your own; leave it out.")


def _revision(section: Key, values: Any, name: str, revision_name: str) -> Iterator[Fault]:
    """A hub id needs the 40 digits of a commit, or its weights may change unnoticed. A local path has no revision."""
    checkpoint, revision = getattr(values, name), getattr(values, revision_name)
    sentence = ""
    if checkpoint and not is_local(checkpoint):
        if not (len(revision) == 40 and all(digit in "0123456789abcdef" for digit in revision)):
            sentence = (
                f'"{checkpoint}" is a hub id, so {revision_name} must be the 40 digits of a commit of it '
                "(the model's page on the hub lists them); a local folder is written with ./ or / in front."
            )
    elif revision:
        sentence = f"belongs to a hub id, and {name} is {'local' if checkpoint else 'empty'}; leave it out."
    if sentence:
        yield Fault((*section, revision_name), sentence)


def _endpoints(parts: Parts) -> Iterator[Fault]:
    for field, plan in _models(parts):
        if not plan.endpoint:
            continue
        if parts.get("source", "generated") != "generated":
            yield Fault((*field, "endpoint"), f'makes images, and source is "{parts["source"]}"; leave it out.')
        names = ("checkpoint", "lora", "vae_dtype", "options", *SPEED_FIELDS)
        of_checkpoints = {name: bool(getattr(plan, name)) for name in names}
        for name, is_given in {**of_checkpoints, "dtype": plan.dtype != "float32"}.items():
            if is_given:
                yield Fault((*field, name), "has no meaning for an endpoint; leave it out, or leave endpoint out.")


def _loras(parts: Parts) -> Iterator[Fault]:
    for field, plan in _models(parts):
        if plan.lora and plan.lora_scale is None:
            yield Fault((*field, "lora_scale"), "is missing: a LoRA needs its scale, for example 0.6.")
        if plan.lora_scale is not None and not plan.lora:
            yield Fault((*field, "lora_scale"), "has no LoRA to scale; give lora too, or leave it out.")
        if plan.lora_file and not plan.lora:
            yield Fault((*field, "lora_file"), "belongs to a LoRA of several files; give lora too, or leave it out.")
        elif plan.lora_file and not is_file_below(plan.lora_file):
            yield Fault((*field, "lora_file"), "must be the name of a file of the LoRA, which ends in .safetensors.")
        if plan.lora and plan.fused_qkv:
            yield Fault((*field, "fused_qkv"), "would lose a part of the LoRA; leave it out.")


def _options(parts: Parts) -> Iterator[Fault]:
    """The names are checked on a worker, which knows what the model's class takes."""
    for field, plan in _models(parts):
        for name, value in plan.options.items():
            if not name.isidentifier():
                yield Fault(
                    (*field, "options", name), "is no option: a name has letters, digits and underscores; take it out."
                )
            elif not _is_option(value):
                sentence = "must be a number, a text, true or false, or a list of numbers or texts."
                yield Fault((*field, "options", name), sentence)


def _is_option(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(isinstance(item, int | float | str) and _is_option(item) for item in value)
    return isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))


def _prompts(parts: Parts) -> Iterator[Fault]:
    first_at: dict[str, int] = {}
    for index, prompt in enumerate(parts.get("prompts", ())):
        if prompt is None:
            continue
        earlier = first_at.setdefault(prompt.text, index)
        if earlier != index:
            sentence = f'"{prompt.text}" is already prompt {earlier + 1}; each prompt may occur once.'
            yield Fault(("prompts", index), sentence)


def _seeds(parts: Parts) -> Iterator[Fault]:
    if "seeds" not in parts or "source" not in parts:
        return
    seeds = parts["seeds"]
    if parts["source"] != "generated":
        if seeds:
            yield Fault(("seeds",), f'source is "{parts["source"]}", which generates nothing; leave the seeds out.')
        return
    if not seeds:
        yield Fault(("seeds",), "is missing: give per_set and seeds, for example per_set = 20 and seeds = 7.")
    elif len(seeds) < 2:
        yield Fault(("seeds",), "a set needs at least 2 images to be more or less consistent.")
    seen: set[int | None] = set()
    for index, seed in enumerate(seeds):
        if seed is not None and seed in seen:
            yield Fault(("seeds", index), f"seed {seed} occurs twice; the same image would count twice.")
        seen.add(seed)


def _times(parts: Parts) -> Iterator[Fault]:
    plan = parts.get("annotation")
    if plan and plan.opens_at and plan.closes_at and plan.closes_at <= plan.opens_at:
        yield Fault(("annotation", "closes_at"), "must come after opens_at; give a later time, or leave it out.")


def _privacy(parts: Parts) -> Iterator[Fault]:
    plan, voting = parts.get("privacy"), parts.get("annotation")
    if plan is None or plan.erase_at is None:
        return
    key = ("privacy", "erase_at")
    if plan.erase_days_after_closing is not None:
        yield Fault(key, "stands beside erase_days_after_closing; give one of the two.")
    for name in ("closes_at", "withdrawal_until"):
        if voting and (other := getattr(voting, name)) and plan.erase_at < other:
            yield Fault(key, f"must not come before annotation.{name}: until then people need their links.")


def _stopping(parts: Parts) -> Iterator[Fault]:
    plan = parts.get("annotation")
    if not plan or not plan.stop_when_decided:
        return
    key = ("annotation", "stop_when_decided")
    if parts.get("source") == "external":
        yield Fault(key, 'stops the voting, and source is "external", where nobody votes here; leave it out.')
    if plan.allocation != "even":
        yield Fault(
            ("annotation", "allocation"),
            "has no effect beside stop_when_decided, which gives comparisons out in a drawn order; leave it out.",
        )


def _questions(parts: Parts) -> Iterator[Fault]:
    names: set[str] = set()
    for index, question in enumerate(parts["frame"].questions if "frame" in parts else ()):
        key = ("frame", "questions", index)
        if question.name in names:
            yield Fault((*key, "name"), f'"{question.name}" is the name of an earlier question; give each its own.')
        names.add(question.name)
        if question.kind != "choice" and question.choices:
            yield Fault((*key, "choices"), 'belongs to kind = "choice"; leave it out, or change the kind.')
        if question.kind == "choice":
            yield from _choices(question.choices, key)


def _check(parts: Parts) -> Iterator[Fault]:
    for index, question in enumerate(parts["frame"].check if "frame" in parts else ()):
        key = ("frame", "check", index)
        yield from _choices(question.choices, key)
        if question.answer not in question.choices:
            yield Fault((*key, "answer"), f'"{question.answer}" is none of the choices; write one of them.')


def _choices(choices: Sequence[str], key: Key) -> Iterator[Fault]:
    if len(set(choices)) < 2 or len(set(choices)) < len(choices):
        yield Fault((*key, "choices"), "needs at least two choices, no two of them the same.")


def _examples(parts: Parts) -> Iterator[Fault]:
    if "frame" not in parts or "prompts" not in parts or "source" not in parts:
        return
    for name in ("practice", "worked_examples"):
        if not getattr(parts["frame"], name):
            continue
        if parts["source"] == "external":
            yield Fault(("frame", name), 'shows images, and source is "external", which has none; leave it out.')
        elif len(parts["prompts"]) < 2:
            sentence = "needs images of two prompts, but the study has only one; give another prompt, or leave it out."
            yield Fault(("frame", name), sentence)


def _leaks(parts: Parts) -> Iterator[Fault]:
    plan, collecting, encoder = (parts.get(name) for name in ("analysis", "annotation", "encoder"))
    stops_by = encoder.metric if encoder and collecting and collecting.stop_when_decided == "metric" else ""
    for metric, leak in plan.leaks_from.items() if plan else ():
        key = ("analysis", "leaks_from", metric)
        if not leak.annotators and not leak.prompts:
            yield Fault(key, "says nothing; give annotators (a list of names) or prompts = true, or leave it out.")
        if len(set(leak.annotators)) < len(leak.annotators):
            yield Fault((*key, "annotators"), "names an annotator twice; name each once.")
        if leak.annotators and metric == stops_by:
            sentence = 'cannot stand beside stop_when_decided = "metric", whose evidence counts the votes of everybody.'
            yield Fault((*key, "annotators"), sentence)


def _platform(parts: Parts) -> Iterator[Fault]:
    url = parts["platform"].redirect_url if "platform" in parts else ""
    if url and not (url.startswith("https://") and "{code}" in url):
        yield Fault(
            ("platform", "redirect_url"),
            "must begin with https:// and hold {code}, where the completion code goes; or leave it out.",
        )


CHECKS: tuple[Callable[[Parts], Iterator[Fault]], ...] = (
    _slug,
    _names,
    _templates,
    _checkpoints,
    _endpoints,
    _loras,
    _options,
    _prompts,
    _seeds,
    _times,
    _privacy,
    _stopping,
    _questions,
    _check,
    _examples,
    _platform,
    _leaks,
)
