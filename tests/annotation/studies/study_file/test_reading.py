"""The study file: what valid files say."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from annotation.studies.documents import document, sha256
from annotation.studies.manifest import AnalysisPlan, Manifest
from annotation.studies.study_file.reading import parse, read_study_file
from annotation.studies.study_file.tables import draw_seeds
from annotation.studies.study_file.writing import write_study_file
from tests.annotation.studies.study_file.study_texts import STUDY, changed, faults_in

COMMIT = "0123456789abcdef0123456789abcdef01234567"


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


def test_a_name_that_is_a_date_gives_a_slug() -> None:
    assert parse(changed('name = "A study"', "name = 2026-01-01"), None).slug == "2026-01-01"


def test_ten_thousand_prompts() -> None:
    prompts = ",\n".join(f'"prompt {number}"' for number in range(10_000))
    manifest = parse(changed('"a cat", "a dog"', prompts), None)
    assert len(manifest.prompts) == 10_000
    assert parse(write_study_file(manifest), None) == manifest


def test_whole_numbers_where_fractions_may_stand_change_no_hash() -> None:
    plan = document(parse(STUDY, None))
    plan["sampling"]["guidance_scale"] = 7
    whole = Manifest.model_validate(plan)
    plan["sampling"]["guidance_scale"] = 7.0
    assert sha256(whole) == sha256(Manifest.model_validate(plan))
