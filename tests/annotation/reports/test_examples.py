"""The examples in the docstrings hold."""

import doctest
from importlib import import_module

import pytest


@pytest.mark.parametrize("name", ["claim", "latex", "numbers", "presentation", "study_data"])
def test_examples(name: str) -> None:
    result = doctest.testmod(import_module(f"annotation.reports.{name}"))
    assert result.attempted > 0
    assert result.failed == 0
