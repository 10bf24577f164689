"""Imported images and the studies that use them: counts for a study, names that no study knows.

A sealed study may show the counts.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from annotation.models import Study
from annotation.studies.current import current_manifest
from annotation.studies.validation import same_prompts
from generation.image_sets import find_imported_sets
from generation.imports.layouts import Layout
from generation.models import DiffusionModel
from jobs.wording import counted

BEFORE_COMPARISONS = (Study.State.DRAFT, Study.State.GENERATING)
MOST_NAMED = 5
_KEPT = "imported all the same and kept until a study names"


@dataclass(frozen=True, slots=True)
class Imported:
    """The numbers of imported sets and images of one model for the study's prompts."""

    model: str
    set_count: int
    image_count: int

    def __str__(self) -> str:
        return f"{self.model}: {counted(self.set_count, 'set')} with {counted(self.image_count, 'image')}"


def imported_images(study: Study) -> tuple[Imported, ...]:
    """Return the counts for both models, until the study has comparisons and counts their images itself."""
    if study.source != Study.Source.IMAGES or study.state not in BEFORE_COMPARISONS:
        return ()
    prompts = [plan.text for plan in current_manifest(study).prompts]
    return tuple(_of_model(model, prompts) for model in (study.model_a, study.model_b))


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
        return [f'no study here takes images (source = "images") yet; these images are {_KEPT} it.']
    return [sentence for model, texts in prompts.items() if (sentence := _about(model, texts, known))]


def _known_names() -> dict[str, set[str]]:
    """Return the names that the sets of each model may have, by model, from all studies of imported images."""
    known: dict[str, set[str]] = defaultdict(set)
    for study in Study.objects.filter(source=Study.Source.IMAGES):
        manifest = current_manifest(study)
        for plan in (manifest.model_a, manifest.model_b):
            for prompt in manifest.prompts:
                known[plan.name] |= {prompt.text, plan.prompt_template.replace("{prompt}", prompt.text)}
    return known


def _about(model: str, prompts: list[str], known: dict[str, set[str]]) -> str:
    if model not in known:
        sets = "its one set is" if len(prompts) == 1 else f"its {len(prompts)} sets are"
        return f"no study that takes images has a model called {_with_near(model, known)}; {sets} {_KEPT} it."
    unknown = [prompt for prompt in prompts if prompt not in known[model]]
    if not unknown:
        return ""
    named = ", ".join(_with_near(prompt, known[model]) for prompt in unknown[:MOST_NAMED])
    more = f", and {len(unknown) - MOST_NAMED} more" if len(unknown) > MOST_NAMED else ""
    if len(prompts) == 1:
        return f"the prompt of {model} is in no study: {named}; it is {_KEPT} it."
    are, they, them = ("is", "it is", "it") if len(unknown) == 1 else ("are", "they are", "them")
    return (
        f"{len(unknown)} of {len(prompts)} prompts of {model} {are} in no study: {named}{more}; {they} {_KEPT} {them}."
    )


def _with_near(name: str, known: Collection[str]) -> str:
    near = _near(name, known)
    return f"“{name}”" + (f" (did you mean “{near}”?)" if near else "")


def _near(name: str, known: Iterable[str]) -> str:
    wanted, by_key = same_prompts.key(name), {same_prompts.key(text): text for text in known}
    nearest = [wanted] if wanted in by_key else get_close_matches(wanted, by_key, n=1)
    return by_key[nearest[0]] if nearest else ""
