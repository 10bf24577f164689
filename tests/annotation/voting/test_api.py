"""The annotators' API, which the page and scripts use."""

import json
import re
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from annotation.models import Annotator, Assignment, ImageReport, Study, Vote
from annotation.voting.annotators import invite
from annotation.voting.withdrawal import withdraw
from tests.annotation.voting.open_studies import after, assert_invariants, make_study

pytestmark = pytest.mark.django_db

# Nine statements, on PostgreSQL five; the savepoint of the test and its release; the search looks once more at most.
MOST_QUERIES_OF_A_VOTE = {"sqlite": 12, "postgresql": 8}[connection.vendor]


def post(annotator: Annotator, verb: str, **body: Any) -> Any:
    """The status and the JSON of the answer."""
    answer = Client().post(f"/api/v1/annotators/{annotator.token}/{verb}", body, content_type="application/json")
    return answer.status_code, answer.json() if answer.content else None


def ballot(comparison: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"vote_id": str(uuid.uuid4()), "assignment": comparison["assignment"], "choice": "left", **changes}


@pytest.fixture
def study() -> Study:
    return make_study(comparisons=3, overlap=1, images=2)


@pytest.fixture
def annotator(study: Study) -> Annotator:
    return invite(study=study, label="annotator")


def test_from_the_first_comparison_to_done_in_one_round_trip_a_vote(study: Study, annotator: Annotator) -> None:
    status, body = post(annotator, "next")
    for done in range(3):
        assert (status, body["kind"], body["progress"]) == (200, "comparison", {"done": done, "of": 3})
        status, answer = post(annotator, "votes", **ballot(body))
        assert answer["state"] == "accepted"
        body = answer["next"]
    assert body == {"kind": "done"}
    assert Vote.objects.filter(state="standing").count() == 3
    annotator.refresh_from_db()
    assert annotator.state == "finished"
    assert_invariants(study)


def test_a_reload_shows_the_same(annotator: Annotator) -> None:
    assert post(annotator, "next") == post(annotator, "next")


def test_what_the_page_needs_and_no_trace_of_a_model(study: Study, annotator: Annotator) -> None:
    _status, body = post(annotator, "next")
    assignment = Assignment.objects.get(is_ahead=False)
    assert set(body) == {
        "kind", "assignment", "question", "prompt", "left", "right", "ties", "minimum_viewing_seconds", "progress",
        "ahead", "ahead_seconds", "undo",
    }  # fmt: skip
    assert body["prompt"] is None
    assert [len(body["left"]), len(body["right"])] == [2, 2]
    assert all(re.fullmatch(r"/i/[\w-]{30,}", image) for image in (*body["left"], *body["right"]))
    # Without the random tokens, which may contain any four letters.
    text = re.sub(r"[\w-]{16,}", "", json.dumps(body)).lower()
    for trace in ("alpha", "beta", str(assignment.comparison.image_set_a.uid), "model", "seed", ".png"):
        assert trace not in text
    assert body["assignment"] != str(assignment.pk)


def test_the_prompt_is_shown_where_the_study_shows_it() -> None:
    shown = make_study(slug="shown", comparisons=1, overlap=1, show_prompt=True, ties=True)
    _status, body = post(invite(study=shown, label="annotator"), "next")
    assert (body["prompt"], body["ties"]) == ("prompt 1", True)


def test_a_vote_stores_what_was_shown_and_when(annotator: Annotator) -> None:
    _status, body = post(annotator, "next")
    times = {"shown_at": "2026-03-01T12:00:00Z", "voted_at": "2026-03-01T12:00:09+00:00"}
    post(annotator, "votes", **ballot(body, response_ms=8500, rendition="grid2x", choice="right", **times))
    vote = Vote.objects.select_related("assignment").get()
    assert (vote.choice, vote.response_ms, vote.assignment.rendition) == ("right", 8500, "grid2x")
    assert vote.shown_at == vote.assignment.shown_at
    assert (vote.shown_at, vote.voted_at) == (after(seconds=0), after(seconds=9))


def test_a_clock_that_is_centuries_off_costs_its_times_but_not_the_vote(annotator: Annotator) -> None:
    _status, body = post(annotator, "next")
    status, _answer = post(annotator, "votes", **ballot(body, shown_at="0001-01-01T00:00:00+14:00"))
    assert (status, Vote.objects.get().shown_at) == (200, None)


def test_a_repeated_vote_is_answered_as_the_first_time(annotator: Annotator) -> None:
    _status, body = post(annotator, "next")
    same = ballot(body)
    first, again = post(annotator, "votes", **same), post(annotator, "votes", **same)
    assert first[1]["next"].pop("undo")["vote_id"] == again[1]["next"].pop("undo")["vote_id"] == same["vote_id"]
    assert first == again
    assert Vote.objects.count() == 1


def test_another_vote_on_the_same_comparison_changes_nothing(annotator: Annotator) -> None:
    _status, body = post(annotator, "next")
    post(annotator, "votes", **ballot(body))
    _status, answer = post(annotator, "votes", **ballot(body, choice="right"))
    assert answer["state"] == "already_voted"
    assert Vote.objects.get().choice == "left"


def test_a_comparison_given_back_is_free_for_the_next(study: Study, annotator: Annotator) -> None:
    _status, body = post(annotator, "next")
    assert post(annotator, "release", assignment=body["assignment"]) == (200, {"released": True})
    assert post(annotator, "release", assignment=body["assignment"]) == (200, {"released": False})
    assert_invariants(study)


def test_undo_is_refused_where_the_study_has_none() -> None:
    annotator = invite(study=make_study(slug="final", comparisons=2, overlap=1, undo_seconds=0), label="annotator")
    this = ballot(post(annotator, "next")[1])
    assert post(annotator, "votes", **this)[1]["next"]["undo"] is None
    Vote.objects.update(received_at=timezone.now() - timedelta(seconds=1))
    status, refusal = post(annotator, "undo", vote_id=this["vote_id"])
    assert (status, refusal) == (409, {"message": "The time in which this vote could be undone is over."})


def test_an_undone_vote_brings_its_comparison_back_and_keeps_what_was_on_the_screen(annotator: Annotator) -> None:
    body = post(annotator, "next")[1]
    this = ballot(body)
    on_screen = post(annotator, "votes", **this)[1]["next"]
    undo = on_screen["undo"]
    assert undo["vote_id"] == this["vote_id"]
    assert 0 < undo["seconds"] <= 30
    back = post(annotator, "undo", vote_id=this["vote_id"])[1]
    assert [back["assignment"], *(held["assignment"] for held in back["ahead"])] == [
        body["assignment"],
        on_screen["assignment"],
    ]
    assert back["undo"] is None


def test_what_is_held_ahead_becomes_the_next_and_goes_back_on_leaving(study: Study, annotator: Annotator) -> None:
    body = post(annotator, "next")[1]
    (ahead,) = body["ahead"]
    assert set(ahead) == set(body) - {"kind", "ahead", "ahead_seconds", "undo"}
    assert ahead["progress"] == {"done": 1, "of": 3}
    following = post(annotator, "votes", **ballot(body))[1]["next"]
    assert following["assignment"] == ahead["assignment"]
    assert post(annotator, "leave") == (200, {"released": 1})
    assert post(annotator, "leave") == (200, {"released": 0})
    assert post(annotator, "next")[1]["assignment"] == ahead["assignment"]
    assert_invariants(study)


def test_a_reported_image_gives_the_comparison_back_and_brings_another(study: Study, annotator: Annotator) -> None:
    body = post(annotator, "next")[1]
    sent = {"assignment": body["assignment"], "side": "right", "n": 1, "kind": "failed"}
    following = post(annotator, "reports", **sent)[1]
    assert following["assignment"] == body["ahead"][0]["assignment"]
    reported = ImageReport.objects.get()
    assert reported.image_id == reported.assignment.right_images[1]
    assert post(annotator, "reports", **(sent | {"n": 2}))[0] == 404
    assert post(annotator, "reports", **sent)[1]["assignment"] == following["assignment"]
    assert ImageReport.objects.count() == 1
    assert_invariants(study)


def test_reading_the_instructions_is_recorded_once(annotator: Annotator) -> None:
    assert post(annotator, "instructions-read") == (204, None)
    annotator.refresh_from_db()
    first = annotator.instructions_read_at
    post(annotator, "instructions-read")
    annotator.refresh_from_db()
    assert annotator.instructions_read_at == first is not None


def test_after_a_withdrawal_nothing_is_recorded_and_nothing_fails(annotator: Annotator) -> None:
    withdraw(annotator=annotator, until=None, now=timezone.now())
    assert post(annotator, "instructions-read") == (204, None)
    annotator.refresh_from_db()
    assert annotator.instructions_read_at is None


def test_a_paused_study_stops_but_takes_what_was_on_the_screen(study: Study, annotator: Annotator) -> None:
    _status, body = post(annotator, "next")
    Study.objects.update(state="paused")
    assert post(annotator, "next")[1]["kind"] == "stopped"
    status, answer = post(annotator, "votes", **ballot(body))
    assert (status, answer["state"], answer["next"]["kind"]) == (200, "accepted", "stopped")
    assert "paused" in answer["next"]["message"]


def test_a_closed_study_keeps_the_vote_as_late(study: Study, annotator: Annotator) -> None:
    _status, body = post(annotator, "next")
    Study.objects.update(state="closed", closed_at=timezone.now())
    _status, answer = post(annotator, "votes", **ballot(body))
    assert (answer["state"], answer["next"]["kind"]) == ("late", "stopped")
    assert_invariants(study)


def test_waiting_says_how_long_at_most(study: Study, annotator: Annotator) -> None:
    others = [invite(study=study, label=f"annotator {number}") for number in range(3)]
    for other in others:
        post(other, "next")
    status, body = post(annotator, "next")
    assert (status, body["kind"]) == (200, "wait")
    assert 0 < body["seconds"] <= 1800


def test_what_is_not_found(study: Study, annotator: Annotator) -> None:
    outsider = Annotator(token="outsider")
    assert post(outsider, "next")[0] == 404
    _status, body = post(annotator, "next")
    other = invite(study=study, label="other")
    for verb, sent in (
        ("votes", ballot(body)),
        ("release", {"assignment": body["assignment"]}),
        ("undo", {"vote_id": str(uuid.uuid4())}),
    ):
        status, refusal = post(other, verb, **sent)
        assert status == 404
        assert refusal["message"].startswith("This annotator has no such")


def test_no_link_leads_to_an_annotator_who_is_nobody(study: Study) -> None:
    for kind in ("simulated", "imported"):
        assert post(invite(study=study, label=kind, kind=kind), "next")[0] == 404


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"choice": "tie"}, "no ties"),
        ({"choice": "both"}, "choice"),
        ({"vote_id": "1"}, "vote_id"),
        ({"extra": 1}, "extra"),
        ({"response_ms": -1}, "response_ms"),
    ],
)
def test_a_ballot_that_cannot_be_taken_says_why(annotator: Annotator, change: dict[str, Any], part: str) -> None:
    _status, body = post(annotator, "next")
    status, refusal = post(annotator, "votes", **ballot(body, **change))
    assert status == 422
    assert part in refusal["message"]
    assert Vote.objects.count() == 0


def test_a_ballot_with_two_choices_is_no_vote(annotator: Annotator) -> None:
    _status, body = post(annotator, "next")
    twice = json.dumps(ballot(body, choice="left"), default=str).replace("{", '{"choice": "right", ', 1)
    response = Client().post(f"/api/v1/annotators/{annotator.token}/votes", twice, content_type="application/json")
    assert (response.status_code, Vote.objects.count()) == (400, 0)


def test_a_refusal_stays_a_sentence_however_much_is_wrong(annotator: Annotator) -> None:
    status, refusal = post(annotator, "votes", **{f"{number:02}" * 1000: 1 for number in range(99)})
    assert status == 422
    assert len(refusal["message"]) < 1000


def test_no_page_of_interactive_documentation_and_no_cookie(annotator: Annotator) -> None:
    assert Client().get("/api/v1/docs").status_code == 404
    answer = Client().post(f"/api/v1/annotators/{annotator.token}/next", {}, content_type="application/json")
    assert not answer.cookies


def test_requests_from_another_origin_need_no_csrf_token(annotator: Annotator) -> None:
    client = Client(enforce_csrf_checks=True)
    url = f"/api/v1/annotators/{annotator.token}/next"
    assert client.post(url, {}, content_type="application/json").status_code == 200


def test_the_address_of_the_document() -> None:
    document = Client().get(reverse("api:openapi-json"), headers={"host": "localhost"})
    assert (document.status_code, document["content-type"]) == (200, "application/json")
    assert reverse("api:openapi-json") == "/api/v1/openapi.json"


def test_the_document_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Making it takes 140 ms of a core, and anybody may ask for it."""
    first = Client().get("/api/v1/openapi.json")
    monkeypatch.setattr("ninja.main.get_schema", lambda **_: pytest.fail("made again"))
    assert Client().get("/api/v1/openapi.json").content == first.content


def test_a_vote_costs_the_same_number_of_queries_in_a_study_of_any_size() -> None:
    def queries_of_a_vote(comparisons: int) -> int:
        study = make_study(slug=f"of-{comparisons}", comparisons=comparisons, overlap=2, images=2)
        annotator = invite(study=study, label="annotator")
        body = post(annotator, "next")[1]
        for _warm in range(2):
            body = post(annotator, "votes", **ballot(body))[1]["next"]
        with CaptureQueriesContext(connection) as queries:
            assert post(annotator, "votes", **ballot(body))[1]["next"]["kind"] == "comparison"
        return len(queries)

    few, many = queries_of_a_vote(6), queries_of_a_vote(60)
    assert few <= MOST_QUERIES_OF_A_VOTE
    assert many <= MOST_QUERIES_OF_A_VOTE
