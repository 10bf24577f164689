"""The overview of a study: how far it is, in five steps, and its comparisons by their votes. Nothing sealed."""

from collections import Counter
from dataclasses import dataclass

from annotation.models import Study
from annotation.studies.lifecycle.progress import StudyProgress
from jobs.wording import counted

State = Study.State
_STEP_OF = {
    State.DRAFT: 0,
    State.GENERATING: 1,
    State.SCORING: 1,
    State.READY: 2,
    State.OPEN: 3,
    State.PAUSED: 3,
    State.CLOSING: 3,
    State.CLOSED: 4,
}
_LABELS = ("Draft", "Images", "Ready", "Open", "Closed")
MOST_CELLS = 400  # more are shown as counts only
SET_ASIDE = "set aside"
DEPTHS = 5  # of grey, from no vote to complete


@dataclass(frozen=True, slots=True)
class Step:
    """One of the five steps. place: `done`, `now` or `later`."""

    label: str
    place: str
    note: str


@dataclass(frozen=True, slots=True)
class Cells:
    """The comparisons of a study by their votes.

    depths: one for each comparison in the order of the study, from `0` (no vote) to `5` (complete), or `parked` (set
    aside); empty if there are more than MOST_CELLS. counts: the same in words, such as
    `41 complete`.
    """

    depths: tuple[str, ...]
    counts: tuple[str, ...]


def steps(study: Study, counts: StudyProgress) -> tuple[Step, ...]:
    """Return the five steps of a study; none of an external one, which is closed from the start."""
    if study.source == Study.Source.EXTERNAL:
        return ()
    now = _STEP_OF[State(study.state)]
    notes = (
        f"{study.created_at:%d %b %Y}",
        f"{counts.image_count:,} of {counts.planned_image_count:,}" if counts.planned_image_count else "",
        "",
        f"since {study.opened_at:%d %b, %H:%M}" if study.opened_at else "",
        f"{study.closed_at:%d %b %Y}" if study.state == State.CLOSED and study.closed_at else "unseals the report",
    )
    return tuple(
        Step(label, _place(number, now), note) for number, (label, note) in enumerate(zip(_LABELS, notes, strict=True))
    )


def _place(number: int, now: int) -> str:
    if number == now:
        return "now"
    return "done" if number < now else "later"


def next_step(study: Study, counts: StudyProgress, *, imported_count: int = 0) -> str:
    """Return in a sentence what happens now, and what the researcher does next.

    imported_count: the images that a draft of own images has so far.
    """
    votes = f"{counts.vote_count:,} of {counted(counts.slot_total, 'vote')}"
    is_complete = counts.slot_total > 0 and counts.complete_count == counts.comparison_count
    launch = "Launch it to make its images."
    if study.source == Study.Source.IMAGES:
        launch = (
            "Launch it to take its imported images and score them."
            if imported_count
            else "Upload its images, then launch it."
        )
    return {
        State.DRAFT: f"A draft: everything can still change. {launch}",
        State.GENERATING: "Its images are on the way.",
        State.SCORING: "Every image is there; the sets are being scored.",
        State.READY: "Every set is complete and scored. Open the study, then send the invitations.",
        State.OPEN: f"{votes}. {'All is complete: close the study.' if is_complete else 'People can vote now.'}",
        State.PAUSED: f"{votes}. Paused: nobody gets a comparison until you open it again.",
        State.CLOSING: f"{votes}. The voting has ended. A worker applies the exclusion rules and then closes it, but "
        "not while a sealed study that takes votes shows the same images.",
        State.CLOSED: f"{counted(counts.vote_count, 'vote')}. The report is unsealed.",
    }[State(study.state)]


def cells(study: Study) -> Cells:
    """Return the comparisons by their votes, with one query."""
    rows = list(study.comparisons.order_by("position").values_list("vote_count", "overlap", "parked_at"))
    depths = tuple(_depth(votes, overlap, parked is not None) for votes, overlap, parked in rows)
    found = Counter(_words(votes, overlap, parked is not None) for votes, overlap, parked in rows)
    order = sorted(found, key=lambda words: (words == SET_ASIDE, words != "complete", words))
    return Cells(depths if len(depths) <= MOST_CELLS else (), tuple(f"{found[words]:,} {words}" for words in order))


def _words(votes: int, overlap: int, is_parked: bool) -> str:
    if is_parked:
        return SET_ASIDE
    return "complete" if votes >= overlap else f"with {counted(votes, 'vote')}"


def _depth(votes: int, overlap: int, is_parked: bool) -> str:
    if is_parked:
        return "parked"
    if votes >= overlap:
        return str(DEPTHS)
    return str(min(DEPTHS - 1, -(-votes * (DEPTHS - 1) // overlap)))
