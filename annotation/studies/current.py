"""The manifest in force of a study."""

from functools import lru_cache

from annotation.models import ManifestVersion, Study
from annotation.studies.manifest import Manifest


@lru_cache(maxsize=64)
def _manifest_with(study_id: int, sha256: str) -> Manifest:
    # The hash names the content, so what is cached under it never goes stale, in whichever process.
    version = ManifestVersion.objects.filter(study_id=study_id, sha256=sha256).latest("number")
    return Manifest.model_validate(version.document)


def current_manifest(study: Study) -> Manifest:
    """The manifest of the version in force, parsed once per process and version."""
    return _manifest_with(study.pk, study.manifest_sha256)
