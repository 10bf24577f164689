"""Convert the study's texts from Markdown to HTML. Raw HTML is shown as text, unsafe links are refused."""

from django.utils.safestring import SafeString
from markdown_it import MarkdownIt

# No images: one would be fetched from another site, which the content security policy forbids.
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).disable("image")


def render(text: str) -> SafeString:
    """Return the HTML of a Markdown text; empty for an empty text."""
    return SafeString(_MARKDOWN.render(text))  # raw HTML is escaped, links are checked by the renderer


def render_line(text: str) -> SafeString:
    """Return the HTML of one line, without a paragraph around it."""
    return SafeString(_MARKDOWN.renderInline(text))
