"""The queue before SQLite's writer. On PostgreSQL each transaction is its own, and the same must hold."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction
from django.utils import translation

from annotation.models import Annotator, Study
from annotation.voting.storage.sqlite_queue import in_turn
from tests.annotation.voting.open_studies import make_study

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]
CROWD = 12


@pytest.fixture
def study() -> Study:
    return make_study(comparisons=1, overlap=1)


@in_turn
def add(study: Study, label: str, before: Callable[[], object] = lambda: None) -> str:
    """Add an annotator; a label "bad" is an error after the row was written."""
    before()
    Annotator.objects.create(study=study, kind="personal", label=label)
    if label == "bad":
        raise ValueError(label)
    return label


def in_a_thread_of_its_own(work: Callable[[], object]) -> object:
    try:
        return work()
    finally:
        connection.close()


def all_behind_one(study: Study, labels: list[str]) -> list[object]:
    """The results, after the first transaction held the queue until all others were in it."""
    is_held, may_go_on = threading.Event(), threading.Event()

    def hold() -> None:
        is_held.set()
        assert may_go_on.wait(timeout=600)

    def attempt(label: str) -> object:
        try:
            return add(study, label)
        except ValueError as error:
            return error

    with ThreadPoolExecutor(len(labels) + 1) as pool:
        first = pool.submit(in_a_thread_of_its_own, lambda: add(study, "first", hold))
        assert is_held.wait(timeout=600)
        others = [pool.submit(in_a_thread_of_its_own, lambda label=label: attempt(label)) for label in labels]  # type: ignore[misc]
        may_go_on.set()
        assert first.result() == "first"
        return [other.result() for other in others]


def test_each_thread_gets_its_own_result_after_the_commit(study: Study) -> None:
    labels = [f"person {number}" for number in range(CROWD)]
    assert all_behind_one(study, labels) == labels
    assert set(Annotator.objects.values_list("label", flat=True)) == {"first", *labels}


def test_an_error_rolls_back_its_own_work_and_no_other(study: Study) -> None:
    answers = all_behind_one(study, ["one", "bad", "two"])
    assert (answers[0], answers[2]) == ("one", "two")
    assert isinstance(answers[1], ValueError)
    assert set(Annotator.objects.values_list("label", flat=True)) == {"first", "one", "two"}


def test_the_queue_goes_on_after_an_error(study: Study) -> None:
    with pytest.raises(ValueError, match="bad"):
        add(study, "bad")
    assert add(study, "good") == "good"
    assert Annotator.objects.get().label == "good"


def test_work_runs_in_the_language_of_the_thread_that_queued_it(study: Study) -> None:
    @in_turn
    def spoken() -> str:
        return str(translation.get_language())

    def ask(language: str) -> str:
        with translation.override(language):
            return spoken()

    with ThreadPoolExecutor(CROWD) as pool:
        wanted = ["en", "de"] * (CROWD // 2)
        found = list(pool.map(lambda language: in_a_thread_of_its_own(lambda: ask(language)), wanted))
    assert found == wanted


def test_work_inside_a_transaction_is_part_of_it(study: Study) -> None:
    def begin_and_fail() -> None:
        with transaction.atomic():
            add(study, "inner")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        begin_and_fail()
    assert not Annotator.objects.exists()


@pytest.mark.skipif(connection.vendor != "sqlite", reason="on PostgreSQL each thread has its own connection")
def test_each_thread_that_runs_the_queue_writes_through_the_same_connection() -> None:
    @in_turn
    def writer() -> object:
        return connection.connection

    connection.ensure_connection()
    with ThreadPoolExecutor(1) as pool:
        elsewhere = pool.submit(in_a_thread_of_its_own, writer).result()
    assert elsewhere is not None
    assert writer() is elsewhere
    assert connection.connection is not elsewhere
