from itertools import chain
from typing import Any

from django.db import migrations


def number_earlier_imports(apps: Any, schema_editor: Any) -> None:
    """Make an import of each event that says that similarities were imported, so that they can be taken back."""
    names = ("Import", "StudyEvent", "Comparison")
    imports, events, comparisons = (apps.get_model("annotation", name)._default_manager for name in names)
    matrices = apps.get_model("scoring", "PairwiseSimilarities")._default_manager
    for event in events.filter(verb="similarities imported").order_by("pk"):
        name, sha256 = event.detail.get("similarities", ""), event.detail.get("sha256", "")
        shown = comparisons.filter(study=event.study_id)
        sets = set(chain.from_iterable(shown.values_list("image_set_a", "image_set_b")))
        rows = matrices.filter(name=name, file_sha256=sha256).values_list("pk", "image_set")
        if own := [pk for pk, image_set in rows if image_set in sets]:
            file = {"study_id": event.study_id, "kind": "similarities", "sha256": sha256, "metric": name}
            source = imports.filter(**file).first()  # of an earlier event, or from before a migration backwards
            if source is None:
                source = imports.create(
                    **file,
                    state="done",
                    file_name=str(event.detail.get("file", ""))[:255],
                    row_count=len(own),
                    actor_id=event.actor_id,
                )
                imports.filter(pk=source.pk).update(created_at=event.happened_at)
            source.similarities.add(*own)


class Migration(migrations.Migration):
    dependencies = [("annotation", "0027_similarities_and_shared_votes"), ("scoring", "0005_metric_lab")]

    operations = [migrations.RunPython(number_earlier_imports, migrations.RunPython.noop)]
