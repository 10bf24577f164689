"""The settings of a study: what may still change, with what consequence, and who changed it why."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from annotation.models import Study
from annotation.studies.current import current_manifest
from annotation.studies.sharing import Role
from annotation.studies.study_file.writing import write_study_file
from tests.factories import make_study, member

pytestmark = pytest.mark.django_db
FORM = {"overlap": "3", "comparisons_per_annotator": "3", "most_annotators": "", "opens_at": "", "closes_at": ""}


def address(study: Study) -> str:
    return f"{study.get_absolute_url()}settings/"


def changed(client: Client, study: Study, **values: str) -> str:
    return client.post(address(study), FORM | values, follow=True).content.decode()


def test_the_form_shows_the_settings_of_now(researcher: Client) -> None:
    study = make_study(annotation={"most_annotators": 7, "closes_at": "2099-05-01T10:30:00Z"}, notice="A pilot.")
    page = researcher.get(address(study)).content.decode()
    for value in ('value="7"', 'value="2099-05-01T10:30"', 'value="A pilot."', "The design is frozen"):
        assert value in page


def test_a_change_is_a_version_with_its_reason_and_reaches_the_comparisons(researcher: Client) -> None:
    study = make_study()
    page = changed(researcher, study, overlap="5", closes_at="2099-05-01T10:30", reason="more precision")
    assert "The change is version 2 of the study file" in page
    study.refresh_from_db()
    plan = current_manifest(study).annotation
    assert plan.overlap == 5
    assert plan.closes_at is not None
    assert plan.closes_at.isoformat() == "2099-05-01T10:30:00+00:00"
    assert set(study.comparisons.values_list("overlap", flat=True)) == {5}
    version = study.manifest_versions.get(number=2)
    assert (version.reason, str(version.created_by)) == ("more precision", "researcher")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"overlap": "5"}, "An amendment needs its reason"),
        ({"overlap": "2", "reason": "fewer"}, 'id="id_overlap_error" role="alert">It can only go up: votes for 3'),
        ({"reason": "nothing"}, "nothing to change"),
        ({"overlap": "many"}, "Enter a whole number."),
        (
            {"overlap": "0", "reason": "none"},
            'id="id_overlap_error" role="alert">Ensure this value is greater than or equal to 1',
        ),
        ({"closes_at": "tomorrow", "reason": "soon"}, "Enter a valid date/time."),
        ({"opens_at": "2099-05-02T00:00", "closes_at": "2099-05-01T00:00", "reason": "back"}, "closes_at"),
    ],
)
def test_a_refused_change_says_why_and_keeps_what_was_typed(
    researcher: Client, values: dict[str, str], sentence: str
) -> None:
    study = make_study()
    answer = researcher.post(address(study), FORM | values)
    assert answer.status_code == 400
    page = answer.content.decode()
    assert sentence in page
    for value in values.values():
        assert value in page
    assert study.manifest_versions.count() == 1


def test_the_whole_file_changes_texts_and_names_the_line_of_a_fault(researcher: Client) -> None:
    study = make_study()
    text = write_study_file(current_manifest(study))
    wanted = text.replace("Which set is more consistent?", "Which set is more alike?")
    if wanted == text:
        wanted = f'{text}\n[texts]\nquestion = "Which set is more alike?"\n'
    page = researcher.post(address(study), {"file_text": wanted, "file_reason": "clearer"}, follow=True)
    assert "version 2" in page.content.decode()
    study.refresh_from_db()
    assert current_manifest(study).texts.question == "Which set is more alike?"
    beyond = wanted.replace("prompt 1", "prompt one")
    refused = researcher.post(address(study), {"file_text": beyond, "file_reason": "another prompt"})
    assert "cannot change any more" in refused.content.decode()
    broken = researcher.post(address(study), {"file_text": "name = ", "file_reason": "typing"})
    assert broken.status_code == 400
    assert "ine 1" in broken.content.decode()


def test_a_draft_changes_freely_and_a_closed_study_not_at_all(researcher: Client) -> None:
    draft = make_study(slug="draft", state="draft")
    assert "The draft is changed." in changed(researcher, draft, overlap="2")
    draft.refresh_from_db()
    assert current_manifest(draft).annotation.overlap == 2
    closed = make_study(slug="closed", state="closed")
    page = researcher.get(address(closed)).content.decode()
    assert "its settings cannot change any more" in page
    assert "?from=closed" in page
    assert "is closed" in researcher.post(address(closed), FORM | {"overlap": "5", "reason": "more"}).content.decode()


def test_a_viewer_sees_the_settings_and_neither_form_nor_file(researcher: Client) -> None:
    study = make_study(platform={"id_parameter": "ID", "complete_code": "C1SECRET"})
    viewer = Client()
    viewer.force_login(member(study, Role.VIEWER))
    page = viewer.get(address(study)).content.decode()
    assert "Votes for each comparison" in page
    assert "C1SECRET" not in page
    assert "Change the settings" not in page
    assert viewer.post(address(study), FORM).status_code == 403
    assert "C1SECRET" in researcher.get(address(study)).content.decode()


def test_it_takes_few_queries(researcher: Client) -> None:
    study = make_study()
    with CaptureQueriesContext(connection) as queries:
        researcher.get(address(study))
    assert len(queries) < 12
