"""Whether a study is sealed. Everything that shows results, or says which model made an image, asks here."""

from annotation.models import Study
from annotation.studies.manifest import Manifest


def is_sealed(study: Study, *, manifest: Manifest) -> bool:
    """Whether scores, winners and votes by model are hidden: until the study closes, unless its manifest opted out."""
    return manifest.sealed and study.state != Study.State.CLOSED
