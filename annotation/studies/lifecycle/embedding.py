"""Choose the encoder that embeds the images of a job straight after they are made: generation itself knows no score."""

from collections.abc import Sequence

from django.conf import settings

from annotation.models import Study
from annotation.studies.comparisons import comparisons_of
from annotation.studies.current import current_manifest
from generation.models import GenerationJob, ImageSet
from generation.sampling.recording import Sink
from scoring.sinks import embedding_sink


def sinks_of(job: GenerationJob) -> Sequence[Sink]:
    """Return a sink with the encoder of the first study that waits for the job's images, if EMBED_WHILE_SAMPLING."""
    if not settings.EMBED_WHILE_SAMPLING:
        return ()
    using = comparisons_of(ImageSet.objects.filter(pk=job.image_set_id)).values("study")
    study = Study.objects.filter(pk__in=using, state=Study.State.GENERATING).order_by("pk").first()
    sink = embedding_sink(current_manifest(study).encoder) if study else None
    return (sink,) if sink else ()
