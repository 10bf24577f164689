"""Invite people to a study with personal links, many at once."""

import itertools
from collections.abc import Mapping, Sequence

from django.contrib.auth.models import User
from django.db.models import QuerySet

from annotation.models import Annotator, Study
from annotation.studies.audit import record
from annotation.studies.kept_apart import refuse_people_of_pilots
from annotation.studies.validation.same_prompts import key, visible
from annotation.voting.annotators import invite
from annotation.voting.storage.sqlite_queue import in_turn
from generation.tables.columns import plain
from jobs.refusals import Refused
from jobs.wording import hidden_character, quoted

MOST_AT_ONCE = 500
LABEL_LENGTH = 200


@in_turn
def invite_all(
    *, study: Study, labels: Sequence[str] = (), count: int = 0, actor: User | None = None
) -> list[Annotator]:
    """Create a personal link for each label, or `count` links labelled by numbers that go on from the annotators.

    Raises Refused if the study is over, if there are no labels or too many, and for a label that cannot be used: empty,
    too long, given twice, with an invisible character, or that of another link or of a person of a pilot of the study.
    Labels that differ only in case, blanks or Unicode spelling are the same.
    """
    if study.is_over:
        raise Refused(f"{study} is over: nobody can be invited any more.")
    if study.source == Study.Source.EXTERNAL:
        raise Refused(f"{study} takes no votes here: its votes are imported.")
    if not 1 <= (len(labels) or count) <= MOST_AT_ONCE:
        raise Refused(f"count: give a number of links or labels, from 1 to {MOST_AT_ONCE} at once.")
    standing = study.annotators.filter(kind=Annotator.Kind.PERSONAL).values_list("label", flat=True)
    taken = {key(label): label for label in standing}
    free = (str(number) for number in itertools.count(study.annotators.count() + 1) if str(number) not in taken)
    chosen = [plain(label) for label in labels] or list(itertools.islice(free, count))
    _refuse_labels(study, chosen, taken)
    refuse_people_of_pilots(study, chosen)
    made = [invite(study=study, label=label) for label in chosen]
    record("invited", study=study, actor=actor, personal_links=len(made))
    return made


def _refuse_labels(study: Study, labels: Sequence[str], taken: Mapping[str, str]) -> None:
    """Raise Refused for the first label that cannot be used. taken: the labels of the study by their keys."""
    given: dict[str, str] = {}
    for label in labels:
        if not 1 <= len(label) <= LABEL_LENGTH:
            raise Refused(f"labels: each label has 1 to {LABEL_LENGTH} letters.")
        if hidden_character(label) or not visible(label):
            raise Refused(
                f"labels: {quoted(label)} has an invisible character: a label is one line of visible letters."
            )
        if key(label) in given:
            alike = _alike(label, given[key(label)])
            raise Refused(f"labels: {alike} is given twice: each link needs a label of its own.")
        if key(label) in taken:
            raise Refused(
                f"labels: {_alike(label, taken[key(label)])} is already the label of a personal link of {study}: "
                "send that link, or give another label."
            )
        given[key(label)] = label


def _alike(label: str, other: str) -> str:
    """Return the label in quotes, and the other one if it is the same in another spelling."""
    return quoted(label) if label == other else f"{quoted(label)}, which looks like {quoted(other)},"


def invited(study: Study) -> QuerySet[Annotator]:
    """Return the people whose personal link can be sent.

    Not those who withdrew, because their link only says so, and nobody once personal data is erased.
    """
    if study.erased_at:
        return study.annotators.none()
    return study.annotators.filter(kind=Annotator.Kind.PERSONAL).exclude(state=Annotator.State.WITHDRAWN)
