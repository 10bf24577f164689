"""The order in which the votes of a file were given; pure.

Runs of one side, the first votes of a comparison and times over a session depend on it, so it is stored with each vote.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from operator import itemgetter

from annotation.voting.imports.vote_line import FileVote

_LATER = timedelta(microseconds=1)


def in_order(votes: Sequence[FileVote], *, imported_at: datetime, taken: Collection[datetime]) -> list[FileVote]:
    """Return the votes in their order, each with the time that orders it, `ordered_at`, which no other vote has.

    An export says the order. Other files are ordered by `voted_at` if each vote has one, else by line, and their times
    then begin at `imported_at`. Votes of one moment are ordered by the annotator's name, so that the order of the lines
    does not matter; but by line if one annotator has two of them, because such a clock is too coarse to order by.
    taken: the times of votes that are stored already.
    """
    said = [vote.ordered_at or vote.received_at or vote.voted_at for vote in votes]
    times = [time for time in said if time is not None]
    names = [vote.annotator for vote in votes]
    if len(times) < len(votes):
        times, names = [imported_at] * len(votes), [""] * len(votes)
    if len(set(zip(names, times, strict=True))) < len(votes):
        names = [""] * len(votes)
    placed = sorted(zip(times, names, votes, strict=True), key=itemgetter(0, 1))  # stable: else by line
    return _apart([(time, vote) for time, _name, vote in placed], taken)


def _apart(placed: Sequence[tuple[datetime, FileVote]], taken: Collection[datetime]) -> list[FileVote]:
    """Return the votes with their times, each at the first microsecond after the one before that is not taken."""
    apart: list[FileVote] = []
    for time, vote in placed:
        before = apart[-1].ordered_at if apart else None
        time = time if before is None else max(time, before + _LATER)
        while time in taken:
            time += _LATER
        apart.append(vote._replace(ordered_at=time))
    return apart
