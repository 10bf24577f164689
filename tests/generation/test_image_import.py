"""Importing images made elsewhere: both layouts, all of a prompt or nothing, every fault by name."""

import os
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from generation.image_files import open_image
from generation.image_import import ImportReport, import_images
from generation.image_sets import find_imported_set, is_complete
from generation.models import DiffusionModel, GeneratedImage, ImageSet, Prompt
from generation.refusals import Refused
from tests.generation.material import files_below, picture

pytestmark = pytest.mark.django_db


def lay_out(folder: Path, model: str = "sdxl", prompts: tuple[str, ...] = ("a cube",), seeds: int = 2) -> Path:
    """`<model>/<prompt>/<seed>.jpg` below a folder."""
    for prompt in prompts:
        (folder / model / prompt).mkdir(parents=True)
        for seed in range(1, seeds + 1):
            picture(seed).save(folder / model / prompt / f"{seed}.jpg")
    return folder


def imported(prompt: str = "a cube", model: str = "sdxl") -> ImageSet:
    found = find_imported_set(diffusion_model=DiffusionModel.objects.get(name=model), prompt=prompt)
    assert found is not None
    return found


def faults(report: ImportReport) -> list[str]:
    return [str(fault) for fault in report.faults]


def rows() -> list[object]:
    kept = (DiffusionModel, Prompt, ImageSet, GeneratedImage)
    return [list(model._default_manager.order_by("pk").values()) for model in kept]


def test_the_layout_of_model_prompt_seed(tmp_path: Path) -> None:
    lay_out(tmp_path, "sdxl", ("a cube", "a ring"))
    lay_out(tmp_path, "pixart", ("a cube",), seeds=3)
    report = import_images(folder=tmp_path)
    assert (report.imported_set_count, report.imported_image_count, report.faults) == (3, 7, [])
    image_set = imported("a ring")
    assert (image_set.origin, image_set.seeds, is_complete(image_set)) == ("imported", [1, 2], True)
    assert image_set.rendered_prompt == "a ring"
    assert imported("a cube", "pixart").seeds == [1, 2, 3]


def test_pixels_are_kept_and_the_originals_hash(tmp_path: Path) -> None:
    lay_out(tmp_path)
    picture(9).save(tmp_path / "sdxl" / "a cube" / "3.png")
    import_images(folder=tmp_path)
    image = imported().images.get(seed=3)
    assert open_image(image).tobytes() == picture(9).tobytes()
    source = image.provenance["source"]
    assert source["file"] == "3.png"
    assert source["byte_count"] == (tmp_path / "sdxl" / "a cube" / "3.png").stat().st_size
    assert len(source["sha256"]) == 64


def test_importing_again_changes_nothing(tmp_path: Path, media_root: Path) -> None:
    lay_out(tmp_path / "in")
    import_images(folder=tmp_path / "in")
    before = (rows(), files_below(media_root))
    report = import_images(folder=tmp_path / "in")
    assert (report.imported_set_count, report.unchanged_set_count, report.faults) == (0, 1, [])
    assert (rows(), files_below(media_root)) == before


def test_importing_again_finishes_what_a_killed_import_began(tmp_path: Path, media_root: Path) -> None:
    lay_out(tmp_path / "in")
    import_images(folder=tmp_path / "in")
    before = (rows(), files_below(media_root))
    grid = media_root / f"renditions/{imported().uid}/2-grid-160.webp"
    grid.rename(grid.with_name(f"{grid.name}.00ff.part"))
    assert import_images(folder=tmp_path / "in").unchanged_set_count == 1
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
    import_images(folder=tmp_path / "in")
    before = (rows(), files_below(media_root))
    change(tmp_path / "in" / "sdxl" / "a cube")
    report = import_images(folder=tmp_path / "in")
    assert report.refused_set_count == 1
    assert "sdxl/a cube was imported before with other images" in faults(report)[0]
    assert (rows(), files_below(media_root)) == before


@pytest.mark.parametrize("is_named", [True, False])
def test_one_model_by_its_name(tmp_path: Path, is_named: bool) -> None:
    lay_out(tmp_path, "sdxl")
    lay_out(tmp_path, "pixart")
    folder = tmp_path if is_named else tmp_path / "sdxl"
    assert import_images(folder=folder, model="sdxl").imported_set_count == 1
    assert [model.name for model in DiffusionModel.objects.all()] == ["sdxl"]


def test_a_model_that_also_generates_can_have_imported_images(tmp_path: Path) -> None:
    DiffusionModel.objects.create(name="sdxl", checkpoint="/models/sdxl")
    import_images(folder=lay_out(tmp_path))
    assert imported().diffusion_model.checkpoint == "/models/sdxl"


def text_file(folder: Path) -> None:
    (folder / "2.jpg").write_text("not an image")


def truncated(folder: Path) -> None:
    file = folder / "2.jpg"
    file.write_bytes(file.read_bytes()[:-300])


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
        (text_file, "sdxl/a cube/2.jpg is not an image: PNG, JPEG and WebP are read"),
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
    report = import_images(folder=tmp_path / "in")
    assert (report.imported_set_count, report.refused_set_count) == (1, 1)
    assert any(sentence in fault for fault in faults(report)), faults(report)
    assert [image_set.prompt.text for image_set in ImageSet.objects.all()] == ["a ring"]
    assert {name.split("/")[1] for name in files_below(media_root)} == {str(imported("a ring").uid)}


def test_mending_the_fault_and_importing_again(tmp_path: Path) -> None:
    lay_out(tmp_path)
    truncated(tmp_path / "sdxl" / "a cube")
    assert import_images(folder=tmp_path).refused_set_count == 1
    picture(2).save(tmp_path / "sdxl" / "a cube" / "2.jpg")
    assert import_images(folder=tmp_path).imported_set_count == 1


def test_a_fault_of_the_machine_leaves_nothing(
    tmp_path: Path, media_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    lay_out(tmp_path / "in")
    before = rows()
    with monkeypatch.context() as patch:
        patch.setattr("generation.image_sets.put_in_place", fail)
        with pytest.raises(OSError, match="disk full"):
            import_images(folder=tmp_path / "in")
    assert rows() == before
    assert files_below(media_root) == []
    assert import_images(folder=tmp_path / "in").imported_set_count == 1


def test_files_outside_the_folders_are_listed(tmp_path: Path) -> None:
    lay_out(tmp_path)
    (tmp_path / "readme.txt").touch()
    (tmp_path / "sdxl" / "5.jpg").touch()
    report = import_images(folder=tmp_path)
    assert report.imported_set_count == 1
    outside = "lies outside the folders of models and prompts"
    assert faults(report) == [f"readme.txt {outside}", f"sdxl/5.jpg {outside}"]


def test_what_file_managers_leave_behind_is_no_fault(tmp_path: Path) -> None:
    lay_out(tmp_path)
    for name in (".DS_Store", "Thumbs.db", "desktop.ini"):
        (tmp_path / "sdxl" / "a cube" / name).touch()
    assert import_images(folder=tmp_path).faults == []


def test_odd_names(tmp_path: Path) -> None:
    composed, apart = "a caf\u00e9; 'quoted' & 100 %, “ü”", "a cafe\u0301; 'quoted' & 100 %, “u\u0308”"
    lay_out(tmp_path, prompts=(apart,))
    assert import_images(folder=tmp_path).faults == []
    assert imported(composed).prompt.text == composed


def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    lay_out(tmp_path, prompts=("a cube",))
    (tmp_path / "sdxl" / "a cube").rename(tmp_path / "sdxl" / os.fsdecode(b"a caf\xe9"))
    report = import_images(folder=tmp_path)
    assert faults(report) == ["sdxl/a caf\ufffd has a prompt whose name is empty or not UTF-8"]


def test_a_models_name_that_is_too_long(tmp_path: Path) -> None:
    report = import_images(folder=lay_out(tmp_path, model="m" * 201))
    assert "has a model whose name is longer than 200 signs" in faults(report)[0]


# --- the CSV manifest -------------------------------------------------------------------------------------------


def manifest(folder: Path, *lines: str, name: str = "manifest.csv") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for seed in (1, 2):
        picture(seed).save(folder / f"{seed}.png")
    (folder / name).write_text("\n".join(["path,model,prompt,seed", *lines]) + "\n", encoding="utf-8")
    return folder / name


def test_a_manifest_in_the_folder_or_named_itself(tmp_path: Path) -> None:
    file = manifest(tmp_path, "1.png,sdxl,a cube,892834", '2.png,sdxl,"a cube, or two",5')
    assert import_images(folder=file).imported_set_count == 2
    assert import_images(folder=tmp_path).unchanged_set_count == 2
    assert imported("a cube").seeds == [892834]
    assert imported("a cube, or two").seeds == [5]


def test_a_manifest_of_several_models(tmp_path: Path) -> None:
    file = manifest(tmp_path, "1.png,sdxl,a cube,1", "2.png,pixart,a cube,1")
    assert import_images(folder=file, model="pixart").imported_set_count == 1
    assert not DiffusionModel.objects.filter(name="sdxl").exists()


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("../secret.png,sdxl,a cube,2", "manifest.csv line 3: the path ../secret.png leads out"),
        ("/etc/hostname,sdxl,a cube,2", "manifest.csv line 3: the path /etc/hostname leads out"),
        ("link.png,sdxl,a cube,2", "manifest.csv line 3: the path link.png leads out"),
        ("3.png,sdxl,a cube,2", "sdxl/a cube/3.png is not there"),
        ("a\0b.png,sdxl,a cube,2", "leads out of the manifest's folder"),
        (f"{'a' * 300}.png,sdxl,a cube,2", "cannot be read (File name too long)"),
        ("2.png,sdxl,a cube,1", "manifest.csv line 3: 2.png has seed 1, as another file"),
        ("2.png,sdxl,a cube,x", "manifest.csv line 3: 2.png does not say its seed: “x”"),
    ],
)
def test_lines_that_cannot_be_taken(tmp_path: Path, line: str, sentence: str) -> None:
    picture().save(tmp_path / "secret.png")
    file = manifest(tmp_path / "in", "1.png,sdxl,a cube,1", line)
    (tmp_path / "in" / "link.png").symlink_to(tmp_path / "secret.png")
    report = import_images(folder=file)
    assert report.refused_set_count == 1
    assert sentence in faults(report)[0]
    assert not ImageSet.objects.exists()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("path,model,prompt\n", "has no column seed: wanted are path, model, prompt, seed"),
        ("", "has no column path"),
        ("path,model,prompt,seed\n1.png,,,1\n", "line 2: model and prompt must not be empty"),
        ("path,model,prompt,seed\n1.png\n", "line 2: model and prompt and seed must not be empty"),
        ('path,model,prompt,seed\n1.png,sdxl,"a cube,1\n', "is not a CSV file"),
        ("path,model,prompt,seed\n", "holds no images"),
    ],
)
def test_a_manifest_that_is_none(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "manifest.csv").write_text(text)
    with pytest.raises(Refused, match=sentence):
        import_images(folder=tmp_path)


def test_a_manifest_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_bytes(b"path,model,prompt,seed\n\xff\xfe\n")
    with pytest.raises(Refused, match="is not a CSV file in UTF-8"):
        import_images(folder=tmp_path)


# --- the command ------------------------------------------------------------------------------------------------


def test_the_command_says_what_it_did(tmp_path: Path) -> None:
    out = StringIO()
    call_command("import_images", str(lay_out(tmp_path)), "--model", "sdxl", stdout=out)
    assert out.getvalue() == "1 sets with 2 images imported, 0 sets unchanged.\n"


def test_the_command_lists_faults_and_fails(tmp_path: Path) -> None:
    lay_out(tmp_path)
    truncated(tmp_path / "sdxl" / "a cube")
    err = StringIO()
    with pytest.raises(CommandError, match="1 sets were left out for the reasons above"):
        call_command("import_images", str(tmp_path), stdout=StringIO(), stderr=err)
    assert "not imported: sdxl/a cube/2.jpg is truncated or damaged" in err.getvalue()


def test_a_file_outside_the_folders_is_no_failure(tmp_path: Path) -> None:
    lay_out(tmp_path)
    (tmp_path / "readme.txt").touch()
    err = StringIO()
    call_command("import_images", str(tmp_path), stdout=StringIO(), stderr=err)
    assert "not imported: readme.txt lies outside" in err.getvalue()


def test_the_command_refuses_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"There is no /.*/nowhere"):
        call_command("import_images", str(tmp_path / "nowhere"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(CommandError, match="holds no images of the model sdxl: wanted is"):
        call_command("import_images", str(tmp_path / "empty"), "--model", "sdxl")
