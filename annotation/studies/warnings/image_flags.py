"""The flags on a study's images: of one colour, identical to another, reported. Nothing here names a model."""

from collections import Counter
from dataclasses import dataclass

from annotation.models import Study
from annotation.studies.comparisons import set_ids
from annotation.voting.image_reports import reports_of
from generation.models import GeneratedImage

FLAGS = {
    GeneratedImage.Remark.PLAIN.value: "of one colour",
    GeneratedImage.Remark.REPEAT.value: "identical to another",
    "reported": "reported",
    "missing": "missing",
}


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
        """How many images have which flag, as a sentence; empty without any."""
        counts = ", ".join(f"{count} {flag}" for flag, count in self.counts.items())
        return f"Among the images: {counts}." if counts else ""


def flags_of(study: Study) -> Flags:
    """Return the flags of a study with two queries; flagged images are few in any study."""
    images = GeneratedImage.objects.filter(image_set__in=set_ids(study.comparisons.all()), remark__isnull=False)
    remarked = list(images.order_by().values_list("image_set", "remark"))
    reported = dict(reports_of(study.pk).order_by().values_list("image", "image__image_set"))
    counts = Counter(FLAGS[str(remark)] for _set, remark in remarked)
    counts[FLAGS["reported"]] = len(reported)
    sets = frozenset((*(one for one, _remark in remarked), *reported.values()))
    return Flags(dict(+counts), sets, frozenset(reported))
