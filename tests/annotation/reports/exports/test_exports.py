import csv
import json
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pyarrow.parquet as pq
import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from annotation.models import Comparison, Study, Vote
from annotation.reports.exports import votes
from annotation.reports.exports.writers import FORMATS
from annotation.studies.current import current_manifest
from generation.models import GeneratedImage
from jobs import whole_files
from tests.annotation.reports.voted_studies import Plan, make_study

pytestmark = pytest.mark.django_db

PLAN = Plan(
    votes=[["A", "B", "tie"], ["B", "", "A"]],
    scores=[(80.0, 70.5), (60.0, None)],
    prompts=['a "red" kite, high', "ein graues Meer, =SUM(1)"],
    manifest={"notice": "Noise, not images."},
)


def export(path: Path, export_format: str) -> str:
    out = StringIO()
    call_command("export_votes", "weather", format=export_format, out=path, stdout=out)
    return out.getvalue()


def rows_of(study: Study) -> list[dict[str, Any]]:
    chunks = votes.vote_chunks(study, manifest=current_manifest(study))
    return [dict(zip(chunk, row, strict=True)) for chunk in chunks for row in zip(*chunk.values(), strict=True)]


def show_images(comparison: Comparison, seeds: list[int]) -> None:
    """Give both sets an image for each seed; each voter saw set A in this order and set B in the reverse order."""
    ids = [
        [
            GeneratedImage.objects.create(
                image_set=image_set, seed=seed, path="", sha256="0" * 64, width=1, height=1, byte_count=1
            ).pk
            for seed in seeds
        ]
        for image_set in (comparison.image_set_a, comparison.image_set_b)
    ]
    for assignment in comparison.assignments.all():
        shown = (ids[0], ids[1][::-1])
        is_a_left = assignment.left_model == "a"
        assignment.left_images, assignment.right_images = shown if is_a_left else shown[::-1]
        assignment.rendition = "grid2x"
        assignment.save()


@pytest.mark.both_databases
def test_a_row_says_in_which_order_and_size_the_images_were_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(votes, "_CHUNK", 2)
    study = make_study(Plan(votes=[["A", "B"], ["A", "B"], ["A", "B"]], scores=[(1, 2)] * 3))
    for comparison in study.comparisons.exclude(position=1):  # the second comparison had no images
        show_images(comparison, [10 * comparison.position + 7, 10 * comparison.position + 3])
    rows = rows_of(study)
    assert [(row["left_model"], row["left_seeds"], row["right_seeds"], row["rendition"]) for row in rows] == [
        ("Alpha", "7 3", "3 7", "grid2x"),
        ("Beta", "3 7", "7 3", "grid2x"),
        (rows[2]["left_model"], "", "", ""),
        (rows[3]["left_model"], "", "", ""),
        ("Alpha", "27 23", "23 27", "grid2x"),
        ("Beta", "23 27", "27 23", "grid2x"),
    ]


@pytest.mark.both_databases
def test_a_side_without_images_has_no_seeds() -> None:
    study = make_study(Plan(votes=[["A"], ["A"]], scores=[(1, 2)] * 2))
    first, second = study.comparisons.all()
    show_images(first, [7, 3])
    show_images(second, [9])
    GeneratedImage.objects.filter(image_set=first.image_set_b).delete()
    first.assignments.filter(left_model="a").update(right_images=[])
    first.assignments.filter(left_model="b").update(left_images=[])
    told = [sorted((row["left_seeds"], row["right_seeds"])) for row in rows_of(study)]
    assert told == [["", "7 3"], ["9", "9"]]


def test_the_codebook_explains_each_column_of_the_file_and_no_other(tmp_path: Path) -> None:
    for state in ("open", "closed"):
        study = make_study(replace(PLAN, state=state, slug=state))
        call_command("export_votes", state, out=tmp_path / f"{state}.csv", stdout=StringIO())
        with (tmp_path / f"{state}-codebook.csv").open(newline="") as file:
            entries = list(csv.DictReader(file))
        assert tuple(entry["column"] for entry in entries) == votes.columns(study, manifest=current_manifest(study))
        assert all(entry["meaning"].endswith(".") and entry["type"] for entry in entries)


def test_csv_holds_one_row_a_vote_with_the_model_that_was_chosen(tmp_path: Path) -> None:
    make_study(PLAN)
    assert export(tmp_path / "votes.csv", "csv") == f"5 votes written to {tmp_path / 'votes.csv'}\n"
    with (tmp_path / "votes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    seen = [(row["annotator"], row["position"], row["left_model"], row["choice"], row["chosen_model"]) for row in rows]
    assert seen == [
        ("P001", "1", "Alpha", "left", "Alpha"),
        ("P002", "1", "Beta", "left", "Beta"),
        ("P003", "1", "Alpha", "tie", ""),
        ("P001", "2", "Beta", "left", "Beta"),
        ("P003", "2", "Beta", "right", "Alpha"),
    ]
    assert {row["prompt"] for row in rows} == set(PLAN.prompts)
    assert {row["simulated"] for row in rows} == {"false"}
    assert {row["notice"] for row in rows} == {"Noise, not images."}


def test_no_text_of_a_csv_file_is_a_formula_in_a_spreadsheet(tmp_path: Path) -> None:
    formula = "=HYPERLINK(A1)"
    make_study(replace(PLAN, prompts=[formula, "-2+3"], manifest={"notice": "@SUM(1)"}))
    export(tmp_path / "votes.csv", "csv")
    with (tmp_path / "votes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["prompt"] for row in rows} == {f"'{formula}", "'-2+3"}
    assert {row["notice"] for row in rows} == {"'@SUM(1)"}
    call_command("report", "weather", format="csv", out=tmp_path / "report.csv", stdout=StringIO())
    table = list(csv.reader(StringIO((tmp_path / "report.csv").read_text())))
    assert not [cell for row in table for cell in row if cell.startswith(("=", "@"))]
    margins = [row[2] for row in table if row[0] == "results.comparisons.margin" and row[2]]
    assert all(float(margin) for margin in margins), "a number stays a number"
    export(tmp_path / "votes.jsonl", "jsonl")
    assert json.loads((tmp_path / "votes.jsonl").read_text().splitlines()[0])["prompt"] == formula


def test_the_three_formats_hold_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(votes, "_CHUNK", 2)  # five votes in three chunks
    make_study(PLAN)
    for export_format in FORMATS:
        export(tmp_path / f"votes.{export_format}", export_format)
    lines = [json.loads(line) for line in (tmp_path / "votes.jsonl").read_text().splitlines()]
    table: list[dict[str, Any]] = pq.read_table(tmp_path / "votes.parquet").to_pylist()
    assert len(table) == 5
    assert [row | {name: row[name].isoformat() for name in ("received_at", "ordered_at")} for row in table] == lines
    with (tmp_path / "votes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["vote_id"] for row in rows] == [row["vote_id"] for row in lines]


def test_votes_that_do_not_count_are_there_and_say_why(tmp_path: Path) -> None:
    study = make_study(PLAN)
    first, second, *_ = Vote.objects.order_by("assignment_id")
    Vote.objects.filter(pk=first.pk).update(excluded_at=timezone.now(), exclusion_reason="too fast")
    Vote.objects.filter(pk=second.pk).update(state="superseded")
    rows = rows_of(study)
    assert [row["exclusion_reason"] for row in rows] == ["too fast", "", "", "", ""]
    assert [row["state"] for row in rows] == ["standing", "superseded", "standing", "standing", "standing"]


def test_a_sealed_study_exports_no_model_and_nothing_to_tell_one_by(tmp_path: Path) -> None:
    make_study(Plan(votes=[["A", "B", "tie"]], scores=[(1, 2)], state="open", are_sides_known=False))
    export(tmp_path / "votes.csv", "csv")
    text = (tmp_path / "votes.csv").read_text()
    assert "Alpha" not in text
    assert not [name for name in ("left_model", "chosen_model", "left_seeds", "right_seeds") if name in text]
    # an unrecorded side is a convention that would name the model
    assert [row["choice"] for row in csv.DictReader(StringIO(text))] == ["", "", "tie"]


def test_unknown_sides_are_exported_as_models(tmp_path: Path) -> None:
    rows = rows_of(make_study(Plan(votes=[["A", "B", "tie"]], scores=[(1, 2)], are_sides_known=False)))
    assert [(row["choice"], row["left_model"]) for row in rows] == [("Alpha", ""), ("Beta", ""), ("tie", "")]


def test_a_refused_export_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="There is no study 'weather'"):
        export(tmp_path / "votes.csv", "csv")
    make_study(PLAN)
    (tmp_path / "file").touch()
    with pytest.raises(CommandError, match="cannot be written"):
        export(tmp_path / "file" / "votes.csv", "csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(CommandError, match="it is a folder"):
        export(tmp_path / "folder.csv", "csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.csv"]


def test_votes_and_codebook_are_written_both_or_neither(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_study(PLAN)
    for name in ("write_votes", "write_codebook"):
        with monkeypatch.context() as patch:
            patch.setattr(f"annotation.management.commands.export_votes.{name}", Mock(side_effect=KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                export(tmp_path / "votes.csv", "csv")
        assert list(tmp_path.iterdir()) == []
    put, placed = whole_files.put_in_place, list[str]()

    def put_once(part: Path, target: Path) -> None:
        placed.append(target.name)
        put(part, target)
        raise KeyboardInterrupt

    monkeypatch.setattr(whole_files, "put_in_place", put_once)
    with pytest.raises(KeyboardInterrupt):
        export(tmp_path / "votes.csv", "csv")
    assert placed == ["votes-codebook.csv"]
