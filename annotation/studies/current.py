"""The current manifest of a study: its newest version, parsed and cached."""

from collections.abc import Iterable, Iterator
from threading import Lock

from cachetools import LRUCache

from annotation.models import ManifestVersion, Study
from annotation.studies.manifest import Manifest

# A parsed prompt takes at least half a kilobyte. This is room for a thousand studies of a hundred prompts.
MOST_PROMPTS = 100_000
OTHER_KEYS = 20  # the size of the other keys of a manifest, in prompts
Key = tuple[int, str]


def size_of(manifest: Manifest) -> int:
    """Return the size of a manifest in the cache, in prompts."""
    return OTHER_KEYS + len(manifest.prompts) + len(manifest.seeds) // 10


# The key holds the hash of the content, so a cached manifest never becomes stale in any process.
_CACHE: LRUCache[Key, Manifest] = LRUCache(MOST_PROMPTS, getsizeof=size_of)
_LOCK = Lock()


def current_manifest(study: Study) -> Manifest:
    """Return the current manifest. A process parses each version once, if the cache has room for it."""
    return current_manifests([study])[study.pk]


def current_manifests(studies: Iterable[Study]) -> dict[int, Manifest]:
    """Return the current manifests of several studies, by the study's id, with at most one query."""
    keys = {study.pk: (study.pk, study.manifest_sha256) for study in studies}
    with _LOCK:
        manifests = {pk: manifest for pk, key in keys.items() if (manifest := _CACHE.get(key))}
    missing = [key for pk, key in keys.items() if pk not in manifests]
    for key, manifest in _parsed(missing):
        manifests[key[0]] = manifest
        if size_of(manifest) <= MOST_PROMPTS:
            with _LOCK:
                _CACHE[key] = manifest
    return manifests


def _parsed(keys: list[Key]) -> Iterator[tuple[Key, Manifest]]:
    if not keys:
        return
    versions = ManifestVersion.objects.filter(
        study__in=[pk for pk, _sha256 in keys], sha256__in=[sha256 for _pk, sha256 in keys]
    )
    wanted = set(keys)
    for version in versions.order_by("number").iterator(chunk_size=100):
        key = (version.study_id, version.sha256)
        if key in wanted:
            yield key, Manifest.model_validate(version.document)
