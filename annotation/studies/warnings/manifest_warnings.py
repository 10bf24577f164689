"""Warnings about a manifest that is valid but probably not intended; pure. A warning stops nothing."""

import os
from collections.abc import Iterator
from itertools import combinations

from annotation.studies.manifest import Manifest
from annotation.studies.pairs import unlinked
from annotation.studies.validation.manifest_faults import is_local
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
        _unlinked_models,
        _no_code_when_full,
    )
    return [sentence for check in checks for sentence in check(manifest)]


def _unfilled_slots(manifest: Manifest) -> Iterator[str]:
    plan, comparisons = manifest.annotation, manifest.comparison_count
    if plan.most_annotators is None:
        return
    slots, quota = comparisons * plan.overlap, min(plan.comparisons_per_annotator, comparisons)
    annotators = counted(plan.most_annotators, "annotator")
    if plan.most_annotators < plan.overlap:
        yield (
            f"annotation.overlap is {plan.overlap}, but at most {annotators} may take part and each votes once on a "
            "comparison: no comparison can fill."
        )
    elif slots > plan.most_annotators * quota:
        yield (
            f"{slots} votes are wanted ({counted(comparisons, 'comparison')}, {plan.overlap} each), but at most "
            f"{plan.most_annotators * quota} can be given ({annotators}, {counted(quota, 'comparison')} each)."
        )


def _quota_beyond_prompts(manifest: Manifest) -> Iterator[str]:
    quota = manifest.annotation.comparisons_per_annotator
    if manifest.source != "external" and quota > manifest.comparison_count:
        yield (
            f"An annotator may vote on {counted(quota, 'comparison')}, but the study has only "
            f"{manifest.comparison_count}, so nobody is shown more."
        )


def _tie_rule_without_ties(manifest: Manifest) -> Iterator[str]:
    plan, endpoint = manifest.annotation, manifest.analysis.primary_endpoint
    if endpoint != "strict" and not plan.ties and plan.overlap % 2:
        yield (
            f'analysis.primary_endpoint is "{endpoint}", but no tie may be voted and the overlap is odd: people will '
            'hardly tie, and the endpoint is about the same as "strict".'
        )


def _nothing_to_stop(manifest: Manifest) -> Iterator[str]:
    plan = manifest.annotation
    if plan.early_stopping and plan.overlap <= 2:
        yield (
            f"annotation.early_stopping saves nothing at an overlap of {plan.overlap}: the winner is certain only with "
            "the last vote."
        )


def _absent_paths(manifest: Manifest) -> Iterator[str]:
    if manifest.source == "external":
        return
    paths = {"encoder.checkpoint": manifest.encoder.checkpoint}
    for key, plan in manifest.models.items():
        paths |= {f"models.{key}.checkpoint": plan.checkpoint, f"models.{key}.lora": plan.lora}
    for key, path in paths.items():
        if path and is_local(path) and not os.path.exists(path):  # noqa: PTH110 - Path.exists raises at a long name
            yield f"{key}: there is no {path} on this machine; the worker needs it."


def _same_model_twice(manifest: Manifest) -> Iterator[str]:
    if manifest.source != "generated":
        return
    settings = {key: plan.model_dump(exclude={"name"}) for key, plan in manifest.models.items()}
    for one, other in combinations(settings, 2):
        if settings[one] == settings[other]:
            both = f"models.{one} and models.{other}"
            yield f"{both} have the same settings: their images will be the same, seed by seed."


def _unlinked_models(manifest: Manifest) -> Iterator[str]:
    if apart := unlinked(tuple(manifest.models), manifest.compared_pairs):
        first = next(iter(manifest.models))
        yield (
            f"pairs.list links {', '.join(apart)} with {first} by no chain of pairs: nothing compares them, so they "
            f'get no common ranking; add a pair that links them, like ["{first}", "{apart[0]}"].'
        )


def _no_code_when_full(manifest: Manifest) -> Iterator[str]:
    platform = manifest.platform
    if platform.id_parameter and platform.complete_code and not platform.study_full_code:
        yield (
            "platform.study_full_code is missing: people whom the platform sends when the study is full get no code "
            "to go back with."
        )
