"""Write a manifest as a study file, and describe study files by a JSON Schema, with which an editor checks them."""

from typing import Any

import tomli_w

from annotation.studies.documents import applicable
from annotation.studies.manifest import Manifest
from annotation.studies.pairs import MODEL_KEY, MOST_MODELS
from annotation.studies.study_file.tables import FEWEST_SEEDS, MOST_SEEDS


def write_study_file(manifest: Manifest) -> str:
    """Return the study file of a manifest. Reading it gives the same manifest, even if the defaults change.

    Unused settings are left out, and so are keys without a value, since TOML has no null.
    """
    plan = applicable(manifest.model_dump(exclude_none=True), manifest.source)
    plan["analysis"] = {key: value for key, value in plan["analysis"].items() if value != {}}  # no empty tables
    if not plan["privacy"]:
        del plan["privacy"]
    models = {key: _without_empty_options(model) for key, model in plan.pop("models").items()}
    pairs = _given(plan.pop("pairs"))
    prompts, seeds = plan.pop("prompts"), plan.pop("seeds", ())
    has_clusters = any(prompt["cluster"] for prompt in prompts)
    tables = {
        "models": models,
        **({"pairs": pairs} if pairs else {}),
        "prompts": {"list": prompts if has_clusters else [prompt["text"] for prompt in prompts]},
        **({"images": {"per_set": len(seeds), "seeds": seeds}} if seeds else {}),
    }
    if not plan["metrics"]:
        del plan["metrics"]
    heading = {key: plan.pop(key) for key, value in list(plan.items()) if not isinstance(value, dict)}
    return tomli_w.dumps(heading | tables | plan, multiline_strings=True)


def _given(pairs: dict[str, Any]) -> dict[str, Any]:
    """Return the keys of the pairs that say something; nothing if all pairs are compared."""
    return {key: value for key, value in pairs.items() if value not in ((), "all")}


def _without_empty_options(model: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in model.items() if key != "options" or value}


def study_file_schema() -> dict[str, Any]:
    """Return the schema of the manifest, changed where the keys of the file differ from those of the manifest."""
    schema: dict[str, Any] = _cleaned(Manifest.model_json_schema())
    fields = schema["properties"]
    seeds, prompts = fields.pop("seeds"), fields.pop("prompts")
    prompts["items"] = {"anyOf": [{"$ref": "#/$defs/PromptPlan/properties/text"}, prompts["items"]]}
    per_set = {"type": "integer", "minimum": FEWEST_SEEDS, "maximum": MOST_SEEDS}
    model, keys = {"$ref": "#/$defs/ModelPlan"}, {"patternProperties": {MODEL_KEY: {"$ref": "#/$defs/ModelPlan"}}}
    fields["models"] = _table({"a": model, "b": model}, minProperties=2, maxProperties=MOST_MODELS, **keys)
    fields["prompts"] = _table({"file": {"type": "string"}, "list": prompts}, minProperties=1, maxProperties=1)
    fields["images"] = _table({"per_set": per_set, "seeds": {"anyOf": [seeds["items"], seeds]}}, required=["seeds"])
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Study file of Semblance"}
    return schema | head | {"required": ["name", "models", "prompts"]}


def _table(properties: dict[str, Any], **rules: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False, **rules}


def _cleaned(value: Any) -> Any:
    """Return a schema without null, which TOML lacks, without defaults of whole tables, titles and docstrings."""
    if isinstance(value, list):
        return [_cleaned(item) for item in value if item != {"type": "null"}]
    if not isinstance(value, dict):
        return value
    is_dropped = {"title": str, "description": str, "default": dict | None}
    kept = {key: _cleaned(item) for key, item in value.items() if not isinstance(item, is_dropped.get(key, ()))}
    return kept.pop("anyOf")[0] | kept if len(kept.get("anyOf", ())) == 1 else kept
