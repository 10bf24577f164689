"""The study file's keys of onboarding and platform: reading, writing and faults."""

import pytest

from annotation.studies.manifest import Manifest
from annotation.studies.study_file.reading import StudyFileFault, parse
from annotation.studies.study_file.writing import write_study_file
from tests.factories import make_manifest

FILE = """
name = "Framed"
source = "images"
[models.a]
name = "Alpha"
[models.b]
name = "Beta"
[prompts]
list = ["one", "two"]
[texts]
consent = '''
# Please read

You may stop at any time.'''
[frame]
practice = 2
worked_examples = 1
break_every = 20
asks_comment = true
[[frame.questions]]
name = "age"
text = "How old are you?"
kind = "number"
required = true
[[frame.questions]]
name = "screen"
text = "On what?"
kind = "choice"
choices = ["a phone", 'a "large" screen']
[[frame.check]]
text = "What is consistent?"
choices = ["pretty", "alike"]
answer = "alike"
[platform]
id_parameter = "PROLIFIC_PID"
other_parameters = ["STUDY_ID", "SESSION_ID"]
redirect_url = "https://app.prolific.com/submissions/complete?cc={code}"
complete_code = "C1"
"""


def faults(text: str) -> list[str]:
    with pytest.raises(StudyFileFault) as caught:
        parse(text, None)
    return [f"{fault.line} {fault.key}" for fault in caught.value.faults]


def test_a_framed_study_is_read_and_written_back() -> None:
    manifest = parse(FILE, None)
    assert [question.name for question in manifest.frame.questions] == ["age", "screen"]
    assert manifest.frame.check[0].answer == "alike"
    assert manifest.platform.leaving_address("C1") == "https://app.prolific.com/submissions/complete?cc=C1"
    assert manifest.platform.leaving_address("") == ""
    assert parse(write_study_file(manifest), None) == manifest


def test_without_a_frame_there_is_none() -> None:
    frame = make_manifest().frame
    assert (frame.questions, frame.check, frame.practice, frame.break_every) == ((), (), 0, 0)


@pytest.mark.parametrize(
    ("right", "wrong", "key", "at"),
    [
        ('name = "screen"', 'name = "age" # again', "frame.questions[2].name", '"age" # again'),
        ('name = "age"', 'name = "my age"', "frame.questions[1].name", '"my age"'),
        ('choices = ["a phone", ', 'choices = ["a", "a", ', "frame.questions[2].choices", '"a", "a"'),
        ('kind = "number"', 'kind = "number"\nchoices = ["1"]', "frame.questions[1].choices", '["1"]'),
        ('answer = "alike"', 'answer = "same"', "frame.check[1].answer", '"same"'),
        ('list = ["one", "two"]', 'list = ["one"]', "frame.practice", "practice ="),
        ("practice = 2", "practice = 21", "frame.practice", "practice ="),
        ("https://app", "http://app", "platform.redirect_url", "redirect_url"),
        ("{code}", "C1", "platform.redirect_url", "redirect_url"),
        ('complete_code = "C1"', 'complete_code = "C 1"', "platform.complete_code", "complete_code"),
        ("break_every", "breaks_every", "frame.breaks_every", "breaks_every"),
    ],
)
def test_a_fault_is_found_at_its_line(right: str, wrong: str, key: str, at: str) -> None:
    text = FILE.replace(right, wrong, 1)
    line = text[: text.index(at)].count("\n") + 1
    assert f"{line} {key}" in faults(text)


def test_an_external_study_has_no_images_to_practise_on() -> None:
    with pytest.raises(ValueError, match="shows images, and source is"):
        make_manifest(source="external", frame={"practice": 1})


def test_texts_may_be_amended_and_keep_their_hash() -> None:
    first, second = make_manifest(texts={"consent": "one"}), make_manifest(texts={"consent": "two"})
    assert isinstance(first, Manifest)
    assert first.texts.consent_sha256 != second.texts.consent_sha256
    assert make_manifest().texts.consent_sha256 == ""
