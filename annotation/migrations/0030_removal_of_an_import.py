from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("annotation", "0029_report_result")]

    operations = [
        migrations.AddField(
            model_name="import", name="removal", field=models.JSONField(default=dict, editable=False)
        ),
    ]
