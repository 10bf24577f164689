"""A short study file, changes of it, and the faults that are found in a text."""

from pathlib import Path

import pytest

from annotation.studies.study_file.reading import StudyFileFault, parse

STUDY = """
name = "A study"

[models.a]
name = "Alpha"
checkpoint = "/models/alpha"

[models.b]
name = "Beta"
checkpoint = "/models/beta"

[prompts]
list = ["a cat", "a dog"]

[images]
per_set = 3
seeds = 7
"""


def faults_in(text: str, base: Path | None = None) -> list[str]:
    with pytest.raises(StudyFileFault) as raised:
        parse(text, base)
    return [str(fault) for fault in raised.value.faults]


def changed(old: str, new: str) -> str:
    assert STUDY.count(old) == 1
    return STUDY.replace(old, new)
