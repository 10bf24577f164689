"""docs/your-own-data.md, executed as it stands: its files written, its commands run, and their words compared."""

import re
import shlex
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from PIL import Image

from annotation.models import Import, Study
from generation.models import ImageSet

GUIDE = Path(__file__).parents[1] / "docs" / "your-own-data.md"
BLOCK = re.compile(r"^```(toml|csv|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAME = re.compile(r"`([\w-]+\.(?:toml|csv))`")

pytestmark = pytest.mark.django_db


def _pictures(folder: Path) -> None:
    """Two sets of two images for each model, as the guide's folder has them."""
    for number, model in enumerate(("Alpha", "Beta")):
        for prompt in ("a kite", "two kites"):
            for seed in (1, 2):
                path = folder / model / prompt / f"{seed}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                image = Image.new("RGB", (32, 32), (90 * number, 60 * seed, len(prompt)))
                image.putpixel((3, 3), (255, 255, 255))
                image.save(path)


def _run(commands: str) -> None:
    """Each command as it is typed; what the guide shows must be what it says, a … standing for anything."""
    parts = re.split(r"^\$ \.venv/bin/python manage\.py ", commands, flags=re.MULTILINE)[1:]
    for part in parts:
        line, _, shown = part.partition("\n")
        out = StringIO()
        call_command(*shlex.split(_with_numbers(line)), stdout=out, stderr=out)
        if shown:
            expected = re.escape(shown.strip()).replace("…", ".*")
            assert re.fullmatch(_any_number(expected), out.getvalue().strip()), (line, out.getvalue())


def _with_numbers(line: str) -> str:
    """The guide counts imports from 1, as a fresh database does; other tests may have used numbers up."""
    match = re.fullmatch(r"(take_back \S+) (\d)(.*)", line)
    if match is None:
        return line
    first = Import.objects.order_by("pk").values_list("pk", flat=True)[0]
    return f"{match[1]} {first + int(match[2]) - 1}{match[3]}"


def _any_number(pattern: str) -> str:
    return re.sub(r"^\d+:", r"\\d+:", pattern, flags=re.MULTILINE)


def test_the_guide_runs_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _pictures(tmp_path / "pictures")
    text = GUIDE.read_text(encoding="utf-8")
    for block in BLOCK.finditer(text):
        kind, content = block.groups()
        if kind == "console":
            _run(content)
        else:
            name = NAME.findall(text[: block.start()])[-1]
            assert name.endswith(kind)
            (tmp_path / name).write_text(content, encoding="utf-8")
    assert "my-metric" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert sorted(Study.objects.values_list("slug", flat=True)) == ["kites", "weather"]
    assert ImageSet.objects.filter(origin="imported").count() == 3
