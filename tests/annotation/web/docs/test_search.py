"""The search: every word of the query, headings first, the words marked."""

import pytest

from annotation.web.docs.markup import Section
from annotation.web.docs.pages import DOCUMENTS, LETTERS_SHOWN, Found, find


def test_a_heading_comes_before_a_passage() -> None:
    first, *others = find("several models")
    assert "several models" in first.section.title.casefold()
    assert any("several models" not in one.section.title.casefold() for one in others)


def test_every_word_of_the_query_stands_in_the_section() -> None:
    both = find("overlap annotators")
    assert both
    assert len(both) < len(find("annotators"))
    for one in both:
        text = " ".join((one.section.title, *one.section.passages)).casefold()
        assert "overlap" in text
        assert "annotators" in text


@pytest.mark.parametrize("query", ["", "   ", "zyzzyva", "annotators zyzzyva", "<script>"])
def test_a_query_that_finds_nothing(query: str) -> None:
    assert find(query) == []


@pytest.mark.parametrize("query", ["[", "\\"])
def test_a_query_that_looks_like_code_finds_the_sections_that_hold_it(query: str) -> None:
    texts = [" ".join((one.section.title, *one.section.passages)) for one in find(query)]
    assert texts
    assert [text for text in texts if query not in text] == []


def test_the_excerpt_is_escaped_and_marks_the_words() -> None:
    passage = "before " * 40 + "<b>Overlap</b> & kappa " + "after " * 80
    found = Found(DOCUMENTS[0], Section(2, "The overlap", "x", ["other", passage]), ("overlap", "kappa"))
    assert found.title == "The <mark>overlap</mark>"
    assert "&lt;b&gt;<mark>Overlap</mark>&lt;/b&gt; &amp; <mark>kappa</mark>" in found.excerpt
    assert found.excerpt.startswith("… before")
    assert found.excerpt.endswith(" …")
    assert len(found.excerpt) < 2 * LETTERS_SHOWN
    bare = Found(DOCUMENTS[0], Section(2, "Overlap", "x"), ("overlap",))
    assert bare.excerpt == ""
