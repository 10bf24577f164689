"""Documents from Markdown: anchors, links, tables, code, and the passages of the search."""

import pytest

from annotation.web.docs.markup import Marked, marked


def page(text: str) -> Marked:
    return marked(text, address=lambda name: {"report.md": "/docs/report/"}.get(name))


def test_headings_have_the_anchors_that_github_gives_them() -> None:
    shown = page("# The report\n\n## How often?\n\n### `source`, 1.5 & more\n\n## How often?\n")
    anchors = ["the-report", "how-often", "source-15--more", "how-often-1"]
    assert [section.anchor for section in shown.sections] == anchors
    assert all(f'id="{anchor}"' in shown.html for anchor in anchors)
    assert [section.title for section in shown.sections] == [
        "The report",
        "How often?",
        "source, 1.5 & more",
        "How often?",
    ]
    assert 'href="#how-often-1" aria-label="Link to “How often?”"' in shown.html
    assert 'href="#the-report"' not in shown.html, "the title is the page itself"


@pytest.mark.parametrize(
    ("link", "becomes"),
    [
        ("[it](report.md)", '<a href="/docs/report/">it</a>'),
        ("[it](report.md#formats)", '<a href="/docs/report/#formats">it</a>'),
        ("[it](#formats)", '<a href="#formats">it</a>'),
        ("[it](https://arxiv.org/abs/1)", '<a href="https://arxiv.org/abs/1">it</a>'),
        ("[it](exports/a.py)", "it (<code>docs/exports/a.py</code> in the repository)"),
        ("[it](../README.md#top)", "it (<code>README.md</code> in the repository)"),
        ("[it](javascript:alert(1))", "[it](javascript:alert(1))"),
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
    ],
)
def test_a_link_leads_to_a_page_or_names_its_file(link: str, becomes: str) -> None:
    assert page(f"See {link}, then go on.\n").html == f"<p>See {becomes}, then go on.</p>\n"


def test_what_is_wide_scrolls_by_the_keyboard() -> None:
    shown = page('# T\n\n| key | meaning |\n| --- | --- |\n| `a` | b |\n\n```toml\na = "<b>"\n```\n').html
    assert '<div class="scroll" tabindex="0" role="region" aria-label="Table"><table>' in shown
    assert '<th scope="col">key</th>' in shown
    assert '<pre tabindex="0"><code>a = &quot;&lt;b&gt;&quot;\n</code></pre>' in shown
    assert shown.count("</table></div>") == 1


def test_passages_are_paragraphs_items_rows_and_code() -> None:
    text = "# T\n\nOne\ntwo `three`.\n\n- item\n\n## U\n\n| a | b |\n| --- | --- |\n| **c** | d |\n\n```\ncode\n```\n"
    first, second = page(text).sections
    assert first.passages == ["One two three.", "item"]
    assert second.passages == ["a b", "c d", "code\n"]
