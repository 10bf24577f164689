"""How long each metric took for a thousand images on the machine that scored the study. No score is read."""

from collections.abc import Iterable

from django.db.models import Count, Q, Sum

from scoring.models import Encoder, SetScore


def seconds_per_thousand(in_study: Q, metrics: Iterable[str]) -> dict[str, float]:
    """Return the seconds for a thousand images by metric, with their embeddings; metrics without a timed part lack.

    in_study: the condition for the scores of the study. The time of the embeddings is that of all images that the
    encoder has embedded on this installation.
    """
    timed = SetScore.objects.filter(in_study, metric__in=list(metrics), seconds__isnull=False).order_by()
    rows = timed.values_list("metric").annotate(time=Sum("seconds"), images=Sum("image_count"), sets=Count("pk"))
    encoders = {row.identity: row for row in Encoder.objects.filter(timed_images__gt=0)}
    found = {}
    for metric, time, images, _sets in rows:
        _, _, source = metric.partition("/")
        encoder = encoders.get(source.removeprefix("pairs:"))  # or what compares two images
        if encoder or not source:
            embedding = encoder.timed_seconds / encoder.timed_images if encoder else 0.0
            found[metric] = 1000 * (time / images + embedding)
    return found
