"""The commands about studies, as a person types them."""

import json
import re
import time
from datetime import timedelta
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from annotation.management.commands import run_study
from annotation.models import Study
from annotation.studies.lifecycle.creation import create_study
from annotation.studies.lifecycle.transitions import launch
from annotation.studies.study_file.writing import write_study_file
from generation.models import GenerationJob
from jobs.wording import command
from tests.annotation.studies.worker import FakeWorker
from tests.factories import make_manifest, make_study

pytestmark = pytest.mark.django_db


def typed(*words: Any) -> str:
    """The output of a command."""
    out = StringIO()
    call_command(*map(str, words), stdout=out, stderr=out)
    return out.getvalue()


@pytest.fixture
def study_file(tmp_path: Path) -> Path:
    path = tmp_path / "study.toml"
    path.write_text(write_study_file(make_manifest(source="generated")))
    return path


def test_create_study_prints_slug_hash_and_warnings(study_file: Path) -> None:
    said = typed("create_study", study_file)
    study = Study.objects.get()
    assert said.endswith(f"{study.slug} {study.manifest_sha256}\n")
    warned = (
        r"Warning: line \d+, models\.a\.checkpoint: there is no /models/alpha on this machine; the worker needs it\."
    )
    assert re.search(warned, said)


def test_create_study_can_only_look(study_file: Path) -> None:
    assert "has no faults: 3 prompts." in typed("create_study", study_file, "--check")
    assert not Study.objects.exists()


def test_create_study_lists_faults_and_makes_nothing(study_file: Path) -> None:
    study_file.write_text(study_file.read_text().replace("overlap = 3", "overlap = 0"))
    with pytest.raises(
        CommandError, match=r"study\.toml has 1 fault:\n  line \d+, annotation\.overlap: must be greater"
    ):
        typed("create_study", study_file)
    assert not Study.objects.exists()


@pytest.mark.parametrize("command", ["run_study", "study_status"])
def test_a_study_that_is_not_there(command: str) -> None:
    with pytest.raises(CommandError, match="There is no study 'nowhere'"):
        typed(command, "nowhere")


def test_a_mistyped_study_is_told_with_the_one_that_was_meant() -> None:
    make_study(state="draft", slug="outside")
    with pytest.raises(CommandError, match=r"^There is no study 'outsid' \(did you mean “outside”\?\)\.$"):
        typed("study_status", "outsid")


def test_study_status_without_a_study_says_what_to_type() -> None:
    assert re.fullmatch(
        r"There is no study yet\. `\S*python\S* \S*manage\.py create_study my-study\.toml` makes one; .*\n",
        typed("study_status"),
    )
    assert json.loads(typed("study_status", "--format", "json")) == []


def test_study_status_as_a_table_and_as_json() -> None:
    make_study(state="draft")
    table = typed("study_status")
    assert "study" in table
    assert "0 of 9" in table  # votes
    counts = json.loads(typed("study_status", "study", "--format", "json"))
    assert (counts["slug"], counts["state"], counts["slot_total"]) == ("study", "draft", 9)
    assert [found["slug"] for found in json.loads(typed("study_status", "--format", "json"))] == ["study"]


def test_study_status_cuts_nothing_in_80_columns() -> None:
    make_study(state="open", slug="houses-by-the-lake")
    call_command("simulate_votes", "houses-by-the-lake", annotators=3, stdout=StringIO())
    table = typed("study_status")
    [row] = [line for line in table.splitlines() if line.startswith("houses-by-the-lake ")]
    assert "0 waiting, 0 running" in row
    assert "3 (3 simulated)" in row
    assert "\N{HORIZONTAL ELLIPSIS}" not in table


def test_study_status_tells_failures(worker: FakeWorker) -> None:
    study = create_study(manifest=make_manifest(source="generated"))
    launch(study=study)
    GenerationJob.objects.update(state="failed", error="No [checkpoint].")
    assert "study: No [checkpoint]. (6 jobs)" in typed("study_status", "study")


def test_a_study_that_is_deleted_while_a_command_watches_it_is_named(
    study_file: Path, worker: FakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed("create_study", study_file)
    monkeypatch.setattr(
        run_study,
        "time",
        SimpleNamespace(sleep=lambda _: typed("delete_study", "study", "--yes"), monotonic=time.monotonic),
    )
    with pytest.raises(CommandError, match=r"^The study study was deleted while this command ran\.$"):
        typed("run_study", "study")


def test_run_study_makes_scores_and_opens(working: FakeWorker) -> None:
    create_study(manifest=make_manifest(source="generated"))
    said = typed("run_study", "study", "--open")
    assert said.startswith("images 0 of 18, sets scored 0 of 6\n")
    assert said.endswith("images 18 of 18, sets scored 6 of 6\nstudy is open.\n")
    assert len(working.made) == 18
    assert typed("run_study", "study").endswith("study is open.\n")
    assert len(working.made) == 18


def test_run_study_is_stopped_and_goes_on(working: FakeWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    create_study(manifest=make_manifest(source="generated"))
    naps = []

    def sleep_and_stop(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 3:
            raise KeyboardInterrupt
        working.do(*working.messages.pop(0)[:2])

    with monkeypatch.context() as patch:
        patch.setattr(time, "sleep", sleep_and_stop)
        out = StringIO()
        with pytest.raises(SystemExit) as ended:
            call_command("run_study", "study", stdout=out)
    assert ended.value.code == 130
    assert f"The worker goes on; `{command('run_study', 'study')}` shows it again." in out.getvalue()
    typed("run_study", "study")
    assert len(working.made) == len(set(working.made)) == 18


def test_run_study_ends_with_the_sentences_of_what_failed(working: FakeWorker) -> None:
    create_study(manifest=make_manifest(source="generated"))
    working.broken[GenerationJob.task_name] = "Model Alpha: /models/alpha is not there."
    with pytest.raises(CommandError) as error:
        typed("run_study", "study")
    lines = str(error.value).splitlines()
    # The study is sealed: no model is named.
    assert lines[:2] == ["6 jobs of study failed:", "The model: /models/alpha is not there. (6 jobs)"]


def test_run_study_says_when_nobody_works(worker: FakeWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    create_study(manifest=make_manifest(source="generated"))
    monkeypatch.setattr(run_study, "WITHOUT_A_WORKER_AFTER", timedelta(0))
    naps = []

    def sleep_twice(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", sleep_twice)
    out = StringIO()
    with pytest.raises(SystemExit):
        call_command("run_study", "study", stdout=out)
    said = f"No worker is running: start one with `{command('worker')}`. The study's images and scores wait for it."
    assert out.getvalue().count(said) == 1


def test_run_study_says_what_imported_images_are_missing(worker: FakeWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    make_study(state="draft", comparisons=1)

    def stop(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", stop)
    out = StringIO()
    with pytest.raises(SystemExit):
        call_command("run_study", "study", stdout=out)
    assert 'waits for images: "prompt 1" has no images of Alpha and Beta; import them' in out.getvalue()


def test_run_study_refuses_in_one_sentence() -> None:
    make_study(source="external")
    with pytest.raises(CommandError, match="there is nothing to launch"):
        typed("run_study", "study")


def test_import_scores(tmp_path: Path) -> None:
    make_study(source="external", comparisons=1)
    path = tmp_path / "scores.csv"
    path.write_text("prompt,score_a,score_b\nprompt 1,1,2\n")
    assert typed("import_scores", "study", path, "--metric", "m", "--higher-is-more-consistent") == (
        "m: 1 comparison scored, 0 had these scores already.\n"
    )
    path.write_text("prompt,score_a,score_b\nprompt 2,1,2\n")
    with pytest.raises(CommandError, match='line 2: "prompt 2" is not a prompt of this study'):
        typed("import_scores", "study", path, "--metric", "m", "--higher-is-more-consistent")
