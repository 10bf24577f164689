"""Taking back imports, and deleting studies in which nobody took part. Votes of people stay."""

import logging
import uuid
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks

from annotation.models import Annotator, Assignment, Comparison, Import, ImportedAssignment, ImportedVote, Study, Vote
from annotation.reports.data.pseudonyms import pseudonyms
from annotation.reports.report_jobs.report_cache import cached_report
from annotation.studies.current import current_manifest
from annotation.studies.imports import image_removal, score_import, similarity_import
from annotation.studies.imports.image_removal import imported_sets
from annotation.studies.imports.taking_back import take_back
from annotation.studies.lifecycle.transitions import advance, close
from annotation.voting.assignment import next_assignment
from annotation.voting.imports import imported_rows, shared_votes, vote_import
from annotation.voting.imports.vote_import import import_votes
from generation.models import DiffusionModel, GeneratedImage, ImageSet, Prompt
from jobs.refusals import Refused
from scoring.models import PairwiseSimilarities, SetScore
from scoring.scores import record_imported_scores, score_pairs
from tests.annotation.studies.test_commands import typed
from tests.annotation.voting.open_studies import assert_invariants
from tests.factories import import_sets, make_study

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

VOTES = "annotator,prompt,choice\nann,prompt 1,Alpha\nann,prompt 2,Beta\nben,prompt 1,Beta\n"
MORE = "annotator,prompt,choice\nann,prompt 3,Alpha\ncat,prompt 1,Beta\n"


def file(folder: Path, text: str, name: str = "votes.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def counters(study: Study) -> list[Any]:
    names = ("slot_count", "vote_count", "votes_a", "votes_b", "votes_tie", "left_lead", "lead", "overlap")
    return list(Comparison.objects.filter(study=study).order_by("position").values_list(*names))


@pytest.fixture
def external() -> Study:
    return make_study(source="external", annotation={"overlap": 1})


# --- votes --------------------------------------------------------------------------------------
def test_votes_are_taken_back_file_by_file(external: Study, tmp_path: Path) -> None:
    empty = counters(external)
    typed("import_votes", "study", file(tmp_path, VOTES))
    one = counters(external)
    typed("import_votes", "study", file(tmp_path, MORE, "more.csv"), "--same-people")
    first, second = Import.objects.all()
    listed = typed("take_back", "study").splitlines()
    assert [line.split(" (")[0] for line in listed] == [
        f"{first.pk}: 3 votes from votes.csv",
        f"{second.pk}: 2 votes from more.csv",
    ]
    said = typed("take_back", "study", second.pk)
    assert "  2 votes of 2 imported annotators\n  1 annotator who then has no votes\n" in said
    assert said.endswith("Nothing was removed. To do it, give the same command with --yes.\n")
    assert Vote.objects.count() == 5
    typed("take_back", "study", second.pk, "--yes")
    assert counters(external) == one
    assert sorted(Annotator.objects.values_list("label", flat=True)) == ["ann", "ben"]
    typed("take_back", "study", first.pk, "--yes")
    assert counters(external) == empty
    assert not any(model.objects.exists() for model in (Vote, Annotator, Import))
    event = external.events.filter(verb="votes taken back").last()
    assert event is not None
    assert event.detail == {"file": "votes.csv", "sha256": first.sha256, "votes": 3}
    assert typed("import_votes", "study", file(tmp_path, VOTES)).startswith("study: 3 votes of 2 new")


def test_votes_that_two_files_hold_stay_until_the_last_is_taken_back(tmp_path: Path) -> None:
    study = make_study(source="external", annotation={"overlap": 1})
    empty = counters(study)
    rows = [f"ann,prompt 1,Alpha,{uuid.uuid4()}\n", f"ann,prompt 2,Beta,{uuid.uuid4()}\n"]
    rows += [f"{name},prompt 1,Beta,{uuid.uuid4()}\n" for name in ("ben", "cat")]
    head = "annotator,prompt,choice,vote_id\n"
    typed("import_votes", "study", file(tmp_path, head + "".join(rows[:3]), "one.csv"))
    only = counters(study)
    said = typed("import_votes", "study", file(tmp_path, head + "".join(rows[1:]), "two.csv"), "--same-people")
    assert said == "study: 1 vote of 1 new annotator imported, 2 were stored already.\n"
    both = counters(study)
    first, second = Import.objects.all()
    assert (first.row_count, second.row_count) == (3, 3)
    said = typed("take_back", "study", first.pk)
    assert "  1 vote of 1 imported annotator\n  2 votes stay, since another import has the same\n" in said
    typed("take_back", "study", second.pk, "--yes")
    assert counters(study) == only
    typed("import_votes", "study", tmp_path / "two.csv", "--same-people")
    assert counters(study) == both
    typed("take_back", "study", first.pk, "--yes")
    second = study.imports.get()
    whole = {str(pk) for pk in Vote.objects.values_list("pk", flat=True)}
    assert whole == {row.strip().rpartition(",")[2] for row in rows[1:]}
    assert_invariants(study)
    assert study.events.filter(verb="votes taken back").last().detail == {  # type: ignore[union-attr]
        "file": "one.csv",
        "sha256": first.sha256,
        "votes": 1,
        "also_in_another_import_and_so_kept": 2,
    }
    # The same file brings nothing; another file that holds nothing new is an import of its own.
    typed("import_votes", "study", tmp_path / "two.csv")
    assert study.imports.count() == 1
    typed("import_votes", "study", file(tmp_path, head + rows[3], "part.csv"))
    typed("take_back", "study", second.pk, "--yes")
    assert Annotator.objects.get().label == "cat"
    assert_invariants(study)
    typed("take_back", "study", study.imports.get().pk, "--yes")
    assert counters(study) == empty
    assert not ImportedVote.objects.exists()


def test_a_taking_back_that_was_stopped_tells_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = make_study(source="external", annotation={"overlap": 1})
    rows = [f"{name},prompt 1,Alpha,{uuid.uuid4()}\n" for name in ("ann", "ben", "cat", "dan")]
    head = "annotator,prompt,choice,vote_id\n"
    typed("import_votes", "study", file(tmp_path, head + "".join(rows[:3]), "one.csv"))
    typed("import_votes", "study", file(tmp_path, head + rows[0] + rows[3], "two.csv"), "--same-people")
    let_go, calls = shared_votes.let_go, []

    def let_go_once(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) > 1:
            raise KeyboardInterrupt
        return let_go(*arguments)

    first = study.imports.get(file_name="one.csv")
    with monkeypatch.context() as patch:
        patch.setattr(shared_votes, "let_go", let_go_once)
        patch.setattr("annotation.voting.storage.slices.FIRST_SIZE", 1)
        patch.setattr(imported_rows, "SMALL_ROWS", 1)
        with pytest.raises(KeyboardInterrupt):
            typed("take_back", "study", first.pk, "--yes")
    typed("take_back", "study", first.pk, "--yes")
    detail = study.events.get(verb="votes taken back").detail
    assert (detail["votes"], detail["also_in_another_import_and_so_kept"]) == (2, 1)
    assert set(Annotator.objects.values_list("label", flat=True)) == {"ann", "dan"}


def test_a_vote_that_a_later_export_adds_to_an_undone_one_goes_with_that_export(tmp_path: Path) -> None:
    study = make_study(source="external", annotation={"overlap": 1})
    vote, other = uuid.uuid4(), uuid.uuid4()
    head = "annotator,prompt,choice,left_model,vote_id,simulated,kind,known_choice,replaced_images,state\n"
    undone = f"ann,prompt 1,left,Alpha,{vote},0,main,,0,superseded\n"
    typed("import_votes", "study", file(tmp_path, head + undone, "early.csv"))
    only = counters(study)
    assert Assignment.objects.get().state == "released"
    late = file(tmp_path, f"{head}{undone}ann,prompt 1,right,Alpha,{other},0,main,,0,standing\n", "late.csv")
    typed("import_votes", "study", late, "--same-people")
    assert Assignment.objects.get().state == "voted"
    assert_invariants(study)
    early, later = Import.objects.all()
    typed("take_back", "study", later.pk, "--yes")
    assert (counters(study), Vote.objects.get().pk, Assignment.objects.get().state) == (only, vote, "released")
    typed("import_votes", "study", late, "--same-people")
    with pytest.raises(IntegrityError), transaction.atomic():
        ImportedVote.objects.create(vote_id=vote, source=early)
    typed("take_back", "study", early.pk, "--yes")
    assert Vote.objects.count() == 2
    assert_invariants(study)
    typed("take_back", "study", study.imports.get().pk, "--yes")
    assert not Assignment.objects.exists()


def test_the_report_changes_with_what_is_taken_back(external: Study, tmp_path: Path) -> None:
    typed("import_votes", "study", file(tmp_path, VOTES))
    before = cached_report(external)
    typed("take_back", "study", Import.objects.get().pk, "--yes")
    after = cached_report(external)
    assert (before.report.counts.votes, after.report.counts.votes) == (3, 0)
    assert "votes taken back" in typed("report", "study")


@pytest.mark.parametrize("command", [("report", "study"), ("export_votes", "study", "--out")])
def test_what_is_read_while_a_file_is_taken_back_is_refused(
    external: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    typed("import_votes", "study", file(tmp_path, VOTES))
    names = [f"annotation.reports.{module}.pseudonyms" for module in ("data.gathering", "exports.votes")]

    def taken_back_meanwhile(study: Study) -> dict[int, str]:
        monkeypatch.undo()
        names = pseudonyms(study)
        take_back(source=Import.objects.get())
        return names

    for name in names:
        monkeypatch.setattr(name, taken_back_meanwhile)
    out = tmp_path / "out.csv"
    with pytest.raises(CommandError, match="A file was imported into Study, or taken back, while its votes were read"):
        typed(*command, *([out] if command[-1] == "--out" else []))
    assert not out.exists()


def test_a_live_study_counts_as_before_and_keeps_the_votes_of_people(tmp_path: Path) -> None:
    study = make_study(state="open", annotation={"overlap": 2, "early_stopping": True})
    rules = current_manifest(study).voting_rules()
    person = Annotator.objects.create(study=study, kind="personal")
    next_assignment(annotator=person, rules=rules, now=timezone.now())
    before = counters(study)
    typed("import_votes", "study", file(tmp_path, "annotator,prompt,choice\nann,prompt 2,Alpha\nben,prompt 3,Beta\n"))
    assert_invariants(study)
    typed("take_back", "study", Import.objects.get().pk, "--yes")
    assert counters(study) == before
    assert_invariants(study)
    assert person.assignments.exists()


def test_a_number_that_is_not_there(external: Study) -> None:
    assert typed("take_back", "study") == "Study has no imported votes, scores or similarities.\n"
    with pytest.raises(CommandError, match=r"Study has no import 7; \S+ \S*manage\.py take_back study lists them"):
        typed("take_back", "study", 7)
    with pytest.raises(CommandError, match="There is no study 'sea'"):
        typed("take_back", "sea")


# --- an import that was stopped -----------------------------------------------------------------
@pytest.fixture
def killed(external: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An import whose process died after its first slice of one assignment."""
    path = file(tmp_path, VOTES)
    store, calls = imported_rows.store, []

    def store_once(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) > 1:
            raise KeyboardInterrupt
        return store(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(vote_import, "store", store_once)
        patch.setattr("annotation.voting.storage.slices.FIRST_SIZE", 1)
        patch.setattr(vote_import, "SMALL_ROWS", 1)
        with pytest.raises(KeyboardInterrupt):
            typed("import_votes", "study", path)
    assert Vote.objects.count() == 1
    return path


def test_a_part_of_a_file_is_in_no_report_and_no_export(external: Study, killed: Path, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"Only a part of votes\.csv is in Study .* import the same file again"):
        typed("report", "study")
    with pytest.raises(CommandError, match="Only a part"):
        typed("export_votes", "study", "--out", tmp_path / "out.csv")
    with pytest.raises(CommandError, match="Only a part"):
        typed("import_votes", "study", file(tmp_path, MORE, "more.csv"))
    listed = typed("take_back", "study")
    assert listed.split(" (")[0].endswith(": 1 vote from votes.csv")
    assert "not finished" in listed


def test_the_same_file_again_completes_it(external: Study, killed: Path) -> None:
    assert (
        typed("import_votes", "study", killed)
        == "study: 3 votes of 2 new annotators imported, 0 were stored already.\n"
    )
    event = external.events.get(verb="votes imported")
    assert (event.detail["votes"], event.detail["annotators"]) == (3, 2)
    assert typed("take_back", "study").split(" (")[0].endswith(": 3 votes from votes.csv")
    assert_invariants(external)
    assert "Votes" in typed("report", "study")


def test_or_it_is_taken_back(external: Study, killed: Path) -> None:
    typed("take_back", "study", Import.objects.get().pk, "--yes")
    assert external.events.get(verb="votes taken back").detail["votes"] == 1
    assert not any(model.objects.exists() for model in (Vote, Annotator))
    assert_invariants(external)


def test_what_fails_half_way_is_removed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = make_study(state="open", annotation={"overlap": 1})
    before = counters(study)
    # People took the last slot after the file was checked.
    monkeypatch.setattr("annotation.voting.storage.slices.FIRST_SIZE", 1)
    monkeypatch.setattr(vote_import, "SMALL_ROWS", 1)
    monkeypatch.setattr(vote_import, "_new_votes", lambda study, path, votes, names: list(votes))
    with pytest.raises(CommandError, match="line 4: this prompt has all the votes"):
        typed("import_votes", "study", file(tmp_path, VOTES))
    assert counters(study) == before
    assert not any(model.objects.exists() for model in (Vote, Annotator, Import))


def test_a_process_whose_import_was_taken_over_leaves_its_rows_alone(external: Study, tmp_path: Path) -> None:
    path = file(tmp_path, VOTES)
    rules = current_manifest(external).voting_rules()
    store = imported_rows.store

    def taken_over(*arguments: Any) -> Any:
        Import.objects.update(process="another")
        return store(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vote_import, "store", taken_over)
        with pytest.raises(Refused, match="Another process goes on with the import"):
            import_votes(study=external, path=path, rules=rules, now=timezone.now())
    assert ImportedAssignment.objects.count() == 3


def test_a_study_does_not_close_on_a_part_of_a_file(external: Study, killed: Path) -> None:
    study = make_study(state="open", slug="live")
    Import.objects.update(study=study)
    with pytest.raises(Refused, match="Only a part"):
        close(study=study)


# --- scores -------------------------------------------------------------------------------------
def test_scores_that_were_stopped_half_way_are_counted_and_completed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = make_study(source="external", has_scores=False)
    path = file(tmp_path, "prompt,score_a,score_b\nprompt 1,1,2\nprompt 2,1,2\nprompt 3,1,2\n")
    calls: list[Any] = []

    def record_twice(**arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) > 2:
            raise KeyboardInterrupt
        return record_imported_scores(**arguments)

    with monkeypatch.context() as patch:
        patch.setattr(score_import, "record_imported_scores", record_twice)
        patch.setattr("annotation.voting.storage.slices.FIRST_SIZE", 1)
        patch.setattr("annotation.voting.storage.slices.SECONDS_OF_A_SLICE", 1e-9)
        patch.setattr(score_import, "SMALL_ROWS", 1)
        with pytest.raises(KeyboardInterrupt):
            typed("import_scores", "study", path, "--metric", "m", "--higher-is-more-consistent")
    assert ": scores of 2 comparisons by m from votes.csv (" in typed("take_back", "study")
    assert typed("import_scores", "study", path, "--metric", "m", "--higher-is-more-consistent").startswith(
        "m: 3 comparisons scored, 0 had"
    )
    assert ": scores of 3 comparisons by m from votes.csv (" in typed("take_back", "study")
    assert study.events.get(verb="scores imported").detail["comparisons"] == 3


def test_rows_that_another_import_stores_at_the_same_moment_are_refused_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = make_study(source="external", annotation={"overlap": 1})
    monkeypatch.setattr(score_import, "link", Mock(side_effect=IntegrityError("UNIQUE constraint failed")))
    scores = file(tmp_path, "prompt,score_a,score_b\nprompt 1,1,2\n", "scores.csv")
    with pytest.raises(CommandError, match=r"^Nothing was imported from scores\.csv: another import stored or removed"):
        typed("import_scores", "study", scores, "--metric", "rmse", "--higher-is-more-consistent")
    assert not study.imports.exists()
    assert not SetScore.objects.filter(metric="rmse").exists()


def test_scores_are_taken_back_file_by_file(tmp_path: Path) -> None:
    study = make_study(state="closed")
    other = make_study(state="closed", slug="other")  # shows the same image sets
    typed(
        "import_scores",
        "study",
        file(tmp_path, "prompt,score_a,score_b\nprompt 1,1,2\n"),
        "--metric",
        "m",
        "--higher-is-more-consistent",
    )
    typed(
        "import_scores",
        "study",
        file(tmp_path, "prompt,score_a,score_b\nprompt 2,1,2\n"),
        "--metric",
        "m",
        "--higher-is-more-consistent",
    )
    first, second = Import.objects.all()
    said = typed("take_back", "study", first.pk, "--yes")
    assert "  scores of 1 comparison by m\n  the same scores in the study other" in said
    assert SetScore.objects.filter(metric="m").count() == 2
    for one in (study, other):
        assert one.events.filter(verb="scores taken back", detail__metric="m").count() == 1
    typed("take_back", "study", second.pk, "--yes")
    assert not SetScore.objects.filter(metric="m").exists()
    assert SetScore.objects.count() == 6
    with pytest.raises(Refused, match="was taken back already"):
        take_back(source=second)


def test_scores_that_two_files_hold_stay_until_the_last_is_taken_back(tmp_path: Path) -> None:
    study = make_study(state="closed")
    metric = ("--metric", "m", "--higher-is-more-consistent")
    head, rows = "prompt,score_a,score_b\n", ["prompt 1,1,2\n", "prompt 2,3,4\n", "prompt 3,5,6\n"]
    typed("import_scores", "study", file(tmp_path, head + rows[0] + rows[1], "one.csv"), *metric)
    said = typed("import_scores", "study", file(tmp_path, head + rows[1] + rows[2], "two.csv"), *metric)
    assert said.startswith("m: 1 comparison scored, 1 had these scores already.")
    first, second = Import.objects.all()
    said = typed("take_back", "study", first.pk, "--yes")
    assert "  scores of 1 comparison by m\n  1 comparison stays, since another import has the same" in said
    assert sorted(SetScore.objects.filter(metric="m").values_list("value", flat=True)) == [3, 4, 5, 6]
    event = study.events.get(verb="scores taken back")
    assert (event.detail["comparisons"], event.detail["also_in_another_import_and_so_kept"]) == (1, 1)
    # The same file brings nothing; another file that holds nothing new is an import of its own.
    typed("import_scores", "study", tmp_path / "two.csv", *metric)
    assert [one.pk for one in study.imports.all()] == [second.pk]
    typed("import_scores", "study", file(tmp_path, head + rows[1], "part.csv"), *metric)
    typed("take_back", "study", second.pk, "--yes")
    assert sorted(SetScore.objects.filter(metric="m").values_list("value", flat=True)) == [3, 4]
    typed("take_back", "study", study.imports.get().pk, "--yes")
    assert not SetScore.objects.filter(metric="m").exists()


# --- similarities -------------------------------------------------------------------------------
def similarities_of(*values: tuple[str, str, float]) -> str:
    rows = [f"{model},{prompt},0,1,{value}\n" for model, prompt, value in values]
    return "model,prompt,seed_i,seed_j,value\n" + "".join(rows)


def test_similarities_are_taken_back_with_the_scores_computed_from_them(tmp_path: Path) -> None:
    study = make_study(state="ready")
    make_study(state="ready", slug="other")  # shows the same image sets
    whole = [(model, "prompt 1", value) for model, value in (("Alpha", 0.25), ("Beta", 0.5))]
    one = file(tmp_path, similarities_of(*whole), "pairs.csv")
    two = file(tmp_path, similarities_of(whole[1], ("Beta", "prompt 2", 0.75)), "more.csv")
    typed("import_similarities", "study", one, "--name", "d")
    typed("import_similarities", "study", one, "--name", "D")  # another name, to the letter
    typed("import_similarities", "study", two, "--name", "d", "--metric", "worst_pair")
    first, capital, second = Import.objects.all()
    listed = typed("take_back", "study").splitlines()
    assert [line.split(" (")[0] for line in listed] == [
        f"{first.pk}: similarities of 2 sets under d from pairs.csv",
        f"{capital.pk}: similarities of 2 sets under D from pairs.csv",
        f"{second.pk}: similarities of 2 sets under d from more.csv",
    ]
    assert "study has imported similarities; take those back first" in typed("take_back_images", "Alpha")
    said = typed("take_back", "study", first.pk, "--yes")
    assert (
        "  similarities of 1 set under d\n  1 score by mean_of_pairs/pairs:d, computed from them\n"
        "  the same similarities and scores in the study other, which shows the same image sets\n"
        "  1 set stays, since another import has the same\n"
    ) in said
    left = sorted(SetScore.objects.filter(metric__contains="pairs:").values_list("metric", "value"))
    assert left == [
        ("mean_of_pairs/pairs:D", 25.0),
        ("mean_of_pairs/pairs:D", 50.0),
        ("mean_of_pairs/pairs:d", 50.0),
        ("worst_pair/pairs:d", 50.0),
        ("worst_pair/pairs:d", 75.0),
    ]
    event = study.events.get(verb="similarities taken back")
    assert event.detail == {
        "file": "pairs.csv",
        "sha256": first.sha256,
        "similarities": "d",
        "sets": 1,
        "also_in_another_import_and_so_kept": 1,
    }
    changed = file(tmp_path, similarities_of(("Alpha", "prompt 1", 0.5)), "new.csv")
    assert "of 1 set imported, 0 had" in typed("import_similarities", "study", changed, "--name", "d")
    take_back(source=second)
    assert sorted(PairwiseSimilarities.objects.values_list("name", flat=True)) == ["D", "D", "d"]
    Study.objects.filter(slug="other").delete()
    typed("delete_study", "study", "--yes")
    assert not PairwiseSimilarities.objects.exists()
    assert not SetScore.objects.filter(metric__contains="pairs:").exists()


def test_similarities_of_earlier_versions_get_a_number(tmp_path: Path) -> None:
    study = make_study(state="closed")
    pairs = file(tmp_path, similarities_of(("Alpha", "prompt 1", 0.25)), "pairs.csv")
    typed("import_similarities", "study", pairs, "--name", "d")
    before = study.imports.values_list("kind", "state", "file_name", "sha256", "metric", "row_count").get()
    study.imports.all().delete()
    number = import_module("annotation.migrations.0028_earlier_similarities").number_earlier_imports
    for _ in range(2):  # the second time as after a migration backwards and forwards, which drops the links
        number(apps, None)
        assert study.imports.values_list("kind", "state", "file_name", "sha256", "metric", "row_count").get() == before
        assert study.imports.get().similarities.count() == PairwiseSimilarities.objects.count()
        study.imports.get().similarities.clear()
    number(apps, None)
    typed("take_back", "study", study.imports.get().pk, "--yes")
    assert not PairwiseSimilarities.objects.exists()
    number(apps, None)
    assert not study.imports.exists()


def test_similarities_that_were_stopped_half_way_are_completed_or_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = make_study(state="closed")
    path = file(tmp_path, similarities_of(("Alpha", "prompt 1", 0.25), ("Beta", "prompt 1", 0.5)), "pairs.csv")
    score, calls = score_pairs, []

    def score_once(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) > 1:
            raise KeyboardInterrupt
        return score(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(similarity_import, "score_pairs", score_once)
        patch.setattr("annotation.voting.storage.slices.FIRST_SIZE", 1)
        patch.setattr(similarity_import, "LEAST_SETS", 1)
        with pytest.raises(KeyboardInterrupt):
            typed("import_similarities", "study", path, "--name", "d")
    with pytest.raises(CommandError, match=r"Only a part of pairs\.csv"):
        typed("report", "study")
    assert typed("import_similarities", "study", path, "--name", "d").startswith("d: similarities of 2 sets imported")
    typed("take_back", "study", study.imports.get().pk, "--yes")
    assert not PairwiseSimilarities.objects.exists()
    assert SetScore.objects.count() == 6


# --- images -------------------------------------------------------------------------------------
def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_images_are_taken_back_with_their_files_and_can_be_replaced(
    media_root: Path, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    study = make_study(state="ready")
    assert "study: 3 comparisons wait for images again" in typed("take_back_images", "Alpha")
    assert GeneratedImage.objects.count() == 12
    with django_capture_on_commit_callbacks(execute=True):
        said = typed("take_back_images", "Alpha", "--prompt", "prompt 1", "--yes")
    assert said.endswith("2 images in 1 set removed.\n")
    study.refresh_from_db()
    assert (study.state, study.comparisons.count()) == ("generating", 2)
    assert study.events.filter(verb="images taken back", detail__images=2).count() == 1
    assert 'waits for images: "prompt 1" has no images of Alpha' in advance(study)
    import_sets(study.diffusion_models[0], ["prompt 1"], 2)
    advance(study)
    assert study.comparisons.count() == 3
    event = study.events.get(verb="images imported")
    assert (event.detail["images"], len(event.detail["sha256"])) == (12, 64)
    with django_capture_on_commit_callbacks(execute=True):
        typed("take_back_images", "Alpha", "--yes")
        typed("take_back_images", "Beta", "--yes")
    assert not any(model.objects.exists() for model in (GeneratedImage, ImageSet, SetScore))
    assert files_below(media_root) == []


def test_images_of_an_opened_study_stay_and_so_do_those_with_imports(tmp_path: Path) -> None:
    study = make_study(state="ready")
    typed("import_votes", "study", file(tmp_path, VOTES))
    with pytest.raises(CommandError, match="3 sets stayed"):
        typed("take_back_images", "Alpha", "--yes")
    typed("take_back", "study", Import.objects.get().pk, "--yes")
    Study.objects.update(state="open", opened_at=timezone.now())
    assert "stay, since study was opened" in typed("take_back_images", "Alpha")
    person = Annotator.objects.create(study=study, kind="open")
    rules = current_manifest(study).voting_rules()
    next_assignment(annotator=person, rules=rules, now=timezone.now())
    said = typed("take_back_images", "Alpha")
    assert "stay, since people have voted on images of study" in said
    assert "0 images in 0 sets, with their files" in said
    assert "scores of these sets" not in said
    assert GeneratedImage.objects.count() == 12


# --- studies ------------------------------------------------------------------------------------
@pytest.mark.parametrize("source", ["external", "images"])
def test_a_study_is_deleted_with_all_that_is_its_own(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, source: str, reports_root: Path
) -> None:
    study = make_study(state="ready", source=source)
    other = make_study(state="ready", source=source, slug="other")
    for one in (study, other):
        typed("import_votes", one.slug, file(tmp_path, VOTES))
    typed(
        "import_scores",
        "study",
        file(tmp_path, "prompt,score_a,score_b\nprompt 1,1,2\n"),
        "--metric",
        "m",
        "--higher-is-more-consistent",
    )
    Annotator.objects.create(study=study, kind="personal", label="invited")
    before = counters(other)
    said = typed("delete_study", "study")
    assert "  3 comparisons\n  3 imported votes\n  1 invitation, whose link stops working\n  2 imports\n" in said
    assert Study.objects.count() == 2
    with caplog.at_level(logging.WARNING):
        assert typed("delete_study", "study", "--yes").endswith("study is deleted.\n")
    assert any(record.message.startswith("study study (") for record in caplog.records)
    assert list(Study.objects.all()) == [other]
    assert counters(other) == before
    assert Vote.objects.count() == 3
    assert ImageSet.objects.count() == 6
    assert SetScore.objects.filter(metric="m").count() == (2 if source == "images" else 0)
    make_study(state="draft", source=source)


def test_a_study_of_people_is_not_deleted() -> None:
    study = make_study(state="open")
    with pytest.raises(CommandError, match="is open, so that people may be voting: pause or close it first"):
        typed("delete_study", "study", "--yes")
    Study.objects.update(state="paused")
    assert "Nothing was removed" in typed("delete_study", "study")
    reader = Annotator.objects.create(study=study, kind="personal", instructions_read_at=timezone.now())
    with pytest.raises(CommandError, match="cannot be deleted: 1 person took part"):
        typed("delete_study", "study", "--yes")
    reader.delete()
    person = Annotator.objects.create(study=study, kind="personal")
    Assignment.objects.create(
        comparison=study.comparisons.earliest("pk"),
        annotator=person,
        state="released",
        left_model="a",
        leased_at=timezone.now(),
    )
    with pytest.raises(CommandError, match="cannot be deleted: 1 person took part"):
        typed("delete_study", "study", "--yes")
    study.refresh_from_db()
    assert study.state == "paused"


def test_a_deletion_that_was_stopped_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    study = make_study(state="closed")
    call_command("delete_study", "study", stdout=StringIO())

    def stop(*arguments: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("annotation.studies.lifecycle.deletion._remove_row", stop)
        with pytest.raises(KeyboardInterrupt):
            typed("delete_study", "study", "--yes")
    study.refresh_from_db()
    assert (study.state, study.comparisons.count()) == ("draft", 0)
    typed("delete_study", "study", "--yes")
    assert not Study.objects.exists()
    assert Prompt.objects.count() == 3


def test_a_set_that_another_process_removed_is_not_counted() -> None:
    make_study(state="ready")
    sets = imported_sets(model="Alpha")
    one, the_same = sets.earliest("pk"), sets.earliest("pk")
    assert (image_removal._remove(one, {}), image_removal._remove(the_same, {})) == (2, None)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (["Gamma"], "There are no imported images of the model “Gamma”; those with images: “Alpha”, “Beta”."),
        (["alhpa"], "There are no imported images of the model “alhpa” (did you mean “Alpha”?)."),
        (["Alpha", "--prompt", "Prompt  1"], "of the prompt of Alpha “Prompt  1” (did you mean “prompt 1”?)."),
        (
            ["Alpha", "--prompt", "a fox"],
            "of Alpha “a fox”; those with images: “a dog in oil”, “prompt 1”, “prompt 2”, “prompt 3”.",
        ),
        (
            ["Alpha", "--prompt", "prompt 1", "--prompt", "prompt 11", "--yes"],
            "of the prompt of Alpha “prompt 11” (did you mean “prompt 1”?).",
        ),
    ],
)
def test_names_without_imported_images_are_told_with_those_that_have_some(asked: list[str], sentence: str) -> None:
    make_study(state="ready")
    import_sets(model=DiffusionModel.objects.get(name="Alpha"), prompts=["a dog in oil"], images_per_set=1)
    with pytest.raises(CommandError) as caught:
        typed("take_back_images", *asked)
    assert str(caught.value).endswith(sentence)
    assert ImageSet.objects.count() == 7, "of several names one was wrong, so nothing was removed"


def test_without_any_imported_images() -> None:
    with pytest.raises(CommandError, match=r"^There are no imported images\.$"):
        typed("take_back_images", "Alpha")
