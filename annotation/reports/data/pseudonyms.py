"""The pseudonyms of annotators, the same in every file of a study."""

import re

from annotation.models import Study
from annotation.models.annotator import BY_FILE, pseudonym

_PSEUDONYM = re.compile(r"P\d{3,9}")


def pseudonyms(study: Study) -> dict[int, str]:
    """Return the pseudonym of each annotator of the study by id, in the order in which the annotators came.

    A study whose votes all come from another study's export keeps the names in it: an import renames nobody.
    """
    rows = list(study.annotators.order_by("pk").values_list("pk", "kind", "label"))
    if rows and all(kind in BY_FILE and _PSEUDONYM.fullmatch(label) for _pk, kind, label in rows):
        return {pk: label for pk, _kind, label in rows}
    return {pk: pseudonym(number) for number, (pk, _kind, _label) in enumerate(rows, start=1)}


def names_for_staff(study: Study) -> dict[int, str]:
    """Return the name of each annotator on pages for staff, by id: the label, else the pseudonym of the report."""
    return pseudonyms(study) | dict(study.annotators.exclude(label="").values_list("pk", "label"))
