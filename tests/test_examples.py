"""The examples in the docstrings are true, and every public function of scoring.statistics has one."""

import doctest
import inspect
import pkgutil
from importlib import import_module
from pathlib import Path

import pytest

from scoring import statistics

ROOT = Path(__file__).parents[1]
ROOMS = ("jobs", "generation", "scoring", "annotation", "config", "benchmarks", "miniatures")
WITH_EXAMPLES = sorted(
    ".".join(file.relative_to(ROOT).with_suffix("").parts)
    for room in ROOMS
    for file in (ROOT / room).rglob("*.py")
    if ">>> " in file.read_text()
)
STATISTICS = [module.name for module in pkgutil.walk_packages(statistics.__path__, "scoring.statistics.")]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_the_examples_are_true(name: str) -> None:
    outcome = doctest.testmod(import_module(name), optionflags=doctest.ELLIPSIS)
    assert (outcome.failed, outcome.attempted > 0) == (0, True)


@pytest.mark.parametrize("name", STATISTICS)
def test_every_statistic_has_an_example(name: str) -> None:
    for function, value in inspect.getmembers(import_module(name), inspect.isfunction):
        if value.__module__ == name and not function.startswith("_"):
            assert ">>>" in (inspect.getdoc(value) or ""), function
