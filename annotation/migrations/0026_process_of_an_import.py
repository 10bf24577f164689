from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("annotation", "0025_newest_assignment")]

    operations = [migrations.RenameField(model_name="import", old_name="claim", new_name="process")]
