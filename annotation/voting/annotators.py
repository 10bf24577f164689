"""Annotators: how they join a study, and how their links lead back to them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef, Q, QuerySet

from annotation.models import Annotator, Assignment, Study, Vote
from annotation.models.annotator import PEOPLE, withdrawal_marker
from annotation.voting.assignment import give_back, lock
from annotation.voting.availability import NoRoom, NoRoomLeft, closure, lack_of_votes_to_give, sentence
from annotation.voting.rules import VotingRules
from annotation.voting.storage.sqlite_queue import in_turn
from jobs.refusals import Refused


def invite(*, study: Study, label: str, kind: str = Annotator.Kind.PERSONAL) -> Annotator:
    """Create an annotator with a personal link. The label is only a name; two annotators may share it."""
    return Annotator.objects.create(study=study, label=label, kind=kind)


@dataclass(frozen=True, slots=True)
class Arrival:
    """The data of a newcomer who takes part through the open link.

    token: of the annotator's own link, made before, so that a form sent twice creates one annotator. consent_sha256:
    the hash of the text that was agreed to; None if the study has no welcome page. pilot_token: of the link that the
    same browser had in a pilot of the study; empty if it had none.
    """

    external_id: str = ""
    platform_parameters: Mapping[str, str] = field(default_factory=dict)
    token: str = ""
    consent_sha256: str | None = None
    pilot_token: str = ""


@in_turn
def join(*, study: Study, rules: VotingRules, now: datetime, arrival: Arrival | None = None) -> Annotator:
    """Create the annotator who takes part through the study's open link; nothing is stored about them before.

    The same external id (of a crowd platform) and the same token always lead to the same annotator, who keeps what came
    with the first visit. Raises `Refused` if the study is not open, and `NoRoomLeft`.
    """
    arrival = arrival or Arrival()
    # The lock makes newcomers who come at once join one after the other, so that the limit holds.
    study = Study.objects.select_for_update(no_key=True).get(pk=study.pk)
    if known := _known(study, arrival):
        return known
    if reason := closure(study=study, rules=rules, now=now):
        raise Refused(sentence(reason))
    if was_in_pilot(study=study, external_id=arrival.external_id, token=arrival.pilot_token):
        raise NoRoomLeft(NoRoom.PILOT)
    if lack := no_room(study=study, rules=rules, now=now):
        raise NoRoomLeft(lack)
    made = Annotator(
        study=study,
        kind=Annotator.Kind.OPEN,
        external_id=arrival.external_id,
        platform_parameters=dict(arrival.platform_parameters),
    )
    if arrival.token:
        made.token = arrival.token
    if arrival.consent_sha256 is not None:
        made.welcomed_at, made.consent_sha256 = now, arrival.consent_sha256
    made.save()
    return made


def _known(study: Study, arrival: Arrival) -> Annotator | None:
    if known := by_external_id(study=study, external_id=arrival.external_id):
        return known
    mine = study.annotators.filter(token=arrival.token, kind=Annotator.Kind.OPEN)
    return mine.select_related("study").first() if arrival.token else None


def no_room(*, study: Study, rules: VotingRules, now: datetime) -> NoRoom | None:
    """Return why nobody can join by the study's open link; None if a person can."""
    if lack := lack_of_votes_to_give(study=study, now=now):
        return lack
    if rules.most_annotators is None:
        return None
    people = _holding_a_place(study, rules, now)
    if people.count() < rules.most_annotators:
        return None
    finished = people.filter(state=Annotator.State.FINISHED)
    return NoRoom.FULL if finished.count() >= rules.most_annotators else NoRoom.HELD


def _holding_a_place(study: Study, rules: VotingRules, now: datetime) -> QuerySet[Annotator]:
    """The annotators who count towards `most_annotators`: none who withdrew, was screened out, or left.

    An annotator whom a platform sent has left if they have not finished, came longer ago than a lease lasts, and hold
    no comparison: the platform sends another one instead. All others may come back with their link at any time.
    """
    lives = Assignment.objects.filter(annotator=OuterRef("pk"), state=Assignment.State.LEASED, lease_expires_at__gt=now)
    came_lately = Q(created_at__gt=now - timedelta(seconds=rules.lease_seconds))
    is_at_it = Q(external_id="") | came_lately | Q(Exists(lives))
    people = study.annotators.filter(kind__in=PEOPLE)
    return people.filter(Q(state=Annotator.State.FINISHED) | Q(state=Annotator.State.ACTIVE) & is_at_it)


def by_external_id(*, study: Study, external_id: str) -> Annotator | None:
    """The annotator with this id of a crowd platform, even if they withdrew; None for an empty id."""
    if not external_id:
        return None
    spellings = (external_id, withdrawal_marker(study_id=study.pk, external_id=external_id))
    return study.annotators.filter(external_id__in=spellings).select_related("study").first()


def was_in_pilot(*, study: Study, external_id: str = "", token: str = "") -> bool:
    """Return whether the person with this platform id, or with this link, took part in a pilot of the study.

    A withdrawal changes nothing: the person has seen the task. Without an id and a link there is no query.
    """
    in_pilot = Annotator.objects.select_related("study").filter(study__pilot_of=study, kind__in=PEOPLE)
    mine = in_pilot.filter(token=token) if token else Annotator.objects.none()
    if any(one.has_come for one in mine):
        return True
    pilots = Study.objects.filter(pilot_of=study) if external_id else Study.objects.none()
    return any(by_external_id(study=pilot, external_id=external_id) for pilot in pilots)


def by_token(token: str) -> Annotator | None:
    """Return the annotator who has this link, with the study; None if no person has it."""
    return Annotator.objects.select_related("study").filter(token=token, kind__in=PEOPLE).first()


def by_resume_code(code: str) -> Annotator | None:
    """The annotator with this resume code; blanks, hyphens and case do not matter."""
    plain = "".join(character for character in code.upper() if character.isalnum())
    return Annotator.objects.select_related("study").filter(resume_code=plain, kind__in=PEOPLE).first()


def has_voted(annotator: Annotator) -> bool:
    """Whether the annotator has a vote on a comparison or a check that was not undone; practice does not count."""
    votes = Vote.objects.filter(assignment__annotator=annotator).exclude(state=Vote.State.SUPERSEDED)
    return votes.exclude(assignment__kind=Assignment.Kind.PRACTICE).exists()


def read_instructions(*, annotator: Annotator, now: datetime) -> None:
    """Record when the annotator first read the instructions; later calls, and after a withdrawal, change nothing."""
    unread = Annotator.objects.filter(pk=annotator.pk, instructions_read_at=None)
    unread.exclude(state=Annotator.State.WITHDRAWN).update(instructions_read_at=now)


@in_turn
def free_leases(*, annotator: Annotator, now: datetime) -> int:
    """Release everything that an annotator holds, because they stop or will not come back.

    Returns how many comparisons others can get again, as the study's page counts them: no checks.
    """
    lock(annotator.pk)
    leased = annotator.assignments.filter(state=Assignment.State.LEASED).order_by("comparison")
    freed = [one.kind for one in leased if give_back(one, Assignment.State.RELEASED, now)]
    return freed.count(Assignment.Kind.MAIN)


def free_leases_of(*, study: Study, external_ids: Collection[str], now: datetime) -> tuple[int, list[str]]:
    """`free_leases` for annotators whom the platform reports as returned or timed out.

    Returns how many comparisons were released, and the ids that no annotator of the study has.
    """
    named = {one: by_external_id(study=study, external_id=one) for one in external_ids}
    freed = sum(free_leases(annotator=annotator, now=now) for annotator in named.values() if annotator)
    return freed, [external_id for external_id, annotator in named.items() if annotator is None]
