"""Imported images and the studies that use them: counts for a study, names that no study knows.

A sealed study may show the counts.
"""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from annotation.models import Study
from annotation.studies.current import current_manifest
from annotation.studies.manifest import Manifest
from annotation.studies.nearest_names import did_you_mean, first_names
from generation.imports.layouts import Layout, is_folder_of
from generation.models import DiffusionModel
from generation.plans.image_sets import find_imported_sets
from jobs.refusals import Refused
from jobs.wording import counted

BEFORE_COMPARISONS = (Study.State.DRAFT, Study.State.GENERATING)
_KEPT = "kept until a study names"


@dataclass(frozen=True, slots=True)
class Imported:
    """The numbers of imported sets and images of one model for the study's prompts."""

    model: str
    set_count: int
    image_count: int

    def __str__(self) -> str:
        return f"{self.model}: {counted(self.set_count, 'set')} with {counted(self.image_count, 'image')}"


def imported_images(study: Study) -> tuple[Imported, ...]:
    """Return the counts for each model, until the study has comparisons and counts their images itself."""
    if study.source != Study.Source.IMAGES or study.state not in BEFORE_COMPARISONS:
        return ()
    prompts = [plan.text for plan in current_manifest(study).prompts]
    return tuple(_of_model(model, prompts) for model in study.diffusion_models)


def _of_model(model: DiffusionModel, prompts: list[str]) -> Imported:
    sets = [image_set for image_set in find_imported_sets(diffusion_model=model, prompts=prompts) if image_set]
    # An import stores all images of a set or none of them.
    return Imported(model.name, len(sets), sum(len(image_set.seeds) for image_set in sets))


def unknown_names(layout: Layout) -> list[str]:
    """Return one sentence for each model of a layout that no study has, or some of whose prompts no study has."""
    known = _known_names()
    prompts: dict[str, list[str]] = defaultdict(list)
    for prompt in layout.prompts:
        prompts[prompt.model].append(prompt.prompt)
    if not known:
        return [f'no study here takes images (source = "images") yet; what is imported is {_KEPT} it.']
    return [sentence for model, texts in prompts.items() if (sentence := _about(model, texts, known))]


def refuse_unknown_model(folder: Path, model: str) -> None:
    """Raise Refused if a folder would be read as that of a model that no study has: most likely a mistyped name."""
    known = _known_names()
    if known and model not in known and is_folder_of(folder, model):
        others = did_you_mean(model, known) or f"; their models are {first_names(sorted(known))}"
        raise Refused(
            f"--model {model}: {folder} holds no folder of that name, and no study that takes images has such a "
            f"model{others}. For a model that no study names yet, put its prompts into {folder / model}."
        )


def _known_names() -> dict[str, set[str]]:
    """Return the names that the sets of each model may have, by model, from all studies of imported images."""
    known: dict[str, set[str]] = defaultdict(set)
    for study in Study.objects.filter(source=Study.Source.IMAGES):
        for model, names in image_names(current_manifest(study)).items():
            known[model] |= names
    return known


def image_names(manifest: Manifest) -> dict[str, set[str]]:
    """Return the names that the imported sets of each model may have: each prompt, plain and rendered."""
    names: dict[str, set[str]] = {}
    for plan in manifest.models.values():
        own = names.setdefault(plan.name, set())
        for prompt in manifest.prompts:
            own |= {prompt.text, plan.prompt_template.replace("{prompt}", prompt.text)}
    return names


def _about(model: str, prompts: list[str], known: dict[str, set[str]]) -> str:
    if model not in known:
        called = _with_near(model, known)
        return f"no study that takes images has a model called {called}; what is imported of it is {_KEPT} it."
    unknown = [prompt for prompt in prompts if prompt not in known[model]]
    if not unknown:
        return ""
    named = first_names([_with_near(prompt, known[model]) for prompt in unknown])
    if len(prompts) == 1:
        return f"the prompt of {model} is in no study: {named}; what is imported of it is {_KEPT} it."
    are, them = ("is", "it") if len(unknown) == 1 else ("are", "them")
    return (
        f"{len(unknown)} of {len(prompts)} prompts of {model} {are} in no study: {named}; "
        f"what is imported of {them} is {_KEPT} {them}."
    )


def _with_near(name: str, known: Collection[str]) -> str:
    return f"“{name}”{did_you_mean(name, known)}"
