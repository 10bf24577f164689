import doctest
import importlib
import inspect
import pkgutil
import subprocess
import sys
from types import ModuleType

import pytest

from scoring import consistency, statistics

NAMES = [f"scoring.statistics.{module.name}" for module in pkgutil.iter_modules(statistics.__path__)]
MODULES = [consistency, *map(importlib.import_module, NAMES)]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_the_examples_of_the_docstrings_are_true(module: ModuleType) -> None:
    assert doctest.testmod(module, optionflags=doctest.ELLIPSIS).failed == 0


@pytest.mark.parametrize("module", MODULES[1:], ids=lambda module: module.__name__)
def test_every_function_has_an_example(module: ModuleType) -> None:
    for name, function in inspect.getmembers(module, inspect.isfunction):
        if function.__module__ == module.__name__ and not name.startswith("_"):
            assert ">>>" in (inspect.getdoc(function) or ""), name


def test_no_formula_needs_django() -> None:
    names = [module.__name__ for module in MODULES]
    program = f"import sys, {', '.join(names)}; sys.exit('django' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
