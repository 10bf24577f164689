"""What commands say about options and files that do not fit."""

import re

import pytest
from django.core.management import CommandError, call_command

from annotation.management.base import notes_on


def test_a_number_out_of_range_is_answered_by_its_range_and_not_by_every_number() -> None:
    for command, option, fault in [
        ("run_study", "--priority=200", "'200' is not a whole number from 0 to 100"),
        ("demo", "--images=1", "'1' is not a whole number from 2 to 20"),
    ]:
        with pytest.raises(CommandError, match=re.escape(fault)) as refused:
            call_command(command, option, *(["study"] if command == "run_study" else []))
        assert len(str(refused.value)) < 100


def test_of_many_unused_columns_the_first_are_named() -> None:
    (sentence,) = notes_on(unused=[f"column {number}" for number in range(200)])
    assert sentence.startswith("Not used: the columns column 0, column 1, ")
    assert sentence.endswith("column 9 and 190 more.")
    (sentence,) = notes_on(unused=["a\x1b[31m", "b" * 5000])
    assert sentence == f"Not used: the columns a[U+001B][31m and {'b' * 50}…."
