"""Store the two models of each study as rows."""

from django.db import migrations


def store_models(apps, _schema_editor):
    studies = apps.get_model("annotation", "Study").objects.order_by("pk")
    study_model = apps.get_model("annotation", "StudyModel")
    study_model.objects.bulk_create(
        study_model(study_id=pk, position=position, key=key, diffusion_model_id=model)
        for pk, *models in studies.values_list("pk", "model_a", "model_b")
        for position, (key, model) in enumerate(zip("ab", models))
    )


class Migration(migrations.Migration):
    dependencies = [("annotation", "0013_study_models")]
    operations = [migrations.RunPython(store_models, migrations.RunPython.noop)]
