"""Importing images by a CSV manifest, and the command `import_images`."""

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from generation.imports import layouts
from generation.imports.layouts import read_layout
from generation.models import DiffusionModel, ImageSet
from jobs.refusals import Refused
from tests.generation.imports.laid_out import faults, import_images, imported, lay_out, truncated
from tests.generation.planned_sets import picture

pytestmark = pytest.mark.django_db


def manifest(folder: Path, *lines: str, name: str = "manifest.csv") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for seed in (1, 2):
        picture(seed).save(folder / f"{seed}.png")
    (folder / name).write_text("\n".join(["path,model,prompt,seed", *lines]) + "\n", encoding="utf-8")
    return folder / name


def test_a_manifest_in_the_folder_or_named_itself(tmp_path: Path) -> None:
    file = manifest(tmp_path, "1.png,sdxl,a cube,892834", '2.png,sdxl,"a cube, or two",5')
    assert import_images(file).imported_set_count == 2
    assert import_images(tmp_path).unchanged_set_count == 2
    assert imported("a cube").seeds == [892834]
    assert imported("a cube, or two").seeds == [5]


def test_a_manifest_of_several_models(tmp_path: Path) -> None:
    file = manifest(tmp_path, "1.png,sdxl,a cube,1", "2.png,pixart,a cube,1")
    assert import_images(file, model="pixart").imported_set_count == 1
    assert not DiffusionModel.objects.filter(name="sdxl").exists()


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("../secret.png,sdxl,a cube,2", "manifest.csv line 3: the path ../secret.png leads out"),
        ("/etc/hostname,sdxl,a cube,2", "manifest.csv line 3: the path /etc/hostname leads out"),
        ("link.png,sdxl,a cube,2", "manifest.csv line 3: the path link.png leads out"),
        ("3.png,sdxl,a cube,2", "sdxl/a cube/3.png is not there"),
        (f"{'a' * 300}.png,sdxl,a cube,2", "cannot be read (File name too long)"),
        ("2.png,sdxl,a cube,1", "manifest.csv line 3: 2.png has seed 1, as another file"),
        ("2.png,sdxl,a cube,x", "manifest.csv line 3: 2.png does not say its seed: “x”"),
    ],
)
def test_lines_that_cannot_be_taken(tmp_path: Path, line: str, sentence: str) -> None:
    picture().save(tmp_path / "secret.png")
    file = manifest(tmp_path / "in", "1.png,sdxl,a cube,1", line)
    (tmp_path / "in" / "link.png").symlink_to(tmp_path / "secret.png")
    report = import_images(file)
    assert report.refused_set_count == 1
    assert sentence in faults(report)[0]
    assert not ImageSet.objects.exists()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("path,model,prompt\n", "line 1 must name the columns path,model,prompt,seed, and seed is not in it"),
        ("", "is empty: its first line must name the columns path,model,prompt,seed"),
        ("path,model,prompt,seed\n1.png,,,1\n", "line 2: model and prompt must not be empty"),
        ("path,model,prompt,seed\n1.png\n", "line 2: it has 1 cell and the first line 4"),
        ('path,model,prompt,seed\n1.png,sdxl,"a cube,1\n', "line 2 is not CSV: a quote is opened and never closed"),
        ("path;model;prompt;seed\n1.png;sdxl;a cube;1\n", "separates its columns by semicolons, not by commas"),
        ('"path";"model";"prompt";"seed"\n', "separates its columns by semicolons, not by commas"),
        ('"path"\t"model"\t"prompt"\t"seed"\n', "separates its columns by tabs, not by commas"),
        ("path  model  prompt  seed\n", "separates its columns by spaces, not by commas"),
        ("path~model~prompt~seed\n", "separates its columns by '~', not by commas"),
        ("path，model，prompt，seed\n", "separates its columns by '，', not by commas"),
        ('path,model,prompt,seed\n"a"b,c,d,1\n', "line 2 is not CSV: a text continues after its closing quote"),
        ("path,model,prompt,seed\na\0b.png,sdxl,a cube,2\n", "holds NUL bytes"),
        ("path,model,prompt,seed\n", "holds no images"),
    ],
)
def test_a_manifest_that_is_none(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "manifest.csv").write_text(text)
    with pytest.raises(Refused, match=sentence):
        import_images(tmp_path)


def test_a_manifest_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_bytes(b"path,model,prompt,seed\n\xff\xfe\n")
    with pytest.raises(Refused, match="is not a UTF-8 text"):
        import_images(tmp_path)


# --- the command ------------------------------------------------------------------------------------------------


def test_the_command_says_what_it_did(tmp_path: Path) -> None:
    out = StringIO()
    call_command("import_images", str(lay_out(tmp_path)), "--model", "sdxl", stdout=out)
    assert out.getvalue() == "1 set with 2 images imported, 0 sets unchanged.\n"


def test_the_command_lists_faults_and_fails(tmp_path: Path) -> None:
    lay_out(tmp_path)
    truncated(tmp_path / "sdxl" / "a cube")
    err = StringIO()
    with pytest.raises(CommandError, match="1 set was left out for the reasons above"):
        call_command("import_images", str(tmp_path), stdout=StringIO(), stderr=err)
    assert "not imported: sdxl/a cube/2.jpg is truncated or damaged" in err.getvalue()


def test_a_file_outside_the_folders_is_no_failure(tmp_path: Path) -> None:
    lay_out(tmp_path)
    (tmp_path / "readme.txt").touch()
    err = StringIO()
    call_command("import_images", str(tmp_path), stdout=StringIO(), stderr=err)
    assert "not imported: readme.txt lies outside" in err.getvalue()


def test_a_model_folder_without_prompts_is_named(tmp_path: Path) -> None:
    lay_out(tmp_path)
    (tmp_path / "pixart").mkdir()
    (tmp_path / "flux").mkdir()
    (tmp_path / "flux" / ".DS_Store").touch()
    report = import_images(tmp_path)
    assert faults(report) == ["flux holds no folders of prompts", "pixart holds no folders of prompts"]
    assert (report.imported_set_count, report.refused_set_count) == (1, 0)


@pytest.mark.parametrize("is_manifest", [False, True])
def test_a_wrong_model_is_refused_with_the_models_that_are_there(tmp_path: Path, is_manifest: bool) -> None:
    if is_manifest:
        manifest(tmp_path, "1.png,sdxl,a cube,1", "2.png,pixart,a cube,1")
    else:
        lay_out(lay_out(tmp_path, "sdxl", ("a cube", "a ring")), "pixart")
    with pytest.raises(
        Refused, match=r"holds no images of the model sdlx; --model names one of these: (pixart|sdxl), "
    ):
        read_layout(tmp_path, model="sdlx")


def test_folders_of_prompts_take_any_name_of_a_model(tmp_path: Path) -> None:
    lay_out(tmp_path)
    (tmp_path / "sdxl" / "a ring" / "again").mkdir(parents=True)
    report = import_images(tmp_path / "sdxl", model="mine")
    assert faults(report) == ["a ring/again is a folder: wanted are images named <seed>.jpg"]
    assert imported(model="mine").seeds == [1, 2]


def test_the_command_refuses_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"There is no /.*/nowhere"):
        call_command("import_images", str(tmp_path / "nowhere"))
    (tmp_path / "images.zip").write_bytes(b"PK")
    with pytest.raises(CommandError, match=r"images\.zip is not a folder: give the folder that holds the images"):
        call_command("import_images", str(tmp_path / "images.zip"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(CommandError, match="holds no images of the model sdxl: it needs"):
        call_command("import_images", str(tmp_path / "empty"), "--model", "sdxl")


def test_a_fault_is_one_line_without_commands_for_the_terminal() -> None:
    fault = layouts.Fault("sdxl/new\nline\x1b[31m", "holds no images")
    assert str(fault) == "sdxl/new\ufffdline\ufffd[31m holds no images"
