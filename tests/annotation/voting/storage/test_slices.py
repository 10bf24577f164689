"""Long work beside the voting: some rows in a transaction, and votes are stored between two of them."""

import threading
import time
from collections.abc import Sequence

import pytest
from django.db import connection, transaction

from annotation.models import Annotator, Study
from annotation.voting.storage import slices, sqlite_queue
from annotation.voting.storage.slices import FIRST_SIZE, LEAST_ROWS, in_slices
from tests.annotation.voting.open_studies import make_study
from tests.annotation.voting.storage.test_sqlite_queue import add, in_a_thread_of_its_own

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]


@pytest.fixture
def study() -> Study:
    return make_study(comparisons=1, overlap=1)


def test_every_row_is_done_once_and_no_slice_holds_more_than_allowed() -> None:
    rows = list(range(FIRST_SIZE * 7 + 3))
    done = in_slices(rows, list, most=FIRST_SIZE + 1)
    assert [row for some in done for row in some] == rows
    assert len(done[0]) == FIRST_SIZE
    assert max(map(len, done)) <= FIRST_SIZE + 1
    assert in_slices([], list) == []


def test_on_a_busy_machine_a_slice_does_not_shrink_to_its_fixed_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "_one_slice", lambda work, rows: (work(rows), 60.0))  # each seemed to take a minute
    sizes = list(map(len, in_slices(list(range(FIRST_SIZE + 3 * LEAST_ROWS)), list)))
    assert sizes == [FIRST_SIZE, LEAST_ROWS, LEAST_ROWS, LEAST_ROWS]


def test_a_vote_that_comes_during_a_slice_is_stored_before_the_next(study: Study) -> None:
    other = threading.Thread(target=in_a_thread_of_its_own, args=[lambda: add(study, "annotator")])
    seen = []

    def work(rows: Sequence[int]) -> None:
        assert connection.in_atomic_block
        if rows[0] == 0:
            other.start()
            while connection.vendor == "sqlite" and not sqlite_queue._QUEUE._waiting:
                time.sleep(0.001)
        else:
            if connection.vendor == "postgresql":  # there it does not wait, and may still be running
                other.join(timeout=600)
            seen.append(Annotator.objects.filter(label="annotator").count())

    in_slices([0, 1], work, most=1)
    other.join(timeout=600)
    assert seen == [1]


def test_what_was_done_before_an_error_stays_and_the_slice_of_the_error_goes(study: Study) -> None:
    def work(rows: Sequence[str]) -> None:
        for label in rows:
            add(study, label)

    with pytest.raises(ValueError, match="bad"):
        in_slices(["good", "bad", "late"], work, most=1)
    with pytest.raises(ValueError, match="bad"), transaction.atomic():
        in_slices(["with the caller's", "bad"], work, most=1)
    assert list(Annotator.objects.filter(study=study).values_list("label", flat=True)) == ["good"]
