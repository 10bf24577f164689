"""Counts of images that were imported for a study before it has sets of its own. A sealed study may show them."""

from dataclasses import dataclass

from annotation.models import Study
from annotation.studies.current import current_manifest
from generation.image_sets import find_imported_sets
from generation.models import DiffusionModel
from jobs.wording import counted

UNTIL_LAID_OUT = (Study.State.DRAFT, Study.State.GENERATING)


@dataclass(frozen=True, slots=True)
class Imported:
    """The sets and images of one model that lie ready for the study's prompts."""

    model: str
    set_count: int
    image_count: int

    def __str__(self) -> str:
        return f"{self.model}: {counted(self.set_count, 'set')} with {counted(self.image_count, 'image')}"


def imported_images(study: Study) -> tuple[Imported, ...]:
    """What import_images brought in for either model, until the study has laid out its sets and counts those."""
    if study.source != Study.Source.IMAGES or study.state not in UNTIL_LAID_OUT:
        return ()
    prompts = [plan.text for plan in current_manifest(study).prompts]
    return tuple(_of_model(model, prompts) for model in (study.model_a, study.model_b))


def _of_model(model: DiffusionModel, prompts: list[str]) -> Imported:
    found = [image_set for image_set in find_imported_sets(diffusion_model=model, prompts=prompts) if image_set]
    # An import stores all images of a set or none of them.
    return Imported(model.name, len(found), sum(len(image_set.seeds) for image_set in found))
