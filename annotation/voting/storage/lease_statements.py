"""The database access of a new lease: find a free comparison, take a slot of it. As in `vote_statements`."""

import json
from typing import NamedTuple

from annotation.models import Annotator, Assignment, Comparison
from annotation.voting.rules import Order
from annotation.voting.storage.sql import Statement, Steps
from annotation.voting.storage.vote_statements import COMPARISON, PROMPT

# Which free comparisons come first, as terms of ORDER BY; equal ones are searched from a drawn position on.
_ORDERS: dict[Order, dict[str, str]] = {
    "even": {"{c}.slot_count": ""},
    "nearly_done": {"{c}.slot_count": " DESC"},
    "split": {"ABS({c}.lead)": "", "{c}.slot_count": ""},
    "uncertain_pairs": {"{c}.slot_count": ""},
    "drawn": {"{c}.turn": ""},
}
# The conditions of the partial indexes that these orders are read from.
_ONLY_WITH: dict[Order, str] = {
    "split": "AND {c}.lead IS NOT NULL",
    "drawn": "AND {c}.turn IS NOT NULL",
    "uncertain_pairs": "AND {c}.model_a = %(model_a)s AND {c}.model_b = %(model_b)s",
}
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
        SELECT {COMPARISON.sql}, {PROMPT.sql}, {_IMAGES.format(side="a")}, {_IMAGES.format(side="b")}
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


def first_free(
    annotator: Annotator, *, allocation: Order, start: int, is_patient: bool, pair: tuple[str, str] | None = None
) -> Free | None:
    """Return the free comparison that comes first for this annotator; among equal ones, the first from `start` on.

    Comparisons that the annotator has answered, holds or reported are left out, and so are those that were set aside or
    are decided. The comparison is returned locked, and those that other transactions have locked are skipped. A patient
    search skips none and locks nothing. pair: the models, if the allocation is by pairs.
    """
    models = dict(zip(("model_a", "model_b"), pair or (), strict=False))
    for statement in _FIRST_FREE[allocation, is_patient]:
        for row in statement.rows(annotator=annotator.pk, study=annotator.study_id, start=start, **models):
            comparison, rest = COMPARISON.read(row)
            comparison.prompt, (images_a, images_b) = PROMPT.read(rest)
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
