"""Warnings about a manifest that is valid but probably not intended; pure. A warning stops nothing."""

import os
from collections.abc import Iterator
from itertools import combinations

from annotation.studies.manifest import Manifest
from annotation.studies.pairs import unlinked
from annotation.studies.section import Fault, Key
from annotation.studies.validation.manifest_faults import is_local
from jobs.wording import counted


def manifest_warnings(manifest: Manifest) -> list[Fault]:
    """Return each setting to reconsider before launching, as its key and a sentence."""
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
    return [warning for check in checks for warning in check(manifest)]


def _unfilled_slots(manifest: Manifest) -> Iterator[Fault]:
    plan, comparisons = manifest.annotation, manifest.comparison_count
    if plan.most_annotators is None:
        return
    slots, quota = comparisons * plan.overlap, min(plan.comparisons_per_annotator, comparisons)
    annotators = counted(plan.most_annotators, "annotator")
    if plan.most_annotators < plan.overlap:
        yield Fault(
            ("annotation", "overlap"),
            f"is {plan.overlap}, but at most {annotators} may take part and each votes once on a comparison: no "
            "comparison can fill.",
        )
    elif slots > plan.most_annotators * quota:
        yield Fault(
            ("annotation", "overlap"),
            f"asks for {slots} votes ({counted(comparisons, 'comparison')}, {plan.overlap} each), but at most "
            f"{plan.most_annotators * quota} can be given ({annotators}, {counted(quota, 'comparison')} each).",
        )


def _quota_beyond_prompts(manifest: Manifest) -> Iterator[Fault]:
    quota = manifest.annotation.comparisons_per_annotator
    if manifest.source != "external" and quota > manifest.comparison_count:
        yield Fault(
            ("annotation", "comparisons_per_annotator"),
            f"An annotator may vote on {counted(quota, 'comparison')}, but the study has only "
            f"{manifest.comparison_count}, so nobody is shown more.",
        )


def _tie_rule_without_ties(manifest: Manifest) -> Iterator[Fault]:
    plan, endpoint = manifest.annotation, manifest.analysis.primary_endpoint
    if endpoint != "strict" and not plan.ties and plan.overlap % 2:
        yield Fault(
            ("analysis", "primary_endpoint"),
            f'is "{endpoint}", but no tie may be voted and the overlap is odd: people will hardly tie, and the '
            'endpoint is about the same as "strict".',
        )


def _nothing_to_stop(manifest: Manifest) -> Iterator[Fault]:
    plan = manifest.annotation
    if plan.early_stopping and plan.overlap <= 2:
        yield Fault(
            ("annotation", "early_stopping"),
            f"saves nothing at an overlap of {plan.overlap}: the winner is certain only with the last vote.",
        )


def _absent_paths(manifest: Manifest) -> Iterator[Fault]:
    if manifest.source == "external":
        return
    paths: dict[Key, str] = {("encoder", "checkpoint"): manifest.encoder.checkpoint}
    for name, plan in manifest.models.items():
        paths |= {("models", name, "checkpoint"): plan.checkpoint, ("models", name, "lora"): plan.lora}
    for key, path in paths.items():
        if path and is_local(path) and not os.path.exists(path):  # noqa: PTH110 - Path.exists raises at a long name
            yield Fault(key, f"there is no {path} on this machine; the worker needs it.")


def _same_model_twice(manifest: Manifest) -> Iterator[Fault]:
    if manifest.source != "generated":
        return
    settings = {key: plan.model_dump(exclude={"name"}) for key, plan in manifest.models.items()}
    for one, other in combinations(settings, 2):
        if settings[one] == settings[other]:
            sentence = f"has the same settings as models.{one}: their images will be the same, seed by seed."
            yield Fault(("models", other), sentence)


def _unlinked_models(manifest: Manifest) -> Iterator[Fault]:
    if apart := unlinked(tuple(manifest.models), manifest.compared_pairs):
        first = next(iter(manifest.models))
        yield Fault(
            ("pairs", "list"),
            f"links {', '.join(apart)} with {first} by no chain of pairs: nothing compares them, so they get no common "
            f'ranking; add a pair that links them, like ["{first}", "{apart[0]}"].',
        )


def _no_code_when_full(manifest: Manifest) -> Iterator[Fault]:
    platform = manifest.platform
    if platform.id_parameter and platform.complete_code and not platform.study_full_code:
        yield Fault(
            ("platform", "study_full_code"),
            "is missing: people whom the platform sends when the study is full get no code to go back with.",
        )
