"""Prompts and seeds that would give the same image twice."""

import re
from io import StringIO
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from annotation.models import Study
from annotation.studies.current import current_manifest
from annotation.studies.lifecycle.amendments import amend
from annotation.studies.lifecycle.creation import create_study
from annotation.studies.lifecycle.transitions import launch
from annotation.studies.study_file.reading import StudyFileFault, parse, warnings_in
from annotation.studies.study_file.writing import write_study_file
from annotation.studies.validation import same_prompts
from jobs.refusals import Refused
from tests.factories import make_manifest

FILE = """
name = "Study"
[models.a]
name = "Alpha"
checkpoint = "/models/alpha"
[models.b]
name = "Beta"
checkpoint = "/models/beta"
[images]
seeds = [1, {seed}]
[prompts]
list = [
  "a cat",
  "{prompt}",
]
"""


def written(*, prompt: str = "a dog", seed: int = 2) -> str:
    return FILE.format(prompt=prompt, seed=seed)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a cat", "a  cat"),
        ("a cat", "A Cat"),
        ("a cat", "a\u00a0cat"),
        ("a cat", "a\u2009cat"),
        ("a cat", "a\u3000cat"),
        ("a cat", "a\u200b cat"),
        ("a cat", "\ufeffa cat"),
        ("a cat", "a c\u00adat"),
        ("a cat", "a\tcat"),
        ("a cat", "a\u2800cat"),
        ("a caf\u00e9", "a cafe\u0301"),
        ("a caf\u00e9", "A CAFE\u0301"),
        ("stra\u00dfe", "STRASSE"),
        ("a cat", "\uff41 cat"),
        ("a cat, red", "a cat , red"),
    ],
)
def test_prompts_that_are_the_same_to_a_model(one: str, other: str) -> None:
    assert list(same_prompts.pairs([one, "a dog", other])) == [(0, 2)]


@pytest.mark.parametrize(
    ("one", "other"),
    [("a cat", "a cats"), ("a cat", "a cat."), ("cafe", "caf\u00e9"), ("\u200b", "\u200d"), ("2", "3")],
)
def test_prompts_that_are_not(one: str, other: str) -> None:
    assert list(same_prompts.pairs([one, None, other])) == []


def test_both_lines_are_named() -> None:
    text = written(prompt="A  cat")
    (warning,) = (one for one in warnings_in(text, None, parse(text, None)) if one.key.startswith("prompts"))
    assert str(warning).startswith(
        "line 14, prompts.list[2]: “A  cat” differs from “a cat” (prompt 1, line 13) only in"
    )


@pytest.mark.django_db
def test_create_study_warns_with_the_lines_of_the_prompts_file(tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("a cat\na dog\nA Cat\n")
    head = written().partition("[prompts]")[0]
    (tmp_path / "study.toml").write_text(f'{head}[prompts]\nfile = "prompts.txt"\n')
    for options in ((), ("--check",)):
        err = StringIO()
        call_command("create_study", str(tmp_path / "study.toml"), *options, stdout=StringIO(), stderr=err)
        assert "Warning: prompts.txt, line 3: “A Cat” differs from “a cat” (line 1) only in blanks" in err.getvalue()
        Study.objects.all().delete()


@pytest.mark.django_db
def test_the_admin_warns_too(client: Client) -> None:
    client.force_login(User.objects.create_superuser("admin"))
    data = {"file_text": written(prompt="A cat")}
    page = client.post(reverse("admin:annotation_study_add"), data, follow=True).content.decode()
    assert "“A cat” differs from “a cat” (prompt 1, line 13) only in blanks" in page


@pytest.mark.parametrize("seed", [2**32, 2**32 + 1, 2**40, 2**63 - 1, 2**63, 2**200])
def test_seeds_beyond_32_bits_are_faults(seed: int) -> None:
    with pytest.raises(StudyFileFault) as caught:
        parse(written(seed=seed), None)
    (fault,) = caught.value.faults
    assert fault.key == "images.seeds[2]"
    assert (
        f"seed {seed} is out of range: seeds of generated images are whole numbers from 0 to 4294967295"
        in fault.sentence
    )
    assert f"would give the image of seed {seed % 2**32}." in fault.sentence


def test_the_largest_seed_and_a_prompt_as_long_as_may_be() -> None:
    assert parse(written(seed=2**32 - 1, prompt="x" * 2600), None).seeds == (1, 2**32 - 1)


@pytest.mark.parametrize("prompt", ["x" * 2601, "\u732b" * 900])
def test_a_prompt_that_no_index_holds_is_a_fault(prompt: str) -> None:
    with pytest.raises(
        StudyFileFault, match=r"line 14, prompts.list.2.: is .* bytes long in UTF-8, but a prompt may have at"
    ):
        parse(written(prompt=prompt), None)


@pytest.mark.django_db
def test_a_study_of_an_earlier_version_opens_and_is_amended_but_not_launched() -> None:
    manifest = make_manifest(source="generated", seeds=[1, 2**40], prompts=[{"text": "x" * 3000}])
    study = create_study(manifest=manifest)
    assert current_manifest(study) == manifest
    with pytest.raises(Refused, match=r"cannot be launched: seed 1099511627776 is out of range.* Amend the draft"):
        launch(study=study)
    text = re.sub(r"overlap = \d+", "overlap = 7", write_study_file(manifest))
    with pytest.raises(StudyFileFault):
        parse(text, None)
    amend(study=study, manifest=parse(text, None, earlier=manifest))
    assert current_manifest(Study.objects.get()).annotation.overlap == 7


@pytest.mark.parametrize(("source", "is_said"), [("images", True), ("external", True), ("generated", False)])
def test_a_sampling_section_that_does_not_act_is_named(source: str, is_said: bool) -> None:
    rest = written() if source == "generated" else re.sub(r"\[images\][^\[]*\[[^\]]*\]\n", "", written())
    text = f'source = "{source}"\n{rest}[sampling]\nwidth = 512\n'
    warnings = [str(one) for one in warnings_in(text, None, parse(text, None)) if one.key == "sampling"]
    line = text.splitlines().index("[sampling]") + 1
    said = f'line {line}, sampling: does not act and is left out: source is "{source}"'
    assert [warning.startswith(said) for warning in warnings] == ([True] if is_said else [])
