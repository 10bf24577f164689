"""The order of the votes of a file."""

import uuid
from datetime import datetime, timedelta

from annotation.voting.imports.imported_rows import in_order
from annotation.voting.imports.vote_line import FileVote
from tests.annotation.voting.open_studies import NOON

LATER = timedelta(microseconds=1)


def vote(line: int, annotator: str, voted_at: datetime | None = None) -> FileVote:
    return FileVote(line, annotator, line, "left", "a", True, None, voted_at, uuid.uuid4())


def lines(*votes: FileVote) -> list[int]:
    return [one.line for one in in_order(votes, imported_at=NOON, taken=())]


def at(second: int) -> datetime:
    return NOON - timedelta(days=1) + timedelta(seconds=second)


def test_by_time_if_every_vote_has_one_and_else_by_line() -> None:
    assert lines(vote(2, "ann", at(9)), vote(3, "ann", at(1)), vote(4, "ben", at(5))) == [3, 4, 2]
    assert lines(vote(2, "ann", at(9)), vote(3, "ann", at(1)), vote(4, "ben")) == [2, 3, 4]


def test_votes_of_one_moment_by_name_and_by_line_if_the_clock_is_too_coarse() -> None:
    assert lines(vote(2, "ben", at(1)), vote(3, "ann", at(1))) == [3, 2]
    assert lines(vote(2, "ben", at(1)), vote(3, "ann", at(1)), vote(4, "ben", at(1))) == [2, 3, 4]
    assert lines(vote(2, "ben"), vote(3, "ann")) == [2, 3]


def test_an_export_says_the_order() -> None:
    votes = [
        vote(2, "ann", at(1))._replace(received_at=at(8), ordered_at=at(3)),
        vote(3, "ann", at(2))._replace(received_at=at(7), ordered_at=at(2)),
    ]
    assert lines(*votes) == [3, 2]
    assert lines(*(one._replace(ordered_at=None) for one in votes)) == [3, 2]
    assert lines(*(one._replace(ordered_at=None, received_at=None) for one in votes)) == [2, 3]


def test_no_two_votes_have_one_time() -> None:
    votes = [vote(line, "ann") for line in (2, 3, 4)]
    found = in_order(votes, imported_at=NOON, taken={NOON, NOON + 2 * LATER})
    assert [one.ordered_at for one in found] == [NOON + LATER, NOON + 3 * LATER, NOON + 4 * LATER]
    assert in_order([], imported_at=NOON, taken=()) == []
