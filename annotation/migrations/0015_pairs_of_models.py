from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('annotation', '0014_models_of_studies'),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='comparison',
            name='one_comparison_per_study_and_prompt',
        ),
        migrations.RemoveConstraint(
            model_name='study',
            name='study_compares_two_models',
        ),
        migrations.RemoveField(
            model_name='study',
            name='model_a',
        ),
        migrations.RemoveField(
            model_name='study',
            name='model_b',
        ),
        migrations.AddField(
            model_name='comparison',
            name='model_a',
            field=models.CharField(default='a', help_text="The manifest's key of the model on side A.", max_length=50),
        ),
        migrations.AddField(
            model_name='comparison',
            name='model_b',
            field=models.CharField(default='b', help_text="The manifest's key of the model on side B.", max_length=50),
        ),
        migrations.AlterField(
            model_name='comparison',
            name='left_lead',
            field=models.IntegerField(default=0, help_text='Main assignments with side A on the left, minus those with side B.'),
        ),
        migrations.AlterField(
            model_name='comparison',
            name='votes_a',
            field=models.PositiveIntegerField(default=0, help_text='Counted votes for side A.'),
        ),
        migrations.AlterField(
            model_name='comparison',
            name='votes_b',
            field=models.PositiveIntegerField(default=0, help_text='Counted votes for side B.'),
        ),
        migrations.AddConstraint(
            model_name='comparison',
            constraint=models.UniqueConstraint(fields=('study', 'prompt', 'model_a', 'model_b'), name='one_comparison_per_study_prompt_and_pair'),
        ),
        migrations.AddConstraint(
            model_name='comparison',
            constraint=models.CheckConstraint(condition=models.Q(('model_a', models.F('model_b')), _negated=True), name='comparison_models_differ'),
        ),
    ]
