import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("annotation", "0003_frame"),
        ("generation", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="assignment",
            name="is_ahead",
            field=models.BooleanField(
                default=False, help_text="Fetched by the page, held by a short lease, not seen by anybody yet."
            ),
        ),
        migrations.AlterField(
            model_name="assignment",
            name="leased_at",
            field=models.DateTimeField(help_text="When the comparison was given to the annotator's browser."),
        ),
        migrations.AlterField(
            model_name="assignment",
            name="state",
            field=models.CharField(
                choices=[
                    ("leased", "Leased"),
                    ("voted", "Voted"),
                    ("released", "Released"),
                    ("late", "Late"),
                    ("reported", "Reported"),
                ],
                max_length=8,
            ),
        ),
        migrations.AddConstraint(
            model_name="assignment",
            constraint=models.UniqueConstraint(
                fields=["annotator"],
                condition=models.Q(state="leased", kind="main", is_ahead=False),
                name="one_comparison_on_the_screen",
            ),
        ),
        migrations.AddConstraint(
            model_name="assignment",
            constraint=models.CheckConstraint(
                condition=models.Q(is_ahead=False) | models.Q(state="leased"),
                name="assignment_ahead_only_while_leased",
            ),
        ),
        migrations.CreateModel(
            name="ImageReport",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(choices=[("failed", "Failed"), ("offensive", "Offensive")], max_length=9)),
                ("reported_at", models.DateTimeField()),
                ("settled_at", models.DateTimeField(blank=True, null=True)),
                (
                    "assignment",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="image_reports",
                        to="annotation.assignment",
                    ),
                ),
                (
                    "image",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="generation.generatedimage",
                    ),
                ),
            ],
            options={"ordering": ("reported_at", "id")},
        ),
        migrations.AddConstraint(
            model_name="imagereport",
            constraint=models.UniqueConstraint(
                fields=("assignment", "image", "kind"), name="one_report_of_an_image_and_kind"
            ),
        ),
    ]
