"""The study file: valid files, every fault with its line, and writing it back."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotation.studies.documents import document, sha256
from annotation.studies.manifest import AnalysisPlan, Manifest
from annotation.studies.pairs import PairsPlan
from annotation.studies.study_file.fault_sentences import file_keys
from annotation.studies.study_file.reading import StudyFileFault, parse, read_study_file
from annotation.studies.study_file.tables import draw_seeds
from annotation.studies.study_file.writing import write_study_file
from annotation.studies.warnings.manifest_warnings import manifest_warnings
from jobs.refusals import Refused
from tests.factories import make_manifest

COMMIT = "0123456789abcdef0123456789abcdef01234567"
NOT_OF_TWO = ("annotation.floor", *(f"pairs.{name}" for name in PairsPlan.model_fields))  # see test_pairs
TABLES = ("models.a.options", "models.b.options", "analysis.leaks_from", "metrics")  # keys that are tables of their own
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


def test_a_short_file_is_a_whole_manifest() -> None:
    manifest = parse(STUDY, None)
    assert (manifest.slug, manifest.source, manifest.sealed) == ("a-study", "generated", True)
    assert [prompt.text for prompt in manifest.prompts] == ["a cat", "a dog"]
    assert manifest.seeds == draw_seeds(7, 3)
    assert manifest.encoder.revision  # the default encoder is pinned


def test_an_interval_needs_a_resample_beyond_each_end() -> None:
    text = f"{STUDY}[analysis]\nlevel = 0.999\nresamples = "
    said = "must be at least 2000 at a level of 0.999: one beyond each end of an interval."
    assert faults_in(f"{text}1999\n") == [f"line 20, analysis.resamples: {said}"]
    assert parse(f"{text}2000\n", None).analysis.resamples == 2000


@pytest.mark.parametrize("level", [0.5001, 0.79, 0.9999])
def test_a_new_study_needs_a_level_at_which_intervals_say_something(level: float) -> None:
    text = f"{STUDY}[analysis]\nlevel = {level}\n"
    assert faults_in(text) == ["line 19, analysis.level: must lie between 0.8 and 0.999; 0.95 is usual."]
    of_earlier = parse(STUDY, None).model_copy(update={"analysis": AnalysisPlan(level=level)})
    assert parse(text, None, earlier=of_earlier).analysis.level == level


def test_seeds_as_a_list_keep_their_order() -> None:
    assert parse(changed("seeds = 7", "seeds = [9, 1, 5]"), None).seeds == (9, 1, 5)
    assert parse(changed("per_set = 3\nseeds = 7", "seeds = [9, 1]"), None).seeds == (9, 1)


def test_prompts_with_clusters() -> None:
    text = changed('"a cat", "a dog"', '{text = "a cat", cluster = "pets"}, "a dog"')
    assert [prompt.cluster for prompt in parse(text, None).prompts] == ["pets", ""]


@pytest.mark.parametrize("head", ["", "\ufeff"], ids=["plain", "byte order mark"])
@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_prompts_from_a_file(tmp_path: Path, head: str, end: str) -> None:
    (tmp_path / "prompts.txt").write_text(
        head + end.join(["a cat ", "ein Gr\u00fcffelo", "", ""]), encoding="utf-8", newline=""
    )
    study = tmp_path / "study.toml"
    text = head + changed('list = ["a cat", "a dog"]', 'file = "prompts.txt"').replace("\n", end)
    study.write_text(text, encoding="utf-8", newline="")
    assert [prompt.text for prompt in read_study_file(study).prompts] == ["a cat", "ein Gr\u00fcffelo"]


def test_the_hash_is_that_of_what_is_said_not_of_where_it_is_said(tmp_path: Path) -> None:
    hashes = {sha256(parse(STUDY, None))}
    for name in ("one.txt", "other.txt"):
        (tmp_path / name).write_text("a cat\na dog\n")
        text = changed('list = ["a cat", "a dog"]', f'file = "{name}"')
        hashes.add(sha256(parse(text, tmp_path)))
    assert len(hashes) == 1
    assert sha256(parse(changed("a dog", "a hog"), None)) not in hashes


def test_local_paths_start_from_the_study_file(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    text = changed("/models/alpha", "./absent").replace("/models/beta", "weights")
    text += '[encoder]\ncheckpoint = "./clip"\n'
    manifest = parse(text, tmp_path)
    assert manifest.model_a.checkpoint == str(tmp_path / "absent")
    assert manifest.model_b.checkpoint == str(tmp_path / "weights")
    assert manifest.encoder.checkpoint == str(tmp_path / "clip")


def test_a_hub_id_with_its_commit() -> None:
    text = changed('checkpoint = "/models/alpha"', f'checkpoint = "org/alpha"\nrevision = "{COMMIT}"')
    assert parse(text, None).model_a.revision == COMMIT


def test_moments_are_kept_in_utc() -> None:
    text = STUDY + "[annotation]\nopens_at = 2026-12-01T10:00:00+01:00\n"
    plan = parse(text, None).annotation
    assert plan.opens_at == datetime(2026, 12, 1, 9, tzinfo=UTC)
    same = parse(text.replace("10:00:00+01:00", "09:00:00Z"), None)
    assert sha256(same) == sha256(parse(text, None))


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
        ["line 19, annotation.overlap: must be a whole number, not True."],
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
    "nested without end": (
        "a = " + "[" * 5000 + "]" * 5000,
        ["this is nested too deeply, or holds too long a number."],
    ),
}


@pytest.mark.parametrize(("text", "expected"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_named_with_its_key_and_line(text: str, expected: list[str]) -> None:
    assert faults_in(text) == expected


def test_a_name_that_is_a_date_gives_a_slug() -> None:
    assert parse(changed('name = "A study"', "name = 2026-01-01"), None).slug == "2026-01-01"


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
    with pytest.raises(
        Refused, match=r"bad\.toml has 4 faults:\n  line 1, prompts: .*\n  line 1, models\.a: is missing\."
    ):
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
    assert any("models.a.checkpoint: there is no" in sentence for sentence in manifest_warnings(local))


@pytest.mark.parametrize("key", ["checkpoint", "revision"])
def test_a_fault_quotes_a_long_value_without_its_middle(tmp_path: Path, key: str) -> None:
    text = changed('"a cat"', '"a cat"') + f'[encoder]\nkind = "no{"x" * 100_000}"\n{key} = "{"../" * 50_000}"\n'
    found = faults_in(text, tmp_path)
    assert found
    assert max(map(len, found)) < 1200


def test_ten_thousand_prompts() -> None:
    prompts = ",\n".join(f'"prompt {number}"' for number in range(10_000))
    manifest = parse(changed('"a cat", "a dog"', prompts), None)
    assert len(manifest.prompts) == 10_000
    assert parse(write_study_file(manifest), None) == manifest


def test_a_hand_made_manifest_cannot_contradict_itself_either() -> None:
    with pytest.raises(ValueError, match=r"models\.b\.name: both models are called"):
        make_manifest(model_b={"name": "Alpha"})


def test_whole_numbers_where_fractions_may_stand_change_no_hash() -> None:
    plan = document(parse(STUDY, None))
    plan["sampling"]["guidance_scale"] = 7
    whole = Manifest.model_validate(plan)
    plan["sampling"]["guidance_scale"] = 7.0
    assert sha256(whole) == sha256(Manifest.model_validate(plan))


TAKEN = ("alpha", "left", "right", "tie")
words = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=20).filter(str.strip)
pages = st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\t"), max_size=40)
moments = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    texts = draw(st.lists(words, min_size=1, max_size=4, unique_by=lambda text: text.strip()))
    annotation = {"overlap": draw(st.integers(1, 9)), "opens_at": draw(st.none() | moments)}
    changes: dict[str, Any] = {
        "notice": draw(pages),
        "sealed": draw(st.booleans()),
        "prompts": [{"text": text, "cluster": draw(st.sampled_from(["", "c"]))} for text in texts],
        "seeds": draw(st.lists(st.integers(0, 2**32 - 1), min_size=2, max_size=4, unique=True)),
        "texts": {"instructions": draw(pages), "question": draw(words)},
        "annotation": annotation | {"lease_minutes": draw(st.floats(0.1, 60))},
        "sampling": {"guidance_scale": draw(st.integers(0, 9) | st.floats(0, 20)), "negative_prompt": draw(pages)},
    }
    lora: dict[str, Any] = {"name": draw(words.filter(lambda name: name.strip().lower() not in TAKEN))}
    lora |= {"checkpoint": "/c", "lora": "/l", "lora_scale": draw(st.floats(-2, 2))}
    lora |= {"variant": draw(st.sampled_from(["", "fp16"])), "lora_file": draw(st.sampled_from(["", "a.safetensors"]))}
    try:
        return make_manifest(source="generated", model_b=lora, **changes)
    except ValueError:  # two texts that are equal after normalisation
        from hypothesis import reject

        reject()


@settings(max_examples=60, deadline=None)
@given(manifests())
def test_a_study_written_back_is_the_same_study(manifest: Manifest) -> None:
    again = parse(write_study_file(manifest), None)
    assert again == manifest
    assert sha256(again) == sha256(manifest)
    assert Manifest.model_validate(document(manifest)) == manifest


OTHER_DATE = "privacy.erase_days_after_closing"  # stands in place of erase_at


def test_every_key_of_the_file_is_written_back() -> None:
    manifest = make_manifest(
        source="generated",
        model_b={
            "name": "B",
            "checkpoint": "/b",
            "lora": "/l",
            "lora_scale": 1,
            "options": {"timestep_spacing": "trailing"},
        },
        annotation={
            "most_annotators": 3,
            "opens_at": "2026-12-01T00:00:00Z",
            "closes_at": "2026-12-02T00:00:00Z",
            "withdrawal_until": "2026-12-24T00:00:00Z",
        },
        privacy={"erase_at": "2027-12-24T00:00:00Z"},
        prompts=[{"text": "a", "cluster": "b"}],
        analysis={
            "equivalence_margin": 0.05,
            "assumed_difference": 0.1,
            "person_margin": 0.05,
            "leaks_from": {"my metric": {"annotators": ["anna"], "prompts": True}},
        },
    )
    text = write_study_file(manifest)
    for key in file_keys():
        if key not in (*NOT_OF_TWO, "prompts.file", "models.a.lora_scale", OTHER_DATE, *TABLES):
            assert f"{key.rpartition('.')[2]} = " in text
    assert "[models.b.options]\ntimestep_spacing = " in text
    assert '[analysis.leaks_from."my metric"]\nannotators = [\n    "anna",\n]\nprompts = true' in text
    assert "[models.a.options]" not in text
    assert "erase_days_after_closing = 9\n" in write_study_file(make_manifest(privacy={OTHER_DATE[8:]: 9}))


def test_a_key_that_came_later_changes_no_hash_until_it_is_used() -> None:
    """Version 0.1 gave this study file this hash, and people have quoted such hashes in preregistrations."""
    plain = make_manifest(source="generated")
    assert sha256(plain) == "6f81700804e7d6d7d0b35284884f1ad0fa890476c3547b901162df6361906518"
    options = {"name": "Beta", "checkpoint": "/models/beta", "options": {"shift": 3.0}}
    assert sha256(make_manifest(source="generated", model_b=options)) != sha256(plain)
    used = make_manifest(source="generated", platform={"study_full_code": "C5"})
    assert sha256(used) != sha256(plain)
    assert Manifest.model_validate(document(used)) == used


INAPPLICABLE = {
    "generated": set(),
    "images": {"sampling", "seeds"},
    "external": {"sampling", "seeds", "encoder", "frame", "quality", "platform"},
}


@pytest.mark.parametrize(("source", "absent"), INAPPLICABLE.items())
def test_what_does_not_apply_is_in_no_document_and_no_file(source: str, absent: set[str]) -> None:
    manifest = make_manifest(source=source)
    plan, text = document(manifest), write_study_file(manifest)
    assert set(Manifest.model_fields) - {"models", "pairs"} - set(plan) == absent | {"metrics", "privacy"}
    assert (plan["model_a"] == {"name": "Alpha"}) == (source != "generated")
    assert [word for word in ("[sampling]", "768", "euler", "dtype", "[images]", "[encoder]") if word in text] == (
        ["[sampling]", "768", "euler", "dtype", "[images]", "[encoder]"]
        if source == "generated"
        else ["[encoder]"]
        if source == "images"
        else []
    )
    assert Manifest.model_validate(plan) == manifest
    assert parse(text, None) == manifest
    assert sha256(parse(text, None)) == sha256(manifest)


def test_sampling_parameters_in_an_older_manifest_or_file_of_imported_images_are_passed_over() -> None:
    manifest = make_manifest()
    older = manifest.model_dump(mode="json")
    older["sampling"]["width"] = 512
    assert Manifest.model_validate(older) == manifest
    assert parse(write_study_file(manifest) + "\n[sampling]\nwidth = 512\n", None) == manifest


def test_what_an_external_study_says_of_itself_is_kept() -> None:
    manifest = make_manifest(source="external", encoder={"kind": "dinov2", "checkpoint": "/d"})
    assert document(manifest)["encoder"]["checkpoint"] == "/d"
    assert Manifest.model_validate(document(manifest)) == manifest


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
