"""Stages as processes: in order, in parallel, and stopped by a fault."""

import sys
from pathlib import Path

import pytest

from miniatures.parallel_stages import StageFailedError, run_stages
from miniatures.progress import parse_progress

NEEDS = {"first": (), "second": ("first",), "beside": ()}


def _command(folder: Path, stage: str) -> list[str]:
    """Return a stage that needs the files of earlier stages, prints two steps, and writes its own file."""
    code = (
        "import pathlib, sys; from miniatures.progress import print_progress as show;"
        "folder = pathlib.Path(sys.argv[1]);"
        "[(folder / name).read_text() for name in sys.argv[3:]];"
        "show(sys.argv[2], 1, 2); show(sys.argv[2], 2, 2, 'loss 0.1'); (folder / sys.argv[2]).write_text('done')"
    )
    return [sys.executable, "-c", code, str(folder), stage, *NEEDS[stage]]


def test_every_stage_runs_once_after_those_it_needs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = tmp_path / "made"
    made.mkdir()
    run_stages(NEEDS, lambda stage: _command(made, stage), process_count=2)
    assert {path.name for path in made.iterdir()} == set(NEEDS)
    assert "second: 2 of 2 loss 0.1" in capsys.readouterr().out


def test_a_fault_is_told_with_its_last_lines_and_nothing_more_begins(tmp_path: Path) -> None:
    def command(stage: str) -> list[str]:
        return (
            [sys.executable, "-c", "raise SystemExit('no memory')"] if stage == "first" else _command(tmp_path, stage)
        )

    with pytest.raises(StageFailedError, match=r"stopped in first.*\n.*no memory"):
        run_stages(NEEDS, command, process_count=1)
    assert not (tmp_path / "second").exists()


@pytest.mark.parametrize(
    ("line", "expected"),
    [(":: vae 5 10 loss 0.2\n", ("vae", 5, 10, "loss 0.2")), (":: vae 5 10\n", ("vae", 5, 10, "")), ("hello\n", None)],
)
def test_a_line_of_progress_is_told_from_others(line: str, expected: object) -> None:
    assert parse_progress(line) == expected
