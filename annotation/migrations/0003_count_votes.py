"""Count the votes that are stored already into the new counters."""

from django.db import migrations
from django.db.models import Count, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce


def count_votes(apps, _schema_editor):
    comparisons = apps.get_model("annotation", "Comparison").objects
    counted = (
        apps.get_model("annotation", "Vote")
        .objects.filter(assignment__kind="main", state="standing", excluded_at=None)
        .exclude(assignment__annotator__state="screened_out")
        .filter(assignment__comparison=OuterRef("pk"))
        .order_by()
        .values("assignment__comparison")
    )
    is_tie, is_left, is_a_left = Q(choice="tie"), Q(choice="left"), Q(assignment__left_model="a")
    is_for_a = (is_left & is_a_left) | (~is_left & ~is_a_left)
    conditions = {"votes_a": ~is_tie & is_for_a, "votes_b": ~is_tie & ~is_for_a, "votes_tie": is_tie}
    comparisons.filter(vote_count__gt=0).update(
        **{
            name: Coalesce(Subquery(counted.annotate(count=Count("pk", filter=condition)).values("count")), 0)
            for name, condition in conditions.items()
        }
    )


class Migration(migrations.Migration):
    dependencies = [("annotation", "0002_counted_votes_and_closing")]
    operations = [migrations.RunPython(count_votes, migrations.RunPython.noop)]
