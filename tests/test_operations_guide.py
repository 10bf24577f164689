"""Every command, option, make target and variable that the guides name exists, and every variable is documented."""

import re
from functools import cache
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

from tests.models import ROOT

GUIDES = sorted([*ROOT.glob("docs/*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
OPERATIONS = (ROOT / "docs/operations.md").read_text()
CALL = re.compile(r"manage\.py ([a-z_]+)((?: +[^\s`|&;>()]+)*)")
READ = re.compile(r"""(?:env|os\.environ)\.\w+\(\s*f?"([A-Z][A-Z0-9_]+)""")
# Set by commands for their own processes, and by schedulers.
OURS_ALONE = {"DJANGO_SETTINGS_MODULE", "REMAP_SIGTERM", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "PWD"}


@cache
def options_of(command: str) -> set[str]:
    loaded = load_command_class(get_commands()[command], command)
    return set(loaded.create_parser("manage.py", command)._option_string_actions)


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.name)
def test_every_command_and_option_exists(guide: Path) -> None:
    text = guide.read_text()
    calls = CALL.findall(text)
    assert len(calls) == text.count("manage.py ")
    for command, arguments in calls:
        assert command in get_commands(), command
        for option in re.findall(r"(?<!\S)--[a-z-]+", arguments):
            assert option in options_of(command), f"{command} {option}"


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.name)
def test_every_make_target_exists(guide: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    said = set(re.findall(r"(?:`|^|&& )make ([a-z-]+)", guide.read_text(), re.MULTILINE))
    assert said <= targets


def test_every_variable_is_read_and_documented() -> None:
    rooms = ("config", "jobs", "generation", "scoring", "annotation")
    code = [file for room in rooms for file in (ROOT / room).rglob("*.py")]
    read = {name for file in code for name in READ.findall(file.read_text())} - OURS_ALONE
    table = OPERATIONS.partition("## Variables")[2].partition("\n## ")[0]
    documented = {
        name
        for row in table.splitlines()
        if row.startswith("| `")
        for name in re.findall(r"`([A-Z_0-9]+)`", row.split("|")[1])
    }
    assert read - documented == set()
