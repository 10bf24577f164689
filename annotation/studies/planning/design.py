"""The design of an existing study, with the real number of images in place of the planned one."""

from collections import Counter
from dataclasses import replace

from annotation.models import Study
from annotation.studies.comparisons import image_sets_of
from annotation.studies.current import current_manifest
from annotation.studies.planning.question import Design, design_of
from generation.plans.image_sets import find_imported_sets


def design_of_study(study: Study) -> Design:
    """Return the design of the current manifest. Imported images: as many in each set as most of the sets have."""
    design = design_of(current_manifest(study))
    if study.source != Study.Source.IMAGES:
        return design
    counts = Counter(_imported_counts(study))
    return replace(design, images=max(counts, key=lambda size: (counts[size], size))) if counts else design


def _imported_counts(study: Study) -> list[int]:
    """Return the sizes of the study's sets; before it has comparisons, of the sets imported for its prompts."""
    if seeds := list(image_sets_of(study).values_list("seeds", flat=True)):
        return [len(set_seeds) for set_seeds in seeds]
    prompts = [prompt.text for prompt in current_manifest(study).prompts]
    models = study.diffusion_models
    sets = [image_set for model in models for image_set in find_imported_sets(diffusion_model=model, prompts=prompts)]
    return [len(image_set.seeds) for image_set in sets if image_set]
