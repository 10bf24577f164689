"""Whether a study is sealed. Everything that shows results, or says which model made an image, asks here."""

from annotation.models import Study
from annotation.studies.manifest import Manifest
from annotation.studies.shared_sets import are_sealed_elsewhere


def is_sealed(study: Study, *, manifest: Manifest) -> bool:
    """Whether scores, winners and votes by model are hidden: until the study closes, unless its manifest opted out.

    What a study that opted out would show stays hidden while a sealed one that takes votes has the same image sets.
    """
    return study.state != Study.State.CLOSED and (manifest.sealed or are_sealed_elsewhere(study))
