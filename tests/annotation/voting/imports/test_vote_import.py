import uuid
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from pytest_django import DjangoAssertNumQueries

from annotation.models import Annotator, Assignment, Study, Vote
from annotation.voting.assignment import next_assignment
from annotation.voting.imports.vote_file import VoteFileFault
from annotation.voting.imports.vote_import import VoteImport, import_votes
from annotation.voting.imports.vote_line import AS_WRITTEN, Names
from annotation.voting.rules import VotingRules
from annotation.voting.storage import slices
from jobs.refusals import Refused
from tests.annotation.voting.open_studies import NOON, RULES, after, assert_invariants, make_annotators, make_study

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

PAPER = "User Name,Prompt,Selection Choice\n"
LONG = "annotator,prompt,choice,left_model,shown_at,voted_at,vote_id\n"
TIES = replace(RULES, are_ties_allowed=True)


@pytest.fixture
def external() -> Study:
    study = make_study(comparisons=3, overlap=1)
    Study.objects.update(source="external", state="closed", closed_at=NOON)
    study.refresh_from_db()
    return study


@pytest.fixture
def votes_file(tmp_path: Path) -> Path:
    return tmp_path / "votes.csv"


def run(study: Study, path: Path, text: str, *, rules: VotingRules = RULES, names: Names = AS_WRITTEN) -> VoteImport:
    path.write_text(text)
    return import_votes(study=study, path=path, rules=rules, now=NOON, names=names)


def choices(study: Study) -> list[tuple[str, int, str, str, bool]]:
    rows = Vote.objects.filter(assignment__comparison__study=study).select_related("assignment__annotator")
    return sorted(
        (
            vote.assignment.annotator.label,
            vote.assignment.comparison.position,
            vote.assignment.left_model if vote.choice == "left" else "ab".replace(vote.assignment.left_model, ""),
            vote.choice,
            vote.assignment.are_sides_known,
        )
        for vote in rows
    )


def test_the_paper_s_file_as_it_is(external: Study, votes_file: Path) -> None:
    done = run(external, votes_file, PAPER + "ann,prompt 1,Alpha\nann,prompt 2,Beta\nben,prompt 1,Beta\n")
    assert done == VoteImport(new_count=3, unchanged_count=0, new_annotator_count=2)
    assert choices(external) == [
        ("ann", 0, "a", "left", False),
        ("ann", 1, "b", "right", False),
        ("ben", 0, "b", "right", False),
    ]
    assert set(Annotator.objects.values_list("kind", flat=True)) == {"imported"}
    assert_invariants(external)


def test_an_external_study_makes_room_for_every_vote(external: Study, votes_file: Path) -> None:
    run(external, votes_file, PAPER + "".join(f"person {number},prompt 1,Alpha\n" for number in range(7)))
    assert external.comparisons.filter(position=0).values_list("overlap", "slot_count", "vote_count").get() == (7, 7, 7)
    assert external.comparisons.get(position=1).overlap == 1


def test_the_long_format_with_sides_times_and_ties(external: Study, votes_file: Path) -> None:
    own = uuid.uuid4()
    text = LONG + (
        f"ann,prompt 1,left,Beta,2026-03-01T12:00:00Z,2026-03-01T13:00:09+01:00,{own}\n"
        "ann,prompt 2,Alpha,Beta,,,\n"
        "ann,prompt 3,tie,,2026-03-01 12:00,,\n"
    )
    run(external, votes_file, text, rules=TIES)
    assert choices(external)[:2] == [("ann", 0, "b", "left", True), ("ann", 1, "a", "right", True)]
    first = Vote.objects.get(pk=own)
    assert (first.shown_at, first.voted_at, first.response_ms) == (NOON, after(seconds=9), 9000)
    assert Vote.objects.get(choice="tie").shown_at == NOON


def test_the_same_file_again_changes_nothing(external: Study, votes_file: Path) -> None:
    text = PAPER + "ann,prompt 1,Alpha\nben,prompt 1,Beta\n"
    run(external, votes_file, text)
    before = set(Vote.objects.values_list("pk", flat=True))
    assert run(external, votes_file, text) == VoteImport(0, 2, 0)
    assert set(Vote.objects.values_list("pk", flat=True)) == before
    assert run(external, votes_file, text + "ann,prompt 2,Beta\n") == VoteImport(1, 2, 0)
    assert_invariants(external)


def test_every_fault_is_listed_by_its_line_and_nothing_is_imported(external: Study, votes_file: Path) -> None:
    text = LONG + (
        "ann,prompt 9,Alpha,,,,\n"
        "ann,prompt 1,Gamma,,,,\n"
        "ann,prompt 2,tie,,,,\n"
        "ann,prompt 3,left,,,,\n"
        "ben,prompt 1,left,Gamma,yesterday,,17\n"
        "cat,prompt 1,Alpha,,,,\n"
        '"two\nlines",prompt 1,Alpha,,,,\n'
        "cat,prompt 1,Beta,,,,\n"
        ",prompt 1,Beta,,,,\n"
        "dan,prompt 1\n"
    )
    with pytest.raises(VoteFileFault) as caught:
        run(external, votes_file, text)
    faults = caught.value.faults
    assert [line for line, _fault in faults] == [2, 3, 4, 5, 6, 6, 6, 8, 10, 11, 12]
    parts = ["not a prompt", '"Gamma" is no choice', "no ties", "needs left_model"]
    parts += ["Gamma", "yesterday", "17", "(U+000A)", "in line 7 already", "name is blank"]
    parts += ["2 cells and the first line 7"]
    for (_line, fault), part in zip(faults, parts, strict=True):
        assert part in fault
    assert str(caught.value).startswith(f"Nothing was imported from {votes_file}:\n  line 2: ")
    assert not Vote.objects.exists()
    assert not Annotator.objects.exists()


def test_another_vote_than_the_one_that_stands_is_a_fault(external: Study, votes_file: Path) -> None:
    run(external, votes_file, PAPER + "ann,prompt 1,Alpha\n")
    with pytest.raises(VoteFileFault, match="line 2: ann has another vote on this prompt"):
        run(external, votes_file, PAPER + "ann,prompt 1,Beta\n")
    assert choices(external) == [("ann", 0, "a", "left", False)]


def test_names_of_another_file_may_be_other_people(external: Study, votes_file: Path) -> None:
    run(external, votes_file, PAPER + "P001,prompt 1,Alpha\nP002,prompt 1,Alpha\nP003,prompt 1,Alpha\n")
    before = choices(external)
    other = PAPER + "P001,prompt 2,Beta\nP002,prompt 2,Beta\nP009,prompt 2,Beta\n"
    with pytest.raises(VoteFileFault) as caught:
        run(external, votes_file, other)
    assert str(caught.value) == (
        f"Nothing was imported from {votes_file}:\n"
        "Annotators' names that Weather has from another file already: 2 of 3 (P001, P002). If these are other people, "
        "keep them apart with --prefix TEXT, which is put before each name; if they are the same people, say so with "
        "--same-people."
    )
    assert choices(external) == before
    for count, unchanged in ((3, 0), (0, 3)):
        assert run(external, votes_file, other, names=Names(prefix="b-")) == VoteImport(count, unchanged, count)
    labels = set(Annotator.objects.values_list("label", flat=True))
    assert labels == {"P001", "P002", "P003", "b-P001", "b-P002", "b-P009"}
    assert external.events.latest("pk").detail["prefix_of_their_names"] == "b-"
    assert_invariants(external)


def test_names_of_another_file_that_are_the_same_people(external: Study, votes_file: Path) -> None:
    run(external, votes_file, PAPER + "ann,prompt 1,Alpha\n")
    more = PAPER + "ann,prompt 2,Beta\nben,prompt 2,Beta\n"
    assert run(external, votes_file, more, names=Names(are_known=True)) == VoteImport(2, 0, 1)
    assert run(external, votes_file, more) == VoteImport(0, 2, 0)
    event = external.events.filter(verb="votes imported").latest("pk")
    assert (event.detail["annotators"], event.detail["annotators_known_from_another_file"]) == (2, 1)


def test_a_program_is_not_a_person_of_the_same_name(external: Study, votes_file: Path) -> None:
    run(external, votes_file, PAPER + "P001,prompt 1,Alpha\n")
    export = (
        "annotator,prompt,choice,left_model,simulated,kind,known_choice,replaced_images,state\n"
        "P001,prompt 2,left,Alpha,true,main,,0,standing\n"
    )
    with pytest.raises(VoteFileFault, match="line 2: P001 is simulated in this file or in the study, but not in both"):
        run(external, votes_file, export, names=Names(are_known=True))
    assert run(external, votes_file, export, names=Names(prefix="program ")).new_annotator_count == 1


def test_ids_that_are_taken_are_faults(external: Study, votes_file: Path) -> None:
    same = uuid.uuid4()
    header = "annotator,prompt,choice,vote_id\n"
    with pytest.raises(VoteFileFault, match="line 3: its vote_id is that of line 2"):
        run(external, votes_file, f"{header}ann,prompt 1,Alpha,{same}\nann,prompt 2,Alpha,{same}\n")
    run(external, votes_file, f"{header}ann,prompt 1,Alpha,{same}\n")
    with pytest.raises(VoteFileFault, match="line 2: its vote_id is that of another vote"):
        run(external, votes_file, f"{header}ben,prompt 2,Alpha,{same}\n")
    digits = "\u0663" * 32  # UUID() alone would take them
    with pytest.raises(VoteFileFault, match=f'line 2: vote_id "{digits}" is not a UUID'):
        run(external, votes_file, f"{header}ben,prompt 2,Alpha,{digits}\n")


def test_a_live_study_takes_no_more_than_its_overlap(votes_file: Path) -> None:
    study = make_study(comparisons=2, overlap=2)
    (person,) = make_annotators(study, 1)
    assignment = next_assignment(annotator=person, rules=RULES, now=NOON).assignment
    assert assignment
    held = assignment.comparison.prompt.text
    lines = "".join(f"{name},{held},Alpha\n" for name in ("ann", "ben"))
    with pytest.raises(VoteFileFault, match="line 3: this prompt has all the votes"):
        run(study, votes_file, PAPER + lines)
    assert run(study, votes_file, PAPER + f"ann,{held},Alpha\n").new_count == 1
    assert_invariants(study)


@pytest.mark.parametrize(("state", "part"), [("scoring", "not ready for votes"), ("closed", "takes no more votes")])
def test_a_study_in_the_wrong_state_takes_none(votes_file: Path, state: str, part: str) -> None:
    study = make_study(comparisons=1, overlap=1)
    Study.objects.update(state=state, closed_at=NOON if state == "closed" else None)
    with pytest.raises(Refused, match=part):
        run(study, votes_file, PAPER + "ann,prompt 1,Alpha\n")


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"", "is empty: its first line must name the columns annotator,prompt,choice"),
        (b" \r\n,,\n", "is empty"),
        (b"annotator,prompt,choice\n", "holds no votes"),
        (b"annotator,prompt,mood\nann,prompt 1,good\n", "line 1 must name the columns .* choice is not in it"),
        (
            b"annotator,prompt,choice,Choice\nann,prompt 1,Alpha,Alpha\n",
            "line 1 names the column choice more than once",
        ),
        (b"sep=,\nprompt,choice\n", "line 2 must name the columns annotator,prompt,choice, and annotator is not in it"),
        (b"annotator;prompt;choice\nann;prompt 1;Alpha\n", "by semicolons, not by commas .* save it as CSV"),
        (b"User Name\tPrompt\tSelection Choice\nann\tprompt 1\tAlpha\n", "by tabs, not by commas"),
        (b"annotator|prompt|choice\n", "by vertical bars"),
        (b"annotator:prompt:choice\n", "by colons"),
        (b"sep=;\nannotator;prompt;choice\nann;prompt 1;Alpha\n", "by semicolons, .*line 1, sep=, says so"),
        ("annotator,prompt,choice\n".encode("utf-16"), "is a text in UTF-16: save it as CSV"),
        ("annotator,prompt,choice\nann,prompt 1,Alpha\n".encode("utf-16-le"), "is a text in UTF-16: "),
        ("annotator,prompt,choice\n".encode("utf-32"), "is a text in UTF-32: save it as CSV"),
        (b"\0\0\xfe\xff" + "annotator,prompt,choice\n".encode("utf-32-be"), "is a text in UTF-32: "),
        ("annotator,prompt,choice\nann,prompt 1,Alpha\n".encode("utf-32-be"), "is a text in UTF-32: "),
        ("annotator,prompt,choice\nann,prompt 1,Alpha\n".encode("utf-32-le"), "is a text in UTF-32: "),
        ("annotator,prompt,choice\nann,prompt 1,Alpha\n".encode("utf-16-be"), "is a text in UTF-16: "),
        (bytes(5000), "holds NUL bytes, as no text does"),
        (b"annotator,prompt,choice\nann,pro\0mpt 1,Alpha\n", "holds NUL bytes"),
        (b"PK\x03\x04workbook", "is a workbook"),
        (b"annotator,prompt,choice\nann," + b"x" * 200_000 + b",Alpha\n", "a cell is longer than 131,072 characters"),
        (b"annotator,prompt,choice\nann,prompt \xff,Alpha\n", "not a UTF-8 text .*Windows-1252"),
        (
            "annotator,prompt,choice\na\u200bnn,prompt 1,Alpha\n".encode(),
            r"line 2: the annotator's name holds a character that is not seen \(U\+200B\); take it out",
        ),
        (b"annotator,prompt,choice\n\x1b[31mann,prompt 1,Alpha\n", r"not seen \(U\+001B\)"),
        (b'annotator,prompt,choice\nann,"prompt 1,Alpha\n', "line 2 is not CSV: a quote is opened and never closed"),
    ],
)
def test_a_file_that_is_no_such_csv(external: Study, votes_file: Path, content: bytes, part: str) -> None:
    votes_file.write_bytes(content)
    with pytest.raises(Refused, match=part):
        import_votes(study=external, path=votes_file, rules=RULES, now=NOON)


def test_a_file_that_is_not_there(external: Study, votes_file: Path) -> None:
    with pytest.raises(Refused, match=r"votes\.csv cannot be read: No such file"):
        import_votes(study=external, path=votes_file, rules=RULES, now=NOON)


def test_a_byte_order_mark_blank_lines_and_blanks_do_no_harm(external: Study, votes_file: Path) -> None:
    text = "\ufeff" + PAPER + "\n ann , prompt 1 , Alpha \n\n"
    assert run(external, votes_file, text).new_count == 1


def test_votes_are_stored_in_batches(
    external: Study,
    votes_file: Path,
    django_assert_max_num_queries: DjangoAssertNumQueries,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(slices, "SECONDS_OF_A_SLICE", 1e6)
    text = PAPER + "".join(f"person {number},prompt {1 + number % 3},Alpha\n" for number in range(600))
    with django_assert_max_num_queries(120):
        run(external, votes_file, text)
    assert Assignment.objects.count() == 600


def test_the_command_says_what_it_did_and_what_is_wrong(external: Study, votes_file: Path) -> None:
    votes_file.write_text(PAPER + "ann,prompt 1,Alpha\n")
    out = StringIO()
    call_command("import_votes", "weather", votes_file, stdout=out)
    assert out.getvalue() == "weather: 1 vote of 1 new annotator imported, 0 were stored already.\n"
    with pytest.raises(CommandError, match="There is no study 'sea'"):
        call_command("import_votes", "sea", votes_file)
    votes_file.write_text(PAPER + "ann,prompt 7,Alpha\n")
    with pytest.raises(CommandError, match='line 2: "prompt 7" is not a prompt'):
        call_command("import_votes", "weather", votes_file)
