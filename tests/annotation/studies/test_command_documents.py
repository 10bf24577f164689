"""`--format json` of every command: one document, with what it says, its warnings, its facts, and its refusal."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command, get_commands, load_command_class

from annotation.management.base import StudyCommand
from annotation.studies.study_file.writing import write_study_file
from generation.models import Card
from tests.annotation.studies.uploads.test_importing import images
from tests.factories import give_vote, make_manifest, make_study

pytestmark = pytest.mark.django_db

# Commands whose --format names other things than text and json, and those without one.
OWN = {
    "report": "json is the document of the report",
    "plan_study": "json is the plan",
    "pool": "json is the pooled result",
    "study_status": "json is the progress",
    "audit": "json is the history",
    "invite": "json is the list of links",
    "erase_annotator": "json is what is erased",
    "export_votes": "the format of the file that it writes",
}
WITHOUT = {"study_schema": "prints a JSON document anyway", "worker": "runs until it is stopped"}


def names() -> list[str]:
    return sorted(name for name, app in get_commands().items() if app == "annotation")


def formats(name: str) -> Iterator[str]:
    parser = load_command_class("annotation", name).create_parser("manage.py", name)
    for action in parser._actions:
        if "--format" in action.option_strings:
            yield from action.choices or ()


def test_every_command_speaks_to_programs() -> None:
    assert len(names()) > 25
    for name in names():
        if name in WITHOUT:
            assert not isinstance(load_command_class("annotation", name), StudyCommand), name
        elif name != "export_votes":
            assert "json" in set(formats(name)), name
        assert (list(formats(name)) == ["text", "json"]) == (name not in {*OWN, *WITHOUT} - {"erase_annotator"}), name


def document(name: str, *arguments: str) -> dict[str, Any]:
    """Run the command with --format json; return its document, also if the command is refused."""
    out, errors = io.StringIO(), io.StringIO()
    refusal = ""
    try:
        call_command(name, *arguments, "--format", "json", stdout=out, stderr=errors)
    except CommandError as error:
        refusal = str(error)
    assert json.loads(out.getvalue()).get("error", "") == refusal
    assert errors.getvalue() == "", "warnings are in the document"
    found: dict[str, Any] = json.loads(out.getvalue())
    assert isinstance(found["said"], list)
    assert isinstance(found["warnings"], list)
    return found


def test_documents_have_the_facts_behind_the_sentences(tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    file.write_text(write_study_file(make_manifest(comparisons=2, slug="made")))
    made = document("create_study", str(file))
    assert (made["slug"], made["state"], made["prompts"]) == ("made", "draft", 2)
    folder = tmp_path / "images"
    for path, content in (images() | {"Alpha/prompt 2/0.png": b"no image"}).items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    taken = document("import_images", str(folder), "--processes", "1")
    assert (taken["imported_set_count"], taken["refused_set_count"]) == (3, 1)
    assert "0.png" in taken["faults"][0]
    assert "left out" in taken["error"]
    assert document("take_back_images", "Alpha")["is_removed"] is False
    assert document("take_back_images", "Alpha", "--yes")["image_count"] == 2


def test_tables_and_imports(tmp_path: Path) -> None:
    make_study(source="external", comparisons=2, has_scores=False)
    votes, scores = tmp_path / "votes.csv", tmp_path / "scores.csv"
    votes.write_text("annotator,prompt,choice\nAda,prompt 1,Alpha\n")
    scores.write_text("prompt,score_a,score_b,more\nprompt 1,2,1,x\n")
    assert document("import_votes", "study", str(votes))["new_count"] == 1
    scored = document("import_scores", "study", str(scores), "--metric", "mine", "--higher-is-more-consistent")
    assert (scored["new_count"], scored["unused"]) == (1, ["more"])
    assert any("more" in sentence for sentence in scored["said"])
    listed = document("take_back", "study")["imports"]
    assert [one["kind"] for one in listed] == ["votes", "scores"]
    assert document("take_back", "study", str(listed[0]["id"]), "--yes")["is_removed"] is True


def test_actions_and_refusals() -> None:
    study = make_study(comparisons=1)
    shown = document("pause_study", "study")
    assert (shown["slug"], shown["state"], shown["said"]) == (
        "study",
        "paused",
        ["study: Paused: annotators are told so, and their places are kept."],
    )
    assert document("share_study", "study")["shares"] == []
    assert "cannot be paused" in document("pause_study", "study")["error"]
    assert "There is no study 'studi'" in document("close_study", "studi", "--yes")["error"]
    assert document("delete_study", "study")["removes"]
    give_vote(study.annotators.create(kind="personal"))
    assert "error" in document("delete_study", "study", "--yes")


def test_cards_without_a_card_and_with_one() -> None:
    assert document("gpus") == {"cards": [], "said": ["No worker has used a card yet."], "warnings": []}
    Card.objects.create(host="host", number="0", key="GPU-1", name="Large card")
    (card,) = document("gpus")["cards"]
    assert (card["name"], card["takes_jobs"]) == ("Large card", True)


def test_text_stays_as_it_was() -> None:
    make_study(comparisons=1)
    out = io.StringIO()
    call_command("pause_study", "study", stdout=out)
    assert out.getvalue() == "study: Paused: annotators are told so, and their places are kept.\n"
