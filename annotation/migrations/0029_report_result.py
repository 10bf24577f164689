from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("annotation", "0028_earlier_similarities")]

    operations = [
        migrations.AddField(
            model_name="reportjob", name="result", field=models.TextField(blank=True, default="")
        ),
        migrations.AddField(
            model_name="reportjob", name="result_votes", field=models.PositiveIntegerField(default=0)
        ),
    ]
