"""Study files from a page or the API: they name models, encoders and endpoints that an admin has brought in.

A file with a path or an address of its own could read the server's folders or reach its network.
"""

import json
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from django.contrib.auth.models import User

from annotation.models import Study
from annotation.studies.current import current_manifests
from annotation.studies.manifest import Manifest, ModelPlan
from annotation.studies.nearest_names import did_you_mean, first_names
from annotation.studies.section import Key
from annotation.studies.study_file.lines import key_lines
from annotation.studies.study_file.reading import StudyFault, StudyFileFault, parse
from generation.models import DiffusionModel
from jobs.refusals import Refused
from scoring.encoder_spec import OWN_ENCODER, ComparerSpec, EncoderSpec, document_of
from scoring.metric_spec import FUNCTIONAL_NAMES, OWN
from scoring.own_code import ENCODERS, known_names
from scoring.own_code import GROUP as OWN_ENCODERS
from scoring.own_metrics import GROUP as OWN_METRICS

SETTINGS = tuple(name for name in ModelPlan.model_fields if name != "name")


def registered_models() -> dict[str, dict[str, Any]]:
    """Return the settings of the models that can make images, by name."""
    rows = DiffusionModel.objects.exclude(checkpoint="", endpoint="").order_by("name")
    return {row.name: {name: getattr(row, name) for name in SETTINGS} for row in rows}


def parse_by_names(text: str, *, account: User, earlier: Manifest | None = None) -> Manifest:
    """Parse a study file of a page or of the API, as `parse`. An admin's file may name folders too.

    earlier: the manifest that the file amends; what it holds already may stay.
    """
    models = registered_models()
    try:
        manifest = parse(text, base=None, earlier=earlier, registered=models)
    except StudyFileFault as fault:
        raise StudyFileFault([_in_names(one, text, models) for one in fault.faults]) from None
    if account.is_superuser:
        return manifest
    lines = key_lines(text.removeprefix("\ufeff").replace("\r\n", "\n"))
    found = [*_model_faults(manifest, models, earlier), *_encoder_faults(manifest, earlier)]
    faults = [
        StudyFault(".".join(map(str, key)), lines.get(key, lines.get(key[:-1], 1)), sentence) for key, sentence in found
    ]
    if faults:
        raise StudyFileFault(faults)
    return manifest


def _in_names(fault: StudyFault, text: str, models: dict[str, dict[str, Any]]) -> StudyFault:
    """Return the fault that a model has no checkpoint as one of its name: a page has names only."""
    table, _, rest = fault.key.partition(".")
    side, _, setting = rest.partition(".")
    if table != "models" or setting != "checkpoint":
        return fault
    plan = tomllib.loads(text.removeprefix("\ufeff").replace("\r\n", "\n"))["models"][side]
    name = plan.get("name", "")
    if plan.get("checkpoint") or not isinstance(name, str) or name in models:
        return fault
    return StudyFault(f"models.{side}.name", fault.line, _unknown(name, models))


def _unknown(name: str, models: dict[str, dict[str, Any]]) -> str:
    return f"{name!r} is not a model of this installation{did_you_mean(name, models)}; {_known(models)}."


def _model_faults(
    manifest: Manifest, models: dict[str, dict[str, Any]], earlier: Manifest | None
) -> Iterator[tuple[Key, str]]:
    kept = list(earlier.models.values()) if earlier else []
    for side, plan in manifest.models.items():
        settings = plan.model_dump(exclude={"name"})
        makes_none = not (plan.checkpoint or plan.endpoint or plan.lora) and manifest.source != "generated"
        if plan in kept or makes_none or models.get(plan.name) == settings:
            continue
        key: Key = ("models", side, "name")
        if plan.name not in models:
            yield key, _unknown(plan.name, models)
            continue
        different = next(name for name in SETTINGS if models[plan.name][name] != settings[name])
        sentence = f"differs from the model {plan.name} of this installation; leave it out, or ask an admin."
        yield ("models", side, different), sentence


def _known(models: dict[str, dict[str, Any]]) -> str:
    return f"it has {first_names(list(models))}" if models else "an admin has to bring one in first"


def _encoder_faults(manifest: Manifest, earlier: Manifest | None) -> Iterator[tuple[Key, str]]:
    known = {EncoderSpec(), *(_weights(earlier).values() if earlier else ())}
    given = {key: encoder for key, encoder in _weights(manifest).items() if encoder.kind != OWN_ENCODER}
    new = {key: encoder for key, encoder in given.items() if encoder not in known}
    if not new:
        return
    used = known_encoders()
    sentence = "is an encoder or comparer that no study of this installation has used; leave it out, or ask an admin."
    yield from (((*key, "checkpoint"), sentence) for key, encoder in new.items() if encoder not in used)


def known_encoders() -> set[EncoderSpec | ComparerSpec]:
    """Return the encoders and comparers that a file of a page may name: the default one, and what a study has used.

    Whatever their preparation is: they may be named with each.
    """
    studies = current_manifests(Study.objects.only("pk", "manifest_sha256")).values()
    return {EncoderSpec(), *(encoder for one in studies for encoder in _weights(one).values())}


def names_for_files() -> dict[str, list[str]]:
    """Return what a file of a page may name to score images, as lines of a study file, by what they are.

    Functions of one's own are those that this machine knows; a worker may know others.
    """
    known = sorted(known_encoders(), key=str)
    encoders = [f"encoder = {_inline(one)}" for one in known if isinstance(one, EncoderSpec)]
    comparers = [f"comparer = {_inline(one)}" for one in known if isinstance(one, ComparerSpec)]
    try:
        own = [f"{OWN}{name}" for name in known_names(group=OWN_METRICS)]
        own_encoders = known_names(group=OWN_ENCODERS, table=ENCODERS)
    except Refused:  # the admin's list cannot be read: a worker says so when it is used
        own, own_encoders = [], []
    encoders += [f"encoder = {_inline(EncoderSpec(OWN_ENCODER, name))}" for name in own_encoders]
    metrics = [f"name = {json.dumps(name)}" for name in (*FUNCTIONAL_NAMES, *own)]
    return {"Encoders": list(dict.fromkeys(encoders)), "Metrics": metrics, "Comparers": comparers}


def _inline(source: EncoderSpec | ComparerSpec) -> str:
    given = (f"{key} = {json.dumps(value)}" for key, value in (document_of(source) or {}).items() if value)
    return "{" + ", ".join(given) + "}"


def _weights(manifest: Manifest) -> dict[Key, EncoderSpec | ComparerSpec]:
    """Return whose weights a study and its further metrics load to score images, by the place in the study file."""
    encoders: dict[Key, EncoderSpec | ComparerSpec] = {("encoder",): replace(manifest.encoder, preparation="pil")}
    for index, plan in enumerate(manifest.metrics):
        if plan.encoder:
            encoders["metrics", index, "encoder"] = replace(plan.encoder, preparation="pil")
        if plan.comparer:
            encoders["metrics", index, "comparer"] = plan.comparer
    return encoders
