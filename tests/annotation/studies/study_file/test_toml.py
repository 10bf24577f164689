"""The lines of the keys of a TOML document, and seeds drawn from one number."""

import tomllib
from datetime import UTC
from typing import Any

import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st

from annotation.studies.study_file.lines import key_lines
from annotation.studies.study_file.tables import draw_seeds

DOCUMENT = '''# a comment with [brackets] and = signs
a = 1 # another
"b c".d = """
x = 2 \\""" y
"""
[t] # [z]
e = [ # k
  "x, ]",
  {f = 1, g.h = [1,
    2]},
]
[[rows]]
n = 2020-01-01 10:00:00
[[rows]]
n = 'a # b'
[rows.sub]
q = \'\'\'it's
[no] = header\'\'\'
r = { }
w = []
last = -1.5e3
'''


def test_every_key_is_found_on_its_line() -> None:
    expected = {
        ("a",): 2,
        ("b c", "d"): 3,
        ("t",): 6,
        ("t", "e", 0): 8,
        ("t", "e", 1, "g", "h", 1): 10,
        ("rows", 0, "n"): 13,
        ("rows", 1): 14,
        ("rows", 1, "n"): 15,
        ("rows", 1, "sub", "q"): 17,
        ("rows", 1, "sub", "last"): 21,
    }
    found = key_lines(DOCUMENT)
    assert {path: found[path] for path in expected} == expected


def paths(value: Any, path: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {path, *(found for key, item in items for found in paths(item, (*path, key)))}


def test_no_key_is_missed_and_none_is_made_up() -> None:
    assert set(key_lines(DOCUMENT)) == paths(tomllib.loads(DOCUMENT)) - {()}


texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"], exclude_characters="\r"))
scalars = st.one_of(
    texts,
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.datetimes(timezones=st.just(UTC)),
)
names = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)
inner_tables = st.dictionaries(names, st.one_of(scalars, st.lists(scalars, max_size=3)), max_size=4)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(names, st.one_of(scalars, st.lists(scalars, max_size=3), inner_tables), max_size=5))
def test_every_key_that_is_written_is_found(document: dict[str, Any]) -> None:
    text = tomli_w.dumps(document, multiline_strings=True)
    assert set(key_lines(text)) == paths(tomllib.loads(text)) - {()}


def test_seeds_are_the_same_everywhere_and_all_different() -> None:
    assert draw_seeds(20240412, 4) == (3693446971, 1271543297, 2019703729, 2930629096)
    assert draw_seeds(1, 50)[:20] == draw_seeds(1, 20)
    assert len(set(draw_seeds(1, 5000))) == 5000
    assert all(0 <= seed < 2**32 for seed in draw_seeds(1, 5000))
    assert draw_seeds(2, 5) != draw_seeds(1, 5)
