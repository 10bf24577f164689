"""A document from Markdown: its HTML, its headings with anchors, and its passages for the search. Pure."""

import posixpath
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.utils.html import escape, format_html
from django.utils.safestring import SafeString
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

FOLDER = "docs"  # in which the documents lie, so that the path of another file in the repository can be given
_PARTS_OF_WORDS = re.compile(r"[^\w\- ]")
_ENDS_OF_PASSAGES = ("paragraph_close", "tr_close")


@dataclass
class Section:
    """A heading with what stands below it until the next one."""

    level: int
    title: str
    anchor: str
    passages: list[str] = field(default_factory=list)  # paragraphs, rows of tables and blocks of code, as text


@dataclass(frozen=True)
class Marked:
    """A document as a page shows it. The first section is that of its title."""

    html: SafeString
    sections: tuple[Section, ...]


class _Renderer(RendererHTML):
    """Puts what may be too wide into a box that scrolls, also by the keyboard."""

    def table_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return '<div class="scroll" tabindex="0" role="region" aria-label="Table"><table>\n'

    def table_close(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return "</table></div>\n"

    def fence(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return f'<pre tabindex="0"><code>{escape(tokens[idx].content)}</code></pre>\n'


# Raw HTML is shown as text, and unsafe links are refused. No document has pictures.
_MARKDOWN = MarkdownIt("commonmark", {"html": False}, renderer_cls=_Renderer).enable("table").disable("image")


def marked(text: str, *, address: Callable[[str], str | None]) -> Marked:
    """Return a document. `address`: of the page that shows another document, by its file's name; None if no page does.

    A link to another file of the repository becomes its words and its path, because no page shows the file.
    """
    tokens = _MARKDOWN.parse(text)
    sections: list[Section] = []
    used: Counter[str] = Counter()
    passage: list[str] = []
    for at, token in enumerate(tokens):
        if token.type == "heading_open":
            sections.append(_section(token, tokens[at + 1], used))
        elif token.type == "th_open":
            token.attrSet("scope", "col")
        elif token.type == "inline":
            token.children = _linked(token.children or [], address)
            passage.append(_text(token))
        elif token.type == "fence" and sections:
            sections[-1].passages.append(token.content)
        elif token.type == "heading_close":
            passage.clear()  # a title is no passage
        elif token.type in _ENDS_OF_PASSAGES and sections:
            sections[-1].passages.append(" ".join(passage))
            passage.clear()
    html = _MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {})
    return Marked(SafeString(html), tuple(sections))


def _section(heading: Token, inline: Token, used: Counter[str]) -> Section:
    """Return the section that a heading begins, and give the heading its anchor, as GitHub names it."""
    title = _text(inline)
    name = _PARTS_OF_WORDS.sub("", title.lower()).replace(" ", "-")
    anchor = f"{name}-{used[name]}" if used[name] else name
    used[name] += 1
    heading.attrSet("id", anchor)
    if heading.level == 0 and heading.tag != "h1" and inline.children is not None:
        link = format_html(' <a class="anchor" href="#{}" aria-label="Link to “{}”">#</a>', anchor, title)
        inline.children.append(Token("html_inline", "", 0, content=link))
    return Section(int(heading.tag[1]), title, anchor)


def _text(inline: Token) -> str:
    """Return the words of a line without its markup."""
    words = {"text", "code_inline"}
    return "".join(
        one.content if one.type in words else " " if one.type.endswith("break") else "" for one in inline.children or []
    )


def _linked(children: list[Token], address: Callable[[str], str | None]) -> list[Token]:
    """Return a line's parts with each link leading to a page, or replaced by its words and the path of the file."""
    found: list[Token] = []
    path = ""
    for one in children:
        if one.type == "link_open":
            path = _lead(one, address)
        if not path or one.type not in ("link_open", "link_close"):
            found.append(one)
        elif one.type == "link_close":
            found += [_said(" ("), Token("code_inline", "code", 0, content=path), _said(" in the repository)")]
    return found


def _lead(link: Token, address: Callable[[str], str | None]) -> str:
    """Let a link lead to a page and return ""; or return the path of its file in the repository if no page shows it."""
    target = str(link.attrGet("href") or "")
    if "://" in target or target.startswith(("#", "/", "mailto:")):
        return ""
    name, sign, anchor = target.partition("#")
    page = address(name)
    if page is None:
        return posixpath.normpath(posixpath.join(FOLDER, name))
    link.attrSet("href", f"{page}{sign}{anchor}")
    return ""


def _said(words: str) -> Token:
    return Token("text", "", 0, content=words)
