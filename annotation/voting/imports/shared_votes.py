"""Votes that several files hold: each stays until the last of its files is taken back.

An assignment belongs to the import that brought it first. Once another file holds votes of it too, each of its votes
has an `ImportedVote` for each file that holds it.
"""

import uuid
from collections.abc import Collection, Iterable
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery

from annotation.models import Assignment, Import, ImportedAssignment, ImportedVote, Vote

_LINKS = ImportedVote.objects.filter(vote=OuterRef("pk"))


def votes_of(source: Import) -> QuerySet[Vote]:
    """Return the votes that this import alone brought."""
    alone = Q(Exists(_LINKS.filter(source=source))) & ~Q(Exists(_LINKS.exclude(source=source)))
    return _on_its_assignments(source).filter(alone | Q(~Exists(_LINKS), assignment__imported__source=source))


def brought_by_others(source: Import) -> QuerySet[Vote]:
    """Return the votes of the import that another import brought too."""
    own, others = Exists(_LINKS.filter(source=source)), Exists(_LINKS.exclude(source=source))
    return _on_its_assignments(source).filter(own, others)


def assignments_of(source: Import) -> QuerySet[Assignment]:
    """Return the assignments of which the import's file holds votes."""
    return Assignment.objects.filter(pk__in=_assignment_ids(source))


def _on_its_assignments(source: Import) -> QuerySet[Vote]:
    return Vote.objects.filter(assignment__in=_assignment_ids(source))


def _assignment_ids(source: Import) -> QuerySet[Any, Any]:
    """Return the ids of the assignments. A union, so that the database reads no votes of other studies."""
    first = ImportedAssignment.objects.filter(source=source).order_by().values("assignment")
    return first.union(ImportedVote.objects.filter(source=source).order_by().values("vote__assignment"))


def same_file(source: Import) -> QuerySet[Vote]:
    """Return the votes of the study that came from this file, in this import or in an earlier one."""
    same = Import.objects.filter(study=source.study_id, kind=source.kind, sha256=source.sha256).values("pk")
    first = Q(~Exists(_LINKS), assignment__imported__source__in=same)
    here = Vote.objects.filter(assignment__imported__source__study=source.study_id)
    return here.filter(Exists(_LINKS.filter(source__in=same)) | first)


def link_first(assignments: Collection[int]) -> None:
    """Link each vote of these assignments that has no link yet to the import that brought it first."""
    unlinked = Vote.objects.filter(~Exists(_LINKS), assignment__in=assignments).order_by()
    rows = unlinked.values_list("pk", "assignment__imported__source_id")
    ImportedVote.objects.bulk_create(ImportedVote(vote_id=vote, source_id=first) for vote, first in rows)


def link(source: Import, vote_ids: Iterable[uuid.UUID]) -> None:
    """Link the import to these votes, which its file holds."""
    rows = [ImportedVote(vote_id=vote, source=source) for vote in vote_ids]
    ImportedVote.objects.bulk_create(rows, ignore_conflicts=True)


def let_go(source: Import, assignments: Collection[int]) -> QuerySet[Vote]:
    """Unlink the votes of these assignments from the import; return the votes that no import has any more."""
    shared = Vote.objects.filter(assignment__in=assignments, files__isnull=False).order_by().values("assignment")
    is_shared = Q(assignment__in=set(shared.values_list("assignment", flat=True)))
    ImportedVote.objects.filter(source=source, vote__assignment__in=assignments).delete()
    return Vote.objects.filter(~is_shared | ~Exists(_LINKS), assignment__in=assignments)


def hand_over(source: Import, assignments: Collection[int]) -> None:
    """Give the assignments that the import brought first to the oldest import that still holds a vote of them."""
    first = ImportedVote.objects.filter(vote__assignment=OuterRef("pk")).order_by("source").values("source")[:1]
    ImportedAssignment.objects.filter(source=source, pk__in=assignments).update(source=Subquery(first))
