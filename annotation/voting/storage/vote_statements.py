"""The database access of a vote: one function for each step, with its SQL beside it.

The functions run in the caller's transaction. `slots` says in which order they lock rows, and why no deadlock can
occur.
"""

from datetime import datetime
from typing import NamedTuple

from annotation.models import Annotator, Assignment, Comparison, Study, Vote
from annotation.voting.storage.sql import Columns, Statement, Steps, is_postgresql
from generation.models import Prompt

_LEASED = Columns(Assignment, "t")
_ANSWERED = Columns(Assignment, "t", without=("left_images", "right_images"))
_ANNOTATOR = Columns(Annotator, "a", without=("platform_parameters",))
_STUDY = Columns(Study, "s")
COMPARISON = Columns(
    Comparison, "c", ("id", "study", "position", "prompt", "model_a", "model_b", "left_lead", "slot_count")
)
PROMPT = Columns(Prompt, "p")

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
        SELECT {_LEASED.sql}, {COMPARISON.sql}, {PROMPT.sql}, n.*
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
        lease.comparison, rest = COMPARISON.read(rest)
        lease.comparison.prompt, rest = PROMPT.read(rest)
        leases.append(lease)
    if not leases:
        return [], counts_of(annotator)
    leases.sort(key=lambda lease: (lease.is_ahead, lease.leased_at, lease.pk))
    if not is_postgresql():
        _RENEW.count(current=leases[0].pk, **values)
    for place, lease in enumerate(leases):
        lease.is_ahead, lease.lease_expires_at = place > 0, ahead_ends_at if place else ends_at
    return leases, Counts(*rest)
