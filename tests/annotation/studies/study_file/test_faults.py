"""The study file: every fault with its key and line."""

from pathlib import Path

import pytest

from annotation.studies.documents import document
from annotation.studies.study_file.reading import parse, read_study_file
from annotation.studies.study_file.writing import write_study_file
from annotation.studies.warnings.manifest_warnings import manifest_warnings
from jobs.refusals import Refused
from tests.annotation.studies.study_file.study_texts import STUDY, changed, faults_in
from tests.factories import make_manifest

COMMIT = "0123456789abcdef0123456789abcdef01234567"


FAULTS = {
    "name missing": (changed('name = "A study"', ""), ["line 1, name: is missing."]),
    "empty name": (changed("A study", ""), ["line 2, name: is empty; give a text."]),
    "blank name": (changed("A study", " "), ["line 2, name: is empty; give a text."]),
    "no slug in the name": (
        changed("A study", "!?"),
        ["line 2, name: has no letters to draw a slug from; give slug too, like sdxl-pixart."],
    ),
    "bad slug": (
        changed('"A study"', '"A study"\nslug = "A b"'),
        ["line 3, slug: must be small letters, digits and single hyphens, like sdxl-pixart, not 'A b'."],
    ),
    "unknown key in the wrong place": (
        "ties = true" + STUDY,
        ["line 1, ties: is not a key of a study file; did you mean annotation.ties?"],
    ),
    "misspelt key": (
        STUDY + "[sampling]\nguidance_scales = 2.0\n",
        ["line 19, sampling.guidance_scales: is not a key of a study file; did you mean sampling.guidance_scale?"],
    ),
    "unknown key in the encoder": (
        STUDY + "[encoder]\nquux = 1\n",
        ["line 19, encoder.quux: is not a key of a study file."],
    ),
    "unknown source": (
        "source = 'made up'" + STUDY,
        ["line 1, source: must be 'generated', 'images' or 'external', not 'made up'."],
    ),
    "a slug that is a page's address": (
        changed('name = "A study"', 'name = "A study"\nslug = "plan"'),
        ['line 3, slug: "plan" is the address of a page; give the study another slug.'],
    ),
    "models with the same name": (
        changed('name = "Beta"', 'name = "alpha"'),
        ['line 9, models.b.name: both models are called "alpha"; give each a name of its own.'],
    ),
    "a model called like a side": (
        changed('name = "Beta"', 'name = "Left"'),
        ['line 9, models.b.name: "Left" is what a votes file calls a side; give the model another name.'],
    ),
    "third model": (
        STUDY + '[models."C 1"]\nname = "C"\n',
        [
            "line 18, models.C 1: is no name of a model's table, which has small letters, digits, hyphens and "
            "underscores, like [models.sdxl-lora]."
        ],
    ),
    "template without prompt": (
        changed('checkpoint = "/models/beta"', 'checkpoint = "/models/beta"\nprompt_template = "a cat"'),
        ["line 11, models.b.prompt_template: must contain {prompt}, where the base prompt goes."],
    ),
    "no checkpoint": (
        changed('checkpoint = "/models/beta"', ""),
        [
            "line 8, models.b.checkpoint: is missing: a generated study needs a local folder, a hub id "
            'with its revision, or an endpoint; if the images already exist, write source = "images".'
        ],
    ),
    "hub id without its commit": (
        changed('checkpoint = "/models/beta"', 'checkpoint = "org/beta"\nrevision = "main"'),
        [
            'line 11, models.b.revision: "org/beta" is a hub id, so revision must be the 40 digits of a commit of it '
            "(the model's page on the hub lists them); a local folder is written with ./ or / in front."
        ],
    ),
    "revision of a folder": (
        changed('checkpoint = "/models/beta"', f'checkpoint = "/models/beta"\nrevision = "{COMMIT}"'),
        ["line 11, models.b.revision: belongs to a hub id, and checkpoint is local; leave it out."],
    ),
    "lora without scale": (
        changed('checkpoint = "/models/beta"', 'checkpoint = "/models/beta"\nlora = "/lora"'),
        ["line 8, models.b.lora_scale: is missing: a LoRA needs its scale, for example 0.6."],
    ),
    "scale without lora": (
        changed('checkpoint = "/models/beta"', 'checkpoint = "/models/beta"\nlora_scale = 0.6'),
        ["line 11, models.b.lora_scale: has no LoRA to scale; give lora too, or leave it out."],
    ),
    "file of no lora": (
        changed('checkpoint = "/models/beta"', 'checkpoint = "/models/beta"\nlora_file = "a.safetensors"'),
        ["line 11, models.b.lora_file: belongs to a LoRA of several files; give lora too, or leave it out."],
    ),
    "file outside of the lora": (
        changed(
            'checkpoint = "/models/beta"',
            'checkpoint = "/models/beta"\nlora = "/l"\nlora_scale = 1\nlora_file = "../a.safetensors"',
        ),
        ["line 13, models.b.lora_file: must be the name of a file of the LoRA, which ends in .safetensors."],
    ),
    "fused projections beside a lora": (
        changed(
            'checkpoint = "/models/beta"',
            'checkpoint = "/models/beta"\nlora = "/l"\nlora_scale = 1\ncompile = true\nfused_qkv = true',
        ),
        ["line 14, models.b.fused_qkv: would lose a part of the LoRA; leave it out."],
    ),
    "option with an odd name": (
        changed('checkpoint = "/models/beta"', 'checkpoint = "/models/beta"\noptions = {"a b" = 1, c = inf}'),
        [
            "line 11, models.b.options.a b: is no option: a name has letters, digits and underscores; take it out.",
            "line 11, models.b.options.c: must be a number, a text, true or false, or a list of numbers or texts.",
        ],
    ),
    "variant that is none": (
        changed('checkpoint = "/models/beta"', 'checkpoint = "/models/beta"\nvariant = "fp 16"'),
        ["line 11, models.b.variant: must be letters, digits and underscores, like fp16, not 'fp 16'."],
    ),
    "relative path without a folder": (
        changed("/models/beta", "./beta"),
        [
            'line 10, models.b.checkpoint: "./beta" is a relative path, but no folder is known to start from; '
            "write the whole path, from /."
        ],
    ),
    "no prompts": (
        changed('["a cat", "a dog"]', "[]"),
        ["line 13, prompts.list: is empty; give at least 1."],
    ),
    "empty prompt": (
        changed('"a dog"', '" "'),
        ["line 13, prompts.list[2].text: is empty; write a prompt, or take it out."],
    ),
    "duplicate prompt": (
        changed('"a dog"', '"a cat "'),
        ['line 13, prompts.list[2]: "a cat" is already prompt 1; each prompt may occur once.'],
    ),
    "prompt of two lines": (
        changed('"a dog"', '"a\\ndog"'),
        ["line 13, prompts.list[2].text: must be one line, not 'a\\ndog'."],
    ),
    "prompt that is a number": (
        changed('"a dog"', "5"),
        ["line 13, prompts.list[2]: must be a text in quotation marks, or a table with text and cluster, not 5."],
    ),
    "control character": (
        changed('"a dog"', '"a \\u0000 dog"'),
        ["line 13, prompts.list[2]: holds a control character, which no page can show; take it out."],
    ),
    "name that is not seen whole": (
        changed('name = "A study"', 'name = "Ca\\u200bts"'),
        ["line 2, name: holds a character that is not seen (U+200B); take it out."],
    ),
    "both list and file": (
        changed("list =", 'file = "p.txt"\nlist ='),
        ["line 12, prompts: needs either list or file, one of the two."],
    ),
    "file from a form": (
        changed('list = ["a cat", "a dog"]', 'file = "/etc/passwd"'),
        ["line 13, prompts.file: cannot be read from here; write the prompts themselves, as list = [...]."],
    ),
    "fewer seeds than images": (
        changed("seeds = 7", "seeds = [1, 2]"),
        ["line 17, images.seeds: holds 2 seeds, but per_set is 3; give 3 seeds, or leave per_set out."],
    ),
    "seed twice": (
        changed("seeds = 7", "seeds = [1, 2, 1]"),
        ["line 17, images.seeds[3]: seed 1 occurs twice; the same image would count twice."],
    ),
    "negative seed": (
        changed("seeds = 7", "seeds = [1, -2, 3]"),
        ["line 17, images.seeds[2]: must be greater than or equal to 0, not -2."],
    ),
    "negative number to draw from": (
        changed("seeds = 7", "seeds = -7"),
        ["line 17, images.seeds: must be a list of seeds, or one number, from 0, that they are drawn from."],
    ),
    "how many to draw": (
        changed("per_set = 3\n", ""),
        ["line 15, images: needs per_set: how many seeds to draw from the one number."],
    ),
    "one image": (
        changed("per_set = 3\nseeds = 7", "seeds = [7]"),
        ["line 16, images.seeds: a set needs at least 2 images to be more or less consistent."],
    ),
    "no images": (
        STUDY.partition("[images]")[0],
        ["line 1, images.seeds: is missing: give per_set and seeds, for example per_set = 20 and seeds = 7."],
    ),
    "per_set and a seed": (
        changed("per_set = 3\nseeds = 7", "per_set = 1\nseeds = [1, 1, 2]"),
        [
            "line 16, images.per_set: must be a whole number from 2 to 10000, not 1.",
            "line 17, images.seeds[2]: seed 1 occurs twice; the same image would count twice.",
        ],
    ),
    "per_set of one": (
        changed("per_set = 3", "per_set = 1"),
        ["line 16, images.per_set: must be a whole number from 2 to 10000, not 1."],
    ),
    "seeds for imported images": (
        "source = 'images'" + STUDY,
        [
            'line 15, images: source is "images", and a set has as many images as import_images brings in; '
            "remove the section [images]."
        ],
    ),
    "size": (STUDY + "[sampling]\nwidth = 770\n", ["line 19, sampling.width: must be a multiple of 8, not 770."]),
    "true is no number": (
        STUDY + "[annotation]\noverlap = true\n",
        ["line 19, annotation.overlap: must be a whole number, not true."],
    ),
    "a text is no number": (
        STUDY + "[annotation]\noverlap = '5'\n",
        ["line 19, annotation.overlap: must be a whole number, not '5'."],
    ),
    "not a number": (
        STUDY + "[sampling]\nguidance_scale = nan\n",
        ["line 19, sampling.guidance_scale: must be a finite number, not nan."],
    ),
    "naive moment": (
        STUDY + "[annotation]\nopens_at = 2026-12-01T09:00:00\n",
        [
            "line 19, annotation.opens_at: needs its time zone, like 2026-12-01T09:00:00Z or "
            "2026-12-01T10:00:00+01:00, not '2026-12-01T09:00:00'."
        ],
    ),
    "closes before it opens": (
        STUDY + "[annotation]\nopens_at = 2026-12-01T09:00:00Z\ncloses_at = 2026-12-01T10:00:00+01:00\n",
        ["line 20, annotation.closes_at: must come after opens_at; give a later time, or leave it out."],
    ),
    "unknown endpoint": (
        STUDY + "[analysis]\nprimary_endpoint = 'best'\n",
        ["line 19, analysis.primary_endpoint: must be 'strict', 'half' or 'dropped', not 'best'."],
    ),
    "not TOML": ("name = \n", ["line 1: this is not TOML: invalid value."]),
    "TOML that stops": ("name = 'a'\nlist = [\n1,\n", ["line 4: this is not TOML: invalid value."]),
    "tables nested without end": (
        "[" + ".".join(["a"] * 3000) + "]\n",
        ["this is nested too deeply, or holds too long a number."],
    ),
    "a key of too many parts": (
        STUDY + "sampling." * 30 + "x = 1\n",
        ["this is nested too deeply, or holds too long a number."],
    ),
    "nested without end": (
        "a = " + "[" * 5000 + "]" * 5000,
        ["this is nested too deeply, or holds too long a number."],
    ),
}


@pytest.mark.parametrize(("text", "expected"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_named_with_its_key_and_line(text: str, expected: list[str]) -> None:
    assert faults_in(text) == expected


def test_a_file_without_an_end_is_refused() -> None:
    with pytest.raises(Refused, match=r"/dev/zero is larger than 67,108,864 bytes"):
        read_study_file(Path("/dev/zero"))


def test_all_faults_are_listed_at_once() -> None:
    text = changed('name = "Beta"', 'name = "alpha"\nnmae = 3').replace('"a dog"', '"a cat", 5').replace("= 3", "= 2")
    text = "question = 'Which?'" + text + "[annotation]\nopens_at = 2026-12-01T09:00:00\nties = 1\n"
    found = faults_in(text)
    assert [fault.split(":")[0] for fault in found] == [
        "line 1, question",
        "line 9, models.b.name",
        "line 10, models.b.nmae",
        "line 14, prompts.list[3]",
        "line 14, prompts.list[2]",
        "line 20, annotation.opens_at",
        "line 21, annotation.ties",
    ]


def test_the_message_counts_and_lists(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text("name = 'x'\n")
    first = r"bad\.toml has 4 faults:\n  line 1, prompts: .*\n  line 1, models\.a: is missing: a study compares two"
    with pytest.raises(Refused, match=first):
        read_study_file(path)


def test_faults_in_the_prompts_file_name_its_lines(tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("a cat\n\na cat\n")
    text = changed('list = ["a cat", "a dog"]', 'file = "prompts.txt"')
    assert faults_in(text, tmp_path) == [
        "prompts.txt, line 2: is empty; write a prompt, or take it out.",
        'prompts.txt, line 3: "a cat" is already prompt 1; each prompt may occur once.',
    ]


def test_a_prompts_file_that_is_not_there(tmp_path: Path) -> None:
    text = changed('list = ["a cat", "a dog"]', 'file = "prompts.txt"')
    [fault] = faults_in(text, tmp_path)
    assert fault == f"line 13, prompts.file: {tmp_path}/prompts.txt cannot be read: No such file or directory."


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_bytes(b"name = '\xff'")
    with pytest.raises(Refused, match=r"study.toml is not a text file in UTF-8 \(byte 8\); save it as UTF-8"):
        read_study_file(path)
    with pytest.raises(Refused, match="cannot be read: Is a directory"):
        read_study_file(tmp_path)


def test_names_of_three_hundred_letters_are_faults_or_paths_that_are_not_there(tmp_path: Path) -> None:
    long = "x" * 300
    text = changed('name = "Beta"', f'name = "{long}"').replace("/models/alpha", long).replace('"a dog"', f'"{long}"')
    found = faults_in(text + f'[encoder]\ncheckpoint = "./{long}"\n', tmp_path)
    assert [fault.partition(": ")[0] for fault in found] == [
        "line 4, models.a.revision",
        "line 9, models.b.name",
        "line 19, encoder.checkpoint",
    ]
    local = parse(changed("/models/alpha", f"/{long}"), tmp_path)
    assert any(warning.sentence.startswith("there is no") for warning in manifest_warnings(local))


@pytest.mark.parametrize("key", ["checkpoint", "revision"])
def test_a_fault_quotes_a_long_value_without_its_middle(tmp_path: Path, key: str) -> None:
    text = changed('"a cat"', '"a cat"') + f'[encoder]\nkind = "no{"x" * 100_000}"\n{key} = "{"../" * 50_000}"\n'
    found = faults_in(text, tmp_path)
    assert found
    assert max(map(len, found)) < 1200


def test_a_hand_made_manifest_cannot_contradict_itself_either() -> None:
    with pytest.raises(ValueError, match=r"models\.b\.name: both models are called"):
        make_manifest(model_b={"name": "Alpha"})


def test_a_study_file_can_only_name_an_endpoint() -> None:
    named = parse(changed('checkpoint = "/models/beta"', 'endpoint = "painter"'), None)
    assert named.model_b.endpoint == "painter"
    assert "endpoint" not in document(named)["model_a"]
    assert parse(write_study_file(named), None) == named


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ('endpoint = "http://10.0.0.1/"', "models.b.endpoint: must be the name of an endpoint"),
        ('endpoint = "../painter"', "models.b.endpoint: must be the name of an endpoint"),
        ('endpoint = ["/bin/sh"]', "models.b.endpoint: must be a text"),
        ('endpoint = "painter"\ncommand = ["/bin/sh"]', "models.b.command: is not a key of a study file"),
        ('endpoint = "painter"\ncheckpoint = "/models/beta"', "models.b.checkpoint: has no meaning for an endpoint"),
        ('endpoint = "painter"\ndtype = "bfloat16"', "models.b.dtype: has no meaning for an endpoint"),
    ],
)
def test_what_an_endpoint_may_not_be(keys: str, fault: str) -> None:
    assert any(fault in sentence for sentence in faults_in(changed('checkpoint = "/models/beta"', keys)))
