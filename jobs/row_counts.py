"""Counts of the rows that refer to a row, for lists that show many rows."""

from typing import Any

from django.db.models import Func, IntegerField, OuterRef, QuerySet, Subquery


def count_of(rows: QuerySet[Any], field: str) -> Subquery:
    """Return how many of `rows` refer to a row by `field`, as a subquery: a list counts only for one page's rows."""
    own = rows.filter(**{field: OuterRef("pk")}).order_by()
    # Django's Count would group the rows, which was measured to take half as long again. COUNT(*) and not of the key,
    # which is in no index but its own: PostgreSQL read every row for it.
    return Subquery(own.values(count=Func(template="COUNT(*)", output_field=IntegerField())))
