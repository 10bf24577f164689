"""Warnings about a study's images, for the researcher to look at before people vote on them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from annotation.models import Comparison, ImageReport, Study
from annotation.studies.comparisons import SIDES, gaps_of, image_sets_of, set_ids
from annotation.studies.current import current_manifest
from annotation.studies.sealing import is_sealed
from generation.models import GeneratedImage
from generation.pictures import remarks

MOST_SHOWN = 5
FLAGS = {
    GeneratedImage.Remark.PLAIN.value: "of one colour",
    GeneratedImage.Remark.REPEAT.value: "identical to another",
    "reported": "reported",
    "missing": "missing",
}


def image_warnings(study: Study) -> list[str]:
    """Return warnings about comparisons that wait for images, and about sets with blank or repeated images."""
    return [*waiting_comparisons(study), *flagged_images(study)]


def image_warnings_of(studies: Sequence[Study]) -> dict[int, list[str]]:
    """Return the warnings of several studies, by the study's id. A study that can have none costs no query."""
    remarked = _with_remarks(studies)
    may_have = {study.pk: study.pk in remarked or study.state == Study.State.GENERATING for study in studies}
    return {study.pk: image_warnings(study) if may_have[study.pk] else [] for study in studies}


def _with_remarks(studies: Sequence[Study]) -> set[int]:
    sets = remarks.remarked_sets()
    comparisons = Comparison.objects.filter(study__in=[study.pk for study in studies]).order_by()
    sides = (comparisons.filter(**{f"{side}__in": sets}) for side in SIDES)
    return {study for side in sides for study in side.values_list("study", flat=True).distinct()}


def flagged_images(study: Study) -> list[str]:
    """Return what is wrong with the images: one sentence for each set, or while the study is sealed one of counts.

    The contact sheets mark flagged images, so a sentence that named the model would name the set on its sheet.
    """
    if not is_sealed(study, manifest=current_manifest(study)):
        return _remarked_sets(study)
    return [sentence] if (sentence := flags_of(study).sentence) else []


def _remarked_sets(study: Study) -> list[str]:
    """Return one sentence for each set whose score says little: its images are of one colour or repeat each other."""
    return _first([f"Look at {sentence}." for sentence in remarks.sentences(image_sets_of(study))], "such sets")


def waiting_comparisons(study: Study) -> list[str]:
    """Return warnings about comparisons that wait for images to be imported."""
    if study.source != Study.Source.IMAGES or study.state != Study.State.GENERATING:
        return []
    gaps = gaps_of(study, current_manifest(study))
    return _first([f"Waits for images: {gap.sentence}." for gap in gaps], "comparisons wait")


def _first(sentences: list[str], what: str) -> list[str]:
    more = len(sentences) - MOST_SHOWN
    return sentences if more <= 0 else [*sentences[:MOST_SHOWN], f"{more} more {what}."]


@dataclass(frozen=True, slots=True)
class Flags:
    """The flags in a study that the database knows. counts: by words. sets: the ids of the image sets that have one.

    reported: the ids of the images that annotators reported.
    """

    counts: dict[str, int]
    sets: frozenset[int]
    reported: frozenset[int]

    @property
    def sentence(self) -> str:
        """Return a sentence that counts the images with each flag; empty without any."""
        counts = ", ".join(f"{count} {flag}" for flag, count in self.counts.items())
        return f"Among the images: {counts}." if counts else ""


def flags_of(study: Study) -> Flags:
    """Return the flags of a study with two queries; flagged images are few in any study."""
    images = GeneratedImage.objects.filter(image_set__in=set_ids(study.comparisons.all()), remark__isnull=False)
    remarked = list(images.order_by().values_list("image_set", "remark"))
    reported = dict(ImageReport.of_study(study.pk).order_by().values_list("image", "image__image_set"))
    counts = Counter(FLAGS[str(remark)] for _set, remark in remarked)
    counts[FLAGS["reported"]] = len(reported)
    sets = frozenset((*(one for one, _remark in remarked), *reported.values()))
    return Flags(dict(+counts), sets, frozenset(reported))
