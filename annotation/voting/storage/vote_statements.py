"""The database access of a vote: one function for each step, with its SQL beside it.

The functions run in the caller's transaction. `slots` says in which order they lock rows, and why no deadlock can
occur.
"""

import json
from datetime import datetime
from typing import NamedTuple

from annotation.models import Annotator, Assignment, Comparison, Study, Vote
from annotation.voting.rules import Order
from annotation.voting.storage.sql import Columns, Statement, Steps, is_postgresql
from generation.models import Prompt

_LEASED = Columns(Assignment, "t")
_ANSWERED = Columns(Assignment, "t", without=("left_images", "right_images"))
_ANNOTATOR = Columns(Annotator, "a", without=("platform_parameters",))
_STUDY = Columns(Study, "s")
_COMPARISON = Columns(Comparison, "c", ("id", "study", "position", "prompt", "left_lead"))
_PROMPT = Columns(Prompt, "p")

# --- find what is answered ----------------------------------------------------------------------
_FIND = Statement(
    f"""
    SELECT {_ANSWERED.sql}, {_ANNOTATOR.sql}, {_STUDY.sql}
    FROM annotation_assignment t
    JOIN annotation_annotator a ON a.id = t.annotator_id
    JOIN annotation_study s ON s.id = a.study_id
    WHERE t.id = %(assignment)s AND a.id = %(annotator)s AND a.token = %(token)s AND a.kind IN ('personal', 'open')
    [[FOR NO KEY UPDATE OF a]]
    """
)


def locked_assignment(assignment_id: int, *, annotator_id: int, token: str) -> Assignment | None:
    """Lock the annotator of this link, and return their assignment with annotator and study; None if it is another's.

    Only the annotator is as fresh as the lock: PostgreSQL reads the other rows before it waits.
    """
    for row in _FIND.rows(assignment=assignment_id, annotator=annotator_id, token=token):
        assignment, rest = _ANSWERED.read(row)
        assignment.annotator, rest = _ANNOTATOR.read(rest)
        assignment.annotator.study, _rest = _STUDY.read(rest)
        return assignment
    return None


# --- store an answer ----------------------------------------------------------------------------
_INSERT_VOTE = """
    INSERT INTO annotation_vote
    (id, assignment_id, choice, state, shown_at, voted_at, received_at, response_ms, exclusion_reason)
    SELECT %(id)s, %(assignment)s, %(choice)s, %(state)s, %(shown_at)s, %(voted_at)s, %(received_at)s,
    %(response_ms)s, '' {source} ON CONFLICT (id) DO NOTHING RETURNING id
    """
_STORE_VOTE = Statement(
    _INSERT_VOTE.format(source="[[|WHERE TRUE]]")
)  # SQLite's parser wants a WHERE before ON CONFLICT
_ANSWER_LEASE = Steps(
    """
    UPDATE annotation_assignment
    SET state = 'voted', shown_at = %(shown_at)s, rendition = %(rendition)s, is_ahead = FALSE, lease_expires_at = NULL
    WHERE id = %(assignment)s AND state = 'leased' AND NOT EXISTS (SELECT 1 FROM annotation_vote WHERE id = %(id)s)
    """,
    """
    UPDATE annotation_comparison
    SET vote_count = vote_count + 1, lead = lead + %(lead)s,
        votes_a = votes_a + %(for_a)s, votes_b = votes_b + %(for_b)s, votes_tie = votes_tie + %(for_tie)s
    WHERE id = %(comparison)s [[AND EXISTS (SELECT 1 FROM first)]]
    """,
    _INSERT_VOTE.format(source="[[FROM first|WHERE TRUE]]"),
)
_NO_COMPARISON = 0


def store_answer(vote: Vote, *, rendition: str, lead: int | None) -> bool:
    """Answer the leased assignment of a vote, count the vote on its comparison, and insert it; return False if not.

    lead: what the vote adds to the comparison's `lead`; None for a check, which no comparison counts. If the assignment
    is no longer leased or a vote has this id, return False; the caller's transaction must then change nothing more.
    """
    return bool(
        _ANSWER_LEASE.row(
            **_values(vote),
            rendition=rendition,
            comparison=_NO_COMPARISON if lead is None else vote.assignment.comparison_id,
            lead=lead or 0,
            for_a=int(lead == 1),
            for_b=int(lead == -1),
            for_tie=int(lead == 0),
        )
    )


def store_vote(vote: Vote) -> bool:
    """Store the vote alone; False if a vote has its id."""
    return bool(_STORE_VOTE.rows(**_values(vote)))


def _values(vote: Vote) -> dict[str, object]:
    return {
        "id": vote.pk,
        "assignment": vote.assignment_id,
        "choice": vote.choice,
        "state": vote.state,
        "shown_at": vote.shown_at,
        "voted_at": vote.voted_at,
        "received_at": vote.received_at,
        "response_ms": vote.response_ms,
    }


# --- what the annotator holds, and how far they are ---------------------------------------------
class Counts(NamedTuple):
    """An annotator's main assignments: all, those with A on the left, those answered; the study's last position."""

    assignments: int
    with_a_left: int
    answered: int
    last_position: int


# The last position is that of the study given: by a join from the annotator it would be looked up for each assignment.
_COUNTS = """
    SELECT COUNT(*) AS assignments, COUNT(*) FILTER (WHERE left_model = 'a') AS with_a_left,
        COUNT(*) FILTER (WHERE state IN ('voted', 'late')) AS answered,
        COALESCE((SELECT MAX(position) FROM annotation_comparison WHERE study_id = %(study)s), -1) AS last_position
    FROM annotation_assignment WHERE annotator_id = %(annotator)s AND kind = 'main'
    """
_COUNT = Statement(_COUNTS)


def counts_of(annotator: Annotator) -> Counts:
    """Count the comparisons that the annotator was given and has answered."""
    return Counts(*_COUNT.rows(annotator=annotator.pk, study=annotator.study_id)[0])


def _renewed_leases(skip_locked: str) -> Statement:
    return Statement(
        f"""
        [[WITH live AS (]]
        SELECT {_LEASED.sql}, {_COMPARISON.sql}, {_PROMPT.sql}, n.*
        FROM annotation_assignment t
        JOIN annotation_comparison c ON c.id = t.comparison_id
        JOIN generation_prompt p ON p.id = c.prompt_id
        CROSS JOIN ({_COUNTS}) n
        WHERE t.annotator_id = %(annotator)s AND t.state = 'leased'
        [[FOR NO KEY UPDATE OF t {skip_locked}), renewed AS (
            UPDATE annotation_assignment SET is_ahead = (id <> first.t_id),
            lease_expires_at = CASE WHEN id = first.t_id THEN %(ends_at)s ELSE %(ahead_ends_at)s END
            FROM (SELECT t_id FROM live ORDER BY t_is_ahead, t_leased_at, t_id LIMIT 1) first
            WHERE id IN (SELECT t_id FROM live)
        ) SELECT * FROM live]]
        """
    )


_RENEWED_LEASES = {is_patient: _renewed_leases("" if is_patient else "SKIP LOCKED") for is_patient in (False, True)}
_RENEW = Statement(
    """
    UPDATE annotation_assignment SET is_ahead = (id <> %(current)s),
    lease_expires_at = CASE WHEN id = %(current)s THEN %(ends_at)s ELSE %(ahead_ends_at)s END
    WHERE annotator_id = %(annotator)s AND state = 'leased'
    """
)


def renewed_leases(
    annotator: Annotator, *, ends_at: datetime, ahead_ends_at: datetime, is_patient: bool
) -> tuple[list[Assignment], Counts]:
    """Lock and renew the annotator's leases; return them, the comparison on the screen first, and the counts.

    If none is on the screen, the first that was held ahead takes its place. Unless patient, leases that another
    transaction has locked are skipped. The counts may be as old as the statement: only transactions that hold the
    annotator's lock change them.
    """
    values = {"annotator": annotator.pk, "ends_at": ends_at, "ahead_ends_at": ahead_ends_at}
    leases = []
    rows = _RENEWED_LEASES[is_patient].rows(study=annotator.study_id, **values)
    for row in rows:
        lease, rest = _LEASED.read(row)
        lease.comparison, rest = _COMPARISON.read(rest)
        lease.comparison.prompt, rest = _PROMPT.read(rest)
        leases.append(lease)
    if not leases:
        return [], counts_of(annotator)
    leases.sort(key=lambda lease: (lease.is_ahead, lease.leased_at, lease.pk))
    if not is_postgresql():
        _RENEW.count(current=leases[0].pk, **values)
    for place, lease in enumerate(leases):
        lease.is_ahead, lease.lease_expires_at = place > 0, ahead_ends_at if place else ends_at
    return leases, Counts(*rest)


# --- lease another ------------------------------------------------------------------------------
# Which free comparisons come first, as terms of ORDER BY; equal ones are searched from a drawn position on.
_ORDERS: dict[Order, dict[str, str]] = {
    "even": {"{c}.slot_count": ""},
    "nearly_done": {"{c}.slot_count": " DESC"},
    "split": {"ABS({c}.lead)": "", "{c}.slot_count": ""},
    "drawn": {"{c}.turn": ""},
}
# The conditions of the partial indexes that these orders are read from.
_ONLY_WITH: dict[Order, str] = {"split": "AND {c}.lead IS NOT NULL", "drawn": "AND {c}.turn IS NOT NULL"}
# Not NOT EXISTS: PostgreSQL may join for that, and then reads all that the annotator has seen. IS NULL would be right,
# too, but PostgreSQL expects it of one row in 200; so its prepared plan read and sorted all comparisons that are left
# (25 ms of 1,000) where it expects half of the rows to be NOT TRUE and reads the index in order (0.2 ms).
_IS_FREE = """
    {c}.study_id = %(study)s AND {c}.parked_at IS NULL AND {c}.decided_at IS NULL AND {c}.slot_count < {c}.overlap
    AND (
        SELECT TRUE FROM annotation_assignment seen
        WHERE seen.comparison_id = {c}.id AND seen.annotator_id = %(annotator)s AND seen.kind = 'main'
        AND seen.state IN ('voted', 'late', 'leased', 'reported') LIMIT 1
    ) IS NOT TRUE
    """
_IMAGES = """
    [[ARRAY(SELECT id FROM generation_generatedimage WHERE image_set_id = c.image_set_{side}_id ORDER BY seed)
    |(SELECT json_group_array(id) FROM
    (SELECT id FROM generation_generatedimage WHERE image_set_id = c.image_set_{side}_id ORDER BY seed))]]
    """


class Free(NamedTuple):
    """A comparison with a free slot, and the ids of its images, by seed."""

    comparison: Comparison
    images_a: list[int]
    images_b: list[int]


def _first_free(allocation: Order, place: str, lock: str) -> Statement:
    """Return the statement that finds the first free comparison on one side of the start, among those that tie."""
    is_free = _IS_FREE + _ONLY_WITH.get(allocation, "")
    order = ", ".join(f"{key}{direction}" for key, direction in _ORDERS[allocation].items())
    first = f"FROM annotation_comparison f WHERE {is_free} ORDER BY {order}, f.position LIMIT 1".format(c="f")
    equal = " AND ".join(f"{key.format(c='c')} = (SELECT {key.format(c='f')} {first})" for key in _ORDERS[allocation])
    return Statement(
        f"""
        SELECT {_COMPARISON.sql}, {_PROMPT.sql}, {_IMAGES.format(side="a")}, {_IMAGES.format(side="b")}
        FROM annotation_comparison c JOIN generation_prompt p ON p.id = c.prompt_id
        WHERE {is_free.format(c="c")} AND {equal} AND c.position {place} %(start)s
        ORDER BY c.position LIMIT 1 [[{lock}]]
        """
    )


_FIRST_FREE = {
    (allocation, is_patient): [
        _first_free(allocation, place, "" if is_patient else "FOR NO KEY UPDATE OF c SKIP LOCKED")
        for place in (">=", "<")
    ]
    for allocation in _ORDERS
    for is_patient in (False, True)
}


def first_free(annotator: Annotator, *, allocation: Order, start: int, is_patient: bool) -> Free | None:
    """Return the free comparison that comes first for this annotator; among equal ones, the first from `start` on.

    Comparisons that the annotator has answered, holds or reported are left out, and so are those that were set aside or
    are decided. The comparison is returned locked, and those that other transactions have locked are skipped. A patient
    search skips none and locks nothing.
    """
    for statement in _FIRST_FREE[allocation, is_patient]:
        for row in statement.rows(annotator=annotator.pk, study=annotator.study_id, start=start):
            comparison, rest = _COMPARISON.read(row)
            comparison.prompt, (images_a, images_b) = _PROMPT.read(rest)
            return Free(comparison, _ids(images_a), _ids(images_b))
    return None


def _ids(stored: list[int] | str) -> list[int]:
    ids: list[int] = json.loads(stored) if isinstance(stored, str) else stored
    return ids


_LEASE = Steps(
    """
    UPDATE annotation_comparison SET slot_count = slot_count + 1, left_lead = left_lead + %(left_lead)s
    WHERE id = %(comparison)s AND slot_count < overlap AND decided_at IS NULL
    """,
    """
    INSERT INTO annotation_assignment
    (comparison_id, annotator_id, kind, occurrence, state, left_model, are_sides_known, left_images, right_images,
    known_choice, replaced_count, rendition, is_ahead, leased_at, lease_expires_at)
    SELECT %(comparison)s, %(annotator)s, 'main', 0, 'leased', %(left_model)s, TRUE, %(left_images)s, %(right_images)s,
    '', 0, '', %(is_ahead)s, %(leased_at)s, %(ends_at)s [[FROM first]] RETURNING id
    """,
)


def store_lease(assignment: Assignment) -> bool:
    """Take a slot for a new main assignment, and store it as leased; False if no slot is left."""
    row = _LEASE.row(
        comparison=assignment.comparison_id,
        left_lead=1 if assignment.left_model == Assignment.Side.A else -1,
        annotator=assignment.annotator_id,
        left_model=assignment.left_model,
        left_images=json.dumps(assignment.left_images),
        right_images=json.dumps(assignment.right_images),
        is_ahead=assignment.is_ahead,
        leased_at=assignment.leased_at,
        ends_at=assignment.lease_expires_at,
    )
    if row is None:
        return False
    (assignment.pk,) = row
    return True
