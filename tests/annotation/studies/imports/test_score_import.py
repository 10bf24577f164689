"""Imported scores: all rows of a file or none, and every fault with its line."""

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from annotation.models import Study
from annotation.studies.imports.score_import import ScoreImport, import_scores
from jobs.refusals import Refused
from scoring.models import SetScore
from tests.factories import make_study

pytestmark = pytest.mark.django_db
GOOD = "prompt,score_a,score_b\nprompt 1,80,70.5\nprompt 3,1e-3,-2\n prompt 2 ,5,6\n"


@pytest.fixture
def study() -> Study:
    return make_study(source="external", has_scores=False)


def scores_file(folder: Path, text: str) -> Path:
    path = folder / "scores.csv"
    path.write_text(text, encoding="utf-8", newline="")
    return path


def test_scores_come_in_once(study: Study, tmp_path: Path) -> None:
    path = scores_file(tmp_path, GOOD)
    assert import_scores(study=study, path=path, metric="lpips", higher_is_more_consistent=True) == ScoreImport(
        "lpips", 3, 0
    )
    assert import_scores(study=study, path=path, metric="lpips", higher_is_more_consistent=True) == ScoreImport(
        "lpips", 0, 3
    )
    comparison = study.comparisons.get(position=1)
    assert comparison.image_set_a.scores.get(metric="lpips").value == 5
    assert comparison.image_set_b.scores.get(metric="lpips").value == 6
    assert SetScore.objects.count() == 6
    assert study.events.filter(verb="scores imported").count() == 1


@pytest.mark.parametrize(
    "text",
    ["\ufeff" + GOOD, GOOD.replace("\n", "\r\n"), GOOD.replace("prompt,s", "Prompt, S")],
    ids=["byte order mark", "CRLF", "capitals and blanks"],
)
def test_what_spreadsheets_write(study: Study, tmp_path: Path, text: str) -> None:
    assert (
        import_scores(
            study=study, path=scores_file(tmp_path, text), metric="m", higher_is_more_consistent=True
        ).new_count
        == 3
    )


def test_every_fault_is_listed_and_nothing_is_imported(study: Study, tmp_path: Path) -> None:
    path = scores_file(tmp_path, "prompt,score_a,score_b\nprompt 1,1,nan\nprompt 9,1,2\nprompt 1,1,2\nprompt 2,x,\n")
    with pytest.raises(Refused) as refusal:
        import_scores(study=study, path=path, metric="m", higher_is_more_consistent=True)
    assert str(refusal.value).splitlines() == [
        f"Nothing was imported from {path}:",
        '  line 2: score_b is "nan", which is not a finite number: leave the row of a prompt without a score out',
        '  line 3: "prompt 9" is not a prompt of this study',
        '  line 4: "prompt 1" occurs twice, first in line 2',
        '  line 5: score_a is "x", which is not a finite number',
        '  line 5: score_b is "", which is not a finite number: leave the row of a prompt without a score out',
    ]
    assert not SetScore.objects.exists()


@pytest.mark.parametrize("digits", ["\u0663\u0664", "\uff11\uff12", "1\u066b5", "\u22125"])
def test_digits_of_other_scripts_are_no_numbers(study: Study, tmp_path: Path, digits: str) -> None:
    path = scores_file(tmp_path, f"prompt,score_a,score_b\nprompt 1,{digits},2\n")
    with pytest.raises(Refused, match=f'score_a is "{digits}", .*: write it with the digits 0 to 9, like -12.5$'):
        import_scores(study=study, path=path, metric="m", higher_is_more_consistent=True)


def test_prompts_may_be_missing_and_come_with_another_file(study: Study, tmp_path: Path) -> None:
    path = scores_file(tmp_path, "prompt,score_a,score_b\nprompt 2,1,2\n")
    done = import_scores(study=study, path=path, metric="m", higher_is_more_consistent=True)
    assert (done.new_count, done.missing) == (1, ("prompt 1", "prompt 3"))
    out = StringIO()
    call_command("import_scores", "study", path, metric="m", stdout=out)
    assert out.getvalue().splitlines()[1] == (
        'No row for 2 comparisons, which stay without a score: "prompt 1"; "prompt 3"'
    )
    rest = scores_file(tmp_path, "prompt,score_a,score_b\nprompt 1,1,2\nprompt 3,1,2\nprompt 2,1,2\n")
    assert import_scores(study=study, path=rest, metric="m", higher_is_more_consistent=True).new_count == 2
    assert [(one.kind, one.row_count) for one in study.imports.all()] == [("scores", 1), ("scores", 3)]


def test_what_other_programs_write(study: Study, tmp_path: Path) -> None:
    text = ",PROMPT,Score A,score-b,model\n0,prompt 1,1,2,x\n1,prompt 1,1.0,2,y\n2,prompt 2,3,4,z\n"
    done = import_scores(study=study, path=scores_file(tmp_path, text), metric="m", higher_is_more_consistent=True)
    assert (done.new_count, done.unused, done.repeated) == (2, ("(without a name)", "model"), (3,))
    event = study.events.get(verb="scores imported")
    assert (event.detail["file"], event.detail["metric"], event.detail["comparisons"]) == ("scores.csv", "m", 2)


def test_other_scores_than_those_that_stand_are_refused_without_telling_them(study: Study, tmp_path: Path) -> None:
    import_scores(study=study, path=scores_file(tmp_path, GOOD), metric="m", higher_is_more_consistent=True)
    with pytest.raises(Refused) as refusal:
        import_scores(
            study=study,
            path=scores_file(tmp_path, GOOD.replace("80", "81")),
            metric="m",
            higher_is_more_consistent=True,
        )
    assert '"prompt 1" has another score under m; import under another name' in str(refusal.value)
    assert "80" not in str(refusal.value).replace(str(tmp_path), "")
    assert SetScore.objects.filter(metric="m").count() == 6


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is empty: its first line must name the columns prompt,score_a,score_b"),
        ("prompt,a,b\n", "line 1 must name the columns prompt,score_a,score_b, and score_a and score_b are not in it"),
        ("prompt,score_a,score_b\n", "holds no scores"),
        ("prompt;score_a;score_b\nprompt 1;0,5;0,6\n", "separates its columns by semicolons"),
        ('prompt,score_a,score_b\nprompt 1,"0,5",1\n', "write 0.5, with a decimal point"),
        ("prompt,score_a,score_b\nprompt 1,0,5,0,6\n", "line 2: it has 5 cells .* decimal commas"),
        ("prompt,score_a,score_b\nprompt 1,inf,1_0\n", 'line 2: score_a is "inf".*\n.*score_b is "1_0"'),
        ("prompt,score_a,score_b\nprompt 1,1e308,-1e308\n", r'score_a is "1e308", which is further from 0 than 1e\+50'),
        (
            "prompt,score_a,score_b\nprompt 1,NaN,2\n",
            "not a finite number: leave the row of a prompt without a score out",
        ),
        ('prompt,score_a,score_b\n"prompt 1,1,2\n', "line 2 is not CSV"),
    ],
)
def test_what_is_no_scores_file(study: Study, tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        import_scores(study=study, path=scores_file(tmp_path, text), metric="m", higher_is_more_consistent=True)


def test_a_metric_has_a_name(study: Study, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="A metric needs a name"):
        import_scores(study=study, path=scores_file(tmp_path, GOOD), metric=" ", higher_is_more_consistent=True)
    assert not SetScore.objects.exists()


def test_a_draft_has_nothing_to_score(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="Study has no comparisons yet; launch it first"):
        import_scores(
            study=make_study(state="draft"),
            path=scores_file(tmp_path, GOOD),
            metric="m",
            higher_is_more_consistent=True,
        )
