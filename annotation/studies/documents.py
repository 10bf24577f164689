"""A manifest as the JSON document that the database stores and that bundles hold, and its hash; pure."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from annotation.studies.manifest import TWO_MODELS, Manifest, ModelPlan
from annotation.studies.onboarding_plan import CODE_LEFT_OUT, PlatformPlan
from annotation.studies.pairs import PairsPlan
from generation.plans.parameters import SPEED_FIELDS
from scoring.encoder_spec import without_usual_preparation

# Keys added after version 0.1: older manifests lack them.
LATER_KEYS = (
    ("platform", "study_full_code"),
    ("encoder", "preparation"),
    *(("annotation", key) for key in ("stop_when_decided", "floor")),
    *(("analysis", key) for key in ("constant_choice", "assumed_difference", "person_margin", "leaks_from")),
)
# Sections added later, as a whole.
LATER_SECTIONS = ("privacy",)
LATER_MODEL_KEYS = ("variant", "lora_file", "vae_dtype", "options", "endpoint", *SPEED_FIELDS)
# Credentials that cost money: a platform pays a person who enters one.
COMPLETION_CODES = tuple(key for key in PlatformPlan.model_fields if key.endswith("_code"))
# Sections that have no effect in an external study: its images are not scored here, and nobody votes here.
UNUSED_IF_EXTERNAL = ("encoder", "annotation", "frame", "quality", "platform")


def document(manifest: Manifest) -> dict[str, Any]:
    """Return the manifest as JSON, without unused settings. `Manifest.model_validate` is the inverse.

    A key added after version 0.1 is left out if it has its default, so that older study files keep their hash.
    """
    plan = applicable(manifest.model_dump(mode="json"), manifest.source)
    if not plan["metrics"]:
        del plan["metrics"]
    for metric in plan.get("metrics", ()):
        if metric["comparer"] is None:  # metrics of earlier study files have none
            del metric["comparer"]
        if metric["encoder"]:
            metric["encoder"] = without_usual_preparation(metric["encoder"])
    for section, key in LATER_KEYS:
        if key in plan.get(section, {}) and plan[section][key] == _default(section, key):
            del plan[section][key]
    for section in LATER_SECTIONS:
        if not _without_defaults(plan[section], section):
            del plan[section]
    for model in plan["models"].values():
        for key in LATER_MODEL_KEYS:
            if key in model and model[key] == _model_default(key):
                del model[key]
    return dict(_with_stored_models(manifest, plan))


def _with_stored_models(manifest: Manifest, plan: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the keys of a document with its models as a list, since JSON objects have no order in the database.

    Two models a and b are stored under names of their own, so that earlier study files keep their hash.
    """
    is_of_two = tuple(manifest.models) == tuple(TWO_MODELS.values()) and manifest.pairs == PairsPlan()
    for key, value in plan.items():
        if key == "models" and is_of_two:
            yield from ((name, value[model]) for name, model in TWO_MODELS.items())
        elif key == "models":
            yield key, [{"key": model, **values} for model, values in value.items()]
        elif key != "pairs" or not is_of_two:
            yield key, value


def public(plan: dict[str, Any]) -> dict[str, Any]:
    """Return a manifest's document for publication, with CODE_LEFT_OUT in place of each completion code.

    Without codes this is the document itself, whose hash everybody can compute. With codes only a person who has them
    can compute the hash.
    """
    codes = {key: CODE_LEFT_OUT for key in COMPLETION_CODES if plan.get("platform", {}).get(key)}
    return plan | {"platform": plan["platform"] | codes} if codes else plan


def lacks_codes(plan: dict[str, Any]) -> bool:
    """Return whether a document lacks its completion codes, so that its hash is not that of the manifest."""
    return CODE_LEFT_OUT in plan.get("platform", {}).values()


def applicable(plan: dict[str, Any], source: str) -> dict[str, Any]:
    """Return a dumped manifest without unused settings: a default that had no effect is not a fact about the study.

    If nothing is generated, there are no sampling parameters and no seeds, and each model keeps only the keys that
    differ from their defaults. In an external study the sections UNUSED_IF_EXTERNAL are cut down in the same way.
    """
    if source == "generated":
        return plan
    left = {key: value for key, value in plan.items() if key not in ("sampling", "seeds")}
    left["models"] = {
        key: {name: value for name, value in model.items() if value != _model_default(name)}
        for key, model in left["models"].items()
    }
    reduced = UNUSED_IF_EXTERNAL if source == "external" else ()
    sections = {name: _without_defaults(left[name], name) for name in reduced}
    return {key: sections.get(key, value) for key, value in left.items() if sections.get(key) != {}}


def _without_defaults(values: dict[str, Any], section: str) -> dict[str, Any]:
    """Return the keys of a section that differ from their defaults."""
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}
    return {key: values[key] for key in plain if plain[key] != _default(section, key)}


def _default(section: str, key: str) -> Any:
    kind: Any = Manifest.model_fields[section].annotation
    fields = getattr(kind, "model_fields", None)
    default = fields[key].default if fields else getattr(kind(), key)
    return list(default) if isinstance(default, tuple) else default


def _model_default(key: str) -> Any:
    return ModelPlan.model_fields[key].default


def sha256(manifest: Manifest) -> str:
    """Return the hash of the canonical JSON form: sorted keys, no blanks, UTF-8."""
    text = json.dumps(document(manifest), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
