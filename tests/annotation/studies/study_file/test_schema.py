"""The JSON Schema of study files: it is up to date, takes what the parser takes, and refuses common mistakes."""

import json
import re
import tomllib
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from jsonschema import Draft202012Validator

from annotation.studies.study_file.fault_sentences import PATTERNS, file_keys
from annotation.studies.study_file.reading import StudyFileFault, parse
from annotation.studies.study_file.writing import write_study_file
from tests.factories import make_manifest

DOCS = Path(settings.BASE_DIR) / "docs"
TEXT = (DOCS / "study.schema.json").read_text(encoding="utf-8")
SCHEMA = json.loads(TEXT)
STUDY = """
name = "A study"
[models.a]
name = "Alpha"
checkpoint = "/models/alpha"
[models.b]
name = "Beta"
checkpoint = "/models/beta"
[prompts]
list = ["a cat", {text = "a dog", cluster = "pets"}]
[images]
per_set = 3
seeds = 7
[annotation]
opens_at = 2026-12-01T09:00:00Z
"""


def faults(text: str) -> list[str]:
    """The places at which the schema refuses a study file."""
    document = json.loads(json.dumps(tomllib.loads(text), default=lambda moment: moment.isoformat()))
    return [error.json_path for error in Draft202012Validator(SCHEMA).iter_errors(document)]


def test_the_file_is_made_from_the_manifest() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    out = StringIO()
    call_command("study_schema", stdout=out)
    assert out.getvalue() == TEXT, "renew it: manage.py study_schema > docs/study.schema.json"


@pytest.mark.parametrize("path", sorted((DOCS / "studies").glob("*.toml")), ids=lambda path: path.stem)
def test_the_shipped_study_files_fit(path: Path) -> None:
    assert faults(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("source", ["generated", "images", "external"])
def test_a_written_study_file_fits(source: str) -> None:
    assert faults(write_study_file(make_manifest(source=source))) == []


@pytest.mark.parametrize("block", re.findall(r"```toml\n(.*?)```", (DOCS / "study-guide.md").read_text(), re.DOTALL))
def test_the_sections_in_the_guide_fit(block: str) -> None:
    assert faults(STUDY + block) == []


def dotted(schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """The keys of a schema that may have a value, dotted."""
    schema = schema | (SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else {})
    for key, value in schema.get("properties", {}).items():
        below = list(dotted(value, f"{path}{key}."))
        yield from below or [f"{path}{key}"]


def test_it_has_every_key_and_no_other() -> None:
    assert set(dotted(SCHEMA)) == {key for key in file_keys() if not key.startswith("prompts.list.")}


MISTAKES = {
    "a key of no table": ("sampling.guidence_scale = 2\n" + STUDY, "$.sampling"),
    "a text for a number": (STUDY + 'overlap = "5"\n', "$.annotation.overlap"),
    "a number out of range": (STUDY + "overlap = 0\n", "$.annotation.overlap"),
    "an unknown word": (STUDY + 'allocation = "odd"\n', "$.annotation.allocation"),
    "no name": (STUDY.replace('name = "A study"', ""), "$"),
    "one model": (STUDY.partition("[models.b]")[0] + "[prompts]\nlist = ['a']\n", "$.models"),
    "a list and a file": (STUDY.replace("[prompts]", '[prompts]\nfile = "prompts.txt"'), "$.prompts"),
    "one image in a set": (STUDY.replace("per_set = 3", "per_set = 1"), "$.images.per_set"),
    "seeds of a text": (STUDY.replace("seeds = 7", 'seeds = "7"'), "$.images.seeds"),
    "two lines in a prompt": (STUDY.replace('"a cat"', '"a\\ncat"'), "$.prompts.list[0]"),
    "two lines in a prompt of a table": (STUDY.replace("a dog", "a\\ndog"), "$.prompts.list[1]"),
}


@pytest.mark.parametrize(("text", "place"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_refused_as_by_the_parser(text: str, place: str) -> None:
    assert parse(STUDY, None).prompts[1].cluster == "pets"
    assert faults(STUDY) == []
    assert faults(text) == [place]
    with pytest.raises(StudyFileFault):
        parse(text, None)


def patterned(schema: Any, name: str = "") -> Iterator[str]:
    """The names of the keys whose values must match a pattern."""
    if isinstance(schema, list):
        for item in schema:
            yield from patterned(item, name)
    elif isinstance(schema, dict):
        if "pattern" in schema:
            yield name
        for key, value in schema.items():
            is_key = isinstance(value, dict) and key not in ("properties", "items", "$defs")
            yield from patterned(value, key if is_key else name)


def test_every_pattern_has_a_sentence_of_its_own() -> None:
    """An author is told what to write, and never shown a regular expression."""
    assert set(patterned(SCHEMA)) == set(PATTERNS)


@pytest.mark.parametrize(
    ("section", "sentence"),
    [
        ('[platform]\nstudy_full_code = "C 5"\n', "platform.study_full_code: must be letters, digits, hyphens"),
        (
            '[[frame.check]]\ntext = "Which?"\nchoices = ["a", "b\\nc"]\nanswer = "a"\n',
            "frame.check[1].choices[2]: must be one line, not",
        ),
    ],
)
def test_sentences_that_were_regular_expressions(section: str, sentence: str) -> None:
    with pytest.raises(StudyFileFault, match=re.escape(sentence)):
        parse(STUDY + section, None)
