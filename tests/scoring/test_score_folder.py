"""`score_folder`: any folder of images. No test here may touch the database."""

import json
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from PIL import Image

from scoring import encoders
from scoring.consistency import semantic_consistency_score
from scoring.encoder_spec import EncoderSpec
from scoring.encoders.loading import load
from tests.scoring.embedded_sets import picture


@pytest.fixture
def clip(tiny_encoders: Path) -> str:
    return str(tiny_encoders / "clip")


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    """A model's folder as the method's author lays it out: `<prompt>/<seed>.jpg`."""
    for prompt, seeds in {"a dog": (1, 2, 3), "a cat": (4, 5)}.items():
        (tmp_path / "model" / prompt).mkdir(parents=True)
        for seed in seeds:
            picture(seed).save(tmp_path / "model" / prompt / f"{seed}.jpg")
    return tmp_path / "model"


def score_folder(folder: Path, encoder: str, **options: Any) -> str:
    out = StringIO()
    call_command("score_folder", str(folder), encoder=encoder, stdout=out, **options)
    return out.getvalue()


def as_json(folder: Path, encoder: str, **options: Any) -> Any:
    return json.loads(score_folder(folder, encoder, format="json", **options))


def test_scores_every_folder_below(model_folder: Path, clip: str) -> None:
    document = as_json(model_folder, clip)
    cat = [Image.open(model_folder / "a cat" / f"{seed}.jpg") for seed in (4, 5)]
    expected = semantic_consistency_score(load(EncoderSpec(checkpoint=clip)).embed(cat))

    assert [(row["folder"], row["n"]) for row in document["folders"]] == [("a cat", 2), ("a dog", 3)]
    assert document["folders"][0]["scs"] == pytest.approx(expected, abs=1e-9)
    assert document["schema_version"] == 1
    assert document["metric"] == "scs/clip:clip"
    assert document["encoder"]["processor_backend"] == "pil"


def test_images_of_one_colour_or_the_same_again_are_named(tmp_path: Path, clip: str) -> None:
    for seed, colour in enumerate(("black", "black", "red"), start=1):
        Image.new("RGB", (20, 20), colour).save(tmp_path / f"{seed}.png")
    for seed, of in ((4, 4), (5, 4), (6, 6)):
        picture(of).save(tmp_path / f"{seed}.png")
    remarks = as_json(tmp_path, clip)["folders"][0]["remarks"]
    plain = [{"file": f"{seed}.png", "reason": "is of one colour"} for seed in (1, 2, 3)]
    assert remarks == [*plain, {"file": "5.png", "reason": "is the same image as 4.png"}]
    assert "5.png is the same image as 4.png" in score_folder(tmp_path, clip)


@pytest.mark.parametrize("name", ["x" * 300, "/".join(["x" * 200] * 30), "~nobody-of-that-name/x"])
def test_names_that_no_file_can_have(tmp_path: Path, name: str) -> None:
    with pytest.raises(CommandError, match="There is no folder"):
        score_folder(tmp_path / name, "irrelevant")
    picture(1).save(tmp_path / "1.png")
    with pytest.raises(CommandError, match=r"there is no .*give a folder that exists, or a hub id"):
        score_folder(tmp_path, name)
    with pytest.raises(CommandError, match="There is no"):
        call_command("import_images", str(tmp_path / name))


def test_scores_the_folder_itself(model_folder: Path, clip: str) -> None:
    inner, outer = as_json(model_folder / "a dog", clip), as_json(model_folder, clip)
    assert inner["folders"][0]["folder"] == "."
    assert inner["folders"][0]["scs"] == outer["folders"][1]["scs"]


def test_writes_a_table_for_people(model_folder: Path, clip: str) -> None:
    # No mark-up and no pictures, whatever a prompt holds; and one line for each folder, however long its name.
    name = "a [red] cat :cat: " + "on a sofa " * 20 + "at night"
    (model_folder / "a cat").rename(model_folder / name)
    text = score_folder(model_folder, clip)
    value = as_json(model_folder, clip)["folders"][1]["scs"]
    assert "Semantic Consistency Score by clip:clip" in text
    assert name in text
    assert f"{value:.3f}" in text


@pytest.mark.parametrize("kind", ["siglip", "dinov2"])
def test_scores_by_the_other_encoders(kind: str, model_folder: Path, tiny_encoders: Path) -> None:
    document = as_json(model_folder, str(tiny_encoders / kind), kind=kind)
    assert document["metric"] == f"scs/{kind}:{kind}"
    assert all(0 <= row["scs"] <= 100 for row in document["folders"])


def test_lists_what_it_could_not_read_and_scores_the_rest(model_folder: Path, clip: str) -> None:
    whole = (model_folder / "a dog" / "3.jpg").read_bytes()
    (model_folder / "a dog" / "3.jpg").write_bytes(whole[: len(whole) // 2])
    (model_folder / "a dog" / "4.png").write_text("not an image")
    (model_folder / "a dog" / "5.gif").write_bytes(b"GIF89a")
    (model_folder / "a dog" / "notes.txt").write_text("no image by its name")

    dog = as_json(model_folder, clip)["folders"][1]

    assert dog["n"] == 2
    assert [broken["file"] for broken in dog["broken"]] == ["3.jpg", "4.png", "5.gif"]
    assert "truncated" in dog["broken"][0]["reason"]
    assert "is not a PNG, JPEG or WebP" in dog["broken"][1]["reason"]
    assert "4.png is not a PNG, JPEG or WebP" in score_folder(model_folder, clip)


def test_one_readable_image_has_no_score_and_says_why(model_folder: Path, clip: str) -> None:
    (model_folder / "a cat" / "5.jpg").unlink()
    cat = as_json(model_folder, clip)["folders"][0]
    assert (cat["scs"], cat["n"]) == (None, 1)
    assert cat["undefined_because"] == "a score needs two images, and 1 can be read"
    assert "undefined: a score needs two images" in score_folder(model_folder, clip)


def test_passes_over_what_is_hidden(model_folder: Path, clip: str) -> None:
    (model_folder / ".thumbnails").mkdir()
    picture(1).save(model_folder / ".thumbnails" / "1.png")
    (model_folder / "a dog" / "._1.jpg").write_bytes(b"resource fork")
    rows = as_json(model_folder, clip)["folders"]
    assert [(row["folder"], row["n"], row["broken"]) for row in rows] == [("a cat", 2, []), ("a dog", 3, [])]


def test_more_images_than_are_held_at_a_time(tmp_path: Path, clip: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(7):
        picture(seed).save(tmp_path / f"{seed}.png")
    at_once = as_json(tmp_path, clip)["folders"][0]
    monkeypatch.setattr("scoring.folders.CHUNK_SIZE", 3)
    in_chunks = as_json(tmp_path, clip)["folders"][0]
    assert at_once["n"] == in_chunks["n"] == 7
    assert in_chunks["scs"] == pytest.approx(at_once["scs"], abs=1e-4)


def test_nothing_to_score_is_an_error_after_the_reasons(tmp_path: Path, clip: str) -> None:
    picture(1).save(tmp_path / "1.png")
    out = StringIO()
    with pytest.raises(CommandError, match="has no score: a score needs two images"):
        call_command("score_folder", str(tmp_path), encoder=clip, format="json", stdout=out)
    assert json.loads(out.getvalue())["folders"][0]["scs"] is None


def test_a_folder_without_images_is_an_error(tmp_path: Path, clip: str) -> None:
    (tmp_path / "notes.txt").write_text("no image by its name")
    with pytest.raises(CommandError, match="holds no images"):
        score_folder(tmp_path, clip)


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path, clip: str) -> None:
    with pytest.raises(CommandError, match=r"There is no folder .*nowhere"):
        score_folder(tmp_path / "nowhere", clip)


def test_an_encoder_that_cannot_be_loaded_is_an_error(model_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="as a hub id it needs a pinned revision"):
        score_folder(model_folder, "google/siglip-base-patch16-224", kind="siglip")


def test_stopping_it_is_no_stack_trace(model_folder: Path, clip: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("scoring.management.commands.score_folder.score_image_folder", interrupted)
    with pytest.raises(CommandError, match="Stopped") as caught:
        score_folder(model_folder, clip)
    assert caught.value.returncode == 130


def test_an_installation_without_torch_is_an_error(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(encoders, "loading")
    monkeypatch.delitem(sys.modules, "scoring.encoders.loading")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(CommandError, match="torch is not installed here"):
        score_folder(model_folder, "/models/clip")
