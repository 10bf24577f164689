"""Importing images made elsewhere: both layouts, all of a prompt or nothing, every fault by name."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from PIL import Image

from generation.imports import layouts
from generation.imports.conversion import FileTask, ReadFile, prepare
from generation.imports.image_import import ImportOptions, ImportReport, import_layout
from generation.imports.layouts import read_layout
from generation.models import DiffusionModel, GeneratedImage, ImageSet
from generation.pictures.files import open_image
from generation.pictures.remarks import note
from generation.plans.image_sets import imported_uid, is_complete, plan_imported_set
from generation.recorded_images.records import record_image
from tests.generation.imports.laid_out import faults, import_images, imported, lay_out, rows, truncated
from tests.generation.planned_sets import diffusion_model, files_below, picture

pytestmark = pytest.mark.django_db


def test_the_layout_of_model_prompt_seed(tmp_path: Path) -> None:
    lay_out(tmp_path, "sdxl", ("a cube", "a ring"))
    lay_out(tmp_path, "pixart", ("a cube",), seeds=3)
    report = import_images(tmp_path)
    assert (report.imported_set_count, report.imported_image_count, report.faults) == (3, 7, [])
    image_set = imported("a ring")
    assert (image_set.origin, image_set.seeds, is_complete(image_set)) == ("imported", [1, 2], True)
    assert image_set.rendered_prompt == "a ring"
    assert imported("a cube", "pixart").seeds == [1, 2, 3]


def test_pixels_are_kept_and_the_originals_hash(tmp_path: Path) -> None:
    lay_out(tmp_path)
    picture(9).save(tmp_path / "sdxl" / "a cube" / "3.png")
    import_images(tmp_path)
    image = imported().images.get(seed=3)
    assert open_image(image).tobytes() == picture(9).tobytes()
    source = image.provenance["source"]
    assert source["file"] == "3.png"
    assert source["byte_count"] == (tmp_path / "sdxl" / "a cube" / "3.png").stat().st_size
    assert len(source["sha256"]) == 64


def test_importing_again_changes_nothing(tmp_path: Path, media_root: Path) -> None:
    lay_out(tmp_path / "in")
    import_images(tmp_path / "in")
    before = (rows(), files_below(media_root))
    report = import_images(tmp_path / "in")
    assert (report.imported_set_count, report.unchanged_set_count, report.faults) == (0, 1, [])
    assert (rows(), files_below(media_root)) == before


def test_importing_again_finishes_what_a_killed_import_began(tmp_path: Path, media_root: Path) -> None:
    lay_out(tmp_path / "in")
    import_images(tmp_path / "in")
    before = (rows(), files_below(media_root))
    grid = media_root / f"renditions/{imported().uid}/2-grid-160.webp"
    grid.rename(grid.with_name(f"{grid.name}.00ff.part"))
    assert import_images(tmp_path / "in").unchanged_set_count == 1
    assert (rows(), files_below(media_root)) == before


def replace_image(folder: Path) -> None:
    picture(99).save(folder / "2.jpg")


def remove_image(folder: Path) -> None:
    (folder / "2.jpg").unlink()


def add_image(folder: Path) -> None:
    picture(99).save(folder / "2.png".replace("2", "7"))


@pytest.mark.parametrize("change", [replace_image, remove_image, add_image])
def test_other_images_for_an_imported_prompt_are_refused(
    tmp_path: Path, media_root: Path, change: Callable[[Path], None]
) -> None:
    lay_out(tmp_path / "in")
    import_images(tmp_path / "in")
    before = (rows(), files_below(media_root))
    change(tmp_path / "in" / "sdxl" / "a cube")
    report = import_images(tmp_path / "in")
    assert report.refused_set_count == 1
    assert "sdxl/a cube was imported before with other images" in faults(report)[0]
    assert (rows(), files_below(media_root)) == before


@pytest.mark.parametrize("is_named", [True, False])
def test_one_model_by_its_name(tmp_path: Path, is_named: bool) -> None:
    lay_out(tmp_path, "sdxl")
    lay_out(tmp_path, "pixart")
    folder = tmp_path if is_named else tmp_path / "sdxl"
    assert import_images(folder, model="sdxl").imported_set_count == 1
    assert [model.name for model in DiffusionModel.objects.all()] == ["sdxl"]


def test_a_model_that_also_generates_can_have_imported_images(tmp_path: Path) -> None:
    DiffusionModel.objects.create(name="sdxl", checkpoint="/models/sdxl")
    import_images(lay_out(tmp_path))
    assert imported().diffusion_model.checkpoint == "/models/sdxl"


def text_file(folder: Path) -> None:
    (folder / "2.jpg").write_text("not an image")


def mislabelled(folder: Path) -> None:
    picture().save(folder / "2.jpg", "PNG")


def no_seed(folder: Path) -> None:
    (folder / "2.jpg").rename(folder / "final-v2.jpg")


def negative_seed(folder: Path) -> None:
    (folder / "2.jpg").rename(folder / "-2.jpg")


def endless_seed(folder: Path) -> None:
    (folder / "2.jpg").rename(folder / f"{'9' * 40}.jpg")


def same_seed(folder: Path) -> None:
    picture().save(folder / "02.png")


def notes(folder: Path) -> None:
    (folder / "notes.txt").write_text("not an image")


def subfolder(folder: Path) -> None:
    (folder / "old").mkdir()


def link_out(folder: Path) -> None:
    (folder / "3.jpg").symlink_to("/etc/hostname")


def dead_link(folder: Path) -> None:
    (folder / "3.jpg").symlink_to(folder / "4.jpg")


def circle(folder: Path) -> None:
    (folder / "3.jpg").symlink_to(folder / "3.jpg")


def empty(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (text_file, "sdxl/a cube/2.jpg is not a PNG, JPEG or WebP file"),
        (truncated, "sdxl/a cube/2.jpg is truncated or damaged"),
        (mislabelled, "sdxl/a cube/2.jpg is a PNG file, which its name does not say"),
        (no_seed, "sdxl/a cube/final-v2.jpg does not say its seed: “final-v2” is not a whole number"),
        (negative_seed, "sdxl/a cube/-2.jpg does not say its seed"),
        (endless_seed, "does not say its seed"),
        (same_seed, "sdxl/a cube/2.jpg has seed 2, as another file of this prompt has"),
        (notes, "sdxl/a cube/notes.txt does not say its seed"),
        (subfolder, "sdxl/a cube/old is a folder"),
        (link_out, "sdxl/a cube/3.jpg is a link that leads out of the folder"),
        (dead_link, "sdxl/a cube/3.jpg is not there"),
        (circle, "sdxl/a cube/3.jpg is a link that leads out of the folder or in a circle"),
        (empty, "sdxl/a cube holds no images"),
    ],
)
def test_a_fault_leaves_its_prompt_out_and_no_other(
    tmp_path: Path, media_root: Path, spoil: Callable[[Path], None], sentence: str
) -> None:
    lay_out(tmp_path / "in", prompts=("a cube", "a ring"))
    spoil(tmp_path / "in" / "sdxl" / "a cube")
    report = import_images(tmp_path / "in")
    assert (report.imported_set_count, report.refused_set_count) == (1, 1)
    assert any(sentence in fault for fault in faults(report)), faults(report)
    assert [image_set.prompt.text for image_set in ImageSet.objects.all()] == ["a ring"]
    assert {name.split("/")[1] for name in files_below(media_root)} == {str(imported("a ring").uid)}


def test_mending_the_fault_and_importing_again(tmp_path: Path) -> None:
    lay_out(tmp_path)
    truncated(tmp_path / "sdxl" / "a cube")
    assert import_images(tmp_path).refused_set_count == 1
    picture(2).save(tmp_path / "sdxl" / "a cube" / "2.jpg")
    assert import_images(tmp_path).imported_set_count == 1


def test_a_fault_of_the_machine_leaves_nothing(
    tmp_path: Path, media_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    lay_out(tmp_path / "in")
    before = rows()
    with monkeypatch.context() as patch:
        patch.setattr("generation.imports.conversion.write_part", fail)
        with pytest.raises(OSError, match="disk full"):
            import_images(tmp_path / "in")
    assert rows() == before
    assert files_below(media_root) == []
    assert import_images(tmp_path / "in").imported_set_count == 1


def test_files_outside_the_folders_are_listed(tmp_path: Path) -> None:
    lay_out(tmp_path)
    (tmp_path / "readme.txt").touch()
    (tmp_path / "sdxl" / "5.jpg").touch()
    report = import_images(tmp_path)
    assert report.imported_set_count == 1
    outside = "lies outside the folders of models and prompts"
    assert faults(report) == [f"readme.txt {outside}", f"sdxl/5.jpg {outside}"]


def test_what_file_managers_leave_behind_is_no_fault(tmp_path: Path) -> None:
    lay_out(tmp_path)
    for name in (".DS_Store", "Thumbs.db", "desktop.ini"):
        (tmp_path / "sdxl" / "a cube" / name).touch()
    assert import_images(tmp_path).faults == []


def test_a_folder_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(folder: Path) -> list[Path]:
        if folder.name == "a ring":
            raise PermissionError(13, "Permission denied", str(folder))
        return children(folder)

    children = layouts._children
    monkeypatch.setattr("generation.imports.layouts._children", denied)
    report = import_images(lay_out(tmp_path, prompts=("a cube", "a ring")))
    assert (report.imported_set_count, faults(report)) == (1, ["sdxl/a ring cannot be read (Permission denied)"])


def test_odd_names(tmp_path: Path) -> None:
    composed, apart = "a caf\u00e9; 'quoted' & 100 %, “ü”", "a cafe\u0301; 'quoted' & 100 %, “u\u0308”"
    lay_out(tmp_path, prompts=(apart,))
    assert import_images(tmp_path).faults == []
    assert imported(composed).prompt.text == composed


def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    lay_out(tmp_path, prompts=("a cube",))
    (tmp_path / "sdxl" / "a cube").rename(tmp_path / "sdxl" / os.fsdecode(b"a caf\xe9"))
    report = import_images(tmp_path)
    assert faults(report) == ["sdxl/a caf\ufffd has a prompt whose name is empty or not UTF-8"]


def test_a_models_name_that_is_too_long(tmp_path: Path) -> None:
    report = import_images(lay_out(tmp_path, model="m" * 201))
    assert "has a model whose name is longer than 200 signs" in faults(report)[0]


def test_a_models_name_with_a_character_that_nobody_sees(tmp_path: Path) -> None:
    report = import_images(lay_out(tmp_path, model="sdxl\u200b"))
    assert "has a model whose name holds a character that is not seen (U+200B)" in faults(report)[0]


def test_two_folders_of_one_prompt(tmp_path: Path) -> None:
    report = import_images(lay_out(tmp_path, prompts=("caf\u00e9", "cafe\u0301")))
    assert (report.imported_set_count, report.refused_set_count) == (1, 1)
    assert "is there twice, in folders whose names only look different" in faults(report)[0]


def test_what_archivers_leave_behind_is_no_model(tmp_path: Path) -> None:
    lay_out(tmp_path)
    (tmp_path / "__MACOSX" / "a cube").mkdir(parents=True)
    (tmp_path / "sdxl" / "@eaDir").mkdir()
    (tmp_path / "sdxl" / "a cube" / "._1.jpg").touch()
    assert import_images(tmp_path).faults == []


def test_several_processes_come_to_the_same_as_one(tmp_path: Path, media_root: Path) -> None:
    lay_out(tmp_path / "in", prompts=("a cube", "a ring", "a star", "a tree"))
    truncated(tmp_path / "in" / "sdxl" / "a ring")
    text_file(tmp_path / "in" / "sdxl" / "a tree")
    found = []
    for processes in (1, 2):
        counts: list[int] = []
        manner = ImportOptions(processes=processes, advance=counts.append)
        report = import_layout(read_layout(tmp_path / "in", model=None), manner)
        images = list(GeneratedImage.objects.order_by("path").values_list("path", "sha256", "provenance", "byte_count"))
        found.append((report, images, files_below(media_root), sum(counts)))
        for kept in (GeneratedImage, ImageSet):
            kept._default_manager.all().delete()
        shutil.rmtree(media_root)
    assert found[0] == found[1]
    assert [str(fault).split()[0] for fault in found[0][0].faults] == ["sdxl/a", "sdxl/a"]
    assert found[0][3] == 8


def test_files_that_a_killed_import_left_are_swept(tmp_path: Path, media_root: Path) -> None:
    left = media_root / "image_sets" / str(imported_uid(model="sdxl", prompt="a cube")) / "1.png.00ff.part"
    left.parent.mkdir(parents=True)
    left.touch()
    import_images(lay_out(tmp_path / "in"))
    assert not left.exists()


@pytest.mark.parametrize("rival_seeds", [[1, 2], [7]])
def test_a_set_that_another_process_imports_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rival_seeds: list[int]
) -> None:
    def rival(task: FileTask) -> ReadFile | str:
        model = diffusion_model("sdxl")
        image_set = plan_imported_set(diffusion_model=model, prompt="a cube", seeds=rival_seeds)
        for seed in rival_seeds:
            record_image(image_set=image_set, seed=seed, image=picture(seed), provenance={})
        return prepare(task)

    monkeypatch.setattr("generation.imports.image_import.prepare", rival)
    report = import_images(lay_out(tmp_path))
    assert faults(report) == ["sdxl/a cube is being imported by another process at this moment"]
    assert imported().seeds == rival_seeds


# --- shapes and remarks -----------------------------------------------------------------------------------------


def at_size(folder: Path, size: tuple[int, int] | None) -> ImportReport:
    return import_layout(read_layout(folder, model=None), ImportOptions(size=size))


def test_images_are_brought_to_one_size_from_their_middle(tmp_path: Path) -> None:
    lay_out(tmp_path)
    wide = picture(5, size=(60, 20))
    wide.save(tmp_path / "sdxl" / "a cube" / "3.png")
    assert at_size(tmp_path, (20, 20)).faults == []
    assert {(image.width, image.height) for image in imported().images.all()} == {(20, 20)}
    image = imported().images.get(seed=3)
    assert open_image(image).tobytes() == wide.crop((20, 0, 40, 20)).tobytes()
    assert image.provenance["source"]["size"] == "20x20"


def test_an_image_too_small_for_the_size(tmp_path: Path) -> None:
    assert "sdxl/a cube/1.jpg is smaller than 41x20 (40x30)" in faults(at_size(lay_out(tmp_path), (41, 20)))


def test_imported_at_another_size_before(tmp_path: Path) -> None:
    folder = lay_out(tmp_path / "in")
    at_size(folder, (20, 20))
    assert at_size(folder, (20, 20)).unchanged_set_count == 1
    for size in (None, (20, 10)):
        assert "was imported before with --size 20x20; those images stay until" in faults(at_size(folder, size))[0]


def test_a_set_that_has_the_size_already_is_unchanged(tmp_path: Path) -> None:
    folder = lay_out(tmp_path / "in")
    import_images(folder)
    assert at_size(folder, (40, 30)).unchanged_set_count == 1
    assert "was imported before without --size" in faults(at_size(folder, (20, 20)))[0]


@pytest.mark.parametrize("text", ["512", "0x5", "x", "1.5x2", "-1x2", "\u0661x2", "999999x1"])
def test_what_is_no_size(tmp_path: Path, text: str) -> None:
    with pytest.raises(CommandError, match="is not a size: write width x height in pixels, like 512x512"):
        call_command("import_images", str(lay_out(tmp_path)), f"--size={text}")


def of_one_colour(folder: Path, count: int, size: tuple[int, int] = (64, 48)) -> None:
    folder.mkdir(parents=True)
    for seed in range(1, count + 1):
        Image.new("RGB", size).save(folder / f"{seed}.png")


def test_images_of_one_colour_or_the_same_again_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    of_one_colour(folder / "sdxl" / "black", 7)
    lay_out(tmp_path / "other", prompts=("mixed", "fine"), seeds=3)
    (tmp_path / "other" / "sdxl" / "mixed").rename(folder / "sdxl" / "mixed")
    (tmp_path / "other" / "sdxl" / "fine").rename(folder / "sdxl" / "fine")
    picture(1).save(folder / "sdxl" / "mixed" / "4.png")
    picture(1).save(folder / "sdxl" / "mixed" / "5.webp", lossless=True)
    Image.new("RGB", (40, 30), "white").save(folder / "sdxl" / "mixed" / "6.webp")
    said = [
        "sdxl / black: 7 of 7 images are of one colour (seeds 1, 2, 3, 4, 5, …)",
        "sdxl / mixed: 1 of 6 images is of one colour (seed 6), "
        "and 1 of 6 images is the same as an earlier one of the set (seed 5)",
    ]
    report = import_images(folder)
    assert (report.refused_set_count, report.remarks) == (0, said)
    assert import_images(folder).remarks == said


@pytest.mark.parametrize("size", [(1, 1), (2, 900), (8, 8), (64, 64), (512, 512), (1024, 768), (2000, 1500)])
def test_one_colour_is_seen_at_every_size(tmp_path: Path, size: tuple[int, int]) -> None:
    of_one_colour(tmp_path / "sdxl" / "black", 1, size)
    assert len(import_images(tmp_path).remarks) == 1


def test_images_that_an_earlier_version_recorded_are_noted(tmp_path: Path) -> None:
    of_one_colour(tmp_path / "sdxl" / "black", 2)
    import_images(tmp_path)
    GeneratedImage.objects.update(remark=None)
    note(ImageSet.objects.all())
    assert set(GeneratedImage.objects.values_list("remark", flat=True)) == {"plain"}
