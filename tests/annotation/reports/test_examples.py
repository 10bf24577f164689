"""The examples in the docstrings hold."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

from annotation import reports

HERE = Path(reports.__path__[0])
MODULES = [
    ".".join(path.relative_to(HERE).with_suffix("").parts)
    for path in sorted(HERE.rglob("*.py"))
    if ">>> " in path.read_text()
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    result = doctest.testmod(import_module(f"annotation.reports.{name}"))
    assert result.attempted > 0
    assert result.failed == 0
