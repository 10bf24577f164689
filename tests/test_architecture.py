"""The rules between the rooms beyond the layers that import-linter checks."""

import ast
import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
APPS = ("jobs", "generation", "scoring", "annotation")
HEAVY = {"torch", "diffusers", "transformers", "peft", "accelerate"}
SLOW = {*HEAVY, "scipy.stats"}  # the last takes as long as half of all others: `scipy.stats.…` loads it when it is used


def modules(*rooms: str) -> Iterator[Path]:
    for room in rooms:
        yield from (path.relative_to(ROOT) for path in sorted((ROOT / room).rglob("*.py")))


def packages_imported_by(module: Path) -> set[str]:
    """Return the top-level names of all imports of a module, including those inside functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / module).read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return {name.partition(".")[0] for name in names}


def imports_of(module: Path, names: set[str]) -> set[str]:
    """Return the modules of ours that a module imports, by their dotted names."""
    imported: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / module).read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            full = {alias.name: f"{node.module}.{alias.name}" for alias in node.names}
            imported |= {name if name in names else node.module for name in full.values()}
    return imported & names


def importers_of(package: str) -> list[str]:
    return [str(module) for module in modules(*APPS) if package in packages_imported_by(module)]


def heavy_modules_after(statements: str, var: Path) -> set[str]:
    """Return what SLOW names of what a new process has loaded after `statements`, with its own var folder."""
    program = f"{statements}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings", "SEMBLANCE_VAR": str(var)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return SLOW & set(json.loads(done.stdout.splitlines()[-1]))


def test_one_package_imports_diffusers() -> None:
    assert {str(Path(module).parent) for module in importers_of("diffusers")} == {"generation/pipelines"}


def test_one_module_imports_an_image_encoder() -> None:
    # The pipelines load text encoders with it.
    others = [module for module in importers_of("transformers") if not module.startswith("generation/pipelines/")]
    assert others == ["scoring/encoders/loading.py"]


def test_annotation_imports_nothing_that_computes_on_a_device() -> None:
    found = {str(module): HEAVY & packages_imported_by(module) for module in modules("annotation", "config")}
    assert {module: packages for module, packages in found.items() if packages} == {}


WEB = """
import config.wsgi
from django.urls import get_resolver
assert get_resolver().url_patterns
"""
QUEUE = """
import django
django.setup()
from config.celery import app
app.loader.import_default_modules()
ours = {"generation.tasks.run_generation_job", "scoring.tasks.run_scoring_job", "annotation.tasks.tick"}
assert ours <= set(app.tasks), app.tasks
"""
COMMANDS = """
import django
django.setup()
from django.core.management import get_commands, load_command_class
ours = [name for name, app in get_commands().items() if app in ("generation", "scoring", "annotation")]
assert "score_folder" in ours and "import_images" in ours
for name in ours:
    load_command_class(get_commands()[name], name)
"""


@pytest.mark.parametrize(
    "statements",
    [
        pytest.param(WEB, id="the web process"),
        pytest.param(QUEUE, id="the control worker's tasks"),
        pytest.param(COMMANDS, id="every command until it needs a model"),
    ],
)
def test_starts_without_what_is_slow_to_load(statements: str, tmp_path: Path) -> None:
    assert heavy_modules_after(statements, tmp_path) == set()


def test_no_formula_needs_django(tmp_path: Path) -> None:
    names = [".".join(module.with_suffix("").parts) for module in modules("scoring/statistics")]
    program = f"import sys, scoring.consistency, {', '.join(names)}\nassert 'django' not in sys.modules"
    assert heavy_modules_after(program, tmp_path) == set()


def test_the_rooms_of_each_folder_import_each_other_in_one_direction() -> None:
    """In each folder, files and subfolders can be put on floors so that every import leads down."""
    paths = {".".join(path.with_suffix("").parts).removesuffix(".__init__"): path for path in modules(*APPS, "config")}
    rooms: defaultdict[str, defaultdict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for name, path in paths.items():
        for other in imports_of(path, set(paths)):
            one, two = name.split("."), other.split(".")
            shared = next((place for place, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), None)
            if shared is not None:  # else one of them is the package of the other
                rooms[".".join(one[:shared])][one[shared]].add(two[shared])
    assert len(rooms) > 20
    for folder, arrows in rooms.items():
        try:
            TopologicalSorter(arrows).prepare()
        except CycleError as error:
            pytest.fail(f"{folder or 'the project'}: {' <- '.join(error.args[1])}")


def test_imports_are_not_deep_and_small_modules_are_few() -> None:
    """A reader follows few steps, and finds few files of some lines that one other file needs."""
    paths = {".".join(path.with_suffix("").parts).removesuffix(".__init__"): path for path in modules(*APPS, "config")}
    imports = {name: imports_of(path, set(paths)) - {name} for name, path in paths.items()}
    depths: dict[str, int] = {}
    for name in TopologicalSorter(imports).static_order():
        depths[name] = 1 + max((depths[other] for other in imports[name]), default=0)
    assert {name: depth for name, depth in depths.items() if depth > 14} == {}
    importers = Counter(other for names in imports.values() for other in names)
    once = [path for name, path in paths.items() if importers[name] == 1 and path.name != "__init__.py"]
    small = [str(path) for path in once if len((ROOT / path).read_text().splitlines()) < 60]
    assert len(small) < 12, small


def test_each_module_is_named_after_its_subject() -> None:
    nameless = {"utils", "util", "helpers", "helper", "services", "service", "common", "misc"}
    paths = modules(*APPS, "config", "miniatures", "benchmarks")
    assert [str(path) for path in paths if nameless & {path.stem, *path.parts}] == []


def test_no_text_holds_the_marks_of_a_merge() -> None:
    rooms = [ROOT / room for room in ("docs", "templates", "static", "locale")]
    paths = [*ROOT.glob("*.md"), *(path for room in rooms for path in room.rglob("*"))]
    texts = [path for path in paths if path.suffix in {".md", ".html", ".js", ".css", ".po", ".toml"}]
    assert len(texts) > 100
    marks = (b"\n<<<<<<< ", b"\n>>>>>>> ")
    assert [str(path) for path in texts if any(mark in path.read_bytes() for mark in marks)] == []
