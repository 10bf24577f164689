"""The language in which a study speaks to its annotators."""

from django.conf import settings

from annotation.studies.manifest import Manifest


def language_of(manifest: Manifest) -> str:
    """Return the manifest's language if pages and mails are translated to it, else the default language."""
    language = manifest.texts.language
    return language if language in dict(settings.LANGUAGES) else settings.LANGUAGE_CODE
