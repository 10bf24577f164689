"""The study's texts: Markdown to HTML, with raw HTML shown as text and unsafe links refused."""

from django.utils.safestring import SafeString
from markdown_it import MarkdownIt

# No images: a picture beside the instructions would have to be fetched from elsewhere, which the page's policy forbids.
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).disable("image")


def render(text: str) -> SafeString:
    """The HTML of a Markdown text; empty for an empty text."""
    return SafeString(_MARKDOWN.render(text))  # raw HTML is escaped, links are checked by the renderer


def render_line(text: str) -> SafeString:
    """The HTML of one line, without a paragraph around it."""
    return SafeString(_MARKDOWN.renderInline(text))
