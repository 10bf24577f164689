"""A study's export imports into another study unchanged, and files of other programs import as they are."""

import csv
import json
import uuid
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from annotation.models import Annotator, Assignment, Study, Vote
from annotation.reports.data.gathering import gather
from annotation.reports.exports.writers import FORMATS
from annotation.studies.current import current_manifest
from tests.annotation.voting.open_studies import NOON, assert_invariants
from tests.factories import make_study

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

ONE = '{"annotator": "ann", "prompt": "prompt 1", "choice": "Alpha"}'
TWICE = "an object names the key '{}' more than once; keep one of them"
PAIRS = "annotator,prompt,choice,model_a,model_b\n"
PROMPTS = [{"text": text} for text in ("=SUM(1)", "'=1", 'a, "b"\u00e9')]


def answer(
    study: Study, position: int, who: Annotator, *votes: tuple[str, str], kind: str = "main", **more: Any
) -> None:
    """An assignment with its votes, each a choice and a state."""
    state = {"standing": "voted", "late": "late"}.get(votes[-1][1], "released")
    values = {"state": state, "left_model": "b", "leased_at": NOON, "rendition": "grid"}
    excluded = more.pop("excluded", "")
    assignment = Assignment.objects.create(
        comparison=study.comparisons.get(position=position), annotator=who, kind=kind, **{**values, **more}
    )
    for number, (choice, vote_state) in enumerate(votes):
        at = NOON + timedelta(seconds=10 * number, microseconds=assignment.pk)
        Vote.objects.create(
            assignment=assignment,
            choice=choice,
            state=vote_state,
            shown_at=NOON,
            voted_at=at,
            received_at=at,
            response_ms=1234 + number,
            excluded_at=at if excluded else None,
            exclusion_reason=excluded,
        )


@pytest.fixture
def original() -> Study:
    """Three people, one without votes, and a program; an undone and a late vote, checks and an exclusion."""
    study = make_study(state="closed", prompts=PROMPTS, annotation={"ties": True}, slug="original", comparisons=3)
    first, _idle, second = (Annotator.objects.create(study=study, kind="personal") for _ in range(3))
    program = Annotator.objects.create(study=study, kind="simulated", label="simulated 1 of seed 0")
    images = [list(side.images.values_list("pk", flat=True)) for side in _sets(study, 1)]
    answer(study, 0, first, ("left", "superseded"), ("right", "standing"))
    answer(study, 1, first, ("tie", "standing"), left_images=images[1][::-1], right_images=images[0])
    answer(study, 2, first, ("left", "late"))
    answer(study, 1, second, ("left", "standing"), excluded="failed the check")
    answer(study, 0, second, ("left", "superseded"))
    answer(study, 2, program, ("right", "standing"), left_model="a")
    answer(study, 1, first, ("right", "standing"), kind="repeat", left_model="a")
    mixed: dict[str, Any] = {"kind": "ladder", "known_choice": "left", "replaced_count": 1}
    answer(study, 2, first, ("left", "standing"), left_images=images[0], right_images=[images[0][0], 0], **mixed)
    answer(study, 2, second, ("right", "standing"), kind="instructed", known_choice="left")
    return study


def _sets(study: Study, position: int) -> tuple[Any, Any]:
    comparison = study.comparisons.get(position=position)
    return comparison.image_set_a, comparison.image_set_b


def exported(study: Study, path: Path, export_format: str = "csv") -> Path:
    call_command("export_votes", study.slug, format=export_format, out=path, stdout=StringIO())
    return path


def said(*words: Any, **options: Any) -> str:
    out = StringIO()
    call_command(*map(str, words), stdout=out, **options)
    return out.getvalue()


def without_ids(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return [{key: value for key, value in row.items() if key != "vote_id"} for row in csv.DictReader(file)]


@pytest.mark.parametrize("export_format", FORMATS)
@pytest.mark.parametrize("source", ["external", "images"])
def test_a_study_s_own_export_comes_back_the_same(
    original: Study, tmp_path: Path, export_format: str, source: str
) -> None:
    other = make_study(
        state="ready", source=source, prompts=PROMPTS, annotation={"ties": True}, slug="other", comparisons=3
    )
    table = exported(original, tmp_path / f"votes.{export_format}", export_format)
    text = said("import_votes", "other", table)
    assert text.startswith(
        "other: 10 votes of 3 new annotators imported, 0 were stored already.\nNot used: the columns "
    )
    if source == "images":
        Study.objects.filter(pk=other.pk).update(state="closed", opened_at=NOON, closed_at=NOON)
    first, again = exported(original, tmp_path / "a.csv"), exported(other, tmp_path / "b.csv")
    assert without_ids(first) == without_ids(again)
    assert {row["annotator"] for row in without_ids(again)} == {"P001", "P003", "P004"}
    other.refresh_from_db()
    before, after = (gather(study, manifest=current_manifest(study)) for study in (original, other))
    assert (
        [row.is_right for row in after.checks.known] == [row.is_right for row in before.checks.known] == [True, False]
    )
    assert [(row.replaced, row.images) for row in after.checks.known] == [(1, 2), (0, 0)]
    assert [row.outcome for row in after.checks.repeats] == [row.outcome for row in before.checks.repeats]
    assert (after.late_count, after.superseded_count) == (before.late_count, before.superseded_count) == (1, 2)
    assert [row.reason for row in after.votes.exclusions] == ["failed the check"]
    assert [row.is_simulated for row in after.annotators] == [False, False, True]
    assert_invariants(other)
    if source == "external":
        assert said("import_votes", "other", table).startswith("other: 0 votes of 0 new annotators imported, 10 were")


def test_ids_stay_where_the_database_has_no_such_votes(original: Study, tmp_path: Path) -> None:
    make_study(source="external", prompts=PROMPTS, annotation={"ties": True}, slug="other", comparisons=3)
    table = exported(original, tmp_path / "votes.csv")
    before = set(Vote.objects.values_list("pk", flat=True))
    said("import_votes", "other", table)
    assert len(set(Vote.objects.values_list("pk", flat=True)) - before) == 10
    original.delete()
    assert said("import_votes", "other", table).startswith("other: 0 votes of 0 new annotators imported, 10 were")
    make_study(source="external", prompts=PROMPTS, annotation={"ties": True}, slug="third", comparisons=3)
    said("import_votes", "third", table)
    assert before <= set(Vote.objects.values_list("pk", flat=True))


def test_two_exports_with_the_same_pseudonyms_stay_apart(original: Study, tmp_path: Path) -> None:
    make_study(source="external", prompts=PROMPTS, annotation={"ties": True}, slug="other", comparisons=3)
    table = exported(original, tmp_path / "votes.csv")
    said("import_votes", "other", table)
    with pytest.raises(CommandError, match="its vote_id is that of another vote here"):
        said("import_votes", "other", table, prefix="again-")
    second = table.read_text().splitlines()
    rows = [second[0], *(",".join([str(uuid.uuid4()), *row.split(",")[1:]]) for row in second[1:] if "P001" in row)]
    with pytest.raises(CommandError, match=r"already: 1 of 1 \(P001\)\. If these are other people"):
        said("import_votes", "other", write(tmp_path / "second.csv", "\n".join(rows)))
    text = said("import_votes", "other", tmp_path / "second.csv", prefix="second-")
    assert text.startswith(f"other: {len(rows) - 1} votes of 1 new annotator imported, 0 were stored already.\n")
    assert_invariants(Study.objects.get(slug="other"))


def test_the_export_of_a_sealed_study_is_refused_with_the_reason(original: Study, tmp_path: Path) -> None:
    Study.objects.filter(pk=original.pk).update(state="open", closed_at=None)
    make_study(source="external", prompts=PROMPTS, annotation={"ties": True}, slug="other", comparisons=3)
    table = exported(original, tmp_path / "votes.csv")
    with pytest.raises(CommandError, match="an export made after the study has closed names it"):
        said("import_votes", "other", table)
    assert not Annotator.objects.filter(kind="imported").exists()


# --- files of other programs --------------------------------------------------------------------
@pytest.fixture
def external() -> Study:
    return make_study(source="external", has_scores=False)


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8", newline="")
    return path


@pytest.mark.parametrize(
    "text",
    [
        "annotator,prompt,choice\rann,prompt 1,Alpha\r",
        '"Annotator", "Prompt", CHOICE \r\n ann ,"prompt 1",  Alpha\r\n',
        "\ufeffuser name,PROMPT,selection_choice\nann,prompt 1,Alpha\n",
        "sep=,\nannotator,prompt,choice\nann,prompt 1,Alpha\n",
        "annotator,prompt,choice,\nann,prompt 1,Alpha,\n",
        "annotator,prompt,choice\nann,prompt 1,Alpha,\n,,\n",
        "annotator,prompt,choice,\nann,prompt 1,Alpha\n",
        ",annotator,prompt,choice,state\n0,ann,prompt 1,Alpha,CA\n",
        "User Name,Prompt,Selection Choice,Timestamp\nann,prompt 1,Alpha,yesterday\n",
        "id,id,annotator,prompt,choice\n1,1,ann,prompt 1,Alpha\n",
        "annotator,prompt,choice\nann,prompt 1,Alpha",
        "annotator,prompt,choice,left_model\nann,prompt 1,LEFT,Alpha\n",
    ],
)
def test_tables_of_other_programs(external: Study, tmp_path: Path, text: str) -> None:
    assert said("import_votes", "study", write(tmp_path / "v.csv", text)).startswith("study: 1 vote of 1 new annota")
    assert Vote.objects.get().choice == "left"


def test_what_was_not_used_repeated_or_left_out_is_said_and_stays_in_the_history(
    external: Study, tmp_path: Path
) -> None:
    text = (
        "index,User Name,Prompt,Selection Choice,\n0,ann,prompt 1,Alpha,\n1,ann,prompt 1,Alpha,\n"
        "2,,prompt 2,Beta,\n3, ,prompt 1,Beta,\n"
    )
    path = write(tmp_path / "paper.csv", text)
    with pytest.raises(CommandError) as error:
        said("import_votes", "study", path)
    assert "  line 4: the annotator's name is blank\n  line 5: the" in str(error.value)
    assert "--leave-out-blank-names, which the report then states." in str(error.value)
    lines = said("import_votes", "study", path, leave_out_blank_names=True).splitlines()
    assert lines == [
        "study: 1 vote of 1 new annotator imported, 0 were stored already.",
        "Not used: the columns index and (without a name).",
        "Counted once: 1 row that repeats an earlier row (line 3).",
        "Left out: 2 votes without an annotator's name (lines 4, 5).",
    ]
    event = external.events.get(verb="votes imported")
    assert event.detail["file"] == "paper.csv"
    assert len(event.detail["sha256"]) == 64
    assert (event.detail["votes"], event.detail["annotators"]) == (1, 1)
    assert event.detail["votes_without_a_name_left_out"] == 2
    assert "votes without a name left out: 2" in said("report", "study")
    assert said("import_votes", "study", path, leave_out_blank_names=True).startswith("study: 0 votes")
    assert external.events.filter(verb="votes imported").count() == 1


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("v.csv", "annotator,prompt,choice\nann,prompt 1,Alpha,Beta\n", "line 2: it has 4 cells and the first line 3"),
        ("v.csv", "annotator,prompt,choice\nann,prompt 1\n", "line 2: it has 2 cells and the first line 3"),
        ("v.csv", 'annotator,prompt,choice\nann,"prompt" 1,Alpha\n', "line 2 is not CSV"),
        ("v.csv", "annotator,prompt,choice\n,,\n", "holds no votes"),
        (
            "v.csv",
            "annotator,prompt,choice\nann,prompt\u00a01,Alpha\n",
            r'line 2: "prompt\[U\+00A0\]1" is not a prompt',
        ),
        ("v.csv", f"annotator,prompt,choice\nann,prompt 1,{'x' * 999}\n", r'line 2: "x{300}…" is no choice: it must'),
        ("v.csv", f"{PAIRS}ann,prompt 1,Alpha,Beta,Beta\n", 'line 2: model_a and model_b are both "Beta"'),
        ("v.json", f"[\n {ONE}]", "v.json holds JSON: save it as JSON Lines in UTF-8, .* ends in .jsonl"),
        ("v.jsonl", '{"annotator": "ann"\n', "line 1 is not JSON"),
        ("v.jsonl", "[1]\n", "line 1 is not a JSON object"),
        ("v.jsonl", "[" * 100_000, "line 1 is not JSON"),
        ("v.jsonl", "", "is empty"),
        ("v.jsonl", '{"annotator": "ann", "prompt": "prompt 1"}', "choice is not in it"),
        ("v.jsonl", '{"annotator": "a\\u0000", "prompt": "prompt 1", "choice": "Alpha"}', "line 1: it holds a NUL"),
        ("v.jsonl", f'{{"mood": 1}}\n{ONE[:-1]}, "choice": "Beta"}}', f"v.jsonl line 2: {TWICE.format('choice')}"),
        ("v.jsonl", f'{ONE[:-1]}, "mood": {{"a": 1, "a": 2}}}}', f"v.jsonl line 1: {TWICE.format('a')}"),
        ("v.jsonl", f'{ONE}\n{{"Choice": "Beta"}}', "v.jsonl names the column choice more than once: keep one"),
        ("v.jsonl", '{"a;annotator;prompt;choice": 1}', "v.jsonl must name the columns"),
        ("v.parquet", "PAR1 but not really", "is damaged or is not a Parquet file"),
        ("a" * 300, "", "cannot be read: File name too long"),
        ("v\0.csv", "", "is not the name of a file"),
        (".", "", "is not a file"),
    ],
)
def test_every_other_file_ends_in_a_sentence(
    external: Study, tmp_path: Path, name: str, text: str, sentence: str
) -> None:
    path = tmp_path / name
    if text or name == "v.jsonl":
        path.write_text(text)
    with pytest.raises(CommandError, match=sentence):
        said("import_votes", "study", path)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "cp1252"])
def test_json_lines_in_another_encoding(external: Study, tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "v.jsonl"
    path.write_bytes(ONE.replace("ann", "Z\xfcrich").encode(encoding))
    with pytest.raises(CommandError) as error:
        said("import_votes", "study", path)
    what = "is not a UTF-8 text" if encoding == "cp1252" else f"is a text in {encoding[:6].upper()}: "
    assert what in str(error.value)
    assert str(error.value).endswith(": save it as JSON Lines in UTF-8, with one object in each line.")


def test_json_lines_of_other_programs(external: Study, tmp_path: Path) -> None:
    record = {"annotator": 7, "prompt": "prompt 1", "choice": "Alpha", "mood": None, "vote_id": str(uuid.uuid4())}
    path = write(tmp_path / "v.ndjson", json.dumps(record) + "\n\n")
    assert "Not used: the column mood." in said("import_votes", "study", path)
    assert Annotator.objects.get().label == "7"


def test_a_program_s_votes_never_become_a_person_s(original: Study, tmp_path: Path) -> None:
    ties = {"ties": True}
    other = make_study(state="ready", source="external", prompts=PROMPTS, annotation=ties, slug="other", comparisons=3)
    (tmp_path / "of_a_person.csv").write_text("annotator,prompt,choice\nP004,'=1,Alpha\n")
    said("import_votes", "other", tmp_path / "of_a_person.csv")
    with pytest.raises(CommandError, match="P004 is simulated in this file or in the study, but not in both"):
        said("import_votes", "other", exported(original, tmp_path / "votes.csv"))
    assert [one.kind for one in other.annotators.all()] == ["imported"]
