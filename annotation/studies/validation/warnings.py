"""Warnings about a manifest that is valid but probably not intended; pure. A warning stops nothing."""

import os

from annotation.studies.manifest import Manifest
from annotation.studies.validation.manifest_faults import MODELS, is_local
from jobs.wording import counted


def manifest_warnings(manifest: Manifest) -> list[str]:
    """Return one sentence for each setting to reconsider before launching."""
    checks = (
        _unfilled_slots,
        _quota_beyond_prompts,
        _tie_rule_without_ties,
        _nothing_to_stop,
        _absent_paths,
        _same_model_twice,
        _no_code_when_full,
    )
    return [sentence for check in checks for sentence in check(manifest)]


def _unfilled_slots(manifest: Manifest) -> list[str]:
    plan = manifest.annotation
    if plan.most_annotators is None:
        return []
    slots = len(manifest.prompts) * plan.overlap
    most = plan.most_annotators * min(plan.comparisons_per_annotator, len(manifest.prompts))
    if plan.most_annotators < plan.overlap:
        return [
            f"annotation.overlap is {plan.overlap}, but at most {counted(plan.most_annotators, 'annotator')} may take "
            "part and each votes once on a comparison: no comparison can fill."
        ]
    if slots <= most:
        return []
    return [
        f"{slots} votes are wanted ({counted(len(manifest.prompts), 'comparison')}, {plan.overlap} each), but "
        f"at most {most} can be given ({counted(plan.most_annotators, 'annotator')}, "
        f"{counted(most // plan.most_annotators, 'comparison')} each)."
    ]


def _quota_beyond_prompts(manifest: Manifest) -> list[str]:
    quota = manifest.annotation.comparisons_per_annotator
    if manifest.source == "external" or quota <= len(manifest.prompts):
        return []
    return [
        f"annotation.comparisons_per_annotator is {quota}, but the study has "
        f"{counted(len(manifest.prompts), 'comparison')} and nobody sees one twice: an annotator is done "
        "after all of them."
    ]


def _tie_rule_without_ties(manifest: Manifest) -> list[str]:
    plan, endpoint = manifest.annotation, manifest.analysis.primary_endpoint
    if endpoint == "strict" or plan.ties or plan.overlap % 2 == 0:
        return []
    return [
        f'analysis.primary_endpoint is "{endpoint}", but no tie may be voted and the overlap is odd: people will '
        'hardly tie, and the endpoint is about the same as "strict".'
    ]


def _nothing_to_stop(manifest: Manifest) -> list[str]:
    plan = manifest.annotation
    if not plan.early_stopping or plan.overlap > 2:
        return []
    return [
        f"annotation.early_stopping saves nothing at an overlap of {plan.overlap}: the winner is certain only with "
        "the last vote."
    ]


def _absent_paths(manifest: Manifest) -> list[str]:
    if manifest.source == "external":
        return []
    named = {"encoder.checkpoint": manifest.encoder.checkpoint}
    for field in MODELS:
        plan, name = getattr(manifest, field), field.replace("model_", "models.")
        named |= {f"{name}.checkpoint": plan.checkpoint, f"{name}.lora": plan.lora}
    return [
        f"{key}: there is no {path} on this machine; the worker needs it."
        for key, path in named.items()
        if path and is_local(path) and not os.path.exists(path)  # noqa: PTH110 - Path.exists raises at a long name
    ]


def _same_model_twice(manifest: Manifest) -> list[str]:
    settings_a, settings_b = (getattr(manifest, field).model_dump(exclude={"name"}) for field in MODELS)
    if manifest.source != "generated" or settings_a != settings_b:
        return []
    return ["models.a and models.b have the same settings: their images will be the same, seed by seed."]


def _no_code_when_full(manifest: Manifest) -> list[str]:
    platform = manifest.platform
    if not (platform.id_parameter and platform.complete_code) or platform.study_full_code:
        return []
    return [
        "platform.study_full_code is missing: people whom the platform sends when the study is full get no code to go "
        "back with."
    ]
