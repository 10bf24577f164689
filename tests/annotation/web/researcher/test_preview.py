"""The preview: each page of an annotator's walk before a study opens, marked, and without a row in the database."""

import json
import re
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.core import signing
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from annotation.models import Study, StudyShare
from annotation.studies.sharing import Role
from annotation.web.annotator.images import ADDRESSES
from annotation.web.api.schemas import ComparisonOut, DoneOut
from annotation.web.researcher.preview.comparisons import SALT, token_of
from generation.models import DiffusionModel
from tests.annotation.web.annotator.test_onboarding import FRAME, PLATFORM, RIGHT, TEXTS, WRONG
from tests.annotation.web.drawn_studies import draw_study
from tests.factories import import_sets, make_study, member

pytestmark = pytest.mark.django_db
WHOLE: dict[str, Any] = {
    "frame": FRAME | {"worked_examples": 1, "practice": 2, "break_every": 1, "asks_comment": True},
    "texts": TEXTS,
    "platform": PLATFORM,
    "quality": {"instructed": 1},
    "annotation": {"ties": True, "show_prompt": True},
}


@pytest.fixture
def study() -> Study:
    return draw_study(prompt_count=3, images_per_set=4, side=64, state="ready", **WHOLE).study


@pytest.fixture
def viewer(study: Study) -> Client:
    client = Client()
    client.force_login(member(study, Role.VIEWER))
    return client


def rows() -> dict[str, int]:
    """Return the number of rows of each table that is ours."""
    ours = ("annotation", "generation", "scoring")
    return {
        model.__name__: model._default_manager.count()
        for name in ours
        for model in apps.get_app_config(name).get_models()
    }


def forms(page: str) -> dict[str, str]:
    """Return the values of a page's fields: the first choice of each, and a text."""
    values = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page))
    for name, value in re.findall(r'<input type="radio" name="([\w-]+)" value="([^"]*)"', page):
        values.setdefault(name, value)
    for name in re.findall(r'<(?:input type="(?:text|number)"|textarea)[^>]* name="([\w-]+)"', page):
        values[name] = "7"
    return values


def test_the_whole_walk_is_marked_and_stores_nothing(study: Study, viewer: Client) -> None:
    before, folder, seen = rows(), f"{study.get_absolute_url()}preview/", []
    address = folder
    while True:
        page = viewer.get(address).content.decode()
        assert "Nothing is stored." in page, address
        assert "/a/" not in page, "no address of an annotator"
        for shown in re.findall(r' srcset="(\S+) 1x, (\S+) 2x"', page)[:1]:
            assert [viewer.get(one).status_code for one in shown] == [200, 200]
        seen.append(re.findall(r"\d+ of \d+: ([\w ]+)</span>", page)[0])
        onward = re.findall(r'<a href="([^"]+)">Next page</a>', page)
        if not onward:
            break
        (address,) = onward
    assert seen == [
        "Welcome and consent",
        "Questions",
        "Instructions",
        *("Practice", "Feedback on practice") * 2,
        "Comprehension check",
        "Comparisons",
        "Break",
        "Comment",
        "End and debriefing",
    ]
    assert rows() == before


def test_forms_lead_on_as_for_annotators(study: Study, viewer: Client) -> None:
    before, address = rows(), f"{study.get_absolute_url()}preview/welcome/"
    walked = []
    for _ in range(12):
        walked.append(address.rstrip("/").rpartition("/")[2].partition("?")[0])
        page = viewer.get(address).content.decode()
        form = re.findall(r'<form[^>]*method="post"(?: action="([^"]*)")?', page)
        target = form[0] or address if form else ""
        if address.rpartition("preview/")[2].startswith("feedback"):
            (address,) = re.findall(r'<a class="button primary" href="([^"]+)"', page)
            continue
        if "comparisons" in address:
            (address,) = re.findall(r'data-end="([^"]+)"', page)
            continue
        if address.endswith("end/"):
            break
        values = forms(page) | {"choice": "right"}
        values |= RIGHT if address.endswith("/check/") else {}
        answer = viewer.post(target, values)
        assert answer.status_code == 302, (target, values, answer.content.decode()[-3000:])
        address = answer["Location"]
    assert walked[0] == "welcome"
    assert walked[-1] == "end"
    assert "comparisons" in walked
    assert rows() == before


def test_the_completion_code_is_not_the_real_one(study: Study, viewer: Client) -> None:
    page = viewer.get(f"{study.get_absolute_url()}preview/end/").content.decode()
    assert "PREVIEW" in page
    assert str(PLATFORM["complete_code"]) not in page


def own_token(study: Study) -> str:
    """Return a token of a preview of somebody who may see the study."""
    person, _ = User.objects.get_or_create(username="a-viewer", defaults={"is_staff": True})
    StudyShare.objects.get_or_create(study=study, account=person, defaults={"role": Role.VIEWER})
    return token_of(study, person)


def operate(study: Study, operation: str, body: Any = None, token: str = "") -> Any:
    """Ask as the page's script does: without a cookie."""
    address = f"/preview/{token or own_token(study)}/{operation}"
    return Client().post(address, json.dumps(body or {}), "application/json")


def test_the_comparisons_are_those_of_the_operation_for_annotators(study: Study, viewer: Client) -> None:
    own_token(study)
    before = rows()
    page = viewer.get(f"{study.get_absolute_url()}preview/comparisons/").content.decode()
    (address,) = re.findall(r'data-next="([^"]+)"', page)
    shown = Client().post(address, "{}", "application/json").json()
    asked = []
    while shown["kind"] == "comparison":
        ComparisonOut.model_validate(shown)
        assert shown["prompt"]
        asked.append(shown["question"])
        assert len(shown["left"]) == len(shown["right"]) == 4
        assert viewer.get(shown["left"][0] + ".grid")["Content-Type"] == "image/webp"
        assert not {"Alphamodel", "Betamodel"} & set(re.findall(r"\w+", json.dumps(shown)))
        ballot = {"vote_id": "0" * 8, "assignment": shown["assignment"], "choice": "left"}
        voted = operate(study, "vote", ballot).json()
        assert voted["state"] == "accepted"
        shown = voted["next"]
    DoneOut.model_validate(shown)
    assert len(asked) == 4, "three comparisons and an instructed check"
    assert "choose the set" in asked[1]
    assert rows() == before


def test_sides_and_orders_are_drawn_and_stay_for_a_reload(study: Study) -> None:
    def sides() -> list[list[int]]:
        """Return the images on the left of the first comparisons."""
        answers = [operate(study, "vote", {"assignment": str(number)}).json()["next"] for number in range(2)]
        answers.insert(0, operate(study, "next").json())
        return [[ADDRESSES.decrypt(one.rpartition("/")[2])[1] for one in shown["left"]] for shown in answers]

    first = sides()
    assert sides() == first
    assert any(images != sorted(images) for images in first), "the order is not that of the seeds"


def test_a_wrong_answer_to_the_check_gets_another_try(study: Study, viewer: Client) -> None:
    address = f"{study.get_absolute_url()}preview/check/"
    again = viewer.post(address, WRONG | {"tries": "0"})
    assert (again.status_code, 'name="tries" value="1"' in again.content.decode()) == (200, True)
    assert viewer.post(address, {}).status_code == 400
    assert viewer.post(address, RIGHT | {"tries": "1"})["Location"].endswith("/comparisons/")


def test_what_is_no_preview_is_refused(study: Study, viewer: Client) -> None:
    shown = operate(study, "next").json()["left"][0]
    other = make_study(slug="other", state="ready")
    member_of_other = Client()
    member_of_other.force_login(member(other, Role.OWNER))
    assert member_of_other.get(shown + ".grid").status_code == 404, "not shared with them"
    moved = shown.replace(f"/{study.slug}/", "/other/")
    assert member_of_other.get(moved + ".grid").status_code == 404, "an image of another study"
    assert Client().get(shown + ".grid").status_code == 302, "a stranger logs in first"
    assert Client().get("/i/" + shown.rpartition("/")[2] + ".grid").status_code == 404, "no annotator's address"
    assert viewer.get(shown + ".huge").status_code == 404
    assert viewer.get(f"{study.get_absolute_url()}preview/nothing/").status_code == 404
    assert operate(study, "next", token="x" * 20).status_code == 404
    assert operate(study, "steal").status_code == 404
    deep = Client().post(f"/preview/{own_token(study)}/vote", "[" * 20_000, "application/json")
    assert (deep.status_code, deep.json()["detail"]) == (422, "The body is not a JSON document.")
    assert operate(study, "vote", {"assignment": "-1"}).json()["next"]["assignment"] == "0"
    assert Client().post(f"/preview/{own_token(study)}/vote", "{", "application/json").status_code == 422
    Study.objects.filter(pk=study.pk).update(state="open")
    assert operate(study, "next").status_code == 404, "real people vote now"
    assert viewer.get(shown + ".grid").status_code == 404
    over = viewer.get(f"{study.get_absolute_url()}preview/")
    assert (over.status_code, "until it opens" in over.content.decode()) == (409, True)


def test_a_token_of_a_preview_ends_with_the_share_and_with_the_account(study: Study) -> None:
    token, people = own_token(study), User.objects.filter(username="a-viewer")
    assert operate(study, "next", token=token).status_code == 200
    people.update(is_active=False)
    assert operate(study, "next", token=token).status_code == 404
    people.update(is_active=True)
    assert operate(study, "vote", token=token).status_code == 200
    study.shares.all().delete()
    assert operate(study, "vote", token=token).status_code == 404
    for forged in (signing.dumps(study.pk, salt=SALT), signing.dumps([study.pk, 0], salt=SALT), signing.dumps("ab")):
        assert operate(study, "next", token=forged).status_code == 404


def test_a_draft_shows_its_pages_and_the_images_that_were_imported(viewer: Client) -> None:
    draft = make_study(slug="a-draft", state="draft", comparisons=2, frame={"practice": 2, "worked_examples": 1})
    client = Client()
    client.force_login(member(draft, "editor"))
    page = client.get("/studies/a-draft/preview/comparisons/").content.decode()
    assert "No images yet" in page
    assert operate(draft, "next").json() == {"kind": "done"}
    for model in DiffusionModel.objects.filter(name__in=("Alpha", "Beta")):
        import_sets(model, ["prompt 0"], 2 + (model.name == "Beta"))
    assert operate(draft, "next").json() == {"kind": "done"}, "sets of two sizes would tell the models apart"
    for model in DiffusionModel.objects.filter(name__in=("Alpha", "Beta")):
        import_sets(model, ["prompt 1"], 2)
    shown = operate(draft, "next").json()
    assert shown["progress"] == {"done": 0, "of": 1}
    assert client.get(shown["left"][0] + ".grid").status_code == 200
    assert client.get("/studies/a-draft/preview/instructions/").status_code == 200
    assert client.get("/studies/a-draft/preview/practice-0/").status_code == 404, "no pairs to practise with yet"


def test_a_page_of_the_preview_costs_few_queries(study: Study, viewer: Client) -> None:
    for step in ("welcome", "practice-0", "comparisons", "end"):
        with CaptureQueriesContext(connection) as queries:
            assert viewer.get(f"{study.get_absolute_url()}preview/{step}/").status_code == 200
        assert len(queries) < 12, (step, [query["sql"][:150] for query in queries])
