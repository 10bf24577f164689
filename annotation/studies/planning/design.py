"""The design of a study that is here, with what is there in place of what is planned."""

from collections import Counter
from dataclasses import replace

from annotation.models import Study
from annotation.studies.comparisons import image_sets_of
from annotation.studies.current import current_manifest
from annotation.studies.planning.question import Design, design_of
from generation.image_sets import find_imported_sets


def design_of_study(study: Study) -> Design:
    """The design of the manifest in force; of imported images as many in each set as most of the sets have."""
    design = design_of(current_manifest(study))
    if study.source != Study.Source.IMAGES:
        return design
    counts = Counter(_imported_counts(study))
    return replace(design, images=max(counts, key=lambda size: (counts[size], size))) if counts else design


def _imported_counts(study: Study) -> list[int]:
    """The sizes of the study's sets; before they are laid out, of the sets that were imported for it."""
    if seeds := list(image_sets_of(study).values_list("seeds", flat=True)):
        return [len(one) for one in seeds]
    prompts = [prompt.text for prompt in current_manifest(study).prompts]
    models = (study.model_a, study.model_b)
    found = [one for model in models for one in find_imported_sets(diffusion_model=model, prompts=prompts)]
    return [len(one.seeds) for one in found if one]
