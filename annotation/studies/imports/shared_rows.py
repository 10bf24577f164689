"""Scores and similarities that several imports brought: each stays until the last of these imports is taken back."""

from collections.abc import Sequence
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet

from annotation.models import Import


def brought_alone(source: Import) -> QuerySet[Any]:
    """Return the scores or similarities of the import that no other import brought."""
    rows: QuerySet[Any] = _rows(source).filter(~Exists(_links(source).exclude(import_id=source.pk)))
    return rows


def link(source: Import, standing: QuerySet[Any]) -> None:
    """Link the import to these rows, which other imports stored before. The same file again is not linked.

    Rows without any import, which an earlier version stored, stay without one.
    """
    links = _links(source)
    same_file = links.filter(import__study=source.study_id, import__sha256=source.sha256)
    shared = standing.filter(Exists(links), ~Exists(same_file))
    _rows(source).add(*shared.values_list("pk", flat=True))


def let_go(source: Import, ids: Sequence[int]) -> QuerySet[Any]:
    """Unlink these rows from the import; return those that no import has any more. To be called in a transaction."""
    rows: QuerySet[Any] = _rows(source).model.objects.filter(pk__in=ids)
    list(rows.order_by("pk").select_for_update().values("pk"))  # else two imports would each leave a row to the other
    _rows(source).remove(*ids)
    return rows.filter(~Exists(_links(source)))


def _rows(source: Import) -> Any:
    return source.similarities if source.kind == Import.Kind.SIMILARITIES else source.scores


def _links(source: Import) -> QuerySet[Any]:
    """Return the links between a row and its imports, for a subquery in a query of rows."""
    rows = _rows(source)
    links: QuerySet[Any] = rows.through.objects.filter(**{rows.target_field_name: OuterRef("pk")})
    return links
