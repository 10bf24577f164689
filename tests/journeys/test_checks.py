"""Attention checks in a real browser: a careful annotator completes, a careless one ends with the other code.

Nothing that the browser gets tells a check from a comparison, except the visible text of an instructed check.
"""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from annotation.models import Annotator, Assignment, Vote
from annotation.web.api import voting
from tests.annotation.web.drawn_studies import DrawnStudy, draw_study
from tests.journeys.people import until_votable

pytestmark = pytest.mark.django_db(transaction=True)
Check = Callable[[Page], None]
QUALITY = {
    "ladder": [0.75, 0.5],
    "repeats": 1,
    "instructed": 1,
    "repeat_distance": 1,
    "first_check_after": 1,
    "checks_failed": 0.01,
    "screens_out": ["checks_failed"],
}
CODES = {"complete_code": "DONE1", "failed_checks_code": "FAILED3"}
COMPARISONS, ALL = 5, 5 + 4
CHANGING = ("ahead", "ahead_seconds", "undo")  # the next comparisons, and how long the last vote may be undone


@pytest.fixture
def drawn() -> DrawnStudy:
    return draw_study(prompt_count=COMPARISONS, quality=QUALITY, platform=CODES)


def on_the_screen(annotator: Annotator) -> Assignment:
    return annotator.assignments.get(state="leased", is_ahead=False)


def go_through(page: Page, server: str, annotator: Annotator, *, is_careless: bool) -> list[Assignment]:
    """Answer every comparison, wrongly in every check if careless. Return the assignments in the order shown."""
    page.goto(f"{server}/a/{annotator.token}/")
    page.get_by_role("button", name="Start the comparisons").click()
    shown = []
    for number in range(1, ALL + 1):
        until_votable(page, number, ALL)  # and saved: until then the database has the comparison before
        assignment = on_the_screen(annotator)
        shown.append(assignment)
        right = assignment.known_choice or ("left" if assignment.left_model == "a" else "right")
        wrong = "right" if right == "left" else "left"
        name = {"left": "Left", "right": "Right"}[assignment.known_choice or "left"]
        instructed = f"please choose the set called “{name}”" if assignment.kind == "instructed" else "more consistent?"
        expect(page.get_by_role("heading", level=1)).to_contain_text(instructed)
        page.keyboard.press({"left": "1", "right": "2"}[wrong if is_careless and assignment.known_choice else right])
    expect(page.get_by_role("main")).to_contain_text("Your completion code:")
    return shown


def test_a_careful_annotator_completes(page: Page, server: str, drawn: DrawnStudy) -> None:
    annotator = drawn.invite("Ada")
    shown = go_through(page, server, annotator, is_careless=False)
    assert sorted(one.kind for one in shown) == ["instructed", "ladder", "ladder", *["main"] * 5, "repeat"]
    expect(page.get_by_role("main")).to_contain_text("DONE1")
    expect(page.get_by_role("main")).to_contain_text(f"All {ALL} of your votes are saved")
    annotator.refresh_from_db()
    assert (annotator.state, annotator.broken_rules) == ("finished", "")
    assert not Vote.objects.exclude(excluded_at=None).exists()
    assert set(drawn.study.comparisons.values_list("vote_count", flat=True)) == {1}


def test_a_careless_annotator_is_told_only_at_the_end(
    page: Page, server: str, drawn: DrawnStudy, accessible: Check
) -> None:
    annotator = drawn.invite("Ada")
    go_through(page, server, annotator, is_careless=True)
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        expect(page.get_by_role("heading", level=1)).to_have_text("Your part in this study has ended")
        expect(page.get_by_role("main")).to_contain_text("your votes will not be counted")
        expect(page.get_by_role("main")).to_contain_text("FAILED3")
        accessible(page)
    votes = Vote.objects.filter(assignment__kind="main")
    assert set(votes.values_list("exclusion_reason", flat=True)) == {"checks failed"}
    assert votes.count() == COMPARISONS, "nothing is deleted"
    assert set(drawn.study.comparisons.values_list("slot_count", "vote_count")) == {(0, 0)}


def shape(value: Any) -> Any:
    """Return what a document reveals without its images: keys, types, lengths of tokens."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value]
    return (type(value).__name__, len(value)) if isinstance(value, str) else type(value).__name__


def told_apart(documents: list[dict[str, Any]]) -> set[str]:
    """Return the keys in which comparisons and checks of a session differ, apart from progress and question."""
    found = set()
    for one in documents:
        for key in one.keys() | documents[0].keys():
            if key != "question" and shape(one.get(key)) != shape(documents[0].get(key)):
                found.add(key)
    counts = [one["progress"]["done"] for one in documents]
    return found | (set() if counts == list(range(len(documents))) else {"progress"})


def session(page: Page, server: str, drawn: DrawnStudy) -> tuple[list[dict[str, Any]], list[dict[str, str]], str]:
    """Return each comparison that the API sent to vote on, the headers of all answers, and their text."""
    documents: list[dict[str, Any]] = []
    headers: list[dict[str, str]] = []
    text: list[str] = []

    def keep(route: Route) -> None:
        answer = route.fetch()
        body = answer.json()
        text.append(answer.text())
        headers.append(answer.headers)
        following = body.get("next", body)
        if following.get("kind") == "comparison":
            documents.append({key: value for key, value in following.items() if key not in CHANGING})
        route.fulfill(response=answer)

    page.route("**/api/v1/**", keep)
    go_through(page, server, drawn.invite("Ada"), is_careless=False)
    page.wait_for_load_state("networkidle")
    page.unroute_all(behavior="wait")
    return documents, headers, "\n".join(text)


def test_nothing_tells_a_check_from_a_comparison(page: Page, server: str, drawn: DrawnStudy) -> None:
    documents, headers, text = session(page, server, drawn)
    assert len(documents) == ALL
    assert told_apart(documents) == set()
    names = [sorted(one) for one in headers]
    assert all(one == names[0] for one in names)
    for word in ("ladder", "repeat", "instructed", "practice", "known", "replaced", "exclu", "check"):
        assert word not in text.lower(), word
    assert len({one["question"] for one in documents}) == 2, "only the text of the instructed check differs"


@pytest.mark.parametrize("leak", ["kind", "length", "progress"])
def test_a_planted_leak_is_found(
    page: Page, server: str, drawn: DrawnStudy, monkeypatch: pytest.MonkeyPatch, leak: str
) -> None:
    honest = voting._held_out

    def leaking(visit: Any, following: Any, assignment: Assignment, place: int) -> Any:
        held = honest(visit, following, assignment, place)
        if leak == "kind":
            held.prompt = assignment.kind if assignment.kind != "main" else None
        if leak == "length" and assignment.kind == "ladder":
            held.assignment += "x"
        if leak == "progress" and assignment.kind != "main":
            held.progress.done -= 1
        return held

    documents: list[dict[str, Any]] = []
    monkeypatch.setattr(voting, "_held_out", leaking)
    annotator = drawn.invite("Ada")
    Annotator.objects.update(instructions_read_at="2026-03-01T12:00:00Z")
    body: dict[str, Any] = page.request.post(f"{server}/api/v1/annotators/{annotator.token}/next", data={}).json()
    while body["kind"] == "comparison":
        documents.append({key: value for key, value in body.items() if key not in CHANGING})
        ballot = {"vote_id": f"00000000-0000-4000-8000-{len(documents):012d}", "choice": "left"}
        ballot["assignment"] = body["assignment"].removesuffix("x")
        answer = page.request.post(f"{server}/api/v1/annotators/{annotator.token}/votes", data=ballot)
        body = answer.json()["next"]
    assert told_apart(documents) == {{"kind": "prompt", "length": "assignment", "progress": "progress"}[leak]}
