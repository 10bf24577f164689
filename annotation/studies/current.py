"""The manifest in force of a study."""

from threading import Lock

from cachetools import LRUCache, cached

from annotation.models import ManifestVersion, Study
from annotation.studies.manifest import Manifest

# A parsed prompt takes about a kilobyte: room for the manifests of a thousand studies of a hundred prompts.
MOST_PROMPTS = 100_000
OTHER_KEYS = 20  # what the rest of a manifest takes, in prompts


def size_of(manifest: Manifest) -> int:
    """How much of the cache a manifest takes, in prompts."""
    return OTHER_KEYS + len(manifest.prompts) + len(manifest.seeds) // 10


@cached(LRUCache(MOST_PROMPTS, getsizeof=size_of), lock=Lock())
def _manifest_with(study_id: int, sha256: str) -> Manifest:
    # The hash names the content, so what is cached under it never goes stale, in whichever process.
    version = ManifestVersion.objects.filter(study_id=study_id, sha256=sha256).latest("number")
    return Manifest.model_validate(version.document)


def current_manifest(study: Study) -> Manifest:
    """The manifest of the version in force, parsed once per process and version while the cache has room for it."""
    return _manifest_with(study.pk, study.manifest_sha256)
